"""What the controller knows, as one document: the console page, `ringcraft status` and /metrics all read it."""

from typing import Literal

from msgspec import Struct

from serving.outcomes.cells import Row
from serving.outcomes.reconciliation import Reading
from serving.watch.alarm import Alarm


class ArmSnapshot(Struct, frozen=True, kw_only=True):
    """One version's place in the line-up of a model."""

    arm: Literal["champion", "challenger", "shadow"]
    """A challenger that came off stays, with its verdict as status and no share, until the next rollout begins."""
    version: int
    family: str
    status: str
    """As in the tag ringcraft.status: checking, shadow, ab:10%, champion, ..."""
    share: float
    """Of live decisions, 0..1, by the routing table."""
    served_share: float | None
    """Measured in the current epoch."""
    decisions: int
    trades: int
    """Decisions with an action that this arm took live."""
    pnl_bps: float
    """Sum of the mark-outs of its own live decisions, after costs."""
    paper_pnl_bps: float
    """Sum over every decision of the rollout as if it had taken it, after costs."""
    latency_p50_us: float | None
    latency_p99_us: float | None
    late: int
    failed: int
    tier: str
    breaker: str = "closed"
    """As in SlotStatus."""


class GuardSnapshot(Struct, frozen=True, kw_only=True):
    """How close a guardrail is to tripping."""

    name: str
    evidence: float
    """log of the e-value over log of its threshold: 1 trips."""
    events: int
    detail: str


class RolloutSnapshot(Struct, frozen=True, kw_only=True):
    """The rollout under way, or the last one."""

    rollout_id: int
    kind: Literal["challenger", "first_champion", "bake"]
    version: int
    state: str
    step: int
    steps: int
    share: float
    folded: int
    """Decisions judged so far."""
    folded_in_step: int
    needed_in_step: int
    paused: bool
    verdict: str
    """promoted, rolled_back, refused, withdrawn, inconclusive; empty while it runs."""
    guardrail: str
    decision: int | None
    reason: str
    guards: tuple[GuardSnapshot, ...]
    promotion_evidence: float
    step_shares: tuple[float, ...] = ()
    """Share of every step, in order, 0 for shadow; empty where not said."""
    decisions_after: int | None = None
    """That a version which was rolled back still took after the verdict stood; None where none was."""
    routed_without_us: float | None = None
    """From that verdict, or a hard limit's trip, to the first epoch, or decision, without the version."""
    watches: tuple[Alarm, ...] = ()
    """What is watched beside the guardrails, raised or not."""


class DivergenceSnapshot(Struct, frozen=True, kw_only=True):
    """How far a version's answers lie from the champion's on the same decisions."""

    version: int
    against: int
    """The champion's version."""
    instrument: str
    """Empty: all of them."""
    count: int
    """Decisions that both answered."""
    dropped: int
    """Decisions on which one of the two was never scored."""
    unit: str
    """Of the differences: bps or probability; empty where outputs are of other kinds."""
    mean_difference: float | None
    max_difference: float | None
    disagreement: float | None
    """Share of the decisions that both answered on which their actions differ."""
    rank_correlation: float | None


class PnlPoint(Struct, frozen=True, kw_only=True):
    """Cumulative live PnL of an arm at an event time."""

    event_ns: int
    version: int
    arm: str
    pnl_bps: float


class ModelSnapshot(Struct, frozen=True, kw_only=True):
    """One served model."""

    model: str
    instruments: tuple[str, ...]
    epoch: int
    feature_set: str
    arms: tuple[ArmSnapshot, ...]
    rollout: RolloutSnapshot | None
    pnl: tuple[PnlPoint, ...]
    """Down-sampled, at most a few hundred points, for a chart."""
    divergence: tuple[DivergenceSnapshot, ...] = ()
    """Of every version scored beside the champion: overall, then by instrument."""


class EventSnapshot(Struct, frozen=True, kw_only=True):
    """Something that happened, newest last."""

    wall_ns: int
    event_ns: int | None
    kind: str
    """alias_moved, checking, refused, shadow, ab, promoted, rolled_back, paused, alarm, mlflow_lost, ..."""
    model: str
    version: int | None
    decision: int | None
    text: str


class WorkerSnapshot(Struct, frozen=True, kw_only=True):
    """One data-plane worker."""

    name: str
    alive: bool
    feed_port: int
    doors: dict[str, int] = {}
    """Ports that listen for questions, by door."""
    counters: dict[str, int]


class OutcomesSnapshot(Struct, frozen=True, kw_only=True):
    """What the trading system posted, and how it agrees with paper."""

    counts: dict[str, int]
    """By rule, see docs/outcomes.md."""
    pnl: tuple[Row, ...]
    """By model, version and arm."""
    reconciliation: tuple[Reading, ...]


class Snapshot(Struct, frozen=True, kw_only=True):
    """The whole tier at one moment."""

    wall_ns: int
    event_ns: int | None
    mlflow_uri: str
    mlflow_reachable: bool
    registry_poll_ms: int
    ready: bool
    """Every followed model has a verified, warm champion."""
    models: tuple[ModelSnapshot, ...]
    workers: tuple[WorkerSnapshot, ...]
    events: tuple[EventSnapshot, ...]
    outcomes: OutcomesSnapshot | None = None
