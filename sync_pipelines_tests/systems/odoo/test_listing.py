"""Nothing is lost between two pages, and what may be missing is told."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.core.seal import Sweep, judge_sweep
from sync_pipelines.systems.odoo.client import OdooClient
from sync_pipelines.systems.odoo.parsing import LINES, PARTNERS
from sync_pipelines_tests.systems.odoo.server import Body, talk


class Table:
    """Rows of one model, as an Odoo pages through them.

    Attributes:
        after_page: what happens between two pages: it changes the ids.
        ignored: a part of the request that a broken server takes no notice of.
    """

    def __init__(
        self, ids: list[int], after_page: Callable[[list[int]], None] = lambda ids: None, ignored: str = ""
    ) -> None:
        self.ids = ids
        self.after_page = after_page
        self.ignored = ignored

    def __call__(self, operation: str, body: Body) -> Any:
        if operation.endswith("fields_get"):
            return {name: {"type": "char"} for name in body["allfields"] if name != "tax_id"}
        if operation.endswith("search_count"):
            return len(self.ids)
        if operation.endswith(".read"):
            return [{"id": record, "name": "x"} for record in body["ids"] if record in self.ids]
        last = body["domain"][-1][2]
        found = [record for record in sorted(self.ids) if record > last or self.ignored == "domain"]
        if self.ignored == "order":
            found.reverse()
        if self.ignored != "limit":
            found = found[: body["limit"]]
        self.after_page(self.ids)
        if operation.endswith("search_read"):
            return [{"id": record, "name": f"P{record}"} for record in found]
        return found


async def swept(client: OdooClient, sweep: Sweep, **options: Any) -> list[int]:
    return [row.id async for page in client.sweep(PARTNERS, sweep, page_size=2, **options) for row in page.rows]


def run(table: Callable[[str, Body], Any], **options: Any) -> tuple[list[int], Sweep, list[tuple[str, Body]]]:
    sweep = Sweep(identity="shop")
    found, server = talk(table, lambda client: swept(client, sweep, **options))
    return found, sweep, server.asked


def gaps(found: list[int], sweep: Sweep) -> tuple[str, ...]:
    distinct = len(set(found))
    return judge_sweep(sweep, records=distinct, duplicates=len(found) - distinct, previous=None).incomplete


@pytest.mark.parametrize("number", [0, 1, 2, 3, 4, 5])
def test_every_row_comes_once_and_the_sweep_is_sealed(number: int) -> None:
    found, sweep, asked = run(Table(list(range(10, 10 + number))))
    assert found == list(range(10, 10 + number))
    assert (sweep.seen, sweep.declared, gaps(found, sweep)) == (number, number, ())
    pages = [body for operation, body in asked if operation.endswith("search_read")]
    assert all(page["order"] == "id" and page["context"] == {"lang": "en_US", "active_test": False} for page in pages)


def test_a_row_removed_behind_the_reader_loses_no_other_and_the_sweep_is_not_sealed() -> None:
    def remove(ids: list[int]) -> None:
        ids[:] = [record for record in ids if record != 1]

    found, sweep, _ = run(Table([1, 2, 3, 4, 5], remove))
    assert found == [1, 2, 3, 4, 5]
    assert gaps(found, sweep)


def test_a_row_committed_late_with_an_early_id_is_missed_and_the_sweep_is_not_sealed() -> None:
    pages = 0

    def commit(ids: list[int]) -> None:
        nonlocal pages
        pages += 1
        if pages == 2:
            ids.append(3)

    found, sweep, _ = run(Table([1, 2, 4, 5, 6], commit))
    assert found == [1, 2, 4, 5, 6]
    assert gaps(found, sweep) == ("the peer declares 6 rows, 5 were read",)


@pytest.mark.parametrize("ignored", ["domain", "order", "limit"])
def test_a_server_that_ignores_the_paging_is_found_out(ignored: str) -> None:
    found, sweep, _ = run(Table([1, 2, 3, 4, 5], ignored=ignored))
    assert any("not applied" in gap for gap in gaps(found, sweep))


def test_a_row_that_cannot_be_read_is_named_and_the_others_come() -> None:
    table = Table([1, 2, 3])

    def spoiled(operation: str, body: Body) -> Any:
        answer = table(operation, body)
        if operation.endswith("search_read"):
            return [{**row, "country_id": "nowhere"} if row["id"] == 2 else row for row in answer]
        return answer

    found, sweep, _ = run(spoiled)
    assert found == [1, 3]
    assert sweep.declared == sweep.seen == 3
    assert gaps(found, sweep)[0].startswith("res.partner 2: ")


def test_a_window_begins_before_the_last_one_and_is_not_counted() -> None:
    since = datetime(2026, 11, 22, 12, 0, 0, 500000, tzinfo=UTC)
    _, sweep, asked = run(Table([1]), since=since, overlap=timedelta(minutes=7))
    assert asked[1][1]["domain"] == [["write_date", ">=", "2026-11-22 11:53:00"], ["id", ">", 0]]
    assert not any(operation.endswith("search_count") for operation, _ in asked)
    assert sweep.declared is None


def test_ids_are_listed_with_their_number() -> None:
    sweep = Sweep()
    found, server = talk(Table([3, 1, 2]), lambda client: client.ids("sale.order", sweep))
    assert (found, sweep.seen, sweep.declared) == ([1, 2, 3], 3, 3)
    assert [operation for operation, _ in server.asked] == ["sale.order.search", "sale.order.search_count"]


def test_a_field_that_the_server_does_not_have_is_not_asked_for() -> None:
    async def lines(client: OdooClient) -> Any:
        return [page async for page in client.sweep(LINES, Sweep())]

    _, server = talk(Table([1]), lines)
    [page] = server.bodies("sale.order.line.search_read")
    assert "tax_ids" in page["fields"]
    assert "tax_id" not in page["fields"]


def test_a_removed_row_is_left_out_when_read_by_id() -> None:
    page, _ = talk(Table([1, 3]), lambda client: client.read(PARTNERS, [1, 2, 3]))
    assert [row.id for row in page.rows] == [1, 3]
    empty, server = talk(Table([1]), lambda client: client.read(PARTNERS, []))
    assert (empty.rows, server.asked) == ((), [])


@pytest.mark.parametrize(
    ("rows", "kind"),
    [
        ([{"id": 1}, {"id": 2}, {"id": 3}], FailureKind.PERMANENT),
        ({"rows": []}, FailureKind.TRANSIENT),
        ([{"name": "x"}], FailureKind.TRANSIENT),
    ],
)
def test_an_unlikely_answer_to_a_look_up_is_an_error(rows: Any, kind: FailureKind) -> None:
    def answering(operation: str, body: Mapping[str, Any]) -> Any:
        return {} if operation.endswith("fields_get") else rows

    with pytest.raises(PeerError) as caught:
        talk(answering, lambda client: client.find(PARTNERS, [["email_normalized", "=", "a@b.test"]], limit=2))
    assert caught.value.kind is kind
