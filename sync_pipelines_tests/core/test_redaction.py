import base64
import json
from urllib.parse import quote, quote_plus

import pytest

from sync_pipelines.core.redaction import Redactor

SECRET = 'p/4s:w"ö r+d=1&x'


@pytest.mark.parametrize(
    "dressed",
    [
        SECRET,
        quote(SECRET),
        quote(SECRET, safe=""),
        "p%2f4s%3aw%22%c3%b6%20r%2bd%3d1%26x",
        quote_plus(SECRET),
        json.dumps(SECRET)[1:-1],
        json.dumps(SECRET, ensure_ascii=False)[1:-1],
        repr(SECRET)[1:-1],
    ],
)
def test_a_known_secret_is_masked_in_every_dress(dressed: str) -> None:
    assert Redactor([SECRET]).text(f"before {dressed} after") == "before *** after"


@pytest.mark.parametrize("lead", ["", "u", "ab", "abc", "user:"])
@pytest.mark.parametrize("tail", ["", "t", "ta", "tail"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_a_known_secret_is_masked_inside_base64(lead: str, tail: str, encode: object) -> None:
    secret = "hunter2-hunter2-ÿþ"
    assert callable(encode)
    encoded = encode(f"{lead}{secret}{tail}".encode()).decode()

    masked = Redactor([secret]).text(encoded)

    assert "***" in masked
    rest = masked.replace("***", "")
    assert len(rest) <= len(base64.b64encode(f"{lead}{tail}".encode())) + 4


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Authorization: Token 0123456789abcdef\r\nHost: x", "Authorization: ***\r\nHost: x"),
        ("proxy-authorization=Basic abc", "proxy-authorization=***"),
        ("{'Authorization': 'Token abc', 'Accept': 'x'}", "{'Authorization': '***', 'Accept': 'x'}"),
        ('[("authorization", "Bearer abc")]', '[("authorization", "***")]'),
        (f"sent Token {'0af1' * 10}.", "sent Token ***"),
        ("Bearer eyJhbGciOiJIUzI1NiJ9.e30.abc expired", "Bearer *** expired"),
        ("GET /x?token=abc&page=2", "GET /x?token=***&page=2"),
        ("password=abc; consumer_secret=cs_1 x", "password=***; consumer_secret=*** x"),
        ('{"token": "ab\\"c", "username": "staff"}', '{"token": "***", "username": "staff"}'),
        ("postgresql://sync:pa@ss@db/sync", "postgresql://***@db/sync"),
        ("no connection to https://user@host:8443/api", "no connection to https://***@host:8443/api"),
    ],
)
def test_what_looks_like_a_credential_is_masked(text: str, masked: str) -> None:
    assert Redactor().text(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "basic authentication is required",
        "Invalid token. No credentials provided.",
        "Token has expired.",
        "see https://waldur.example.com/api/?page=2 and write to a@b.example",
        '{"name": "GPU", "token_lifetime": null}',
    ],
)
def test_other_text_stays_as_it_is(text: str) -> None:
    assert Redactor(["", "unused-secret"]).text(text) == text


@pytest.mark.parametrize("secret", ["*", "**", "x***y", "ab", "secret-value", "token=", "a***"])
def test_masking_twice_changes_nothing(secret: str) -> None:
    redactor = Redactor([secret, "longer-" + secret])
    text = f"{secret} xsecret-valuey a{secret}b https://u:{secret}@h token={secret} Authorization: {secret} ****"
    masked = redactor.text(text)
    assert redactor.text(masked) == masked


def test_the_longer_of_two_overlapping_secrets_is_masked_whole() -> None:
    assert Redactor(["abc", "abcdef"]).text("abcdef abc") == "*** ***"
