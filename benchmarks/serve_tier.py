"""A worker process for measuring its doors, and what a controller does for it: line-ups, routes, a heartbeat."""

import resource
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

import numpy as np
import onnx

from benchmarks import engine_graphs, versions
from benchmarks.serve_load import Target, features, infer_body, post
from benchmarks.serve_worker import WIDE
from data_contracts.errors import MissingDependencyError, ModelError
from data_contracts.journal import Phase
from data_contracts.manifest import DecisionRule
from native._native import Route, RoutingTable
from ringcraft.child import Child
from serving import shared_memory
from serving.lineup import LINEUP_FILE, STATUS_FILE, Lineup, ModelLineup, Slot, WorkerStatus, read_whole, write_whole

WIDTH: Final = len(WIDE.features)
HORIZON_NS: Final = 1_000_000_000
_NO_SLOT: Final = 255
_BUDGET_NS: Final = 1_000_000
_BEAT_S: Final = 0.2
_LOOK_S: Final = 0.005
_LIMIT_S: Final = 60.0


class Kind(NamedTuple):
    """One sort of model."""

    name: str
    model: Callable[[], onnx.ModelProto]
    rule: DecisionRule


KINDS: Final = (
    Kind("dense", engine_graphs.dense, DecisionRule(kind="up_minus_down", threshold=0.05)),
    Kind("trees", lambda: engine_graphs.forest(100, 6, WIDTH), DecisionRule(kind="expected_bps", threshold=1.0)),
)


def write_wide(folder: Path, kind: Kind) -> Path:
    """Write a version of 64 inputs under the name of its kind; return the folder."""
    return versions.write_version(
        folder,
        lambda path: onnx.save(kind.model(), path),
        model=kind.name,
        horizon_ns=HORIZON_NS,
        golden_inputs=np.random.default_rng(3).normal(size=(8, WIDTH)).astype(np.float32),
        family=kind.name,
        feature_set=WIDE.name,
        feature_hash=WIDE.hash,
        inputs=WIDTH,
        rule=kind.rule,
        parity_tolerance=1e-3,
    )


class BenchTier:
    """A worker with one champion of each kind, in `folder`; started and stopped as a context."""

    def __init__(self, folder: Path, *, cores: Sequence[int], busy_poll: bool = False) -> None:
        """Prepare.

        Args:
            folder: where everything lies; made here.
            cores: the process's; the decision thread is pinned to the first.
            busy_poll: the decision thread never sleeps.
        """
        self.state = folder / "state"
        self.state.mkdir(parents=True)
        self._folder, self._generation = folder, 0
        self.folders = {kind.name: write_wide(folder / kind.name, kind) for kind in KINDS}
        config = folder / "ringcraft.toml"
        ports = "feed_port = 0\nrest_port = 0\nconsole_port = 0\n"
        polls = f"busy_poll = {'true' if busy_poll else 'false'}\nworker_core = {cores[0]}\n"
        config.write_text(f'state_dir = "{self.state}"\n[serving]\n{ports}{polls}')
        allowed = ",".join(map(str, cores))
        command = ["taskset", "-c", allowed, sys.executable, "-m", "benchmarks.serve_worker", "--config", str(config)]
        root = str(Path(__file__).resolve().parents[1])
        self.log = folder / "worker.log"
        self._child = Child(command, name="worker", log=self.log, environment={"PYTHONPATH": root})
        self._routing_path = shared_memory.path(self.state, shared_memory.ROUTING)
        self._routing = RoutingTable.create(str(self._routing_path))
        self._stopped = threading.Event()
        self._beater = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Self:
        self.hold({kind.name: {0: 1} for kind in KINDS})
        self.route({kind.name: (0, 1) for kind in KINDS})
        self._beater.start()
        self._child.start()
        self._until(lambda: self.status is not None and self.status.generation == self._generation)
        assert self.status is not None
        if any(slot.state != "ready" for slot in self.status.slots):
            raise ModelError(f"versions that are not ready: {self.status.slots}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._child.stop()
        self._beater.join()
        names = (shared_memory.ROUTING, *shared_memory.of_worker("worker-0"))
        for name in names:
            shared_memory.path(self.state, name).unlink(missing_ok=True)

    @property
    def status(self) -> WorkerStatus | None:
        """What the worker says of itself; None before it says anything."""
        return read_whole(self.state / "worker-0" / STATUS_FILE, WorkerStatus)

    def target(self, kind: str) -> Target:
        """Return the REST door, and a question of one row to the model of that kind."""
        pid = self.pid
        return Target(
            self._said.rest_port, post(f"/v2/models/{kind}/infer", infer_body(features(WIDTH))), lambda: [pid]
        )

    @property
    def pid(self) -> int:
        """Of the worker."""
        return self._said.pid

    def counter(self, name: str, *, after_s: float) -> int:
        """Return a counter of the worker's as it was told last, once so much time is over."""
        time.sleep(after_s)
        return self._said.counters[name]

    def resident_bytes(self) -> int:
        """Return what the worker holds in memory now, without what it shares with others."""
        pages = [int(count) for count in Path(f"/proc/{self.pid}/statm").read_text().split()]
        return (pages[1] - pages[2]) * resource.getpagesize()

    def forget_journal(self) -> None:
        """Remove what the journal has finished with."""
        for segment in sorted(shared_memory.journal_folder(self.state, "worker-0").iterdir())[:-2]:
            segment.unlink()

    def hold(self, slots: Mapping[str, Mapping[int, int]], *, wait: bool = False) -> None:
        """Have the worker hold versions ready: by model, version by slot. All of a model's have the same files."""
        self._generation += 1
        models = [
            ModelLineup(
                index=index,
                name=kind.name,
                feature_set=WIDE.name,
                instruments=(),
                slots=tuple(
                    Slot(slot=slot, version=version, folder=str(self.folders[kind.name]), latency_budget_ns=_BUDGET_NS)
                    for slot, version in slots[kind.name].items()
                ),
                horizon_ns=HORIZON_NS,
                entry_latency_ns=0,
                min_interval_ns=0,
                late_or_failed_of_64=64,
                output_abs_max=1e9,
                loss_budget_bps=1e9,
            )
            for index, kind in enumerate(KINDS)
        ]
        write_whole(self.state / LINEUP_FILE, Lineup(generation=self._generation, models=tuple(models)))
        if wait:
            self._until(lambda: self._said.generation == self._generation)

    def route(
        self, champions: Mapping[str, tuple[int, int]], shadows: Mapping[str, tuple[int, int]] | None = None
    ) -> None:
        """Publish champions, and a shadow where a model has one; each by (slot, version)."""
        routes = []
        for index, kind in enumerate(KINDS):
            slot, version = champions[kind.name]
            shadow_slot, shadow_version = (shadows or {}).get(kind.name, (_NO_SLOT, 0))
            route = Route(
                model=index,
                champion_slot=slot,
                champion_version=version,
                phase=int(Phase.IDLE),
                shadow_slots=[shadow_slot, _NO_SLOT, _NO_SLOT, _NO_SLOT],
                shadow_versions=[shadow_version, 0, 0, 0],
            )
            routes.append(route)
        self._routing.publish(routes)

    @property
    def _said(self) -> WorkerStatus:
        status = self.status
        assert status is not None, "enter first"
        return status

    def _beat(self) -> None:
        while not self._stopped.is_set():
            self._routing.beat()
            self._stopped.wait(_BEAT_S)

    def _until(self, met: Callable[[], bool]) -> None:
        end = time.monotonic() + _LIMIT_S
        while not met():
            if not self._child.alive:
                raise MissingDependencyError(f"the worker ended: {self.log.read_text()[-2000:]}")
            if time.monotonic() > end:
                raise TimeoutError(f"the worker took more than {_LIMIT_S:g} s: {self.log.read_text()[-2000:]}")
            time.sleep(_LOOK_S)
