import asyncio
from collections.abc import Awaitable, Callable, Iterator
from decimal import Decimal
from typing import Any, TypeVar

import pytest

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.sandbox.faults import FaultKind
from sync_pipelines.sandbox.waldur import WaldurStandIn
from sync_pipelines.systems.waldur.client import WaldurClient
from sync_pipelines.systems.waldur.errors import IllegalTransition, NeedsStaff
from sync_pipelines.systems.waldur.listing import FULL_FIELDS, Page
from sync_pipelines.systems.waldur.models import ComponentDraft, OfferingDraft, PlanDraft, WaldurOffering
from sync_pipelines.systems.waldur.session import waldur_transport
from sync_pipelines.systems.waldur.states import Action, actions_between

A, B, C = "a" * 32, "b" * 32, "c" * 32
COMPUTE, STORAGE = f"ca{1:030}", f"ca{2:030}"
KEY = "ve_offering_id"
_T = TypeVar("_T")

Conversation = Callable[[WaldurClient], Awaitable[_T]]


class Waldur:
    """A running stand-in and a way to talk to it."""

    def __init__(self, standin: WaldurStandIn, url: str) -> None:
        self.standin = standin
        self.world = standin.world
        self.url = url

    def talk(self, conversation: Conversation[_T], *, staff: bool = True, url: str = "", **options: Any) -> _T:
        async def run() -> _T:
            base = self.url + url
            async with waldur_transport(base, "<owner>") as owner, waldur_transport(base, "<staff>") as staff_transport:
                return await conversation(WaldurClient(owner, staff_transport if staff else None, **options))

        return asyncio.run(run())

    def refused(self, conversation: Conversation[Any], **options: Any) -> PeerError:
        with pytest.raises(PeerError) as caught:
            self.talk(conversation, **options)
        return caught.value

    def add(self, count: int, customer: str = A) -> list[str]:
        added = [
            self.world.add_offering(customer, COMPUTE, f"VM {number}", attributes={KEY: f"ve1/{number}"})
            for number in range(count)
        ]
        return [offering.uuid for offering in added]


@pytest.fixture
def waldur() -> Iterator[Waldur]:
    standin = WaldurStandIn.recorded()
    with standin.running() as url:
        yield Waldur(standin, url)


def draft(number: int = 1, **changes: Any) -> OfferingDraft:
    values: dict[str, Any] = {
        "name": "VM small",
        "customer_uuid": "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa",
        "category_uuid": COMPUTE,
        "description": "2 vCPU & 4 GB",
        "backend_id": f"ve1/{number}",
        "attributes": {KEY: f"ve1/{number}"},
        "components": (ComponentDraft("base", "Base fee"), ComponentDraft("cpu", "vCPU", "usage", "core")),
        "plans": (PlanDraft("Default"),),
    }
    return OfferingDraft(**{**values, **changes})


async def read_back(client: WaldurClient, uuid: str) -> WaldurOffering:
    offering = await client.get(uuid)
    assert offering is not None
    return offering


async def all_pages(client: WaldurClient, customer: str = A, **options: Any) -> list[Page]:
    return [page async for page in client.sweep(customer, **options)]


@pytest.mark.parametrize("base", ["", "/", "/api", "/api/"])
def test_the_whole_life_of_an_offering(waldur: Waldur, base: str) -> None:
    async def life(client: WaldurClient) -> None:
        created = await client.create(draft())
        assert created.state == "Draft"
        await client.update_prices(created.plans[0].uuid, {"base": Decimal("0.05"), "cpu": Decimal("12.3456789012")})
        assert await client.act(created.uuid, Action.ACTIVATE) == "Active"

        [found] = await client.find(A, KEY, "ve1/1", backend_id="ve1/1")
        assert found.uuid == created.uuid
        assert found.plans[0].effective_prices == {"base": Decimal("0.05"), "cpu": Decimal("12.3456789012")}
        [page] = await all_pages(client, fields=FULL_FIELDS)
        assert page.rows == (found,)
        assert page.incomplete is None

        await client.update_overview(found.uuid, state="Active", name="VM large", description="a & b")
        await client.update_category(found.uuid, STORAGE)
        await client.update_integration(found.uuid, backend_id="ve1/2")
        await client.update_attributes(found.uuid, {KEY: "ve1/2", "region": "eu"})
        await client.create_component(found.uuid, ComponentDraft("ram", "RAM", "usage", "GB"))
        changed = await read_back(client, found.uuid)
        assert (changed.name, changed.description, changed.category_uuid) == ("VM large", "a &amp; b", STORAGE)
        assert (changed.backend_id, changed.attributes) == ("ve1/2", {KEY: "ve1/2", "region": "eu"})
        assert await client.find(A, KEY, "ve1/1") == []

        ram = next(component for component in changed.components if component.type == "ram")
        await client.update_component(found.uuid, ram.uuid, ComponentDraft("ram", "Memory", "usage", "GiB"))
        changed = await read_back(client, found.uuid)
        assert {item.name for item in changed.components} == {"Base fee", "vCPU", "Memory"}
        await client.remove_component(found.uuid, ram.uuid)

        await client.act(found.uuid, Action.PAUSE, paused_reason="maintenance")
        await client.act(found.uuid, Action.UNPAUSE)
        await client.act(found.uuid, Action.ARCHIVE)
        for action in actions_between("Archived", "Active"):
            await client.act(found.uuid, action)
        revived = await read_back(client, found.uuid)
        assert revived.state == "Active"
        assert {item.type for item in revived.components} == {"base", "cpu"}

    waldur.talk(life, url=base)
    assert {mutation.actor for mutation in waldur.world.mutations} == {"owner", "staff"}
    by_staff = {item.path.rstrip("/").rpartition("/")[2] for item in waldur.world.mutations if item.actor == "staff"}
    assert by_staff == {"activate", "update_overview"}


def test_without_a_staff_token_publishing_is_refused_before_anything_is_sent(waldur: Waldur) -> None:
    [uuid] = waldur.add(1)
    for conversation in (
        lambda client: client.act(uuid, Action.ACTIVATE),
        lambda client: client.update_overview(uuid, state="Active", name="x", description=""),
    ):
        error = waldur.refused(conversation, staff=False)
        assert isinstance(error, NeedsStaff)
        assert "staff token" in error.message
    assert waldur.world.writes == []


def test_an_owner_said_to_publish_who_may_not_is_told_that_staff_is_needed(waldur: Waldur) -> None:
    [uuid] = waldur.add(1)
    error = waldur.refused(lambda client: client.act(uuid, Action.ACTIVATE), staff=False, owner_may_publish=True)
    assert isinstance(error, NeedsStaff)


def test_an_owner_edits_the_overview_of_a_draft_without_staff(waldur: Waldur) -> None:
    [uuid] = waldur.add(1)
    waldur.talk(lambda client: client.update_overview(uuid, state="Draft", name="Renamed", description=""), staff=False)
    assert waldur.world.offerings[uuid].name == "Renamed"


def test_an_illegal_action_is_told_apart_and_changes_nothing(waldur: Waldur) -> None:
    [uuid] = waldur.add(1)
    assert isinstance(waldur.refused(lambda client: client.act(uuid, Action.PAUSE)), IllegalTransition)
    assert waldur.world.offerings[uuid].state == "Draft"


def test_an_offering_that_is_not_there_is_none_to_read_and_gone_to_write(waldur: Waldur) -> None:
    nobody = "e" * 32
    assert waldur.talk(lambda client: client.get(nobody)) is None
    assert waldur.refused(lambda client: client.act(nobody, Action.ARCHIVE)).kind is FailureKind.GONE


def test_a_draft_is_deleted_by_its_owner_and_an_archived_one_is_not(waldur: Waldur) -> None:
    first, second = waldur.add(2)
    waldur.world.offerings[second].state = "Archived"
    waldur.talk(lambda client: client.delete(first))
    assert waldur.refused(lambda client: client.delete(second)).kind is FailureKind.PERMANENT
    assert list(waldur.world.offerings) == [second]


def test_a_second_plan_is_created_with_its_own_price(waldur: Waldur) -> None:
    [uuid] = waldur.add(1)
    plan = waldur.talk(lambda client: client.create_plan(uuid, PlanDraft("Hourly", "hour", Decimal("0.1"))))
    assert (plan.name, plan.unit, plan.unit_price) == ("Hourly", "hour", Decimal("0.1"))
    assert [plan.name for plan in waldur.world.offerings[uuid].plans] == ["Hourly"]


def test_prices_of_a_plan_in_use_are_pending_and_count_as_set(waldur: Waldur) -> None:
    async def conversation(client: WaldurClient) -> WaldurOffering:
        created = await client.create(draft())
        plan = created.plans[0].uuid
        await client.update_prices(plan, {"base": Decimal(5), "cpu": Decimal(1)})
        waldur.world.add_resource(plan)
        await client.update_prices(plan, {"base": Decimal(42), "cpu": Decimal(1)})
        return await read_back(client, created.uuid)

    plan = waldur.talk(conversation).plans[0]
    assert plan.prices["base"] == 5
    assert plan.effective_prices["base"] == 42


def test_prices_are_never_zeroed_by_sending_none(waldur: Waldur) -> None:
    with pytest.raises(ValueError, match="sets all of them to 0"):
        waldur.talk(lambda client: client.update_prices("d" * 32, {}))


def test_offerings_of_another_customer_are_neither_found_nor_swept_even_by_staff(waldur: Waldur) -> None:
    mine, theirs = waldur.add(1), waldur.add(1, customer=B)

    async def as_staff() -> tuple[list[WaldurOffering], list[Page]]:
        async with waldur_transport(waldur.url, "<staff>") as staff:
            client = WaldurClient(staff)
            return await client.find(A, KEY, "ve1/0"), await all_pages(client)

    found, pages = asyncio.run(as_staff())
    assert [row.uuid for row in found] == [row.uuid for page in pages for row in page.rows] == mine != theirs


def test_all_that_carry_an_id_are_found_oldest_first(waldur: Waldur) -> None:
    first, second = waldur.add(1) + waldur.add(1)
    found = waldur.talk(lambda client: client.find(A, KEY, "ve1/0"))
    assert [row.uuid for row in found] == [first, second]


def test_a_sweep_reads_every_page_in_order_of_creation(waldur: Waldur) -> None:
    added = waldur.add(8)
    pages = waldur.talk(lambda client: all_pages(client, page_size=3))
    assert [row.uuid for page in pages for row in page.rows] == added
    assert [(page.number, page.total, page.last, page.incomplete) for page in pages] == [
        (1, 8, False, None),
        (2, 8, False, None),
        (3, 8, True, None),
    ]


def test_a_sweep_of_nothing_is_one_complete_empty_page(waldur: Waldur) -> None:
    [page] = waldur.talk(all_pages)
    assert (page.rows, page.total, page.last, page.incomplete) == ((), 0, True, None)


def test_offerings_created_while_sweeping_are_read_too(waldur: Waldur) -> None:
    waldur.add(4)

    async def conversation(client: WaldurClient) -> list[Page]:
        pages = []
        async for page in client.sweep(A, page_size=3):
            pages.append(page)
            if page.number == 1:
                waldur.add(1)
        return pages

    pages = waldur.talk(conversation)
    assert sum(len(page.rows) for page in pages) == 5
    assert pages[-1].incomplete is None


@pytest.mark.parametrize(
    ("deleted", "created", "reason"),
    [(1, 0, "was deleted"), (1, 1, "was deleted"), (3, 0, "is gone"), (2, 3, "was deleted")],
)
def test_a_sweep_during_which_offerings_vanish_says_that_it_is_incomplete(
    waldur: Waldur, deleted: int, created: int, reason: str
) -> None:
    added = waldur.add(5)

    async def conversation(client: WaldurClient) -> list[Page]:
        pages = []
        async for page in client.sweep(A, page_size=3):
            pages.append(page)
            if page.number == 1:
                for uuid in added[:deleted]:
                    del waldur.world.offerings[uuid]
                waldur.add(created)
        return pages

    last = waldur.talk(conversation)[-1]
    assert last.last
    assert last.incomplete is not None
    assert reason in last.incomplete


def test_filters_that_work_pass_the_canary(waldur: Waldur) -> None:
    waldur.add(2)
    waldur.talk(lambda client: client.check_filters(A))


@pytest.mark.parametrize(
    "conversation",
    [
        lambda client: client.check_filters(A),
        lambda client: client.find(A, KEY, "ve1/0"),
        lambda client: all_pages(client),
    ],
    ids=["canary", "find", "sweep"],
)
def test_a_server_that_ignores_filters_is_refused(waldur: Waldur, conversation: Conversation[Any]) -> None:
    stranger = f'[{{"uuid": "{"d" * 32}", "customer_uuid": "{B}", "attributes": {{}}}}]'
    headers = {"X-Result-Count": "1"}
    waldur.standin.faults.add(
        FaultKind.STATUS, status=200, body=stranger, content_type="application/json", headers=headers
    )
    error = waldur.refused(conversation)
    assert error.kind is FailureKind.PERMANENT
    assert "filters are ignored by this server" in error.message


def test_a_create_whose_reply_is_lost_is_ambiguous_and_can_be_found(waldur: Waldur) -> None:
    waldur.standin.faults.add(FaultKind.DROP_AFTER_COMMIT, method="POST", times=1)
    assert waldur.refused(lambda client: client.create(draft())).kind is FailureKind.AMBIGUOUS
    found = waldur.talk(lambda client: client.find(A, KEY, "ve1/1"))
    assert [row.backend_id for row in found] == ["ve1/1"]


@pytest.mark.parametrize(
    "fault",
    [
        FaultKind.ERROR_AFTER_COMMIT,
        FaultKind.DROP,
        FaultKind.TRUNCATED_BODY,
        FaultKind.LOGIN_PAGE,
        FaultKind.RESET_MID_BODY,
        FaultKind.WRONG_LENGTH,
        FaultKind.BROKEN_GZIP,
    ],
)
def test_a_create_with_an_unclear_answer_is_ambiguous_and_sent_once(waldur: Waldur, fault: FaultKind) -> None:
    waldur.standin.faults.add(fault, method="POST")
    assert waldur.refused(lambda client: client.create(draft())).kind is FailureKind.AMBIGUOUS
    assert len(waldur.world.writes) == 1


def test_a_healthy_connection_has_no_problems(waldur: Waldur) -> None:
    assert waldur.talk(lambda client: client.check(A, category_uuids=[COMPUTE, STORAGE])) == []


@pytest.mark.parametrize(
    ("spoil", "check", "words"),
    [
        (lambda world: world.expire_token("owner"), {}, "Token has expired"),
        (lambda world: world.expire_token("staff"), {}, "staff token"),
        (lambda world: setattr(world.user("staff"), "is_staff", False), {}, "not staff"),
        (lambda world: world.block_customer(A), {}, "blocked"),
        (lambda world: None, {"customer_uuid": B}, "no role"),
        (lambda world: None, {"customer_uuid": "nope"}, "not a uuid"),
        (lambda world: None, {"category_uuids": ["d" * 32]}, "category"),
        (lambda world: None, {"offering_type": "VirtEngine.Compute"}, "not registered"),
        (lambda world: world.database_stop(), {}, "HTTP 500"),
    ],
)
def test_doctor_says_what_is_wrong(
    waldur: Waldur, spoil: Callable[[Any], None], check: dict[str, Any], words: str
) -> None:
    spoil(waldur.world)
    problems = waldur.talk(lambda client: client.check(**{"customer_uuid": A, **check}))
    assert words in "\n".join(problems)
    assert "<owner>" not in "\n".join(problems)
