"""Everything that is watched in one rollout beside its guardrails; it alarms and pauses, and takes nothing off."""

from typing import Any, Final

from data_contracts.journal import AbstainReason, Arm, MarkoutStatus, Phase
from data_contracts.policy import Policy
from serving.rollout.events import Kind
from serving.rollout.records import DecisionRow, EpochRow, MarkoutRow, ShadowRow
from serving.watch.abstentions import AbstentionWatch
from serving.watch.alarm import Alarm, Watch
from serving.watch.calibration import CalibrationWatch
from serving.watch.drift import DriftWatch
from serving.watch.latency import LatencyWatch
from serving.watch.share import ShareWatch

_CHAMPION: Final = int(Arm.CHAMPION)
_SHADOW: Final = int(Arm.SHADOW)
_AB: Final = int(Phase.AB)
_OK: Final = int(MarkoutStatus.OK)
_ACCOUNT: Final = frozenset(
    {int(AbstainReason.POSITION_LIMIT), int(AbstainReason.NOTIONAL_LIMIT), int(AbstainReason.RATE_LIMIT)}
)
"""Limits of the account: only who acts can meet them, and they say nothing of the model."""


class Watching:
    """The watches of one rollout."""

    def __init__(self, policy: Policy, kind: Kind) -> None:
        """Start with nothing seen.

        Args:
            policy: its `watch`; what is off is not looked at.
            kind: challenger or bake: who is judged.
        """
        watch, burst = policy.watch, policy.guardrails.latency.burst_decisions
        self._judged = int(Arm.CHAMPION if kind == "bake" else Arm.CHALLENGER)
        self._share = ShareWatch(watch.share)
        self._latency = LatencyWatch(watch.latency, 1 if burst <= 1 else 10 * burst, known=kind != "bake")
        self._abstentions = AbstentionWatch(watch.abstentions)
        self._drift = DriftWatch(watch.drift)
        self._calibration = CalibrationWatch(watch.calibration)
        every = (self._share, self._latency, self._abstentions, self._drift, self._calibration)
        self._watches: tuple[Watch, ...] = tuple(one for one in every if one.action != "off")
        self.cleared: list[str] = []
        """Names that the newest decision cleared."""

    def fold(self, epoch: EpochRow, decision: DecisionRow, markout: MarkoutRow, shadows: list[ShadowRow]) -> list[str]:
        """Fold one decision that is judged; return the names it raised, and leave in `cleared` those it cleared."""
        scored: dict[int, DecisionRow | ShadowRow] = {decision.arm: decision}
        for shadow in shadows:
            if shadow.arm != _SHADOW and not shadow.dropped:
                scored[shadow.arm] = shadow
        mine, other = scored.get(self._judged), scored.get(1 - self._judged)
        if self._share.action != "off":
            self._fold_routing(epoch, decision)
        if self._latency.action != "off":
            self._fold_latency(epoch, decision, scored)
        if mine is not None:
            self._fold_answers(decision, markout, mine, other)
        return self._settle(decision.decision_id)

    def _fold_routing(self, epoch: EpochRow, decision: DecisionRow) -> None:
        if epoch.phase == _AB and not epoch.heartbeat_lost:
            taken = decision.arm == self._judged
            self._share.fold(epoch.epoch, epoch.share_bps / 10_000.0, taken, bool(decision.assigned_by))

    def _fold_latency(self, epoch: EpochRow, decision: DecisionRow, scored: dict[int, DecisionRow | ShadowRow]) -> None:
        champion = decision if decision.arm == _CHAMPION and not decision.abstain else None
        version = scored.get(self._judged)
        champion_ns = champion.answer_ns - champion.receive_ns if champion is not None else None
        if decision.arm == _CHAMPION and champion is None:
            return
        share = decision.share_bps / 10_000.0 if epoch.phase == _AB else 0.0
        self._latency.fold(champion_ns, _latency_ns(version), share, bool(decision.assigned_by))

    def _fold_answers(
        self,
        decision: DecisionRow,
        markout: MarkoutRow,
        mine: DecisionRow | ShadowRow,
        other: DecisionRow | ShadowRow | None,
    ) -> None:
        if other is not None and self._abstentions.action != "off":
            self._abstentions.fold(_abstained(mine), _abstained(other))
        if mine.abstain or mine.score - mine.score != 0.0:  # a score that is no finite number
            return
        if self._drift.action != "off":
            self._drift.fold(mine.score)
        if markout.status == _OK and self._calibration.action != "off":
            beside = (other.score, other.outputs) if other is not None and not other.abstain else None
            move_bps = (markout.buy_pnl_bps - markout.sell_pnl_bps) / 2.0  # costs fall out
            horizon_ns = markout.resolved_event_ns - markout.decision_event_ns
            self._calibration.fold(decision.event_ns, horizon_ns, move_bps, (mine.score, mine.outputs), beside)

    def _settle(self, decision: int) -> list[str]:
        raised: list[str] = []
        self.cleared = []
        for watch in self._watches:
            changed = watch.settle(decision)
            if changed is not None:
                (raised if changed else self.cleared).append(watch.name)
        return raised

    def readings(self) -> tuple[Alarm, ...]:
        """Return every watch that is not off, raised or not."""
        return tuple(watch.reading() for watch in self._watches)

    def alarms(self) -> tuple[Alarm, ...]:
        """Return the alarms that are raised."""
        return tuple(watch.reading() for watch in self._watches if watch.raised_at is not None)

    def pauses(self) -> tuple[str, ...]:
        """Return the names of raised alarms that pause the rollout."""
        return tuple(w.name for w in self._watches if w.raised_at is not None and w.action == "pause")

    def save(self) -> dict[str, Any]:
        """Return everything as JSON can hold it."""
        return {watch.name: watch.save() for watch in self._watches}

    def load(self, state: dict[str, Any]) -> None:
        """Take up where `save` left off; the policy must be the one it was saved under."""
        for watch in self._watches:
            watch.load(state[watch.name])


def _abstained(row: DecisionRow | ShadowRow) -> bool:
    return bool(row.abstain) and row.abstain not in _ACCOUNT


def _latency_ns(row: DecisionRow | ShadowRow | None) -> int | None:
    if row is None or row.abstain:
        return None
    return row.answer_ns - row.receive_ns if isinstance(row, DecisionRow) else row.latency_ns
