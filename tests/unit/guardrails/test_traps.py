"""The traps that honest-looking guards fall into: the naive variant takes equal versions off, ours leaves them.

Each runs a few dozen seeded deployments of equal versions; docs/guardrails.md has the traps at full length.
"""

import numpy as np
import pytest
from numpy.typing import NDArray
from support.journals import Answer, SyntheticWorker, World

from benchmarks.equal_versions import late_answers, overlapping, rare_jumps
from benchmarks.guardrails import first_trip
from data_contracts.journal import MARKOUT, Phase, RecordType
from data_contracts.policy import Outcomes, Policy, Rollout, Step
from native._native import assignment_key, falls_to_challenger
from serving.guardrails import blocks
from serving.guardrails.pnl_guard import PnlGuard
from serving.guardrails.rate_guard import RateGuard
from serving.rollout.fold import JournalFold
from serving.rollout.paired import augmented_difference

EVENTS = 20_000
Series = NDArray[np.float64]


def taken_off(series: Series, *, overlap: int = 1, margin_sd: float = 0.01) -> int:
    """How many of the deployments, one a row, the PnL guard takes off."""
    return sum(
        first_trip(
            PnlGuard(error_rate=0.03, horizon=series.shape[1], overlap=overlap, margin_sd=margin_sd), row.tolist()
        )
        is not None
        for row in series
    )


def test_clipping_at_three_sd_makes_a_loser_of_an_equal_version_with_rare_gains() -> None:
    gains = rare_jumps(1, 0.005)(np.random.default_rng(2), 20, EVENTS)
    assert taken_off(np.clip(gains, -3.0, 3.0)) >= 17
    assert taken_off(gains) <= 2


def test_scale_that_follows_within_fifty_events_forgets_what_is_earned_in_storms(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    g, runs = np.random.default_rng(0), 40
    turns = g.random((runs, EVENTS)) < 1 / 100
    storm = (np.cumsum(turns, axis=1) + g.integers(0, 2, (runs, 1))) % 2 == 1
    earned = np.where(storm, 1.4, 0.2) * g.standard_normal((runs, EVENTS)) + np.where(storm, 0.05, -0.05)
    assert taken_off(earned) <= 4
    monkeypatch.setattr(blocks, "_SCALE_DECAY", 1.0 - 2.0 ** (-1 / 50))
    assert taken_off(earned) >= 12


def test_blocks_shorter_than_the_overlap_take_one_sum_for_many(monkeypatch: pytest.MonkeyPatch) -> None:
    overlapped = overlapping(100)(np.random.default_rng(3), 30, EVENTS)
    assert taken_off(overlapped, overlap=100) <= 2
    monkeypatch.setattr(blocks, "_CORRELATION_MAX", 0.0)  # what neighbouring blocks show of it repairs half of this
    assert taken_off(overlapped, overlap=1) >= 9


def test_restarts_without_a_margin_take_a_passing_drift_for_a_change() -> None:
    g, events = np.random.default_rng(0), 40_000
    drift = np.where(np.arange(events) // 20_000 == 0, 0.03, -0.03)
    series = g.standard_normal((16, events)) + drift
    assert taken_off(series, margin_sd=0.0) >= 7
    assert taken_off(series) <= 3


def test_stalls_judged_answer_by_answer_take_off_a_version_within_its_budget() -> None:
    stalls = [late_answers(np.random.default_rng([7, run]), EVENTS, 0.01, burst=20) for run in range(24)]
    naive, ours = (
        sum(first_trip(RateGuard(0.01, 0.01, EVENTS, burst), late.tolist()) is not None for late in stalls)
        for burst in (1, 20)
    )
    assert naive >= 22
    assert ours <= 1


# --- losers that close early, through the fold -----------------------------------------------------------------------

PATIENT = Policy(
    rollout=Rollout(steps=(Step(share=0.0, min_decisions=10**9),), max_decisions=10**9),
    outcomes=Outcomes(watermark_seconds=600.0),
)
GAINS_WAIT = 3 * 1500
"""Journal records, three a decision, by which gains come later than losses."""


def long_against_flat(random: np.random.Generator, _id: int) -> World:
    """The challenger always buys, at no cost, what the champion leaves: equal on average."""
    move = float(random.standard_t(4))
    return World(Answer(action=0), Answer(action=1), move, -move)


def test_outcomes_folded_as_they_arrive_let_early_losers_speak_first() -> None:
    naive = ours = 0
    for seed in range(10):
        worker = SyntheticWorker(long_against_flat, seed=seed)
        worker.adopt(rollout_id=1, champion=1, challenger=2, phase=Phase.SHADOW)
        worker.decide(2500)
        worker.finish()
        arrived, earned = [], []
        for place, record in enumerate(worker.writer.records):
            is_mark = record[4] == RecordType.MARKOUT
            pnl = float(np.frombuffer(record, MARKOUT)["buy_pnl_bps"][0]) if is_mark else 0.0
            arrived.append((place + GAINS_WAIT * (pnl > 0.0), record))
            if is_mark:
                earned.append((arrived[-1][0], pnl))
        in_turn = [pnl for _, pnl in sorted(earned)]
        naive += first_trip(PnlGuard(error_rate=0.03, horizon=100_000, overlap=5), in_turn) is not None
        fold = JournalFold(PATIENT)
        fold.consume(b"".join(record for _, record in sorted(arrived, key=lambda one: one[0])))
        (rollout,) = fold.models[0].rollouts.values()
        assert rollout.folded == 2500
        ours += rollout.concluded is not None
    assert naive >= 9
    assert ours == 0


# --- arms that stick to keys, through the assignment -----------------------------------------------------------------

KEYS = 20


def ab_differences(seed: int, *, anew: bool, papers: bool) -> Series:
    """An A/B step at one half over keys that differ by 0.15 sd; the versions are equal, each with its own noise.

    Args:
        seed: of the deployment: the hash, the keys and the noise.
        anew: the salt changes every 500 decisions, as routing's does; else it stays.
        papers: both versions' paper PnL is known; else the acted one's alone.
    """
    g = np.random.default_rng([11, seed])
    names = np.array([assignment_key(f"account-{seed}-{key}") for key in range(KEYS)], np.uint64)
    key = g.integers(0, KEYS, EVENTS)
    arms = np.concatenate(
        [
            falls_to_challenger(names[key[start : start + 500]], seed + (start if anew else 0), 5000)
            for start in range(0, EVENTS, 500)
        ]
    )
    level = 0.15 * g.standard_normal(KEYS)[key]
    champion, challenger = (level + g.standard_normal(EVENTS)).tolist(), (level + g.standard_normal(EVENTS)).tolist()
    return np.array(
        [
            augmented_difference(
                p0 if papers or not arm else None,
                p1 if papers or arm else None,
                acted_by_challenger=arm,
                earned=p1 if arm else p0,
                share=0.5,
            )
            for p0, p1, arm in zip(champion, challenger, arms.tolist(), strict=True)
        ]
    )


def test_arms_that_stick_to_unequal_keys_judge_the_keys_and_not_the_version() -> None:
    def taken(**how: bool) -> int:
        return taken_off(np.array([ab_differences(seed, **how) for seed in range(30)]))

    assert taken(anew=False, papers=False) >= 5
    assert taken(anew=True, papers=False) <= 2
    assert taken(anew=False, papers=True) <= 2
