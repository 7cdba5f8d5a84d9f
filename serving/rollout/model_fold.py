"""One model's part of the journal: decisions joined to their outcomes and folded in the order they were taken.

Behind a watermark: outcomes arrive when they arrive, and whoever folds them as they come lets the early ones (losers
close early) speak first.
"""

from collections import deque
from typing import ClassVar, Final

from msgspec import Struct

from data_contracts.journal import Arm, MarkoutStatus, Phase, TripKind
from serving.rollout.events import FoldEvent, Paused
from serving.rollout.policies import PolicyOf
from serving.rollout.records import (
    DecisionRow,
    EpochRow,
    MarkoutRow,
    ShadowRow,
    TripRow,
)
from serving.rollout.rollout_fold import RolloutFold

_OK: Final = int(MarkoutStatus.OK)
_CHALLENGER: Final = int(Arm.CHALLENGER)
EARLY_MAX: Final = 65_536
"""Records held for decisions that are not there yet, a model."""
PENDING_MAX: Final = 262_144
"""Decisions that wait for outcomes, a model; beyond it the oldest is given up."""
LATER: Final = 64
"""Decisions taken after one was due that tell a silent feed from a gap, behind which outcomes come in a burst."""
UNSEEN_HORIZON_NS: Final = 3_600 * 10**9
"""Taken for the horizon until the first mark-out shows it."""


class Pending(Struct):
    """A decision that waits for its outcome."""

    epoch: EpochRow
    decision: DecisionRow
    markout: MarkoutRow | None
    shadows: list[ShadowRow]

    @property
    def complete(self) -> bool:
        """Whether mark-out and every expected shadow score are there."""
        return self.markout is not None and len(self.shadows) >= self.decision.expected_shadows


class ModelFold:
    """The journal of one model."""

    lent: ClassVar = ("policy_of",)

    def __init__(self, policy_of: PolicyOf, name: str) -> None:
        """Start before the first record."""
        self.policy_of, self.name = policy_of, name
        self.epoch: EpochRow | None = None
        self.rollouts: dict[int, RolloutFold] = {}
        self.current: RolloutFold | None = None
        self.unknown = self.late_outcomes = self.given_up = 0
        self.last_event_ns = 0
        self.last_folded = 0
        self.epoch_arms = [0, 0]
        """Decisions that champion and challenger took in the present epoch."""
        self._pending: deque[Pending] = deque()
        self._by_id: dict[int, Pending] = {}
        self._early: dict[int, list[ShadowRow | MarkoutRow]] = {}
        self._newest_complete = 0
        self._horizon_ns: int | None = None

    @property
    def waiting(self) -> int:
        """Decisions that are not folded yet."""
        return len(self._pending)

    @property
    def newest_decision(self) -> int:
        """Highest decision number seen; 0 before the first."""
        return self._pending[-1].decision.decision_id if self._pending else self.last_folded

    def rename(self, name: str) -> None:
        """Learn the model's name after its first records."""
        self.name = name
        for rollout in self.rollouts.values():
            rollout.model = name

    def on_epoch(self, row: EpochRow) -> list[FoldEvent]:
        """Take note of a routing epoch; the rollout before it ends where another begins."""
        self.epoch = row
        self.epoch_arms = [0, 0]
        if row.rollout_id == (self.current.rollout_id if self.current else 0):
            if self.current:
                self.current.route(row)
            return []
        ended = self.current.withdraw(row) if self.current else None
        self.current = None
        if row.rollout_id and row.phase != Phase.IDLE:
            self.current = self._rollout(row)
        return [ended] if ended else []

    def on_decision(self, row: DecisionRow) -> list[FoldEvent]:
        """Take in a decision; it waits for its outcome."""
        if self.epoch is None:
            self.unknown += 1
            return []
        pending = Pending(self.epoch, row, None, [])
        self._pending.append(pending)
        self._by_id[row.decision_id] = pending
        self.last_event_ns = row.event_ns
        if row.arm <= _CHALLENGER and not row.overridden:
            self.epoch_arms[row.arm] += 1
        for record in self._early.pop(row.decision_id, ()):
            self._attach(pending, record)
        return self._advance()

    def on_outcome(self, row: ShadowRow | MarkoutRow) -> list[FoldEvent]:
        """Join a shadow score or a mark-out to its decision; mark-outs at extra horizons are not judged."""
        if isinstance(row, MarkoutRow) and row.horizon:
            return []
        pending = self._by_id.get(row.decision_id)
        if pending is None:
            self._hold(row)
            return []
        self._attach(pending, row)
        return self._advance() if pending.complete else []

    def on_trip(self, row: TripRow) -> list[FoldEvent]:
        """Act on a hard limit: the rollout it names ends at once, or pauses if records were lost."""
        rollout = self.rollouts.get(row.rollout_id)
        if rollout is None or row.version != rollout.version:
            return []
        name = TripKind(row.kind).name.lower() if row.kind in set(TripKind) else f"kind_{row.kind}"
        reason = f"hard limit {name}: {row.value:g}, limit {row.limit:g}"
        if row.kind == TripKind.JOURNAL_DROPS:
            return [] if rollout.concluded else [self._paused(rollout, row, reason)]
        ended = rollout.limit(name, row.decision_id, reason)
        return [ended] if ended else []

    def _paused(self, rollout: RolloutFold, row: TripRow, reason: str) -> Paused:
        return Paused(
            model=self.name,
            rollout_id=rollout.rollout_id,
            version=rollout.version,
            decision=row.decision_id,
            reason=reason,
        )

    def _hold(self, row: ShadowRow | MarkoutRow) -> None:
        if row.decision_id <= self.last_folded:
            self.late_outcomes += 1
        elif len(self._early) < EARLY_MAX:
            self._early.setdefault(row.decision_id, []).append(row)
        else:
            self.unknown += 1

    def _attach(self, pending: Pending, row: ShadowRow | MarkoutRow) -> None:
        if isinstance(row, ShadowRow):
            if any(known.version == row.version for known in pending.shadows):
                self.late_outcomes += 1
                return
            pending.shadows.append(row)
        elif pending.markout is not None:
            self.late_outcomes += 1
            return
        else:
            pending.markout = row
            if row.status == _OK:
                # The least time from decision to mark is the horizon itself; the mark cannot come sooner.
                took = row.resolved_event_ns - row.decision_event_ns
                self._horizon_ns = took if self._horizon_ns is None else min(self._horizon_ns, took)
        if pending.complete:
            self._newest_complete = max(self._newest_complete, pending.decision.decision_id)

    def _advance(self) -> list[FoldEvent]:
        events: list[FoldEvent] = []
        while self._pending:
            head = self._pending[0]
            if not head.complete and not self._overdue(head):
                break
            self._pending.popleft()
            del self._by_id[head.decision.decision_id]
            self.last_folded = head.decision.decision_id
            event = self._fold(head)
            if event is not None:
                events.append(event)
        return events

    def _overdue(self, head: Pending) -> bool:
        """Whether event time has passed the head's watermark, and more than a gap in the feed shows it."""
        if len(self._pending) > PENDING_MAX:
            return True
        horizon_ns = UNSEEN_HORIZON_NS if self._horizon_ns is None else self._horizon_ns
        due_ns = head.decision.event_ns + horizon_ns + self._rollout(head.epoch).watermark_ns
        if self.last_event_ns <= due_ns:
            return False
        later = self._pending[-LATER].decision.event_ns > due_ns if len(self._pending) > LATER else False
        return later or self._newest_complete > head.decision.decision_id

    def _fold(self, head: Pending) -> FoldEvent | None:
        rollout = self._rollout(head.epoch)
        if head.markout is None or not head.complete:
            self.given_up += 1
            return rollout.skip(head.epoch, head.decision, head.shadows)
        return rollout.fold(head.epoch, head.decision, head.markout, head.shadows, self._horizon_ns or 0)

    def _rollout(self, epoch: EpochRow) -> RolloutFold:
        """Return the epoch's rollout; 0 for decisions outside every one, which are tallied and never judged."""
        rollout = self.rollouts.get(epoch.rollout_id)
        if rollout is None:
            rollout = RolloutFold(self.policy_of(epoch.rollout_id), self.name, epoch)
            self.rollouts[epoch.rollout_id] = rollout
        return rollout
