"""Texts that a system cleans: its own form of what we wrote is nobody's word, also when the reply was lost."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from sync_pipelines.sandbox.faults import FaultKind
from sync_pipelines_tests.pipelines.commerce.ordered import OrderedShop, ordered_shop

NAME, CUP = "Ada <Countess> Bloom", "Salt &amp; <b>pepper</b> cup"
FAULTS = [
    pytest.param(None, marks=pytest.mark.long),
    FaultKind.DROP_AFTER_COMMIT,
    pytest.param(FaultKind.ERROR_AFTER_COMMIT, marks=pytest.mark.long),
]


@pytest.mark.long
@pytest.mark.parametrize("fault", FAULTS)
def test_given_texts_of_odoo_that_the_shop_cleans_then_odoo_keeps_them_and_nobody_is_asked(
    engine: Engine, fault: FaultKind | None
) -> None:
    with ordered_shop(engine) as world:
        world.rest()
        cup = _cup(world)
        world.odoo.world.write("res.partner", world.partner, name=NAME)
        world.odoo.world.write("product.product", cup, name=CUP)
        if fault is not None:
            for path in (r"/customers/\d+$", r"/products/\d+$"):
                world.shop.faults.add(fault, method="PUT", path=path, times=1)

        world.run()
        world.rest()

        assert all(one.fired for one in world.shop.faults.armed)
        assert world.odoo.world.read("res.partner", world.partner, "name")["name"] == NAME
        assert world.odoo.world.read("product.product", cup, "name")["name"] == CUP
        (ada,) = (one for one in world.shop.world.customers.values() if one.email.startswith("ada@"))
        assert (ada.first_name, ada.last_name) == ("Ada", "Bloom")
        assert world.conflicts() == []


def _cup(world: OrderedShop) -> int:
    (cup,) = world.odoo.world.find("product.product", ["default_code", "=", "CUP"])
    return cup
