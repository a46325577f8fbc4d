import base64
import json
import math
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest

from sync_pipelines.core.redaction import Redactor

SECRET = 'P/4s:w"ö r+d=1&x'


@pytest.mark.parametrize(
    "dressed",
    [
        SECRET,
        quote(SECRET),
        quote(SECRET, safe=""),
        "P%2f4s%3aw%22%c3%b6%20r%2bd%3d1%26x",
        quote_plus(SECRET),
        json.dumps(SECRET)[1:-1],
        json.dumps(SECRET, ensure_ascii=False)[1:-1],
        repr(SECRET)[1:-1],
        SECRET.upper(),
        SECRET.lower(),
        SECRET.swapcase(),
        "".join(f"%{byte:02x}" for byte in SECRET.encode()),
        "".join(f"%{byte:02X}" for byte in SECRET.encode()),
    ],
)
def test_a_known_secret_is_masked_in_every_dress(dressed: str) -> None:
    assert Redactor([SECRET]).text(f"before {dressed} after") == "before *** after"


@pytest.mark.parametrize("lead", ["", "u", "ab", "abc", "user:"])
@pytest.mark.parametrize("tail", ["", "t", "ta", "tail"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_of_base64_every_character_is_masked_that_the_secret_alone_makes(
    lead: str, tail: str, encode: Callable[[bytes], bytes]
) -> None:
    secret = "hunter2-hunter2-ÿþ"
    before, data = lead.encode(), secret.encode()
    encoded = encode(before + data + tail.encode()).decode()
    first, last = math.ceil(8 * len(before) / 6), math.floor(8 * len(before + data) / 6)

    assert Redactor([secret]).text(encoded) == f"{encoded[:first]}***{encoded[last:]}"


@pytest.mark.parametrize("secret", ["abcdef", "ab\ud800cdef"])
@pytest.mark.parametrize("lead", [b"", b"u", b"u:"])
def test_a_secret_is_masked_in_base64_from_six_characters_on(secret: str, lead: bytes) -> None:
    encoded = base64.b64encode(lead + secret.encode("utf-8", "surrogatepass")).decode()
    assert "***" in Redactor([secret]).text(encoded)
    assert Redactor([secret[:5]]).text(encoded) == encoded


@pytest.mark.parametrize("secret", ["nul\0tab\tbell\a", 'quote\'s and "quotes"', "soft\xadhyphen", "back\\slash"])
def test_a_known_secret_is_masked_as_python_shows_it(secret: str) -> None:
    assert Redactor([secret]).text(f"<{repr(secret)[1:-1]}>") == "<***>"


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
        "**bold**, 5 * 3",
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


@pytest.mark.parametrize("secret", ["X", "*X", "X*", "\t", "*"])
def test_the_shortest_secrets_are_masked_as_well(secret: str) -> None:
    assert Redactor([secret]).text(f"a{secret}b") == "a***b"


def test_a_secret_that_begins_with_a_star_is_masked_behind_other_stars() -> None:
    assert "abcdef" not in Redactor(["*abcdef", "*"]).text("see ***abcdef")


def test_the_longer_of_two_overlapping_secrets_is_masked_whole() -> None:
    assert Redactor(["abc", "abcdef"]).text("abcdef abc") == "*** ***"
