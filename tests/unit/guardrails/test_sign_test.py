"""The sign test: what hits both says nothing, what hits one says it soon, and looking costs nothing."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_contracts.policy import Policy
from serving.guardrails.sign_test import SignTest
from serving.rollout.judging import Answered, Guards


def ever(worse: np.ndarray, better: np.ndarray, test: SignTest, null: float = 0.5) -> bool:
    for one, other in zip(worse.tolist(), better.tolist(), strict=True):
        test.update(one, other, null)
        if test.tripped:
            return True
    return False


@pytest.mark.parametrize("null", [0.1, 0.5])
def test_version_that_is_no_worse_is_hardly_ever_blamed(null: float) -> None:
    random = np.random.default_rng(5)
    draws = random.random((400, 1500)) < null
    blamed = sum(ever(row, ~row, SignTest(0.05), null) for row in draws)
    assert blamed <= 20 + 3 * np.sqrt(400 * 0.05 * 0.95)


def test_version_that_turns_bad_after_many_even_pairs_is_still_seen() -> None:
    test, random = SignTest(0.01), np.random.default_rng(3)
    even = random.random(2000) < 0.5
    assert not ever(even, ~even, test)
    assert ever(np.ones(40, bool), np.zeros(40, bool), test)


def test_evidence_fades_once_pairs_are_even_again() -> None:
    test = SignTest(0.01)
    for _ in range(200):
        test.update(True, False)
    assert test.tripped
    for side in np.random.default_rng(1).random(300) < 0.5:
        test.update(bool(side), not side)
    assert not test.tripped


def test_burst_that_hits_one_version_counts_once() -> None:
    """Twenty late answers from one cause are one pair: taken singly they would trip at once."""
    singly, together = SignTest(0.01), SignTest(0.01, block=200)
    late = np.zeros(1000, bool)
    late[100:120] = True
    assert ever(late, np.zeros(1000, bool), singly)
    assert not ever(late, np.zeros(1000, bool), together)
    assert together.worse == 20


@given(at=st.integers(0, 300), seed=st.integers(0, 50), block=st.sampled_from([1, 7]))
def test_saved_and_loaded_test_goes_on_to_the_same_evidence(at: int, seed: int, block: int) -> None:
    draws = (np.random.default_rng(seed).random((300, 2)) < (0.2, 0.1)).tolist()
    straight, broken = SignTest(0.01, block=block), SignTest(0.01, block=block)
    for worse, better in draws[:at]:
        straight.update(worse, better)
        broken.update(worse, better)
    broken = SignTest.load(json.loads(json.dumps(broken.save())))
    for worse, better in draws[at:]:
        straight.update(worse, better)
        broken.update(worse, better)
    assert straight.save() == broken.save()


def gone_at(judged: np.ndarray, control: np.ndarray) -> int | None:
    """Return the decision at which both guards agree that the judged version is late; both scored every decision."""
    guards = Guards(Policy(), "the champion")
    for at, (mine, other) in enumerate(zip(judged.tolist(), control.tolist(), strict=True), 1):
        guards.fold_answer(late=mine, failed=False)
        guards.fold_pair(Answered(mine, False), Answered(other, False))
        if guards.broken():
            return at
    return None


def test_slow_version_is_gone_within_180_decisions() -> None:
    random = np.random.default_rng(11)
    never, now_and_then = [], []
    for _ in range(60):
        slow = random.random(1500) < 0.05
        never.append(gone_at(slow, np.zeros(1500, bool)) or 1500)
        now_and_then.append(gone_at(slow, random.random(1500) < 0.001) or 1500)
    assert np.median(never) <= 180
    assert np.median(now_and_then) <= 180


@pytest.mark.parametrize("together", [1.0, 0.8])
def test_stall_that_hits_both_takes_nobody_off(together: float) -> None:
    """Three stalls of a hundred decisions, in which either is late with the same chance, on its own."""
    random = np.random.default_rng(7)
    blamed, alone = 0, 0
    for _ in range(60):
        chance = np.full(1500, 0.002)
        for start in random.integers(0, 1400, 3):
            chance[start : start + 100] = together
        judged, control = random.random((2, 1500)) < chance
        blamed += gone_at(judged, control) is not None
        alone += gone_at(judged, np.zeros(1500, bool)) is not None
    assert blamed <= 3
    assert alone == 60, "the rate guard alone would take every one of them off"
