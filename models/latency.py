"""How long one row takes, batch 1, through the engine that serves where it is there."""

import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import native
from data_contracts.manifest import Latency
from models.machine import machine_name
from models.onnx_graph import INPUT
from models.parity import session
from native import _native

WARM_UP_ROWS = 50


def measure(path: Path, rows: NDArray[np.float32], *, repeats: int = 3000) -> tuple[Latency, NDArray[np.int64]]:
    """Return p50 and p99 of one row at a time, and every sample in ns, shape (repeats,).

    Args:
        path: the model file.
        rows: (m, d) real vectors, taken in turn.
        repeats: rows timed after the warm-up.
    """
    native_engine = hasattr(_native, "OnnxModel") and hasattr(native, "onnxruntime_library")
    samples = _native_samples(path, rows, repeats) if native_engine else _python_samples(path, rows, repeats)
    p50, p99 = np.percentile(samples, [50, 99]) / 1e3
    engine = "native engine" if native_engine else "Python session"
    return Latency(p50_us=float(p50), p99_us=float(p99), machine=f"{machine_name()}, {engine}"), samples


def _native_samples(path: Path, rows: NDArray[np.float32], repeats: int) -> NDArray[np.int64]:
    model = _native.OnnxModel(str(path), native.onnxruntime_library())
    model.latencies_ns(rows, 1)
    rounds = -(-repeats // len(rows))
    samples: NDArray[np.int64] = np.asarray(model.latencies_ns(rows, rounds))
    return samples[:repeats]


def _python_samples(path: Path, rows: NDArray[np.float32], repeats: int) -> NDArray[np.int64]:
    run, clock = session(path.read_bytes()).run, time.perf_counter_ns
    single = [{INPUT: rows[index : index + 1]} for index in range(len(rows))]
    for row in single[:WARM_UP_ROWS]:
        run(None, row)
    samples = np.empty(repeats, dtype=np.int64)
    for index in range(repeats):
        row = single[index % len(single)]
        start = clock()
        run(None, row)
        samples[index] = clock() - start
    return samples
