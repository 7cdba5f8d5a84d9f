"""What the journal of an experiment says, by the offline judge's fold: verdicts, delays, and the scale of the noise."""

from math import log
from pathlib import Path

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from data_contracts.journal import Arm, RecordType
from serving.journal import Journal, read_journal
from serving.rollout.fold import JournalFold
from serving.rollout.policies import policies_beside
from serving.rollout.rollout_fold import RolloutFold

_AT_ONCE = 5_000
"""Records folded between two looks: less than a rollout leaves."""
_BATCH = 400
"""Differences a batch, many horizons long, over which the long-run variance is taken."""


class Judged(Struct, frozen=True, kw_only=True):
    """One rollout as the offline judge sees it."""

    rollout_id: int
    verdict: str
    guardrail: str
    decision: int | None
    folded: int
    """Decisions judged until its end."""
    differences: int
    """Of these, with a PnL difference."""
    answers: int
    """Answers of the version that the latency guard folded."""


def judge(journal: Path) -> dict[int, Judged]:
    """Fold the whole journal offline; return every rollout in it by id."""
    fold = JournalFold(policies_beside(journal).of)
    records = read_journal(journal).records
    judged: dict[int, Judged] = {}
    for first in range(0, len(records), _AT_ONCE):
        fold.consume(records[first : first + _AT_ONCE])
        for model in fold.models.values():  # it keeps only the last rollouts in full: look before they are gone
            judged |= {number: _judged(rollout) for number, rollout in model.rollouts.items() if number}
    return judged


def _judged(rollout: RolloutFold) -> Judged:
    ended, guards = rollout.concluded, rollout.guards
    return Judged(
        rollout_id=rollout.rollout_id,
        verdict=ended.verdict if ended else "",
        guardrail=ended.guardrail if ended else "",
        decision=ended.decision if ended else None,
        folded=rollout.folded,
        differences=guards.pnl.events if guards.pnl is not None else 0,
        answers=guards.latency.events,
    )


def challenger_decisions_after_trips(journal: Path) -> dict[int, int]:
    """Return, by rollout whose hard limit tripped in the worker, how many decisions its version took after that."""
    read = read_journal(journal)
    decisions, epochs = read.decisions, read.select(RecordType.EPOCH)
    rollout_of = dict(zip(epochs["epoch"].tolist(), epochs["rollout_id"].tolist(), strict=True))
    taken = decisions[decisions["arm"] == int(Arm.CHALLENGER)]
    rollouts = np.array([rollout_of[epoch] for epoch in taken["epoch"].tolist()], dtype=np.int64)
    return {
        int(trip["rollout_id"]): int(
            np.sum((rollouts == trip["rollout_id"]) & (taken["decision_id"] > trip["decision_id"]))
        )
        for trip in read.select(RecordType.TRIP)
    }


class Scale(Struct, frozen=True, kw_only=True):
    """What the paired differences of a journal look like, in standard deviations of one."""

    mean_sd: float
    long_run_variance: float
    differences: int

    def bound(self, effect_sd: float, error_rate: float) -> float:
        """Return the least median delay of a test at that error rate: L / kl, kl = d^2 / (2 LRV)."""
        return -log(error_rate) * 2.0 * self.long_run_variance / (effect_sd * effect_sd)


def scale(journal: Path) -> Scale:
    """Measure mean and long-run variance of the paired differences of every decision that was scored by both."""
    differences = _differences(read_journal(journal))
    differences = differences[differences != 0.0]
    sd = float(differences.std())
    whole = len(differences) // _BATCH * _BATCH
    batches = differences[:whole].reshape(-1, _BATCH).mean(axis=1)
    return Scale(
        mean_sd=float(differences.mean()) / sd,
        long_run_variance=float(batches.var(ddof=1)) * _BATCH / (sd * sd),
        differences=len(differences),
    )


def _differences(journal: Journal) -> NDArray[np.float64]:
    """Return challenger minus champion in bps, in decision order: both answers at one decision, marked alike."""
    decisions, markouts = journal.decisions, journal.markouts
    shadows = journal.select(RecordType.SHADOW)
    shadows = shadows[(shadows["dropped"] == 0) & (shadows["arm"] <= 1)]
    _, a, b = np.intersect1d(decisions["decision_id"], shadows["decision_id"], return_indices=True)
    acted, other = decisions[a], shadows[b]
    _, a, b = np.intersect1d(acted["decision_id"], markouts["decision_id"], return_indices=True)
    acted, other, marks = acted[a], other[a], markouts[b]
    sign = np.where(other["arm"] == 1, 1.0, -1.0)  # in A/B the champion is the other one
    earned = _pnl(other["action"], marks) - _pnl(acted["action"], marks)
    usable = np.isfinite(marks["buy_pnl_bps"]) & (marks["status"] == 0)
    return np.asarray((sign * earned)[usable], np.float64)


def _pnl(actions: NDArray[np.int8], marks: NDArray[np.void]) -> NDArray[np.float64]:
    bought = np.where(actions > 0, marks["buy_pnl_bps"], 0.0)
    return np.asarray(np.where(actions < 0, marks["sell_pnl_bps"], bought), np.float64)
