"""Every version on its way into the worker: asked for, verified, in the line-up, ready; per model."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from native._native import Route
from registry.port import ModelRegistry
from serving.controller.preparer import Answer, Postponed, Prepared, Preparer, Refusal, prepare
from serving.controller.publisher import Publisher
from serving.controller.writer import REFUSED, Writer
from serving.lineup import SlotStatus, WorkerStatus
from serving.rollout.desk import Desk

RETRY_REFUSED_S: Final = 5.0
POSTPONED_S: Final = 1.0


class Versions:
    """What is verified and what is ready; tells the desks, and the worker by its line-up. One thread."""

    def __init__(
        self,
        desks: Mapping[str, Desk],
        registry: ModelRegistry,
        folder: Path,
        writer: Writer,
        publisher: Publisher,
        *,
        woken: Callable[[], None],
        unfit: Callable[[str, int, str], None],
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """Begin with nothing verified.

        Args:
            desks: by model; told what passed its checks and what was refused.
            registry: where files and tags are.
            folder: below which files are kept, MODEL/VERSION each.
            writer: knows of statuses that are not written back yet.
            publisher: writes the line-up.
            woken: called, from another thread, when something has been verified or refused.
            unfit: told of a champion that is refused: model, version, reason.
            wall_ns: our clock.
        """
        self._wall_ns = wall_ns
        self._desks, self._registry, self._folder, self._writer = desks, registry, folder, writer
        self._publisher, self._unfit = publisher, unfit
        self.preparer = Preparer(self._prepare, woken)
        self._prepared: dict[str, dict[int, Prepared]] = {name: {} for name in desks}
        self._families: dict[str, dict[int, str]] = {name: {} for name in desks}
        self._ready: dict[str, dict[int, int]] = {name: {} for name in desks}
        self._verified_ns: dict[tuple[str, int], int] = {}
        self._warmed_ns: dict[tuple[str, int], int] = {}
        self._ask_again: dict[tuple[str, int], float] = {}
        self._failed: set[tuple[str, int]] = set()
        """What the worker could not load: the same files will not load in five seconds either."""
        self._retry_at = dict.fromkeys(desks, 0.0)

    def stop(self) -> None:
        """End what is under way."""
        self.preparer.stop()

    @property
    def hurried(self) -> bool:
        """Whether a verified version waits for its worker."""
        return any(
            version in self._prepared[name] and not desk.has_passed(version)
            for name, desk in self._desks.items()
            for version in desk.versions()
        )

    def ready(self, model: str) -> Mapping[int, int]:
        """Return version -> slot of those that the worker has, or had, ready."""
        return self._ready[model]

    def families(self, model: str) -> Mapping[int, str]:
        """Return the family of every version ever verified: one that came off is shown with it all the same."""
        return self._families[model]

    def feature_set(self, model: str) -> str:
        """Return what the champion reads; empty while it is not verified."""
        champion = self._prepared[model].get(self._desks[model].state.champion or 0)
        return champion.manifest.feature_set if champion else ""

    def times(self, model: str, version: int) -> tuple[int | None, int | None]:
        """Return when the version was last verified and then said to be ready, by our clock; None: not since we run."""
        return self._verified_ns.get((model, version)), self._warmed_ns.get((model, version))

    def forget(self, model: str, version: int) -> None:
        """Have a version's tag and files looked at again before it serves again."""
        self._prepared[model].pop(version, None)

    def retry_refused(self, model: str) -> None:
        """Ask again for what was refused and is still under its alias, every few seconds."""
        if self._retry_at[model] > time.monotonic():
            return
        for version in self._desks[model].retryable():
            self._retry_at[model] = time.monotonic() + RETRY_REFUSED_S
            self.preparer.ask(model, version)

    def ask(self, routes: Sequence[Route]) -> None:
        """Ask for every version that is wanted and not verified, and forget those that nothing wants or routes to."""
        for name, desk in self._desks.items():
            prepared, wanted = self._prepared[name], desk.versions()
            for version in prepared.keys() - {*wanted, *_routed(desk, routes)}:
                del prepared[version]  # looked at again, files and tags, before it serves again
            for version in wanted:
                due = self._ask_again.get((name, version), 0.0) <= time.monotonic()
                if version not in prepared and due:
                    self.preparer.ask(name, version)

    def take_prepared(self) -> None:
        """Take in what was verified or refused since the last call."""
        for answer in self.preparer.answers():
            desk, key = self._desks[answer.model], (answer.model, answer.version)
            if isinstance(answer, Postponed):
                self._ask_again[key] = time.monotonic() + POSTPONED_S
                continue
            if isinstance(answer, Refusal):
                self._ask_again[key] = time.monotonic() + RETRY_REFUSED_S
                if answer.version == desk.state.champion:
                    self._unfit(answer.model, answer.version, answer.reason)
                desk.refused(answer.version, answer.reason, status=answer.status)
                continue
            reason = self._misfit(desk, answer)
            if reason:
                desk.refused(answer.version, reason)
                continue
            again = answer.version in desk.retryable()
            if again and key in self._failed and answer.status == REFUSED:
                continue  # nobody has cleared its tag since
            self._failed.discard(key)
            self._prepared[answer.model][answer.version] = answer
            self._families[answer.model][answer.version] = answer.manifest.family
            self._verified_ns[key] = self._wall_ns()
            self._warmed_ns.pop(key, None)
            if again:
                desk.retry(answer.version)

    def take_status(self, status: WorkerStatus) -> None:
        """Take in what the worker says of its slots."""
        for name, desk in self._desks.items():
            assigned = self._publisher.assigned(name)
            for slot in status.slots:
                if slot.model == name and assigned.get(slot.version) == slot.slot:
                    self._take_slot(desk, slot)

    def write_lineup(self, instruments: Mapping[str, tuple[str, ...]], routes: Sequence[Route]) -> None:
        """Tell the worker what to hold ready: what is verified, and what `routes` may still send it decisions for."""
        lineups = []
        for name, desk in self._desks.items():
            if not live_versions(desk) <= self._prepared[name].keys():
                return  # after a restart: not everything that is served has been verified again yet
            routed = _routed(desk, routes)
            for version in self._ready[name].keys() - {*desk.versions(), *routed}:
                del self._ready[name][version]
            lineup = self._publisher.lineup(desk, self._prepared[name], instruments[name], routed)
            if lineup is not None:
                lineups.append(lineup)
        if lineups:
            self._publisher.write(tuple(lineups))

    def _prepare(self, model: str, version: int) -> Answer:
        serving = version in live_versions(self._desks[model])
        status = self._writer.waiting_status(model, version)
        return prepare(self._registry, self._folder, model, version, serving=serving, status=status)

    def _misfit(self, desk: Desk, answer: Prepared) -> str:
        """Say why the version cannot stand beside the champion; empty where it can."""
        champion = self._prepared[answer.model].get(desk.state.champion or 0)
        if champion is None or desk.wanted.get("champion") == answer.version:
            return ""
        reads, offered = champion.manifest, answer.manifest
        if reads.feature_set != offered.feature_set:
            return f"feature set: expected {reads.feature_set}, as the champion reads, got {offered.feature_set}"
        if reads.feature_hash != offered.feature_hash:
            expected = f"hash {reads.feature_hash}, as the champion reads"
            return f"feature set {reads.feature_set}: expected {expected}, got {offered.feature_hash}"
        return ""

    def _take_slot(self, desk: Desk, slot: SlotStatus) -> None:
        model, version = slot.model, slot.version
        if slot.state == "failed":
            self._ready[model].pop(version, None)
            self._failed.add((model, version))
            desk.refused(version, slot.reason or "the worker could not load it")
            return
        # Once ready it stays so while it keeps its slot: a worker that starts anew loads its slots before it decides.
        self._ready[model][version] = slot.slot
        if version in self._prepared[model]:
            self._warmed_ns.setdefault((model, version), self._wall_ns())
        if version in self._prepared[model] and version in desk.versions() and not desk.has_passed(version):
            desk.passed(version)


def live_versions(desk: Desk) -> set[int]:
    """Return the champion and, while a rollout is live, its two versions."""
    rollout = desk.state.rollout
    live = {desk.state.champion} | ({rollout.version, rollout.control} if rollout and rollout.live else set())
    return {version for version in live if version is not None}


def _routed(desk: Desk, routes: Sequence[Route]) -> list[int]:
    """Return versions that a decision may still be routed to: of the routes published, until the worker has them."""
    ours = [route for route in routes if route.model == desk.state.index]
    return [v for r in ours for v in (r.champion_version, r.challenger_version, *r.shadow_versions) if v]
