"""Backups: the same bytes for the same documents, read back whole or not at all."""

from __future__ import annotations

import base64
import gzip
import json
from decimal import Decimal
from typing import Any

import pytest

from sync_pipelines.pipelines.deployments.archive import (
    Archive,
    ArchiveDamaged,
    BackupIndex,
    Damage,
    backup_document,
    documents_digest,
    expired,
    pack,
    unpack,
)

DOCUMENTS: dict[str, dict[str, Any]] = {
    "db/1": {"service_id": "redis", "reconciled_at": "2026-11-22T10:00:00Z", "updated_at": 3},
    "1/metadata": {
        "history": [{"a": 1}],
        "releases": [{"name": "redis"}],
        "big": 9007199254740993,
        "part": Decimal("1.5"),
    },
    "1/manifest": {"manifest": "name: ü\npassword: s3cr3t"},
}


def packed(content: bytes) -> str:
    """Return an archive of any content."""
    return base64.b64encode(gzip.compress(content, mtime=0)).decode()


def test_what_is_packed_is_unpacked() -> None:
    archive = pack(DOCUMENTS)
    assert unpack(archive.text, archive.sha256) == DOCUMENTS


def test_the_same_documents_have_the_same_archive_whatever_their_order() -> None:
    turned = {path: dict(reversed(document.items())) for path, document in reversed(DOCUMENTS.items())}
    assert pack(turned) == pack(DOCUMENTS)
    assert base64.b64decode(pack(DOCUMENTS).text)[4:8] == bytes(4), "the time in the gzip header"


@pytest.mark.parametrize(
    ("path", "key", "value", "same"),
    [
        ("db/1", "reconciled_at", "2027-01-01T00:00:00Z", True),
        ("db/1", "updated_at", 4, True),
        ("1/metadata", "history", [], True),
        ("1/metadata", "big", 9007199254740992, False),
        ("1/metadata", "releases", [], False),
        ("1/manifest", "manifest", "", False),
        ("1/manifest", "other", 1, False),
    ],
)
def test_the_digest_follows_what_lasts(path: str, key: str, value: object, same: bool) -> None:
    changed = {**DOCUMENTS, path: {**DOCUMENTS[path], key: value}}
    assert (documents_digest(changed) == documents_digest(DOCUMENTS)) is same


@pytest.mark.parametrize(
    ("text", "damage"),
    [
        ("not base64!", Damage.NOT_BASE64),
        ("é", Damage.NOT_BASE64),
        (base64.b64encode(b"no gzip").decode(), Damage.NOT_GZIP),
        ("", Damage.NOT_GZIP),
        (base64.b64encode(gzip.compress(b"{}", mtime=0)[:-4]).decode(), Damage.NOT_GZIP),
        (base64.b64encode(gzip.compress(b"{}", mtime=0) + b"more").decode(), Damage.NOT_GZIP),
        (packed(b"[]"), Damage.NOT_DOCUMENTS),
        (packed(b'{"a": 1}'), Damage.NOT_DOCUMENTS),
        (packed(b"{"), Damage.NOT_DOCUMENTS),
        (packed(b"\xff"), Damage.NOT_DOCUMENTS),
        (packed(b'{"a": {"b": 1e999999999}}'), Damage.DIGEST),
        (packed(b'{"a": {"b": 1}}'), Damage.DIGEST),
        (packed(b" " * 2001), Damage.TOO_LARGE),
    ],
)
def test_a_damaged_archive_is_refused(text: str, damage: Damage) -> None:
    with pytest.raises(ArchiveDamaged) as refused:
        unpack(text, "0" * 64, max_bytes=2000)
    assert refused.value.damage is damage


def test_a_bomb_is_not_unpacked() -> None:
    with pytest.raises(ArchiveDamaged, match="unpacks to more than may be"):
        unpack(packed(b" " * 20_000_000), max_bytes=1_000_000)


def test_a_document_without_canonical_form_is_not_packed() -> None:
    with pytest.raises(ArchiveDamaged, match="no canonical form"):
        pack({"a": {"b": Decimal("1e5000")}})


def test_an_archive_does_not_show_its_text() -> None:
    archive = pack(DOCUMENTS)
    assert archive.text not in repr(archive)
    assert backup_document(archive, 17) == {
        "timestamp": 17,
        "archive": archive.text,
        "sha256": archive.sha256,
        "backup_reason": "pre_reconciliation_backup",
    }


@pytest.mark.parametrize(("keep", "removed"), [(0, []), (1, [1, 2, 3]), (3, [1]), (4, []), (9, [])])
def test_retention_keeps_the_newest(keep: int, removed: list[int]) -> None:
    assert expired([3, 1, 4, 2, 4], keep) == removed


def test_the_index_lists_backups_newest_first() -> None:
    index = BackupIndex.read({"backups": [5, 9, 5], "last_cleanup": 1, "note": "x"}).with_backup(7, "d7")
    assert index.document() == {"backups": [9, 7, 5], "digests": {"7": "d7"}, "last_cleanup": 1, "note": "x"}
    cleaned = index.without([5, 7], cleaned_at=12)
    assert cleaned.document() == {"backups": [9], "digests": {}, "last_cleanup": 12, "note": "x"}
    assert BackupIndex.read(json.loads(json.dumps(index.document()))) == index


@pytest.mark.parametrize(
    "document",
    [None, "x", [], {}, {"backups": "x", "digests": [], "last_cleanup": "x"}, {"backups": [-1, True, "7", 1.5]}],
)
def test_an_index_of_another_shape_counts_as_empty(document: object) -> None:
    index = BackupIndex.read(document)
    assert (index.backups, index.digests) == ((), {})


def test_digests_of_odd_times_are_left_out() -> None:
    assert BackupIndex.read({"digests": {"7": "d", "x": "d", "²": "d", "9" * 20: "d", "8": 3}}).digests == {7: "d"}


def test_two_archives_differ_by_their_text_too() -> None:
    assert Archive("a", "x") != Archive("a", "y")
