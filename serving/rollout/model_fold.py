"""One model's part of the journal: decisions joined to their outcomes and folded in the order they were taken.

Behind a watermark: outcomes arrive when they arrive, and whoever folds them as they come lets the early ones (losers
close early) speak first.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import ClassVar, Final

from msgspec import Struct

from data_contracts.journal import Arm, MarkoutStatus, Phase, TripKind
from data_contracts.outcome import PostedOutcome
from serving.rollout.events import Concluded, FoldEvent, Paused
from serving.rollout.policies import PolicyOf
from serving.rollout.posted import Posted, PostedCounts
from serving.rollout.reaction import Reaction
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
KEPT_ROLLOUTS: Final = 16
"""The latest, with all that they showed; of those before, only how they ended."""
PENDING_MAX: Final = 262_144
"""Decisions that wait for outcomes, a model; beyond it the oldest is given up."""
LATER: Final = 64
"""Decisions taken after one was due that tell a silent feed from a gap, behind which outcomes come in a burst."""
UNSEEN_HORIZON_NS: Final = 3_600 * 10**9
"""Taken for the horizon where neither a mark-out nor the worker has said it yet."""


class Pending(Struct):
    """A decision that waits for its outcome."""

    epoch: EpochRow
    decision: DecisionRow
    owed: int
    """Records of the journal that are still to come: its mark-out and every shadow score announced with it."""
    waits: bool
    """For what the trading system posts of it; fills may go on coming, a realised outcome ends the matter."""
    markout: MarkoutRow | None = None
    shadows: list[ShadowRow] = []
    posted: Posted | None = None

    @property
    def complete(self) -> bool:
        """Whether nothing more is waited for."""
        return not self.owed and not self.waits


class ModelFold:
    """The journal of one model."""

    lent: ClassVar = ("policy_of", "tick_of")

    def __init__(self, policy_of: PolicyOf, name: str, tick_of: Callable[[int], float | None]) -> None:
        """Start before the first record.

        Args:
            policy_of: by rollout id.
            name: of the model.
            tick_of: tick size by the journal's instrument index.
        """
        self.policy_of, self.name, self.tick_of = policy_of, name, tick_of
        self.epoch: EpochRow | None = None
        self.rollouts: dict[int, RolloutFold] = {}
        self.current: RolloutFold | None = None
        self.past: list[Concluded] = []
        """How the rollouts ended that are no longer kept in full, oldest first."""
        self.unknown = self.late_outcomes = self.given_up = 0
        self.last_event_ns = 0
        self.last_folded = 0
        self.epoch_arms = [0, 0]
        """Decisions that champion and challenger took in the present epoch."""
        self._pending: deque[Pending] = deque()
        self._by_id: dict[int, Pending] = {}
        self._early: dict[int, list[ShadowRow | MarkoutRow]] = {}
        self.posted = PostedCounts()
        self._early_posted: dict[int, list[PostedOutcome]] = {}
        self._newest_joined = 0
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

    def on_epoch(self, row: EpochRow) -> Sequence[FoldEvent]:
        """Take note of a routing epoch; the rollout before it ends where another begins."""
        self.epoch = row
        self.epoch_arms = [0, 0]
        if row.rollout_id == (self.current.rollout_id if self.current else 0):
            if self.current:
                self.current.route(row)
            return ()
        ended = self.current.withdraw(row) if self.current else None
        if self.current and self.current.reaction:
            self.current.reaction.left(row)
        self.current = None
        if row.rollout_id and row.phase != Phase.IDLE:
            self.current = self._rollout(row)
            self._retire()
        return [ended] if ended else ()

    def on_decision(self, row: DecisionRow) -> Sequence[FoldEvent]:
        """Take in a decision; it waits for its outcome."""
        if self.epoch is None:
            self.unknown += 1
            return ()
        waits = row.action != 0 and self._rollout(self.epoch).by_realised
        pending = Pending(self.epoch, row, 1 + row.expected_shadows, waits)
        self._pending.append(pending)
        self._by_id[row.decision_id] = pending
        self.last_event_ns = row.event_ns
        if row.arm <= _CHALLENGER and not row.overridden:
            self.epoch_arms[row.arm] += 1
        if self.current is not None and self.current.reaction is not None:
            self.current.reaction.decided(row)
        if self._early or self._early_posted:
            self._take_early(pending)
        return self._advance()

    def on_posted(self, outcome: PostedOutcome) -> Sequence[FoldEvent]:
        """Join a posted outcome to its decision, which may be still to come."""
        pending = self._by_id.get(outcome.decision_id)
        if pending is not None:
            self._join(pending, outcome)
            return self._advance() if pending.complete else []
        if outcome.decision_id <= self.last_folded:
            self.posted.late += 1
        elif outcome.decision_id > self.newest_decision and len(self._early_posted) < EARLY_MAX:
            self._early_posted.setdefault(outcome.decision_id, []).append(outcome)
        else:
            self.posted.unknown += 1
        return ()

    def on_shadow(self, row: ShadowRow) -> Sequence[FoldEvent]:
        """Join a shadow score to its decision."""
        pending = self._by_id.get(row.decision_id)
        if pending is None:
            self._hold(row)
            return ()
        self._score(pending, row)
        return self._advance() if pending.complete else ()

    def on_markout(self, row: MarkoutRow) -> Sequence[FoldEvent]:
        """Join a mark-out to its decision; those at extra horizons are not judged."""
        if row.horizon:
            return ()
        pending = self._by_id.get(row.decision_id)
        if pending is None:
            self._hold(row)
            return ()
        self._mark(pending, row)
        return self._advance() if pending.complete else ()

    def on_trip(self, row: TripRow) -> Sequence[FoldEvent]:
        """Act on a hard limit: the rollout it names ends at once, or pauses if records were lost."""
        rollout = self.rollouts.get(row.rollout_id)
        if rollout is None or row.version != rollout.version:
            return ()
        name = TripKind(row.kind).name.lower() if row.kind in set(TripKind) else f"kind_{row.kind}"
        reason = f"hard limit {name}: {row.value:g}, limit {row.limit:g}"
        if row.kind == TripKind.JOURNAL_DROPS:
            return () if rollout.concluded else [self._paused(rollout, row, reason)]
        ended = rollout.limit(name, row.decision_id, reason)
        if ended is None:
            return ()
        rollout.reaction = Reaction(verdict_ns=row.wall_ns, arm=rollout.judged_arm, at_once=True)
        return [ended]

    def _paused(self, rollout: RolloutFold, row: TripRow, reason: str) -> Paused:
        return Paused(
            model=self.name,
            rollout_id=rollout.rollout_id,
            version=rollout.version,
            decision=row.decision_id,
            cause=TripKind(row.kind).name.lower(),
            reason=reason,
        )

    def _hold(self, row: ShadowRow | MarkoutRow) -> None:
        if row.decision_id <= self.last_folded:
            self.late_outcomes += 1
        elif len(self._early) < EARLY_MAX:
            self._early.setdefault(row.decision_id, []).append(row)
        else:
            self.unknown += 1

    def _join(self, pending: Pending, outcome: PostedOutcome) -> None:
        if pending.posted is None:
            pending.posted = Posted()
        pending.posted.add(outcome, self.posted)
        pending.waits = pending.waits and pending.posted.realised is None

    def _take_early(self, pending: Pending) -> None:
        """Join what came before its decision; what was held for numbers passed over has none in this model."""
        newest = pending.decision.decision_id
        for record in self._early.pop(newest, ()):
            if isinstance(record, MarkoutRow):
                self._mark(pending, record)
            else:
                self._score(pending, record)
        for outcome in self._early_posted.pop(newest, ()):
            self._join(pending, outcome)
        for number in [one for one in self._early if one < newest]:
            self.unknown += len(self._early.pop(number))
        for number in [one for one in self._early_posted if one < newest]:
            self.posted.unknown += len(self._early_posted.pop(number))

    def _score(self, pending: Pending, row: ShadowRow) -> None:
        for known in pending.shadows:
            if known.version == row.version:
                self.late_outcomes += 1
                return
        pending.shadows.append(row)
        self._owe_less(pending, not len(pending.shadows) > pending.decision.expected_shadows)

    def _mark(self, pending: Pending, row: MarkoutRow) -> None:
        if pending.markout is not None:
            self.late_outcomes += 1
            return
        pending.markout = row
        if row.status == _OK:
            # The least time from decision to mark is the horizon itself; the mark cannot come sooner.
            took = row.resolved_event_ns - row.decision_event_ns
            if self._horizon_ns is None or took < self._horizon_ns:
                self._horizon_ns = took
        self._owe_less(pending, 1)

    def _owe_less(self, pending: Pending, by: int) -> None:
        pending.owed -= by
        if not pending.owed and pending.decision.decision_id > self._newest_joined:
            self._newest_joined = pending.decision.decision_id

    def _advance(self) -> Sequence[FoldEvent]:
        events: list[FoldEvent] = []
        pending = self._pending
        while pending:
            head = pending[0]
            if (head.owed or head.waits) and not self._overdue(head):
                break
            pending.popleft()
            del self._by_id[head.decision.decision_id]
            self.last_folded = head.decision.decision_id
            event = self._fold(head)
            if event is not None:
                events.append(event)
                if isinstance(event, Concluded) and event.verdict == "rolled_back":
                    newest = pending[-1].decision if pending else head.decision
                    rollout = self._rollout(head.epoch)
                    rollout.reaction = Reaction(verdict_ns=newest.answer_ns, arm=rollout.judged_arm, at_once=False)
        return events

    def _overdue(self, head: Pending) -> bool:
        """Whether event time has passed the head's watermark, and more than a gap in the feed shows it."""
        if len(self._pending) > PENDING_MAX:
            return True
        rollout = self._rollout(head.epoch)
        # Until the first mark-out shows it, the horizon is the one that the worker said it works by.
        horizon_ns = self._horizon_ns or head.epoch.horizon_ns or UNSEEN_HORIZON_NS
        marked_ns = head.decision.event_ns + horizon_ns
        if not head.owed:  # only what the trading system was to post is missing
            return self.last_event_ns > marked_ns + rollout.realised_watermark_ns
        due_ns = marked_ns + rollout.watermark_ns
        if self.last_event_ns <= due_ns:
            return False
        later = self._pending[-LATER].decision.event_ns > due_ns if len(self._pending) > LATER else False
        return later or self._newest_joined > head.decision.decision_id

    def _fold(self, head: Pending) -> FoldEvent | None:
        rollout = self._rollout(head.epoch)
        # A score that never came is one that was dropped: to skip the decision would choose decisions by load.
        if head.markout is None:
            self.given_up += 1
            self.posted.never += head.waits and head.posted is None
            return rollout.skip(head.epoch, head.decision, head.shadows)
        realised = self._realised(rollout, head, head.markout)
        return rollout.fold(head.epoch, head.decision, head.markout, head.shadows, self._horizon_ns or 0, realised)

    def _realised(self, rollout: RolloutFold, head: Pending, markout: MarkoutRow) -> float | None:
        """Return what the decision earned by what was posted of it; None: it is judged by its mark-out."""
        if not rollout.by_realised or not head.decision.action:
            return None
        if head.posted is None:
            self.posted.never += 1
            return None
        earned = head.posted.pnl_bps(markout, self.tick_of(head.decision.instrument))
        self.posted.unpriced += earned is None
        return earned

    def _retire(self) -> None:
        """Keep no more in full than there is use for: what is kept is saved again and again."""
        ended = [number for number in sorted(self.rollouts) if self.rollouts[number].concluded]
        if len(ended) <= KEPT_ROLLOUTS:
            return
        waiting = {pending.epoch.rollout_id for pending in self._pending}
        for number in ended[:-KEPT_ROLLOUTS]:
            concluded = self.rollouts[number].concluded
            if number not in waiting and concluded is not None:
                self.past.append(concluded)
                del self.rollouts[number]

    def _rollout(self, epoch: EpochRow) -> RolloutFold:
        """Return the epoch's rollout; 0 for decisions outside every one, which are tallied and never judged."""
        rollout = self.rollouts.get(epoch.rollout_id)
        if rollout is None:
            rollout = RolloutFold(self.policy_of(epoch.rollout_id), self.name, epoch)
            self.rollouts[epoch.rollout_id] = rollout
        return rollout
