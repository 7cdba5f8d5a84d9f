"""Whether an engine takes, gives and answers what a version states."""

import numpy as np
from numpy.typing import NDArray

from data_contracts.errors import ManifestError, ModelError, ParityError
from data_contracts.manifest import Golden, Manifest
from native._native import Model

_OUTPUTS = {"up_minus_down": 3, "expected_bps": 1}

Float32s = NDArray[np.float32]


def check_widths(engine: Model, manifest: Manifest) -> None:
    """Hold an engine to what its manifest says it takes and gives.

    Raises:
        ModelError: it takes or gives something else.
    """
    stated, got = (manifest.inputs, manifest.outputs), (engine.width, engine.outputs)
    if got != stated:
        raise ModelError(f"graph: expected {stated} inputs and outputs, got {got}")
    if engine.window != manifest.window:
        raise ModelError(f"graph: expected a window of {manifest.window} vectors, got {engine.window}")
    wanted = _OUTPUTS[manifest.rule.kind]
    if engine.outputs != wanted:
        raise ModelError(f"graph: rule {manifest.rule.kind} reads {wanted} outputs, got {engine.outputs}")


def golden_rows(golden: Golden, engine: Model) -> tuple[Float32s, Float32s]:
    """Return the golden inputs (n, engine.inputs) and outputs (n, engine.outputs).

    Raises:
        ManifestError: they are of other widths, none, or not as many of one as of the other.
    """
    inputs = _matrix(golden.inputs, "inputs", engine.inputs)
    expected = _matrix(golden.outputs, "outputs", engine.outputs)
    if len(inputs) == 0 or len(inputs) != len(expected):
        raise ManifestError(f"golden vectors: expected as many outputs as inputs, got {len(inputs)}, {len(expected)}")
    return inputs, expected


def check_rows(got: Float32s, expected: Float32s, tolerance: float) -> None:
    """Hold outputs (n, k) to those that are expected.

    Raises:
        ParityError: a row differs by more than the tolerance.
    """
    differences = np.abs(got - expected).max(axis=1)
    # Asked as "met", so that NaN fails; where both engines say NaN they agree, and the output limits take it off.
    both_nan = np.isnan(differences) & np.isnan(expected).any(axis=1)
    met = (differences <= tolerance) | both_nan
    if not met.all():
        row = int(np.flatnonzero(~met)[0])
        raise ParityError(row=row, difference=float(differences[row]), tolerance=tolerance)


def _matrix(rows: tuple[tuple[float, ...], ...], what: str, width: int) -> Float32s:
    if any(len(row) != width for row in rows):
        raise ManifestError(f"golden {what}: expected rows of width {width}")
    return np.asarray(rows, dtype=np.float32).reshape(-1, width)
