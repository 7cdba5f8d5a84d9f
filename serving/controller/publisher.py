"""Tells workers what to hold ready and who answers; the only writer of line-up and routing table."""

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

from data_contracts.journal import Phase
from native._native import Route
from serving.controller.preparer import Prepared
from serving.controller.salts import ASSIGN_BY
from serving.lineup import (
    LINEUP_FILE,
    SLOTS_MAX,
    Lineup,
    ModelLineup,
    Slot,
    WorkerStatus,
    read_whole,
    write_whole,
)
from serving.rollout.desk import Desk

NO_SLOT: Final = 255
SHADOWS_MAX: Final = 4
BEAT_S: Final = 0.2
ALIVE_S: Final = 1.0
"""A loop that has not turned for so long is not judging."""


class Table(Protocol):
    """The routing table, as native code offers it."""

    def publish(self, routes: Sequence[Route], after: int = 0) -> int:
        """Put routes in force; return the epoch, the table's next or, where that is more, the one after `after`."""
        ...

    def read(self) -> tuple[int, list[Route]]:
        """Return the epoch in force and its routes."""
        ...

    def beat(self) -> None:
        """Say that somebody judges."""
        ...


class Heartbeat:
    """Beats from a thread of its own for as long as the loop turns."""

    def __init__(self, table: Table, clock: Callable[[], float] = time.monotonic) -> None:
        """Prepare; `turned` must be called from the loop."""
        self._table, self._clock = table, clock
        self._turned = float("-inf")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Begin to beat."""
        self._thread.start()

    def stop(self) -> None:
        """Beat no more."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(2.0)

    def turned(self) -> None:
        """Say that the loop has just gone round."""
        self._turned = self._clock()

    def _run(self) -> None:
        while not self._stop.wait(BEAT_S):
            if self._clock() - self._turned < ALIVE_S:
                self._table.beat()


class SlotBook:
    """Which version sits in which slot of a worker; a version keeps its place while it is wanted."""

    def __init__(self, slots: Mapping[int, int]) -> None:
        """Start with the slots of an earlier line-up."""
        self._slots = dict(slots)

    def assign(self, wanted: Sequence[int], routed: Sequence[int]) -> dict[int, int]:
        """Return version -> slot; versions that are still routed keep theirs even if unwanted.

        Where there are too many, the last ones wanted stay out.
        """
        kept = {*wanted, *routed}
        self._slots = {version: slot for version, slot in self._slots.items() if version in kept}
        free = [slot for slot in range(SLOTS_MAX) if slot not in self._slots.values()]
        for version in wanted:
            if version not in self._slots and free:
                self._slots[version] = free.pop(0)
        return dict(self._slots)


class Publisher:
    """Writes lineup.json and reads status.json; generation by generation."""

    def __init__(self, state_dir: Path, worker: str) -> None:
        """Take up the generation where the last controller left it."""
        self._lineup_path = state_dir / LINEUP_FILE
        self._status_path = state_dir / worker / "status.json"
        earlier = read_whole(self._lineup_path, Lineup)
        self._generation = earlier.generation if earlier else 0
        self._models = earlier.models if earlier else ()
        self._books = {
            model.index: SlotBook({slot.version: slot.slot for slot in model.slots})
            for model in (earlier.models if earlier else ())
        }

    def status(self) -> WorkerStatus | None:
        """Return the worker's last word; None where it never spoke."""
        return read_whole(self._status_path, WorkerStatus)

    def lineup(
        self, desk: Desk, prepared: Mapping[int, Prepared], instruments: tuple[str, ...], routed: Sequence[int]
    ) -> ModelLineup | None:
        """Return the model's line-up; None while no version of it is prepared."""
        here = [prepared[version] for version in desk.versions() if version in prepared]
        if not here:
            return None
        book = self._books.setdefault(desk.state.index, SlotBook({}))
        slots = book.assign([version.version for version in here], [v for v in routed if v in prepared])
        policy, lead = desk.policy, here[0].manifest
        budget_ns = int(policy.guardrails.latency.budget_us * 1000)
        return ModelLineup(
            index=desk.state.index,
            name=desk.state.model,
            feature_set=lead.feature_set,
            features=lead.features,
            instruments=instruments,
            slots=tuple(
                Slot(slot=slot, version=v, folder=str(prepared[v].folder.resolve()), latency_budget_ns=budget_ns)
                for v, slot in sorted(slots.items(), key=lambda item: item[1])
            ),
            horizon_ns=lead.label.horizon_ns,
            entry_latency_ns=int(policy.outcomes.entry_latency_ms * 1e6),
            min_interval_ns=int(policy.decisions.min_interval_ms * 1e6),
            late_or_failed_of_64=policy.limits.late_or_failed_of_64,
            output_abs_max=policy.limits.output_abs_max,
            loss_budget_bps=policy.limits.loss_budget_bps,
            drawdown_budget_bps=policy.limits.drawdown_budget_bps,
            position_lots_max=policy.limits.position_lots_max,
            notional_max=policy.limits.notional_max,
            decisions_per_second_max=policy.limits.decisions_per_second_max,
            model_age_max_ns=_days_ns(policy.limits.model_age_days_max),
            extra_horizons_ns=tuple(round(seconds * 1e9) for seconds in policy.outcomes.horizons_seconds),
            window=max(prepared[v].manifest.window for v in slots),
        )

    def write(self, models: tuple[ModelLineup, ...]) -> None:
        """Write the line-up where it differs from what is there."""
        if models == self._models:
            return
        self._generation += 1
        self._models = models
        write_whole(self._lineup_path, Lineup(generation=self._generation, models=models))

    def assigned(self, model: str) -> dict[int, int]:
        """Return version -> slot of the model in the line-up last written."""
        return {slot.version: slot.slot for line in self._models if line.name == model for slot in line.slots}


def route_of(desk: Desk, ready: Mapping[int, int], salt: int, *, begun: Collection[int]) -> Route:
    """Return who answers for the model: only versions that the worker has, or had, ready.

    A live rollout keeps its id whatever is ready just now: another id would end it in the journal. One whose id is
    not in `begun` is not routed yet.
    """
    state, rollout = desk.state, desk.state.rollout
    if rollout is not None and rollout.rollout_id not in begun:
        rollout = None
    champion = state.champion if state.champion in ready else None
    route: dict[str, int] = {"model": state.index, "salt": salt, "assign_by": ASSIGN_BY[desk.policy.assignment.by]}
    if champion is not None:
        route |= {"champion_slot": ready[champion], "champion_version": champion}
    if rollout is not None and rollout.live:
        other = (rollout.control if rollout.kind == "bake" else rollout.version) or 0
        route |= {"rollout_id": rollout.rollout_id, "step": rollout.step}
        route |= {"champion_version": state.champion or 0, "challenger_version": other}
        judged = champion is not None and other in ready and not rollout.paused
        phase, share = _phase(desk, paused=not judged)
        route |= {"phase": int(phase), "share_bps": round(share * 10_000)}
        route |= {"challenger_slot": ready.get(other, NO_SLOT)}
    taken = (champion, route.get("challenger_version"))
    held = [v for alias, v in sorted(desk.wanted.items()) if alias.startswith("shadow") and v in ready]
    shadows = [v for v in dict.fromkeys(held) if v not in taken][:SHADOWS_MAX]
    gaps = SHADOWS_MAX - len(shadows)
    return Route(
        **route,
        shadow_slots=[*(ready[v] for v in shadows), *[NO_SLOT] * gaps],
        shadow_versions=[*shadows, *[0] * gaps],
    )


def _phase(desk: Desk, *, paused: bool) -> tuple[Phase, float]:
    rollout = desk.state.rollout
    if rollout is not None and rollout.kind == "bake":
        # Named apart: whoever reads a journal that begins with a pause must know who is on trial.
        return Phase.BAKE_PAUSED if paused else Phase.BAKE, 0.0
    if paused:
        return Phase.PAUSED, 0.0
    return (Phase.AB, desk.share) if desk.share else (Phase.SHADOW, 0.0)


def _days_ns(days: float | None) -> int | None:
    return None if days is None else round(days * 86_400e9)


def same_route(one: Route, other: Route) -> bool:
    """Whether two routes are the same."""
    return all(getattr(one, name) == getattr(other, name) for name in _FIELDS)


_FIELDS: Final = (
    "model",
    "rollout_id",
    "champion_slot",
    "champion_version",
    "challenger_slot",
    "challenger_version",
    "share_bps",
    "phase",
    "step",
    "shadow_slots",
    "shadow_versions",
    "salt",
    "assign_by",
)
