"""Decisions without end, asked for through shared memory: memory, p99, and cost against Python over the same rows."""

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.report import held_to, percentile_row, ratio
from benchmarks.serve_load import cpu_ns, on_core
from benchmarks.serve_rest import Setting
from benchmarks.serve_tier import KINDS, WIDTH, BenchTier
from native._native import SharedClient
from serving import shared_memory

DECISIONS: Final = 10_000_000
MEMORY_GOAL: Final = 1.05
GROWTH_GOAL: Final = 1 / 1.1
RATE_GOAL: Final = 3.0
COST_GOAL: Final = 1 / 0.6
ROUNDS: Final = 5
_KIND: Final = KINDS[0].name
_TENTHS: Final = 10
_AT_ONCE: Final = 10_000
_BATCH: Final = 256
_OURS_A_SECOND: Final = 500_000
"""About so many decisions; what a round takes follows from it."""
_SLOWER: Final = 8
_COUNTED_S: Final = 1.5  # a worker tells its counters once a second
_PEER: Final = "onnxruntime from Python, row by row"
_WARM_UP: Final = 20_000

Floats = NDArray[np.float32]


def soak_rows(setting: Setting, decisions: int = DECISIONS) -> list[dict[str, Any]]:
    """Ask for decisions one by one; return memory after the last tenth over the first, and p99 of the last over it.

    Segments of the journal are removed as they are filled, as retention does in time.
    """
    with (
        tempfile.TemporaryDirectory(prefix="ringcraft-bench-") as scratch,
        BenchTier(Path(scratch) / "tier", cores=setting.server_cores, busy_poll=True) as tier,
        on_core(setting.cores[-1], first=[tier.pid] if setting.realtime else None),
    ):
        client, row = _client(tier), _rows(1)
        client.round_trips_ns(_KIND, row, _WARM_UP)
        tenths, held = [], []
        for _ in range(_TENTHS):
            trips = []
            for _ in range(max(decisions // _TENTHS // _AT_ONCE, 1)):
                trips.append(client.round_trips_ns(_KIND, row, _AT_ONCE)[0])
                tier.forget_journal()
            tenths.append(float(np.quantile(np.concatenate(trips), 0.99)) / 1e3)
            held.append(tier.resident_bytes())
        dropped = tier.counter("journal_dropped", after_s=_COUNTED_S)
    done = max(decisions // _TENTHS // _AT_ONCE, 1) * _AT_ONCE * _TENTHS
    name = f"{done:,} decisions through shared memory"
    memory = percentile_row(
        f"{name}: memory at the end ({held[-1] / 2**20:.0f} MiB), of that after a tenth",
        [held[-1] / held[0]],
        goal=MEMORY_GOAL,
        unit="x",
    )
    early, late = statistics.median(tenths[:3]), statistics.median(tenths[-3:])
    growth = ratio(
        f"{name}: p99 of a round trip in the last tenths (journal dropped {dropped:,})",
        [(late, early)],
        peer_name="the first tenths",
        unit="us p99",
        smaller_wins=True,
    )
    return [held_to(memory, 1.0), held_to(growth | {"tenths_us": tenths}, GROWTH_GOAL)]


def cost_rows(setting: Setting) -> list[dict[str, Any]]:
    """Return decisions a second and processor time a million, against Python's onnxruntime over the same rows.

    Ours are whole: asked for in another process, routed, held to limits, journalled; its time is the worker's and the
    asker's together. Python's are the model and its rule alone, row by row.
    """
    rows = _rows(_BATCH)
    questions = max(1, int(setting.seconds * _OURS_A_SECOND) // _BATCH)
    with (
        tempfile.TemporaryDirectory(prefix="ringcraft-bench-") as scratch,
        BenchTier(Path(scratch) / "tier", cores=setting.server_cores) as tier,
    ):
        client = _client(tier)
        decide = _python(tier.folders[_KIND] / "model.onnx", rows)

        def ours() -> _Spent:
            with on_core(setting.cores[-1], first=[tier.pid] if setting.realtime else None):
                return _spent(lambda: _ask(client, rows), questions, [tier.pid])

        def peer() -> _Spent:
            with on_core(setting.server_core, first=[] if setting.realtime else None):
                return _spent(decide, max(1, questions // _SLOWER), [])

        ours(), peer()  # warm-up, not counted
        pairs = [(ours(), peer()) for _ in range(ROUNDS)]
        dropped = tier.counter("journal_dropped", after_s=_COUNTED_S)
    name = f"dense, {_BATCH} rows a question (journal dropped {dropped:,})"
    rates = [(mine.per_second, other.per_second) for mine, other in pairs]
    costs = [(mine.cpu_s_a_million, other.cpu_s_a_million) for mine, other in pairs]
    return [
        held_to(ratio(f"{name}: decisions", rates, peer_name=_PEER, unit="decisions/s", smaller_wins=False), RATE_GOAL),
        held_to(ratio(f"{name}: CPU a million", costs, peer_name=_PEER, unit="s", smaller_wins=True), COST_GOAL),
    ]


class _Spent(NamedTuple):
    per_second: float
    cpu_s_a_million: float


def _spent(once: Callable[[], None], times: int, pids: Sequence[int]) -> _Spent:
    """Call so often, each time _BATCH decisions; the time of this thread and of other processes counts."""
    others_ns, own_ns, start_ns = cpu_ns(pids), time.thread_time_ns(), time.monotonic_ns()
    for _ in range(times):
        once()
    wall_ns, own_ns = time.monotonic_ns() - start_ns, time.thread_time_ns() - own_ns
    decisions = times * _BATCH
    spent_ns = own_ns + cpu_ns(pids) - others_ns
    return _Spent(decisions * 1e9 / wall_ns, spent_ns / 1e3 / decisions)


def _client(tier: BenchTier) -> SharedClient:
    return SharedClient(str(shared_memory.path(tier.state, shared_memory.door("worker-0"))))


def _rows(count: int) -> Floats:
    return np.random.default_rng(5).normal(size=(count, WIDTH)).astype(np.float32)


def _ask(client: SharedClient, rows: Floats) -> None:
    status = client.ask(_KIND, rows, spin_s=0.0)[0]
    assert status == 0, status


def _python(model: Path, rows: Floats) -> Callable[[], None]:
    """Return what decides on every row as a Python service would: the model, then the rule."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    name, threshold = session.get_inputs()[0].name, KINDS[0].rule.threshold

    def decide() -> None:
        for place in range(len(rows)):
            down, _, up = session.run(None, {name: rows[place : place + 1]})[0][0]
            margin = up - down
            _ = 1 if margin > threshold else -1 if margin < -threshold else 0

    return decide
