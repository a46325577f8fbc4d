"""A provider's profile."""

from __future__ import annotations

import pytest

from sync_pipelines.pipelines.ledger.borsh import PayloadError
from sync_pipelines.pipelines.ledger.profile import decode_profile
from sync_pipelines_tests.pipelines.ledger.sources import expected
from sync_pipelines_tests.pipelines.ledger.written import sized, u32

NAMED = b"".join(sized(text) for text in ("Profile", "Zürich Hosting", "0.0.1", "v0.1.0"))


def test_profiles_of_the_small_ledger_read_as_listed() -> None:
    rows = expected()["tables"]["provider_profiles"]
    listed = [row for row in rows if row["profile"] is not None]
    assert len(listed) >= 5

    for row in listed:
        assert decode_profile(bytes.fromhex(row["profile_data"])).content == row["profile"]


def test_absent_options_are_none_and_empty_ones_are_not() -> None:
    profile = decode_profile(b"\0" + NAMED + b"\0" + b"\x01" + sized("") + b"\0\0" + u32(0))

    assert profile.name == "Zürich Hosting"
    assert (profile.description, profile.url, profile.logo_url, profile.contacts) == (None, "", None, ())


@pytest.mark.parametrize(
    ("profile_bytes", "reason"),
    [
        (b"", "need 1 bytes at 0, have 0"),
        (b"\x07uture version", "unknown enum tag 7"),
        (b"\0" + NAMED + b"\0\0\0\0" + u32(0) + b"!", "1 bytes left over"),
        (b"\0" + NAMED + b"\0\0\0\0" + u32(1), "need 4 bytes at 58, have 0"),
        (b"\0" + NAMED + b"\0\0\0\x02", "unknown option tag 2"),
        (b"\0" + sized(b"\xff"), "bad utf-8"),
    ],
)
def test_what_is_no_profile_is_told(profile_bytes: bytes, reason: str) -> None:
    with pytest.raises(PayloadError) as refused:
        decode_profile(profile_bytes)

    assert refused.value.reason == reason
