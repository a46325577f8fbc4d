import pytest

from sync_pipelines.core.errors import FailureKind
from sync_pipelines.systems.vault.paths import InvalidPath, folder_path, secret_path


@pytest.mark.parametrize(
    ("path", "encoded"),
    [
        ("db", "db"),
        ("3ceaaf30/metadata", "3ceaaf30/metadata"),
        ("sp ace/é", "sp%20ace/%C3%A9"),
        ("what?/a#b/100%", "what%3F/a%23b/100%25"),
        ("...", "..."),
    ],
)
def test_given_a_path_then_each_segment_is_encoded(path: str, encoded: str) -> None:
    assert secret_path(path) == encoded


@pytest.mark.parametrize(
    "path",
    [
        *("", "/", "/db", "db/", "a//b", ".", "..", "a/../b", "../sys/seal", "a/./b"),
        *("a%2Fb", "a%2fb", "%2e%2e/b", "a%5Cb", "a\\b", "a\nb", "a\x00b", "a\x7f", "\ud800"),
    ],
)
def test_given_a_path_that_addresses_something_else_then_it_is_refused_by_name(path: str) -> None:
    with pytest.raises(InvalidPath) as caught:
        secret_path(path)
    assert caught.value.kind is FailureKind.PERMANENT
    assert repr(path) in str(caught.value)


@pytest.mark.parametrize(("path", "encoded"), [("", ""), ("a", "a"), ("a/", "a"), ("a b/c/", "a%20b/c")])
def test_given_a_folder_then_a_slash_at_its_end_does_not_matter(path: str, encoded: str) -> None:
    assert folder_path(path) == encoded


@pytest.mark.parametrize("path", ["/", "a//", "..", "a/.."])
def test_given_a_folder_that_is_none_then_it_is_refused(path: str) -> None:
    with pytest.raises(InvalidPath):
        folder_path(path)
