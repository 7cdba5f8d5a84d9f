"""From desks, folds and the worker's status to the one document that people read."""

from collections.abc import Mapping, Sequence

from serving.console.snapshot import (
    ArmSnapshot,
    DivergenceSnapshot,
    GuardSnapshot,
    ModelSnapshot,
    PnlPoint,
    RolloutSnapshot,
    WorkerSnapshot,
)
from serving.lineup import WorkerStatus
from serving.rollout.desk import Desk
from serving.rollout.model_fold import ModelFold
from serving.rollout.rollout_fold import RolloutFold
from serving.rollout.tally import ArmTally

_STALE_NS = 3_000_000_000
_CAME_OFF = ("rolled_back", "inconclusive", "withdrawn")


def model_snapshot(
    desk: Desk,
    fold: ModelFold | None,
    families: Mapping[int, str],
    feature_set: str,
    status: WorkerStatus | None,
    instruments: tuple[str, ...],
    names: Mapping[int, str],
) -> ModelSnapshot:
    """Return what is known of one model; `names` spells instruments as the journal numbers them."""
    judged = _judged(desk, fold)
    arms = _arms(desk, fold, judged, families, status)
    return ModelSnapshot(
        model=desk.state.model,
        instruments=instruments,
        epoch=status.epoch if status else 0,
        feature_set=feature_set,
        arms=arms,
        rollout=_rollout(desk, judged),
        pnl=_points(judged or (fold.rollouts.get(0) if fold else None)),
        divergence=_divergence(desk, fold, judged, {arm.version for arm in arms}, names),
    )


def worker_snapshot(name: str, status: WorkerStatus, now_ns: int, doors: Mapping[str, int]) -> WorkerSnapshot:
    """Return what is known of one worker; one that has said nothing for three seconds is not alive.

    Args:
        name: of the worker.
        status: what it wrote last.
        now_ns: wall clock.
        doors: ports of the doors beside it that listen.
    """
    alive = now_ns - status.written_ns < _STALE_NS
    ports = {"rest": status.rest_port} | dict(doors) if status.rest_port else dict(doors)
    return WorkerSnapshot(name=name, alive=alive, feed_port=status.feed_port, doors=ports, counters=status.counters)


def _judged(desk: Desk, fold: ModelFold | None) -> RolloutFold | None:
    rollout, last = desk.state.rollout, desk.state.last
    shown = rollout.rollout_id if rollout is not None else (last.rollout_id if last is not None else 0)
    return fold.rollouts.get(shown) if fold is not None and shown else None


def _arms(
    desk: Desk,
    fold: ModelFold | None,
    judged: RolloutFold | None,
    families: Mapping[int, str],
    status: WorkerStatus | None,
) -> tuple[ArmSnapshot, ...]:
    state, rollout = desk.state, desk.state.rollout
    tallies = _tallies(desk, fold, judged)
    served = _served(fold)
    share = desk.share if rollout is not None and not rollout.paused else 0.0
    arms = []
    if state.champion is not None:
        champion_share = None if served is None else 1.0 - served
        arms.append(
            _arm("champion", state.champion, "champion", 1.0 - share, champion_share, tallies, families, status)
        )
    if rollout is not None and rollout.kind == "challenger":
        arms.append(_arm("challenger", rollout.version, desk.status, share, served, tallies, families, status))
    if rollout is not None and rollout.kind == "bake" and rollout.control is not None:
        arms.append(_arm("shadow", rollout.control, "control", 0.0, None, tallies, families, status))
    for alias, version in sorted(desk.wanted.items()):
        if alias.startswith("shadow"):
            arms.append(_arm("shadow", version, "shadow", 0.0, None, tallies, families, status))
    last = state.last
    came_off = rollout is None and last is not None and last.rollout_id and last.verdict in _CAME_OFF
    if came_off and last is not None and last.version not in {arm.version for arm in arms}:
        # Until the next rollout begins, so that nobody has to look for what came off.
        arms.append(_arm("challenger", last.version, last.verdict, 0.0, None, tallies, families, status))
    return tuple(arms)


def _tallies(desk: Desk, fold: ModelFold | None, judged: RolloutFold | None) -> dict[int, ArmTally]:
    """Return the rollout's tallies while one runs; afterwards the champion's are those that still grow."""
    idle = fold.rollouts.get(0) if fold is not None else None
    outside = idle.arms if idle is not None else {}
    within = judged.arms if judged is not None else {}
    return {**outside, **within} if desk.state.rollout is not None else {**within, **outside}


def _served(fold: ModelFold | None) -> float | None:
    counts = fold.epoch_arms if fold is not None else [0, 0]
    return counts[1] / sum(counts) if sum(counts) else None


def _arm(
    arm: str,
    version: int,
    status_tag: str,
    share: float,
    served: float | None,
    tallies: Mapping[int, ArmTally],
    families: Mapping[int, str],
    status: WorkerStatus | None,
) -> ArmSnapshot:
    tally = tallies.get(version) or ArmTally(version, arm)
    slots = [slot for slot in (status.slots if status else ()) if slot.version == version]
    return ArmSnapshot(
        arm=arm,  # type: ignore[arg-type]  # one of the three by construction
        version=version,
        family=families.get(version, ""),
        status=status_tag,
        share=share,
        served_share=served,
        decisions=tally.decisions,
        trades=tally.trades,
        pnl_bps=tally.pnl_bps,
        paper_pnl_bps=tally.paper_pnl_bps,
        latency_p50_us=tally.latency_us(0.5),
        latency_p99_us=tally.latency_us(0.99),
        late=tally.late,
        failed=tally.failed,
        tier=slots[0].tier if slots else "",
        breaker=slots[0].breaker if slots else "closed",
    )


def _rollout(desk: Desk, judged: RolloutFold | None) -> RolloutSnapshot | None:
    rollout, last = desk.state.rollout, desk.state.last
    steps = desk.policy.rollout.steps
    if rollout is not None:
        step, kind, version, rollout_id = rollout.step, rollout.kind, rollout.version, rollout.rollout_id
    elif last is not None:
        step, kind, version, rollout_id = last.steps_done, last.kind, last.version, last.rollout_id  # type: ignore[assignment]
    else:
        return None
    bake = kind == "bake"
    needed = desk.policy.rollout.bake_decisions if bake else steps[min(step, len(steps) - 1)].min_decisions
    folded = judged.folded if judged else 0
    guards = judged.guards if judged else None
    reaction = judged.reaction if judged else None
    verdict = "" if rollout is not None or last is None else last.verdict
    paused_or_ready = "" if rollout is None else rollout.paused
    return RolloutSnapshot(
        rollout_id=rollout_id,
        kind=kind,
        version=version,
        state=("paused" if paused_or_ready else rollout.stage) if rollout is not None else verdict,
        step=step,
        steps=len(steps),
        share=desk.share if rollout is not None and not rollout.paused else 0.0,
        folded=folded,
        folded_in_step=(folded if bake else judged.folded_in_step) if judged else 0,
        needed_in_step=needed,
        paused=bool(paused_or_ready),
        verdict=verdict,
        guardrail="" if rollout is not None or last is None else last.guardrail,
        decision=None if rollout is not None or last is None else last.decision,
        reason=paused_or_ready or ("" if rollout is not None or last is None else last.reason),
        guards=guard_snapshots(judged),
        promotion_evidence=guards.promotion.evidence if guards and guards.promotion else 0.0,
        step_shares=tuple(one.share for one in steps),
        watches=judged.watching.readings() if judged else (),
        decisions_after=reaction.decisions if reaction else None,
        routed_without_us=reaction.took_us if reaction else None,
    )


def _divergence(
    desk: Desk, fold: ModelFold | None, judged: RolloutFold | None, shown: set[int], names: Mapping[int, str]
) -> tuple[DivergenceSnapshot, ...]:
    """Return the rollout's while one runs; afterwards what still grows comes first. Only of versions in the line-up."""
    outside = fold.rollouts.get(0) if fold is not None else None
    folds = (judged,) if desk.state.rollout is not None else (outside, judged)
    found: dict[int, list[DivergenceSnapshot]] = {}
    for one in folds:
        said = set(found)
        for reading in one.divergences.readings() if one is not None else ():
            if reading.version in shown and reading.version not in said:
                name = "" if reading.instrument is None else names.get(reading.instrument, f"#{reading.instrument}")
                fields = {field: getattr(reading, field) for field in reading.__struct_fields__}
                found.setdefault(reading.version, []).append(DivergenceSnapshot(**fields | {"instrument": name}))
    return tuple(row for rows in found.values() for row in rows)


def guard_snapshots(judged: RolloutFold | None) -> tuple[GuardSnapshot, ...]:
    """Return every guardrail of the rollout as the console shows it."""
    readings = judged.guards.readings() if judged else ()
    return tuple(
        GuardSnapshot(name=reading.name, evidence=reading.evidence, events=reading.events, detail=reading.detail)
        for reading in readings
    )


def _points(fold: RolloutFold | None) -> tuple[PnlPoint, ...]:
    arms: Sequence[ArmTally] = tuple(fold.arms.values()) if fold is not None else ()
    return tuple(
        PnlPoint(event_ns=at, version=arm.version, arm=arm.arm, pnl_bps=pnl) for arm in arms for at, pnl in arm.curve
    )
