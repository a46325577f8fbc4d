"""The simulator: every world holds, and a wrong rule does not stay hidden."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from sync_pipelines.core.guard import GuardFacts, GuardLimits, GuardVerdict
from sync_pipelines.core.lifecycle import TRANSITIONS, Event, IllegalTransition, State, advance
from sync_pipelines.core.records import Content
from sync_pipelines.core.retry import after_failure
from sync_pipelines.core.seal import Seal
from sync_pipelines.core.trees import PRESENCE, Base, Merge, Mover, Verdict, merge
from sync_pipelines_tests.core.small_worlds.__main__ import main
from sync_pipelines_tests.core.small_worlds.search import Finding, explore, search
from sync_pipelines_tests.core.small_worlds.story import live
from sync_pipelines_tests.core.small_worlds.world import RULES, Broken, Rules

WORLDS = 20_000
ENOUGH = 20_000
"""Worlds in which any of the wrong rules below shows."""


def test_every_world_comes_to_agree_and_no_promise_is_broken() -> None:
    assert explore(range(WORLDS)) == []


def _ignores(mover: Mover) -> Callable[[Content, Content, Base | None], Merge]:
    def wrong(left: Content, right: Content, base: Base | None) -> Merge:
        fields = merge(left, right, base).fields
        return Merge({name: moved for name, moved in fields.items() if moved is not mover})

    return wrong


def _forgets_the_agreement(left: Content, right: Content, base: Base | None) -> Merge:
    return merge(left, right, None)


def _lets_everything_pass(limits: GuardLimits, facts: GuardFacts) -> GuardVerdict:
    return GuardVerdict(())


def _seals_everything(*_: Any, **__: Any) -> Seal:
    return Seal((), ())


def _never_gives_up(*arguments: Any, **options: Any) -> Any:
    kind, _, policy = arguments
    return after_failure(kind, 1, policy, **options)


def _does_not_wait_as_asked(*arguments: Any, **_: Any) -> Any:
    return after_failure(*arguments)


def _presence(changed: tuple[bool, bool, bool], verdict: Verdict) -> Rules:
    return replace(RULES, presence={**PRESENCE, changed: verdict})


WRONG = [
    *[(f"merge ignores what {mover}", replace(RULES, merge=_ignores(mover)), "") for mover in Mover],
    ("merge forgets the agreement", replace(RULES, merge=_forgets_the_agreement), "third pass"),
    ("an orphan is retired", _presence((False, True, False), Verdict.RETIRE), "on the right only and was touched"),
    ("a record gone at the source is kept", _presence((False, True, True), Verdict.ORPHAN), "was not retired"),
    ("a lost record is not recreated", _presence((True, False, True), Verdict.NOTHING), "is missing on the right"),
    ("a pair is not linked", _presence((True, True, False), Verdict.NOTHING), ""),
    ("the guard sleeps", replace(RULES, judge=_lets_everything_pass), "the guard let"),
    ("gaps are sealed", replace(RULES, judge_sweep=_seals_everything), "with gaps was sealed"),
    ("nothing is ever given up", replace(RULES, after_failure=_never_gives_up), "failures of"),
    ("a peer's wish is ignored", replace(RULES, after_failure=_does_not_wait_as_asked), "Retry"),
]


def _first(rules: Rules, reason: str) -> Finding:
    for start in range(0, ENOUGH, 100):
        for finding in explore(range(start, start + 100), rules):
            if reason in finding.reason:
                return finding
    raise AssertionError(f"not found in {ENOUGH} worlds")


@pytest.mark.parametrize(("rules", "reason"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
def test_a_wrong_rule_is_found_and_its_seed_shows_it_again(rules: Rules, reason: str) -> None:
    found = _first(rules, reason)

    with pytest.raises(Broken) as broken:
        live(found.seed, rules)
    assert found.reason == f"Broken: {broken.value}"
    live(found.seed)


@pytest.mark.parametrize("missing", TRANSITIONS, ids=str)
def test_worlds_walk_the_whole_life_cycle(missing: tuple[State, Event]) -> None:
    def without(state: State, event: Event) -> State:
        if (state, event) == missing:
            raise IllegalTransition("this one")
        return advance(state, event)

    assert _first(replace(RULES, advance=without), "this one")


def test_a_seed_is_one_world_and_tells_one_story() -> None:
    def story(seed: int) -> Sequence[str]:
        lines: list[str] = []
        live(seed, tell=lines.append)
        return lines

    assert story(3) == story(3)
    assert len({tuple(story(seed)) for seed in range(50)}) == 50


def test_a_crash_of_a_rule_is_a_finding_too() -> None:
    def crashes(state: State, event: Event) -> State:
        raise KeyError(state)

    (finding, *_) = explore(range(10), replace(RULES, advance=crashes))
    assert finding.reason.startswith("KeyError")


def test_several_processes_run_each_world_once() -> None:
    reports = list(search(range(50, 350), workers=2, chunk=100))
    assert [(report.worlds, report.findings) for report in reports] == [(100, [])] * 3
    assert all(report.seconds > 0 for report in reports)


def test_the_command_tells_the_story_of_a_seed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seed", "5"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert (told[0], told[-1]) == ("world 5", "both sides agree")
    assert "calm, pass 1" in told


def test_the_command_says_that_every_world_held(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["200", "--workers", "1"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("200 worlds in ")
    assert told.endswith("every world held\n")


def test_the_command_reports_the_seeds_of_broken_worlds_and_each_seed_breaks_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    wrong = replace(RULES, merge=_forgets_the_agreement)

    assert main(["100", "--workers", "1"], wrong) == 1
    told = capsys.readouterr().out
    seed = told.partition("seed ")[2].partition(":")[0]
    assert f"--seed {seed}\n" in told

    assert main(["--seed", seed], wrong) == 1
    assert "BROKEN: " in capsys.readouterr().out
