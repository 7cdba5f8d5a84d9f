"""How long one row takes, batch 1, through the engine that serves."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from data_contracts.manifest import Latency
from models.machine import machine_name
from models.parity import INT8_TOLERANCE
from native import onnxruntime_library
from native._native import Model, OnnxError, OnnxModel, load_kernel

ROUNDS = 5
"""Turns that models timed against each other take, so that a busy moment of the machine does not meet one alone."""


def measure(path: Path, rows: NDArray[np.float32], *, repeats: int = 3000) -> tuple[Latency, NDArray[np.int64]]:
    """Return p50 and p99 of one row at a time, and every sample in ns, shape (k,), k about `repeats`.

    Args:
        path: the model file.
        rows: (m, d) real vectors, or windows (m, w, d), taken in turn.
        repeats: rows timed, rounded up to whole rounds over `rows`, after one round that is not timed.
    """
    rows = _flat(rows)
    model = engine_of(path, rows)
    model.latencies_ns(rows, 1)
    samples = model.latencies_ns(rows, -(-repeats // len(rows)))
    return _latency(samples), samples


def compare(models: Sequence[ModelProto], rows: NDArray[np.float32]) -> list[Latency]:
    """Return p50 and p99 of each model over ROUNDS turns of the m rows (m, d) or (m, w, d), one row at a time."""
    rows = _flat(rows)
    with tempfile.TemporaryDirectory() as folder:
        opened = []
        for index, model in enumerate(models):
            path = Path(folder) / f"{index}.onnx"
            path.write_bytes(model.SerializeToString())
            opened.append(engine_of(path, rows))
            opened[-1].latencies_ns(rows, 1)
        turns = [[model.latencies_ns(rows, 1) for model in opened] for _ in range(ROUNDS)]
    return [_latency(np.concatenate(samples)) for samples in zip(*turns, strict=True)]


def engine_of(path: Path, rows: NDArray[np.float32]) -> Model:
    """Return our own kernels for the graph at `path` if they answer `rows` (m, w * d) as ONNX Runtime does, else that.

    Serving chooses likewise, by golden vectors.
    """
    reference = OnnxModel(str(path), onnxruntime_library())
    try:
        kernel = load_kernel(str(path))
    except OnnxError:
        return reference
    agrees = np.abs(kernel.predict(rows) - reference.predict(rows)).max() <= INT8_TOLERANCE
    return kernel if agrees else reference


def _flat(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.ascontiguousarray(np.asarray(rows).reshape(len(rows), -1))


def _latency(samples_ns: NDArray[np.int64]) -> Latency:
    p50, p99 = np.percentile(samples_ns, [50, 99]) / 1e3
    return Latency(p50_us=float(p50), p99_us=float(p99), machine=machine_name())
