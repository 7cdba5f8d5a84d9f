"""What tests of the worker share: small models, a feed, a process of its own."""

import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
from onnx import helper

from benchmarks import versions as made
from benchmarks.versions import WIDTH, save_graph
from data_contracts.instrument import Instrument
from data_contracts.journal import Phase, RecordType
from data_contracts.manifest import DecisionRule
from data_contracts.market_event import MARKET_EVENT
from market_data.feature_sets import TOUCH_V1
from native._native import Route, RoutingTable
from serving import shared_memory
from serving.journal import Journal
from serving.lineup import Lineup, ModelLineup, Slot, WorkerStatus, read_whole, write_whole

ROOT = Path(__file__).resolve().parents[3]
MODEL = "touch-net"
IF = Instrument(symbol="CFFEX:IF2101", tick_size="0.2", lot_size="1", currency="CNY", fee_bps=0.1)
HORIZON_NS = 2_000_000_000
SALT = 7


def linear_graph(path: Path, *, bias: tuple[float, float, float] = (0.0, 0.0, 0.0), seed: int = 1) -> None:
    """Softmax of a random linear map of the touch_v1 vector."""
    weight = np.random.default_rng(seed).normal(0, 0.3, (WIDTH, 3)).astype(np.float32)
    nodes = [
        helper.make_node("MatMul", ["features", "w"], ["m"]),
        helper.make_node("Add", ["m", "b"], ["a"]),
        helper.make_node("Softmax", ["a"], ["output"], axis=1),
    ]
    save_graph(path, nodes, {"w": weight, "b": np.array(bias, np.float32)}, outputs=3)


def nan_graph(path: Path) -> None:
    """Answers NaN whenever the queue is not empty, that is always live; right on the golden zeros."""
    nodes = [
        helper.make_node("ReduceSum", ["features", "axes"], ["sum"], keepdims=1),
        helper.make_node("Abs", ["sum"], ["abs"]),
        helper.make_node("Neg", ["abs"], ["negative"]),
        helper.make_node("Sqrt", ["negative"], ["root"]),
        helper.make_node("Add", ["root", "ones"], ["output"]),
    ]
    save_graph(path, nodes, {"axes": np.array([1], np.int64), "ones": np.full((1, 3), 1 / 3, np.float32)}, outputs=3)


def slow_graph(path: Path, *, layers: int = 6, size: int = 1400) -> None:
    """Milliseconds of dense layers, then a flat answer."""
    random = np.random.default_rng(2)
    nodes = [helper.make_node("MatMul", ["features", "w_in"], ["h0"])]
    weights = {"w_in": random.normal(0, 0.1, (WIDTH, size)).astype(np.float32)}
    shared = random.normal(0, 1 / size**0.5, (size, size)).astype(np.float32)
    for layer in range(layers):
        name = f"w{layer}"
        weights[name] = shared + np.float32(layer * 1e-6)
        nodes.append(helper.make_node("MatMul", [f"h{layer}", name], [f"m{layer}"]))
        nodes.append(helper.make_node("Tanh", [f"m{layer}"], [f"h{layer + 1}"]))
    weights["w_out"] = random.normal(0, 0.01, (size, 3)).astype(np.float32)
    nodes.append(helper.make_node("MatMul", [f"h{layers}", "w_out"], ["logits"]))
    nodes.append(helper.make_node("Softmax", ["logits"], ["output"], axis=1))
    save_graph(path, nodes, weights, outputs=3)


def write_version(folder: Path, graph: Callable[[Path], None], *, threshold: float = 0.05, **changes: object) -> Path:
    """Write a version's files; `changes` replace fields of its manifest."""
    inputs = np.zeros((4, WIDTH), np.float32)
    if graph is not nan_graph:
        inputs = np.random.default_rng(3).normal(size=(16, WIDTH)).astype(np.float32)
    fields = {"model": MODEL, "family": "linear", "parity_tolerance": 1e-5}
    fields |= {"rule": DecisionRule(kind="up_minus_down", threshold=threshold), "golden_inputs": inputs}
    return made.write_version(folder, graph, horizon_ns=HORIZON_NS, **(fields | changes))


def lineup(versions: dict[int, Path], *, generation: int = 1, budget_us: float = 5000.0, **changes: object) -> Lineup:
    """One model; version n in slot n - 1."""
    slots = tuple(
        Slot(slot=version - 1, version=version, folder=str(folder), latency_budget_ns=int(budget_us * 1000))
        for version, folder in versions.items()
    )
    model = ModelLineup(
        index=0,
        name=MODEL,
        feature_set=TOUCH_V1.name,
        instruments=(),
        slots=slots,
        horizon_ns=HORIZON_NS,
        entry_latency_ns=1_000_000,
        min_interval_ns=0,
        late_or_failed_of_64=50,
        output_abs_max=1e6,
        loss_budget_bps=1e9,
    )
    return Lineup(generation=generation, models=(msgspec.structs.replace(model, **changes),))


def ab_route(share_bps: int = 5000, **changes: object) -> Route:
    """Version 1 champion, version 2 challenger."""
    fields = {
        "model": 0,
        "rollout_id": 1,
        "champion_slot": 0,
        "champion_version": 1,
        "challenger_slot": 1,
        "challenger_version": 2,
        "share_bps": share_bps,
        "salt": SALT,
        "phase": int(Phase.AB),
    }
    return Route(**(fields | changes))


def touch_events(count: int, *, seed: int = 0, start: int = 0) -> np.ndarray:
    """A walk of the touch, two events a second, now and then a trade."""
    random = np.random.default_rng(seed)
    events = np.zeros(count, MARKET_EVENT)
    events["event_ns"] = 1_600_000_000_000_000_000 + (start + np.arange(count)) * 500_000_000
    events["receive_ns"] = events["event_ns"] + 1000
    events["sequence"] = start + np.arange(count)
    middle = 25_000 + np.cumsum(random.integers(-2, 3, count))
    events["bid_ticks"], events["ask_ticks"] = middle - 1, middle + 1
    events["bid_lots"], events["ask_lots"] = random.integers(1, 9, count), random.integers(1, 9, count)
    events["trade_lots"] = random.integers(-2, 3, count)
    events["trade_ticks"] = np.where(events["trade_lots"] != 0, middle, 0)
    return events


class Feed:
    """A publisher of the feed protocol."""

    def __init__(self, port: int, instruments: list[Instrument] | None = None, *, hello: bool = True) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        if hello:
            self.send(1, msgspec.json.encode(instruments or [IF]))
            answer = self.receive()
            assert answer == {"accepted": True}, answer

    def send(self, kind: int, payload: bytes) -> None:
        self._socket.sendall(struct.pack("<IB", len(payload) + 1, kind) + payload)

    def receive(self) -> dict[str, object]:
        length, _kind = struct.unpack("<IB", self._exactly(5))
        return json.loads(self._exactly(length - 1))

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            part = self._socket.recv(count - len(data))
            if not part:
                raise EOFError("the worker closed the connection")
            data += part
        return data

    def events(self, events: np.ndarray, *, frame: int = 1000) -> None:
        for start in range(0, len(events), frame):
            self.send(2, events[start : start + frame].tobytes())

    def end(self) -> dict[str, object]:
        self.send(3, b"")
        return self.receive()

    def close(self) -> None:
        self._socket.close()


class Tier:
    """A state folder with a worker process and what a controller would do for it."""

    def __init__(self, folder: Path, **serving: object) -> None:
        self.state = folder / "state"
        self.state.mkdir(parents=True)
        self.config = folder / "ringcraft.toml"
        lines = [
            f"{name} = {value}"
            for name, value in ({"feed_port": 0, "rest_port": 0, "console_port": 0} | serving).items()
        ]
        self.config.write_text(f'state_dir = "{self.state}"\n[serving]\n' + "\n".join(lines) + "\n")
        self.routing_path = shared_memory.path(self.state, shared_memory.ROUTING)
        self.rings_path = shared_memory.path(self.state, shared_memory.rings("worker-0"))
        self.journal = shared_memory.journal_folder(self.state, "worker-0")
        self.routing = RoutingTable.create(str(self.routing_path))
        self.process: subprocess.Popen[bytes] | None = None
        self._beating = threading.Event()
        self._beater: threading.Thread | None = None

    def start(self) -> None:
        started_ns = time.time_ns()
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "ringcraft.processes.worker", "--config", str(self.config)]
        self.process = subprocess.Popen(command, env=environment, cwd=ROOT)
        wait_for(lambda: (status := self.status()) is not None and status.written_ns > started_ns, "status.json")

    def beat(self) -> None:
        self._beating.set()

        def run() -> None:
            while self._beating.is_set():
                self.routing.beat()
                time.sleep(0.05)

        self.routing.beat()
        self._beater = threading.Thread(target=run, daemon=True)
        self._beater.start()

    def still(self) -> None:
        self._beating.clear()
        if self._beater:
            self._beater.join()

    def status(self) -> WorkerStatus | None:
        return read_whole(self.state / "worker-0" / "status.json", WorkerStatus)

    def show(self, wanted: Lineup) -> WorkerStatus:
        """Write a line-up and wait until the worker has answered it."""
        write_whole(self.state / "lineup.json", wanted)
        if self.process is not None:
            wait_for(lambda: self.status().generation == wanted.generation, "the line-up to be adopted")
        return self.status()

    def feed(self, **options: object) -> Feed:
        return Feed(self.status().feed_port, **options)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(10)
        self.process = None
        return code

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)
        self.process = None

    def close(self) -> None:
        self.still()
        if self.process is not None:
            self.kill()
        shared = (shared_memory.path(self.state, name) for name in shared_memory.of_worker("worker-0"))
        for path in (self.routing_path, *shared):
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def tier(folder: Path, **serving: object) -> Iterator[Tier]:
    """Give a tier and leave nothing of it behind."""
    made = Tier(folder, **serving)
    try:
        yield made
    finally:
        made.close()


def serve_all(running: Tier, events: np.ndarray) -> dict[str, object]:
    """Send events and wait until all are answered."""
    feed = running.feed()
    feed.events(events)
    answer = feed.end()
    feed.close()
    return answer


def assert_whole(journal: Journal) -> None:
    """No holes, one mark-out a decision, every expected shadow, each after its decision."""
    decisions, markouts = journal.decisions, journal.markouts
    shadows = journal.select(RecordType.SHADOW)
    assert journal.records[:, 8:16].copy().view("<u8").ravel().tolist() == list(range(len(journal)))
    assert decisions["decision_id"].tolist() == list(range(1, len(decisions) + 1))
    assert sorted(markouts["decision_id"].tolist()) == decisions["decision_id"].tolist()
    scored = np.bincount(shadows["decision_id"].astype(np.int64), minlength=len(decisions) + 1)[1:]
    assert scored.tolist() == decisions["expected_shadows"].tolist()
    decided_at = dict(zip(decisions["decision_id"].tolist(), decisions["index"].tolist(), strict=True))
    assert all(index > decided_at[one] for one, index in shadows[["decision_id", "index"]].tolist())


def wait_for(met: Callable[[], object], what: str, *, seconds: float = 20.0) -> None:
    until = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < until, f"waited {seconds} s for {what}"
        time.sleep(0.02)
