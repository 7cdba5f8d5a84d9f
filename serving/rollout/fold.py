"""The fold of a worker's journal into evidence: the same code live and offline, so the same verdicts.

Decisions are folded in the order they were taken, behind a watermark: outcomes arrive when they arrive, and
whoever folds them as they come lets the early ones (losers close early) speak first.
"""

from collections import deque
from collections.abc import Iterable
from typing import Any, Final

from msgspec import Struct
from numpy.typing import NDArray

from data_contracts.journal import Arm, MarkoutStatus, Phase, TripKind
from data_contracts.outcome import StoredOutcome
from data_contracts.policy import Policy
from serving.rollout.events import FoldEvent, Paused
from serving.rollout.policies import PolicyOf, as_policy_of
from serving.rollout.records import (
    DecisionRow,
    EpochRow,
    MarkoutRow,
    NameRow,
    Row,
    ShadowRow,
    TripRow,
    rows,
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

    def __init__(self, policy_of: PolicyOf, name: str) -> None:
        """Start before the first record."""
        self._policy_of, self.name = policy_of, name
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
            rollout = RolloutFold(self._policy_of(epoch.rollout_id), self.name, epoch)
            self.rollouts[epoch.rollout_id] = rollout
        return rollout


class JournalFold:
    """The whole journal of a worker, model by model."""

    def __init__(self, policy: Policy | PolicyOf) -> None:
        """Start before the first record.

        Args:
            policy: by which every rollout is judged, or what gives a rollout's own by its id; it is asked once for
                each, when the journal first names the rollout, and whatever it raises comes out of `consume`.
        """
        self._policy_of = as_policy_of(policy)
        self.models: dict[int, ModelFold] = {}
        self.records = 0
        self.outcomes = 0
        """Posted outcomes taken so far; they are taken in the order in which they are kept."""
        self._names: dict[int, str] = {}

    def consume(self, records: bytes | memoryview | NDArray[Any]) -> list[FoldEvent]:
        """Fold whole 128-byte records in journal order; return what follows from them.

        How the journal is cut into calls makes no difference.
        """
        return self.consume_rows(rows(records))

    def consume_rows(self, source: Iterable[Row]) -> list[FoldEvent]:
        """Fold decoded records in journal order."""
        events: list[FoldEvent] = []
        for row in source:
            self.records += 1
            events.extend(self._consume(row))
        return events

    def take_outcome(self, stored: StoredOutcome) -> list[FoldEvent]:  # noqa: ARG002  nothing judges it yet
        """Take a posted outcome, when `records` is its position; return what follows."""
        self.outcomes += 1
        return []

    def model(self, name: str) -> ModelFold | None:
        """Return the fold of the model of that name; None before its first record."""
        return next((fold for fold in self.models.values() if fold.name == name), None)

    def _name(self, index: int, name: str) -> None:
        # An epoch may come before the name: a worker adopts routes for models that it has yet to hear of.
        self._names[index] = name
        if index in self.models:
            self.models[index].rename(name)

    def _consume(self, row: Row) -> list[FoldEvent]:
        if isinstance(row, NameRow):
            if row.kind == 0:
                self._name(row.name_index, row.name)
            return []
        fold = self.models.get(row.model)
        if fold is None:
            name = self._names.get(row.model, f"model-{row.model}")
            fold = self.models[row.model] = ModelFold(self._policy_of, name)
        if isinstance(row, DecisionRow):
            return fold.on_decision(row)
        if isinstance(row, EpochRow):
            return fold.on_epoch(row)
        return fold.on_trip(row) if isinstance(row, TripRow) else fold.on_outcome(row)
