"""The shared-memory door: a round trip of one row beyond the model's own time, both sides spinning."""

import tempfile
from pathlib import Path
from typing import Any, Final

import numpy as np
from onnx import helper

from benchmarks.versions import WIDTH, save_graph, write_version
from data_contracts.journal import Phase
from market_data.feature_sets import TOUCH_V1
from native._native import Route, RoutingTable, SharedClient, Worker
from serving.slots import ReadyVersion, prepare_version

MODEL: Final = "bench"
HIDDEN: Final = 32
ROUNDS: Final = 5
QUESTIONS: Final = 2_000
_WARM_UP: Final = 200
_GOALS_US: Final = {"p50": 1.0, "p99": 5.0}


def run() -> list[dict[str, Any]]:
    """Return, for p50 and p99, what a round trip takes beyond the model's own median, in µs, against the goal."""
    with tempfile.TemporaryDirectory(prefix="ringcraft-bench-", dir=_memory()) as scratch:
        folder = write_version(Path(scratch) / "1", _dense, model=MODEL, horizon_ns=1_000_000_000)
        ready = prepare_version(folder, model=MODEL, live=TOUCH_V1)
        rows = np.random.default_rng(1).normal(size=(1, WIDTH)).astype(np.float32)
        model_us = float(np.median(ready.live.latencies_ns(rows, QUESTIONS))) / 1e3
        trips_us = _trips_us(Path(scratch), ready, rows)
    beyond = {name: np.quantile(trips_us, q, axis=1) - model_us for name, q in (("p50", 0.5), ("p99", 0.99))}
    return [
        {
            "name": f"round trip {name} beyond the model's {model_us:.2f} µs",
            "ours": float(np.median(spent)),
            "peer": _GOALS_US[name],
            "peer_name": "goal",
            "unit": "us",
            "ratio": _GOALS_US[name] / float(np.median(spent)),
            "low": _GOALS_US[name] / float(spent.max()),
            "high": _GOALS_US[name] / float(spent.min()),
        }
        for name, spent in beyond.items()
    ]


def _memory() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108  shared memory is what is measured


def _dense(path: Path) -> None:
    """A net of one hidden layer."""
    random = np.random.default_rng(2)
    weights = {
        "w1": random.normal(0, 0.3, (WIDTH, HIDDEN)).astype(np.float32),
        "b1": np.zeros(HIDDEN, np.float32),
        "w2": random.normal(0, 0.3, (HIDDEN, 1)).astype(np.float32),
        "b2": np.zeros(1, np.float32),
    }
    nodes = [
        helper.make_node("Gemm", ["features", "w1", "b1"], ["h"]),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("Gemm", ["r", "w2", "b2"], ["output"]),
    ]
    save_graph(path, nodes, weights)


def _trips_us(scratch: Path, ready: ReadyVersion, rows: np.ndarray) -> np.ndarray:
    """Return round trips in µs, shape (ROUNDS, QUESTIONS)."""
    table = RoutingTable.create(str(scratch / "routing"))
    table.publish([Route(model=0, champion_slot=0, champion_version=1, phase=int(Phase.IDLE))])
    table.beat()
    worker = Worker(
        journal_folder=str(scratch / "journal"),
        rings_path=str(scratch / "rings"),
        routing_path=str(scratch / "routing"),
        decisions_path=str(scratch / "decisions"),
        door_path=str(scratch / "door"),
        busy_poll=True,
        core=0,
    )
    worker.set_model(
        index=0,
        name=MODEL,
        feature_set=TOUCH_V1.name,
        instruments=[],
        horizon_ns=1_000_000_000,
        entry_latency_ns=0,
        min_interval_ns=0,
        late_or_failed_of_64=64,
        output_abs_max=float("inf"),
        loss_budget_bps=float("inf"),
    )
    worker.set_slot(
        model=0,
        slot=0,
        version=1,
        expected_bps=True,
        threshold=1.0,
        latency_budget_ns=1_000_000_000,
        live=ready.live,
        shadow=ready.shadow,
    )
    worker.start()
    try:
        client = SharedClient(str(scratch / "door"))
        while client.ask(MODEL, rows)[0] != 0:
            pass  # the decision thread takes the route up in its first pass
        client.round_trips_ns(MODEL, rows, _WARM_UP)
        return np.array([client.round_trips_ns(MODEL, rows, QUESTIONS)[0] for _ in range(ROUNDS)]) / 1e3
    finally:
        worker.stop()
