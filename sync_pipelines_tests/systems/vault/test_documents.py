from decimal import Decimal
from typing import Any

import pytest

from sync_pipelines.systems.vault.documents import read_json, same_json, write_json


@pytest.mark.parametrize(
    "text",
    [
        '{"n":9007199254740993,"big":12345678901234567890}',
        '{"f":1.0,"l":[1,2.5,true,null],"z":0.10}',
        '{"beyond 64 bits":[123456789012345678901234567890,-99999999999999999999]}',
        '{"e":1e5,"E":1E-7,"minus zero":-0,"f":-0.0}',
        '{"u":"Größe ☃ \\u0007","empty":{},"list":[]}',
        '{"digits":' + "9" * 5000 + "}",
    ],
)
def test_given_a_document_when_it_is_written_again_then_not_a_byte_differs(text: str) -> None:
    assert write_json(read_json(text.encode())).decode() == text


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", "[" * 100_000, "{", ""])
def test_given_what_is_no_json_then_it_is_not_read(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_json(text.encode())


@pytest.mark.parametrize("value", [{"a": object()}, {"a": "\ud800"}, {1: 2}, {"a": Decimal("NaN")}])
def test_given_what_has_no_json_form_then_it_is_not_written(value: Any) -> None:
    with pytest.raises(ValueError, match="no JSON"):
        write_json(value)


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ({"a": 1, "b": [1]}, {"b": [1], "a": 1}, True),
        ({"a": True}, {"a": 1}, False),
        ({"a": 1}, {"a": Decimal("1.0")}, True),
        ({"a": 1}, {"a": "1"}, False),
        ({"a": [1]}, {"a": [1, 2]}, False),
        (9007199254740993, 9007199254740992, True),
        (10**400, 10**400 + 1, False),
        ({"a": 0.9}, {"a": Decimal("0.9")}, True),
        ({"a": None}, {}, False),
        (None, {}, False),
        ([2**70], [2**70], True),
    ],
)
def test_given_two_values_then_they_are_the_same_only_if_the_server_can_tell_them_apart_no_more(
    left: Any, right: Any, same: bool
) -> None:
    assert same_json(left, right) is same
