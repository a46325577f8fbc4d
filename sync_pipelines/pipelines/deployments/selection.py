"""What people name to reconcile a part: an instance, a deployment, a service or a plan. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sync_pipelines.core.errors import SelectsNothing
from sync_pipelines.pipelines.deployments.catalog import Catalog
from sync_pipelines.pipelines.deployments.confidence import is_plan
from sync_pipelines.pipelines.deployments.manifest import uuid_of
from sync_pipelines.pipelines.deployments.matches import NoMatch, Outcome

FORMS = "an instance id, a deployment's name, service:<id or name> or plan:<id or name>"


def chosen(selectors: Iterable[str], outcomes: Sequence[Outcome], catalog: Catalog) -> list[str]:
    """Return the instance ids that these words stand for, each once.

    Arguments:
        selectors: an instance id needs no deployment: it may be that of an orphan.
        outcomes: what the Director's deployments are, as far as it is known.

    Raises:
        SelectsNothing: a word stands for nothing.
    """
    ids: dict[str, None] = {}
    for selector in selectors:
        ids |= dict.fromkeys(_ids(selector.strip(), outcomes, catalog))
    return list(ids)


def _ids(selector: str, outcomes: Sequence[Outcome], catalog: Catalog) -> list[str]:
    kind, colon, word = selector.partition(":")
    instance_id = uuid_of(word if colon and kind == "instance" else selector)
    if instance_id is not None:
        return [instance_id]
    if colon and kind == "service":
        services = {s.id for s in catalog.services if word in (s.id, s.name)}
        _refuse_none(services, "service", word, [s.id for s in catalog.services])
        found = [one for one in outcomes if not isinstance(one, NoMatch) and one.service_id in services]
        return _found(found, selector)
    if colon and kind == "plan":
        plans = {offer.plan.id for offer in catalog.offers if is_plan(offer, word)}
        _refuse_none(plans, "plan", word, [offer.plan.id for offer in catalog.offers])
        found = [one for one in outcomes if not isinstance(one, NoMatch) and one.plan_id in plans]
        return _found(found, selector)
    name = word if colon and kind == "deployment" else selector
    named = [one for one in outcomes if one.deployment == name]
    if not named:
        raise SelectsNothing(f"{selector!r} selects nothing: the Director lists no such deployment; give {FORMS}")
    return _found(named, selector)


def _refuse_none(found: set[str], kind: str, word: str, known: Sequence[str]) -> None:
    if not found:
        raise SelectsNothing(f"the catalog has no {kind} {word!r}; there are {', '.join(known)}")


def _found(outcomes: Iterable[Outcome], selector: str) -> list[str]:
    ids = [one.instance_id for one in outcomes if one.instance_id]
    if not ids:
        raise SelectsNothing(f"{selector!r} selects nothing: no deployment of it has an instance id")
    return ids
