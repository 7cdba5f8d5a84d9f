"""How long one row takes, batch 1, through the engine that serves."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data_contracts.manifest import Latency
from models.machine import machine_name
from native import _native, onnxruntime_library


def measure(path: Path, rows: NDArray[np.float32], *, repeats: int = 3000) -> tuple[Latency, NDArray[np.int64]]:
    """Return p50 and p99 of one row at a time, and every sample in ns, shape (k,), k about `repeats`.

    Args:
        path: the model file.
        rows: (m, d) real vectors, or windows (m, w, d), taken in turn.
        repeats: rows timed, rounded up to whole rounds over `rows`, after one round that is not timed.
    """
    model, rows = _native.OnnxModel(str(path), onnxruntime_library()), np.ascontiguousarray(rows.reshape(len(rows), -1))
    model.latencies_ns(rows, 1)
    samples = model.latencies_ns(rows, -(-repeats // len(rows)))
    p50, p99 = np.percentile(samples, [50, 99]) / 1e3
    return Latency(p50_us=float(p50), p99_us=float(p99), machine=machine_name()), samples
