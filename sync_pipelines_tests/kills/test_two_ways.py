"""SIGKILL of a run both ways between a shop and Odoo: the reruns end as if there had been no kill, nothing twice."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine

from sync_pipelines.store.embedded import EmbeddedServer
from sync_pipelines_tests.databases import fresh_engine
from sync_pipelines_tests.kills import child
from sync_pipelines_tests.kills.points import TWO_WAY_POINTS, Point, Reply
from sync_pipelines_tests.kills.watch import About
from sync_pipelines_tests.pipelines.commerce.ordered import ordered_shop

pytestmark = pytest.mark.long

REPLIES = {
    "the order is made in Odoo": "/sale.order/create$",
    "the order is confirmed in Odoo": "/sale.order/action_confirm$",
    "the product is made in the shop": "/wc/v3/products$",
    "the product is made in Odoo": "/product.product/create$",
}
"""What has just been answered to, and nobody has noted it -> paths of such requests."""
IN_BRIEF = frozenset({"the order is made in Odoo", "the product is made in the shop"})
"""Cases that say most; the others take their time."""
CASES: dict[str, tuple[Point, str]] = {
    **{meaning: (Point(meaning, Reply()), path) for meaning, path in REPLIES.items()},
    **{label: (point, "^$") for label, point in TWO_WAY_POINTS.items()},
}


@pytest.fixture(scope="module")
def undisturbed(postgres_server: EmbeddedServer, migrated_template: str) -> dict[str, list[Any]]:
    """What both systems show when no run was killed."""
    with fresh_engine(postgres_server, migrated_template) as engine, ordered_shop(engine) as twin:
        twin.rest()
        return twin.shown()


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=() if case in IN_BRIEF else pytest.mark.long) for case in CASES]
)
def test_given_a_kill_of_a_run_both_ways_then_both_systems_end_as_without_it(
    case: str, engine: Engine, undisturbed: dict[str, list[Any]]
) -> None:
    with ordered_shop(engine) as world:
        point, writes = CASES[case]
        child.kill(engine, world.work, point, About("", writes))

        world.rest()

        assert world.shown() == undisturbed
        assert len(world.orders) == 1
        assert world.conflicts() == []
        assert world.unsettled() == 0
