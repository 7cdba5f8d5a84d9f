"""Divergence between the champion and what is scored beside it."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr
from support.journals import JournalWriter

from data_contracts.journal import Arm, Phase, RecordType
from data_contracts.policy import Policy
from serving.rollout.divergence import INSTRUMENTS_MAX, WINDOW, Divergences, rank_correlation
from serving.rollout.fold import JournalFold
from serving.rollout.records import DecisionRow, ShadowRow

NAN = float("nan")


def decided(score: float, instrument: int = 0, arm: int = 0, action: int = 0, abstain: int = 0) -> DecisionRow:
    version = 1 if arm == 0 else 2
    return DecisionRow(1, 0, 0, 0, version, 0, 0, arm, action, abstain, 1, 0, 0, instrument, score, 1)


def shadow(
    score: float, version: int = 2, arm: int = 1, action: int = 0, dropped: int = 0, outputs: int = 1
) -> ShadowRow:
    return ShadowRow(1, 0, version, 0, arm, action, 0, dropped, score, outputs)


@given(st.lists(st.tuples(st.integers(-5, 5), st.floats(-9, 9)), min_size=10, max_size=60))
def test_rank_correlation_is_spearmans_ties_and_all(pairs: list[tuple[float, float]]) -> None:
    ours = rank_correlation(pairs)
    one, other = zip(*pairs, strict=True)
    if len(set(one)) == 1 or len(set(other)) == 1:
        assert ours is None
    else:
        assert ours == pytest.approx(spearmanr(one, other).statistic, abs=1e-9)


def test_difference_disagreement_and_drops_are_counted_by_instrument() -> None:
    found = Divergences()
    for at in range(20):
        found.fold(decided(0.1 * at, at % 2, action=1), [shadow(0.1 * at + (1.0 if at % 2 else 0.5), action=at % 2)])
    found.fold(decided(0.0, 1), [shadow(0.0, dropped=1)])
    overall, even, odd = found.readings()
    assert (overall.version, overall.against, overall.instrument) == (2, 1, None)
    assert (overall.count, overall.dropped) == (20, 1)
    assert (overall.mean_difference, overall.max_difference) == pytest.approx((0.75, 1.0))
    assert (overall.disagreement, even.disagreement, odd.disagreement) == (0.5, 1.0, 0.0)
    assert even.rank_correlation == pytest.approx(1.0)
    assert (even.instrument, odd.instrument, odd.dropped) == (0, 1, 1)


def test_challenger_that_acts_is_held_against_the_champions_shadow_score() -> None:
    found = Divergences()
    found.fold(decided(2.0, arm=1), [shadow(0.5, version=1, arm=0), shadow(0.25, version=7, arm=2)])
    assert {one.version: one.mean_difference for one in found.readings() if one.instrument is None} == {2: 1.5, 7: 0.25}


def test_outputs_of_different_kinds_are_not_subtracted() -> None:
    found = Divergences()
    found.fold(decided(2.0, action=1), [shadow(0.3, action=1, outputs=3)])
    assert (found.readings()[0].mean_difference, found.readings()[0].disagreement) == (None, 0.0)


def test_abstentions_and_numbers_that_are_none_are_no_pairs() -> None:
    found = Divergences()
    found.fold(decided(0.0, abstain=4), [shadow(1.0)])
    found.fold(decided(NAN), [shadow(1.0)])
    assert found.readings() == () or found.readings()[0].count == 0


def test_another_champion_begins_anew() -> None:
    found = Divergences()
    found.fold(decided(0.0), [shadow(9.0, version=7, arm=2)])
    found.fold(decided(0.0)._replace(version=3), [shadow(1.0, version=7, arm=2)])
    assert (found.readings()[0].against, found.readings()[0].max_difference) == (3, 1.0)


def test_memory_is_bounded_whatever_comes() -> None:
    found = Divergences()
    for at in range(3 * INSTRUMENTS_MAX):
        for _ in range(10):
            found.fold(decided(float(at), instrument=at), [shadow(0.0)])
    readings = found.readings()
    assert (len(readings), readings[0].count) == (INSTRUMENTS_MAX + 1, 30 * INSTRUMENTS_MAX)
    assert len(found.save()[0]["overall"]["newest"]) == WINDOW


@given(st.integers(0, 80))
def test_saved_and_loaded_goes_on_the_same(at: int) -> None:
    random = np.random.default_rng(at)
    straight, broken = Divergences(), Divergences()
    for step in range(80):
        if step == at:
            broken = Divergences.load(json.loads(json.dumps(broken.save())))
        row, beside = decided(float(random.normal()), step % 3), [shadow(float(random.normal()), dropped=step % 5 == 0)]
        straight.fold(row, beside)
        broken.fold(row, beside)
    assert straight.save() == broken.save()
    assert straight.readings() == broken.readings()


def test_plain_shadow_outside_every_rollout_is_measured_from_the_journal() -> None:
    writer = JournalWriter()
    writer.add(RecordType.EPOCH, champion=1, phase=int(Phase.IDLE))
    for at in range(1, 13):
        probabilities = {"output_0": 0.2, "output_1": 0.5, "output_2": 0.3, "output_3": NAN}
        writer.add(RecordType.DECISION, decision_id=at, event_ns=at, version=1, expected_shadows=1, **probabilities)
        moved = {**probabilities, "output_0": 0.1, "output_2": 0.4}
        writer.add(RecordType.SHADOW, decision_id=at, version=9, arm=int(Arm.SHADOW), **moved)
        writer.add(RecordType.MARKOUT, decision_id=at)
    fold = JournalFold(Policy())
    fold.consume(writer.bytes())
    overall = fold.models[0].rollouts[0].divergences.readings()[0]
    assert (overall.version, overall.against, overall.count) == (9, 1, 12)
    assert overall.mean_difference == pytest.approx(0.2)
