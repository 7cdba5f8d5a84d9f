"""Golden vectors, and the proof that two engines answer them alike."""

from collections.abc import Callable
from typing import Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto

from data_contracts.errors import ModelError, ParityError
from data_contracts.manifest import Golden, State
from models.onnx_graph import INPUT
from models.windows import BATCH_ROWS, Windows

ROWS: Final = 32
EXTREMES: Final = 8
FLOAT_TOLERANCE: Final = 1e-4
"""Probabilities; the engines differ by rounding only."""
INT8_TOLERANCE: Final = 0.01
"""Probabilities; a rounding tie that falls the other way moves a hidden value by a whole int8 step."""

Floats = NDArray[np.float32]


def session(model: ModelProto | bytes) -> onnxruntime.InferenceSession:
    """Return a single-threaded ONNX Runtime session, as serving runs it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    content = model if isinstance(model, bytes) else model.SerializeToString()
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def run_onnx(model: ModelProto | bytes, features: Floats) -> Floats:
    """Return the first output of `model`, shape (n, k), from ONNX Runtime.

    Args:
        model: reads (n, d), or windows (n, w, d).
        features: n rows; a window may be one flat row of w * d; models.windows.Windows are laid out as they are read.
    """
    runtime = session(model)
    shape = runtime.get_inputs()[0].shape[1:]
    parts = [np.asarray(features[at : at + BATCH_ROWS], np.float32) for at in range(0, len(features), BATCH_ROWS)]
    return np.concatenate([runtime.run(None, {INPUT: part.reshape(len(part), *shape)})[0] for part in parts])


def run_along(model: ModelProto | bytes, vectors: Floats) -> Floats:
    """Return the first output of a stream's `model`, shape (n, k): after each vector, over all that came so far.

    Args:
        model: reads (batch, steps, d), the steps left open.
        vectors: one sequence, shape (n, d).
    """
    runtime = session(model)
    sequence = np.asarray(vectors, np.float32)[None]
    said = [runtime.run(None, {INPUT: sequence[:, : end + 1]})[0] for end in range(len(vectors))]
    return np.concatenate(said)


def window_of(model: ModelProto | bytes) -> int:
    """Return how many vectors `model` reads at once; a stream's, whose steps are left open, reads one."""
    shape = session(model).get_inputs()[0].shape
    return shape[1] if len(shape) == 3 and isinstance(shape[1], int) else 1


def outputs_of(model: ModelProto) -> int:
    """Return how many outputs `model` has."""
    return int(model.graph.output[0].type.tensor_type.shape.dim[1].dim_value)


def golden_inputs(features: Floats) -> Floats:
    """Return ROWS vectors to compare engines on, (ROWS, d): real rows over the whole range, then EXTREMES.

    Of windows (n, w, d), ROWS of them: real ones, real ones that end in an extreme, and extremes held throughout.
    """
    if isinstance(features, Windows):
        return _golden_windows(features)
    low, high, middle = features.min(axis=0), features.max(axis=0), np.median(features, axis=0)
    reach = high - low
    extremes = [np.zeros_like(low), low, high, middle, high + reach, low - reach, high + 100 * reach, low - 100 * reach]
    chosen = np.linspace(0, len(features) - 1, ROWS - len(extremes)).astype(np.intp)
    return np.vstack([features[chosen], np.array(extremes)]).astype(np.float32)


def _golden_windows(windows: Windows) -> Floats:
    extremes = golden_inputs(windows.vectors)[-EXTREMES:]
    chosen = np.linspace(0, len(windows) - 1, ROWS - 2 * EXTREMES).astype(np.intp)
    real = np.asarray(windows[chosen])
    shocks = real[:EXTREMES].copy()
    shocks[:, -1] = extremes  # quiet until now
    return np.concatenate([real, shocks, np.repeat(extremes[:, None], windows.size, axis=1)])


def check_parity(model: ModelProto, reference: Callable[[Floats], Floats], inputs: Floats, *, tolerance: float) -> None:
    """Refuse a graph that ONNX Runtime answers differently than the family's own code.

    Raises:
        ParityError: an output differs by more than `tolerance`, or is not a number on one side.
    """
    compare(run_onnx(model, inputs), reference(inputs), tolerance=tolerance)


def compare(said: Floats, expected: Floats, *, tolerance: float) -> None:
    """Refuse outputs (n, k) that differ by more than `tolerance`.

    Raises:
        ModelError: the shapes differ.
        ParityError: a value differs by more, or is not a number.
    """
    if said.shape != expected.shape:
        raise ModelError(f"golden vectors: expected outputs of shape {expected.shape}, got {said.shape}")
    worst = np.abs(said.astype(np.float64) - expected).max(axis=1)
    bad = np.flatnonzero(~(worst <= tolerance))
    if bad.size:
        raise ParityError(row=int(bad[0]), difference=float(worst[bad[0]]), tolerance=tolerance)


def golden(model: ModelProto | bytes, inputs: Floats, *, state: State = "window") -> Golden:
    """Return `inputs` and what ONNX Runtime answers to them here; those of a stream are one sequence."""
    outputs = run_along(model, inputs) if state == "stream" else run_onnx(model, inputs)
    return Golden(inputs=_rows(inputs.reshape(len(inputs), -1)), outputs=_rows(outputs))


def _rows(values: Floats) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(float(value) for value in row) for row in values)
