"""The rollout machine as a pure function, and against random evidence."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_contracts.policy import Policy, Rollout, Step
from serving.rollout.evidence import Evidence
from serving.rollout.machine import next_step
from serving.rollout.state import RolloutState

POLICY = Policy(
    rollout=Rollout(steps=(Step(share=0.0, min_decisions=10, min_seconds=5.0), Step(share=0.5, min_decisions=20)))
)
EVIDENCE = st.builds(
    Evidence,
    folded=st.integers(0, 200_000),
    folded_in_step=st.integers(0, 100),
    seconds_in_step=st.floats(0, 100) | st.just(math.nan),
    broken=st.sampled_from([(), ("pnl",), ("limit:late_or_failed", "latency")]),
    promotable=st.booleans(),
)
STATES = st.builds(
    RolloutState,
    kind=st.sampled_from(["challenger", "bake"]),
    step=st.integers(0, 1),
    announced=st.integers(0, 1),
    ready=st.booleans(),
    paused=st.booleans(),
    verdict=st.sampled_from(["", "promoted", "rolled_back"]),
)


def evidence(**fields: object) -> Evidence:
    return Evidence(**{"folded": 50, "folded_in_step": 50, "seconds_in_step": 60.0, **fields})


def state(**fields: object) -> RolloutState:
    return RolloutState(**{"kind": "challenger", "step": 0, "announced": 0, **fields})


def test_step_that_has_seen_enough_goes_on_to_the_next() -> None:
    verdict = next_step(state(), evidence(), POLICY)
    assert (verdict.action, verdict.step) == ("advance", 1)


@pytest.mark.parametrize("short", [{"folded_in_step": 9}, {"seconds_in_step": 4.9}, {"seconds_in_step": math.nan}])
def test_step_that_has_not_seen_enough_stays(short: dict[str, float]) -> None:
    assert next_step(state(), evidence(**short), POLICY).action == "stay"


def test_step_is_announced_once() -> None:
    assert next_step(state(announced=1), evidence(), POLICY).action == "stay"


@given(STATES, EVIDENCE)
def test_same_question_same_answer(at: RolloutState, seen: Evidence) -> None:
    assert next_step(at, seen, POLICY) == next_step(at, seen, POLICY)


@given(STATES, EVIDENCE)
def test_broken_guardrail_beats_everything_but_an_end(at: RolloutState, seen: Evidence) -> None:
    verdict = next_step(at, seen, POLICY)
    if at.verdict:
        assert verdict.action == "stay"
    elif seen.broken:
        assert (verdict.action, verdict.guardrail) == ("rolled_back", seen.broken[0])
    else:
        assert verdict.action != "rolled_back"


@given(STATES, EVIDENCE)
def test_paused_rollout_can_only_come_off(at: RolloutState, seen: Evidence) -> None:
    if at.paused:
        assert next_step(at, seen, POLICY).action in ("stay", "rolled_back")


@given(STATES, EVIDENCE)
def test_nothing_is_promoted_by_a_policy_that_waits_for_a_person(at: RolloutState, seen: Evidence) -> None:
    if at.kind == "challenger":
        assert next_step(at, seen, POLICY).action != "promoted"
