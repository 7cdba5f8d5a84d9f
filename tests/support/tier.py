"""A tier without a worker: a registry in memory, a table in memory, a journal written by hand."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from data_contracts.manifest import (
    GOLDEN_FILE,
    MODEL_FILE,
    DecisionRule,
    Label,
    Manifest,
    sha256_of,
    write_manifest,
)
from data_contracts.policy import Policy
from data_contracts.settings import ServedModel
from market_data.feature_sets import feature_set
from native._native import Route
from registry.memory import MemoryRegistry
from serving.controller.controller import Controller
from serving.lineup import LINEUP_FILE, Lineup, SlotStatus, WorkerStatus, read_whole, write_whole
from support.journals import BAKING, SyntheticWorker, World

MODEL = "m"


def version_folder(
    folder: Path, *, family: str = "linear", features: str = "quotes_v1", feature_hash: str = ""
) -> Path:
    """Write a version's files; the graph is never run here."""
    folder.mkdir(parents=True)
    (folder / MODEL_FILE).write_bytes(b"graph of " + family.encode())
    (folder / GOLDEN_FILE).write_text('{"inputs": [], "outputs": []}')
    live = feature_set(features)
    manifest = Manifest(
        model=MODEL,
        family=family,
        feature_set=features,
        feature_hash=feature_hash or live.hash,
        inputs=len(live.features),
        outputs=1,
        rule=DecisionRule(kind="expected_bps", threshold=0.1),
        label=Label(kind="mid_move", horizon_ns=1_000_000_000),
        data=(),
        metrics={},
        parity_tolerance=1e-4,
        source_commit="0" * 40,
        files={name: sha256_of(folder / name) for name in (MODEL_FILE, GOLDEN_FILE)},
    )
    write_manifest(folder, manifest)
    return folder


class MemoryTable:
    """Routes as the native table keeps them."""

    def __init__(self) -> None:
        self.epoch, self.routes = 0, []
        self.beats = 0

    def publish(self, routes: Sequence[Route], after: int = 0) -> int:
        self.epoch = max(self.epoch, after) + 1
        self.routes = list(routes)
        return self.epoch

    def read(self) -> tuple[int, list[Route]]:
        return self.epoch, self.routes

    def beat(self) -> None:
        self.beats += 1


class Tier:
    """Controller and a synthetic worker, turned by hand."""

    def __init__(
        self, tmp_path: Path, policy: Policy, registry: MemoryRegistry | None = None, policy_file: Path | None = None
    ) -> None:
        self.path, self.policy, self.policy_file = tmp_path, policy, policy_file
        self.state_dir = tmp_path / "state"
        self.registry = registry or MemoryRegistry()
        self.table = MemoryTable()
        self.worker = SyntheticWorker(lambda r, i: self.draws[self._judged()](r, i))
        self.draws: dict[int, Callable[..., World]] = {}
        self.told: list[dict] = []
        """What others were told, by all controllers."""
        self.adopted = 0
        self.controller = self.new_controller()

    def new_controller(self) -> Controller:
        return Controller(
            registry=self.registry,
            models=(ServedModel(name=MODEL),),
            policy=self.policy,
            policy_file=self.policy_file,
            notifier=self,
            state_dir=self.state_dir,
            table=self.table,
        )

    def tell(self, event: dict) -> None:
        self.told.append(event)

    def restart_controller(self) -> None:
        """Kill and start: nothing but the state folder and the table survives."""
        self.controller.versions.stop()  # a thread of this process; everything else is left as it lies
        self.controller = self.new_controller()

    def register(self, draw: Callable[..., World], **options: str) -> int:
        count = len(self.draws) + 1
        folder = version_folder(self.path / f"made-{count}", family=f"family-{count}", **options)
        version = self.registry.publish(MODEL, folder, tags={})
        self.draws[version] = draw
        return version

    @property
    def desk(self):
        return self.controller.desks[MODEL]

    @property
    def route(self) -> Route:
        return self.table.routes[0]

    def status_of(self, version: int) -> str:
        return self.registry.version(MODEL, version).tags.get("ringcraft.status", "")

    def turn(self, decisions: int = 0) -> None:
        """Let everybody do one round: worker, poll, controller, write-back."""
        self._work(decisions)
        self.controller.follower.poll()
        self.controller.turn()
        self.controller.writer.flush()

    def until(self, met: Callable[[], bool], decisions: int = 0, rounds: int = 400) -> None:
        for _ in range(rounds):
            self.turn(decisions)
            if met():
                return
            if not decisions:
                time.sleep(0.005)  # the preparer has its own thread
        raise AssertionError(f"in vain; rollout: {self.desk.state}")

    def ended(self) -> list[tuple[int, int, str, str, int | None]]:
        """Ends in order: rollout id, version, verdict, guardrail, decision."""
        entries = [entry.ended for entry in self.controller._book.entries if entry.ended is not None]
        return [(e.rollout_id, e.version, e.verdict, e.guardrail, e.decision) for e in entries]

    def _judged(self) -> int:
        route = self.worker.route
        return route["champion"] if route["phase"] in BAKING else (route["challenger"] or route["champion"])

    def _work(self, decisions: int) -> None:
        self._hold_ready()
        if self.table.epoch != self.adopted and self.table.routes:
            self.adopted, route = self.table.epoch, self.route
            self.worker.adopt(
                rollout_id=route.rollout_id,
                champion=route.champion_version,
                challenger=route.challenger_version,
                share_bps=route.share_bps,
                phase=route.phase,
                step=route.step,
            )
        if decisions and self.worker.route.get("champion"):
            self.worker.decide(decisions)
        self.worker.writer.append_to(self.state_dir / "journal" / "worker-0")

    def _hold_ready(self) -> None:
        lineup = read_whole(self.state_dir / LINEUP_FILE, Lineup)
        slots = [
            SlotStatus(model=line.name, slot=slot.slot, version=slot.version, state="ready", tier="onnxruntime")
            for line in (lineup.models if lineup else ())
            for slot in line.slots
        ]
        path = self.state_dir / "worker-0" / "status.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        status = WorkerStatus(
            pid=1,
            written_ns=time.time_ns(),
            generation=lineup.generation if lineup else 0,
            epoch=self.adopted,
            feed_port=1,
            slots=tuple(slots),
            instruments=(),
            counters={},
        )
        write_whole(path, status)
