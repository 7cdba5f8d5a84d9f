"""From a packet in memory to the decision, in two halves of one thread's work, each timed one by one.

The first half is MoldUDP64's arbitration, ITCH 5.0, books by order and their signals; the second the engine's, from
the event to its record in the ring: mark-outs, features, routing, inference, limits. No more than one packet in a
hundred takes longer than the first half's p99.9 and the second's p99.1 together; that bound is held to the goal.
"""

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx

from benchmarks import engine_graphs, versions
from benchmarks.report import held_to, percentile_row
from benchmarks.serve_load import on_core
from benchmarks.serve_rest import Setting
from data_contracts.manifest import DecisionRule
from market_data.reading import read_recordings
from market_data.simulator import simulate
from native._native import bench_packets, write_market_tape
from serving.latency import decision_times_ns

GOAL_US: Final = 10.0
ROUNDS: Final = 5
EVENTS: Final = 20_000
_SIMULATED_S: Final = 4_000
_SHARES: Final = (0.5, 0.99, 0.991)
_MODELS: Final[dict[str, tuple[Callable[[], onnx.ModelProto], DecisionRule]]] = {
    "dense 16-64-64-3": (
        lambda: engine_graphs.dense((16, 64, 64, 3)),
        DecisionRule(kind="up_minus_down", threshold=0.05),
    ),
    "100 trees of depth 6": (
        lambda: engine_graphs.forest(100, 6, 16),
        DecisionRule(kind="expected_bps", threshold=0.05),
    ),
}


def tick_rows(setting: Setting) -> list[dict[str, Any]]:
    """Return p99 from event to decision, and the bound from packet to decision, of a dense net and of trees."""
    tape = write_market_tape(seed=2, stocks=200, messages=100_000, live_orders=20_000)
    rows = []
    with tempfile.TemporaryDirectory(prefix="ringcraft-bench-") as scratch:
        path = Path(scratch) / "market.itch50"
        simulate(path, seed=1, seconds=_SIMULATED_S)
        (recording,) = read_recordings(path, format="itch50")
        part = recording.part(0, min(EVENTS, len(recording)))
        for number, (name, (graph, rule)) in enumerate(_MODELS.items()):
            folder = versions.write_version(
                Path(scratch) / str(number),
                partial(onnx.save, graph()),
                model="ticks",
                horizon_ns=1_000_000_000,
                family="ticks",
                rule=rule,
            )
            decided, bound = [], []
            for _ in range(ROUNDS):
                with on_core(setting.server_core, first=[] if setting.realtime else None):
                    packets_us = bench_packets(tape)["p999_ns"] / 1e3
                    spent_ns = decision_times_ns(folder, part.instrument, part.events)
                p50_us, p99_us, p991_us = (float(np.quantile(spent_ns, share)) / 1e3 for share in _SHARES)
                decided.append((p50_us, p99_us))
                bound.append(packets_us + p991_us)
            middle = float(np.median([p50_us for p50_us, _ in decided]))
            about = f"{name}: event to decision (p50 {middle:.2f} us)"
            p99s = [p99_us for _, p99_us in decided]
            rows.append(held_to(percentile_row(about, p99s, goal=GOAL_US, unit="us p99"), 1.0))
            about = f"{name}: packet to decision, at most"
            rows.append(held_to(percentile_row(about, bound, goal=GOAL_US, unit="us p99"), 1.0))
    return rows
