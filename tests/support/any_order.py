"""A tier whose every part moves only when it is told to: what a test of all interleavings drives."""

import os
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import make_url

from data_contracts.journal import AbstainReason
from data_contracts.policy import Policy
from data_contracts.settings import ServedModel
from native._native import Route
from registry.memory import MemoryRegistry
from serving.controller.controller import Controller
from serving.journal import read_journal
from serving.judge import RolloutVerdict, verdicts
from serving.lineup import LINEUP_FILE, Lineup, SlotStatus, WorkerStatus, read_whole, write_whole
from serving.outcomes.sql_store import SqlOutcomeStore
from serving.rollout.desk_state import copy_of
from serving.rollout.fold import JournalFold
from serving.rollout.policies import policies_beside
from support.crashes import HandPreparer, Killed, Killer
from support.journals import BAKING, Answer, SyntheticWorker, World
from support.tier import MODEL, MemoryTable, Tier

GOOD, FAILING, LATE, BROKEN, LOSING, TAMPERED, UNLOADABLE = (1, 2, 3), 4, 5, 6, 7, 8, 9
"""Versions by what they are: three alike; answers fail; answers are late; PnL is NaN; loses live; two never serve."""
VERSIONS = (*GOOD, FAILING, LATE, BROKEN, LOSING, TAMPERED, UNLOADABLE)
SOUND = frozenset(VERSIONS) - {TAMPERED, UNLOADABLE}


class HandTier(Tier):
    """Controller, registry, worker; each does one thing at a time."""

    def __init__(self, path: Path, policy: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("serving.controller.versions.Preparer", HandPreparer)
        monkeypatch.setattr("serving.controller.versions.RETRY_REFUSED_S", 0.0)
        monkeypatch.setattr("serving.controller.versions.POSTPONED_S", 0.0)
        monkeypatch.setattr("serving.controller.judging.SAVE_S", 0.0)  # what was folded is kept at every turn
        monkeypatch.setattr("serving.controller.judging._SAVE_SHARE", 1e9)
        self.killer, registry, table = Killer(), MemoryRegistry(), MemoryTable()
        self.killer.watch(monkeypatch, registry, table)
        self.outcomes = SqlOutcomeStore(make_url("sqlite://"))  # a database outlives a controller; a disk is not needed
        super().__init__(path, policy, registry)
        self.table = table
        self.worker = SyntheticWorker(self._draw)
        for _ in VERSIONS:
            self.register(self._draw)
        registry._models[MODEL].versions[TAMPERED].files["model.onnx"] = b"something else"
        self.controller = self.new_controller()
        self.restarts = 0

    def new_controller(self) -> Controller:
        return Controller(
            registry=self.registry,
            models=(ServedModel(name=MODEL),),
            policy=self.policy,
            policy_file=self.policy_file,
            state_dir=self.state_dir,
            table=self.table,
            outcomes=self.outcomes,
        )

    # --- parts ----------------------------------------------------------------

    def poll(self) -> None:
        self.controller.follower.poll()

    def prepare(self) -> None:
        self.controller.versions.preparer.work()

    def turn_controller(self) -> None:
        self.mortal(self.controller.turn)

    def write_back(self) -> None:
        self.mortal(self.controller.writer.flush)

    def adopt(self) -> None:
        """Let the worker load what the line-up names and take the routes that are published."""
        self._hold_ready()
        if self.table.epoch != self.adopted and self.table.routes:
            self.adopted, route = self.table.epoch, self.route
            self.worker.adopt(
                rollout_id=route.rollout_id,
                champion=route.champion_version if route.champion_slot != 255 else 0,
                challenger=route.challenger_version,
                share_bps=route.share_bps,
                phase=route.phase,
                step=route.step,
            )

    def decide(self, count: int) -> None:
        if self.worker.route.get("champion"):
            self.worker.decide(count)

    def append(self) -> None:
        self.worker.writer.append_to(self.state_dir / "journal" / "worker-0")

    def restart_worker(self) -> None:
        """What it had decided is in the journal; what these decisions earned, nobody will say."""
        self.worker.due.clear()
        self.adopted = 0

    def mortal(self, act) -> None:
        """Let the controller do something; where it is killed at it, start another."""
        self.killer.watching = True
        try:
            act()
        except Killed:
            self.killer.watching = False
            self.restart()
        finally:
            self.killer.watching = False

    def restart(self) -> None:
        self.killer.left = None
        self.close()
        self.controller = self.new_controller()
        self.restarts += 1

    def close(self) -> None:
        """Let go of the files that a controller, made or half made, holds until its process ends."""
        for handle in list(Path("/proc/self/fd").iterdir()):
            with suppress(OSError):  # of the listing itself
                if handle.readlink().is_relative_to(self.state_dir):
                    os.close(int(handle.name))

    # --- what is known of it --------------------------------------------------

    def judged(self) -> dict[int, RolloutVerdict]:
        """Return what the offline judge says of the journal as it lies."""
        folder = self.state_dir / "journal"
        if not (folder / "worker-0").exists():
            return {}
        fold = JournalFold(policies_beside(folder).of)
        fold.consume(read_journal(folder).records)
        return {verdict.rollout_id: verdict for verdict in verdicts(fold)}

    def booked(self) -> dict[int, tuple[str, str, int | None]]:
        """Return how the book says that each rollout ended; one without an end is left out."""
        entries = [entry for entry in self.controller._book.entries if entry.rollout_id and entry.ended]
        assert len({entry.rollout_id for entry in entries}) == len(entries)
        return {e.rollout_id: (e.ended.verdict, e.ended.guardrail, e.ended.decision) for e in entries}

    def settle(self, rounds: int = 8) -> None:
        """Let everybody do what is left to be done."""
        self.killer.left = None
        self.registry.reachable = True
        for _ in range(rounds):
            self.poll()
            self.prepare()
            self.turn_controller()
            self.adopt()
            self.append()
            self.write_back()

    def desk_state(self):
        return copy_of(self.desk.state)

    def _hold_ready(self) -> None:
        lineup = read_whole(self.state_dir / LINEUP_FILE, Lineup)
        path = self.state_dir / "worker-0" / "status.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        slots = [
            SlotStatus(
                model=line.name,
                slot=slot.slot,
                version=slot.version,
                state="failed" if slot.version == UNLOADABLE else "ready",
                reason="no such operator" if slot.version == UNLOADABLE else "",
            )
            for line in (lineup.models if lineup else ())
            for slot in line.slots
        ]
        status = WorkerStatus(
            pid=1,
            written_ns=self.controller._wall_ns(),
            generation=lineup.generation if lineup else 0,
            epoch=self.adopted,
            feed_port=1,
            slots=tuple(slots),
            instruments=(),
            counters={},
        )
        write_whole(path, status)

    def _draw(self, random, decision: int) -> World:
        move = float(random.standard_t(4))
        route = self.worker.route
        judged, control = route["challenger"], route["champion"]
        if route["phase"] in BAKING:
            judged, control = control, judged
        earned = float("nan") if BROKEN in (judged, control) else move - 0.1
        buy = -400.0 if LOSING in (judged, control) and route["share_bps"] else earned
        return World(self._answer(random, control), self._answer(random, judged), buy, -move - 0.1)

    def _answer(self, random, version: int) -> Answer:
        if version == FAILING:
            return Answer(abstain=int(AbstainReason.MODEL_FAILED))
        latency_ns = 5_000_000 if version == LATE else 20_000
        action = 1 if version in (BROKEN, LOSING) else int(random.integers(-1, 2))
        return Answer(action=action, latency_ns=latency_ns)


def whole(route: Route) -> dict[str, int]:
    """Return what acts by a route: champion and challenger version, 0 for none; and the share in basis points."""
    return {
        "champion": route.champion_version if route.champion_slot != 255 else 0,
        "challenger": route.challenger_version if route.share_bps else 0,
        "share_bps": route.share_bps,
    }
