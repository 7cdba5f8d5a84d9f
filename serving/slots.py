"""Bringing a version into a worker's slot: nothing is served that was not checked here, on this machine."""

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from data_contracts.errors import FeatureMismatchError, ManifestError, ModelError, ParityError
from data_contracts.feature_set import FeatureSet
from data_contracts.manifest import MODEL_FILE, Golden, Manifest, read_golden, verify_files
from native import onnxruntime_library
from native._native import Model, OnnxError, OnnxModel, load_kernel

_WARM_RUNS = 300
_WARM_RUNS_MIN = 20
_WARM_NS = 200_000_000
_OUTPUTS = {"up_minus_down": 3, "expected_bps": 1}

Float32s = NDArray[np.float32]


class ReadyVersion(NamedTuple):
    """A version that passed every check and is warm, once for the decision thread and once for the shadow thread."""

    manifest: Manifest
    live: Model
    shadow: Model
    warm_p50_us: float
    warm_p99_us: float
    no_kernel: str
    """Why ONNX Runtime runs it and no kernel of our own; empty where one does."""


def load_model(path: Path) -> OnnxModel:
    """Return the graph at `path`, ready to run.

    Raises:
        ModelError: it cannot be read, or takes and gives something else than the platform's models.
    """
    try:
        return OnnxModel(str(path), onnxruntime_library())
    except OnnxError as error:
        raise ModelError(str(error)) from None


def prepare_version(folder: Path, *, model: str, live: FeatureSet) -> ReadyVersion:
    """Load, verify and warm the version whose files lie in `folder`.

    Args:
        folder: model.onnx, manifest.json, golden.json.
        model: registered model that it must be a version of.
        live: what its instruments' events are turned into.

    Raises:
        ManifestError: files missing, changed, or of another model.
        FeatureMismatchError: made for other features than the live ones.
        ModelError: the graph cannot be run or has other widths than stated.
        ParityError: its golden vectors come out differently here.
    """
    manifest = verify_files(folder)
    if manifest.model != model:
        raise ManifestError(f"{folder}: model: expected {model}, got {manifest.model}")
    _check_features(manifest, live)
    golden = read_golden(folder)
    reference = load_model(folder / MODEL_FILE)
    _check_widths(reference, manifest)
    inputs = _check_parity(reference, golden, manifest.parity_tolerance)
    acting, shadow, no_kernel = _engines(folder / MODEL_FILE, reference, golden, manifest.parity_tolerance)
    for engine in (acting, shadow):
        runs = _warm_runs(engine, inputs)
        engine.latencies_ns(inputs[:1], runs)
    spent_us = acting.latencies_ns(inputs, math.ceil(runs / len(inputs))) / 1000
    p50_us, p99_us = np.quantile(spent_us, (0.5, 0.99)).tolist()
    return ReadyVersion(manifest, acting, shadow, p50_us, p99_us, no_kernel)


def _engines(path: Path, reference: OnnxModel, golden: Golden, tolerance: float) -> tuple[Model, Model, str]:
    """Return kernels for both threads if they answer the golden vectors as stated; else ONNX Runtime, and why."""
    try:
        kernels = load_kernel(str(path)), load_kernel(str(path))
        for kernel in kernels:
            _check_same_shape(kernel, reference)
            _check_parity(kernel, golden, tolerance)
    except (OnnxError, ModelError, ParityError) as error:
        return reference, load_model(path), str(error)
    return *kernels, ""


def _check_same_shape(kernel: Model, reference: Model) -> None:
    wanted, got = ((one.window, one.width, one.outputs) for one in (reference, kernel))
    if wanted != got:
        raise ModelError(f"kernel: expected window, width and outputs {wanted}, got {got}")


def _warm_runs(engine: Model, inputs: Float32s) -> int:
    # A slow graph must not hold up the line-up for seconds.
    once_ns = int(engine.latencies_ns(inputs[:1], 3).min())
    return max(_WARM_RUNS_MIN, min(_WARM_RUNS, _WARM_NS // max(once_ns, 1)))


def _check_features(manifest: Manifest, expected: FeatureSet) -> None:
    if (manifest.feature_set, manifest.feature_hash) != (expected.name, expected.hash):
        raise FeatureMismatchError(feature_set=expected.name, expected=expected.hash, got=manifest.feature_hash)
    if manifest.inputs != len(expected.features):
        raise ManifestError(f"inputs: expected {len(expected.features)} as {expected.name}, got {manifest.inputs}")


def _check_widths(engine: Model, manifest: Manifest) -> None:
    stated, got = (manifest.inputs, manifest.outputs), (engine.width, engine.outputs)
    if got != stated:
        raise ModelError(f"graph: expected {stated} inputs and outputs, got {got}")
    if engine.window != manifest.window:
        raise ModelError(f"graph: expected a window of {manifest.window} vectors, got {engine.window}")
    wanted = _OUTPUTS[manifest.rule.kind]
    if engine.outputs != wanted:
        raise ModelError(f"graph: rule {manifest.rule.kind} reads {wanted} outputs, got {engine.outputs}")


def _check_parity(engine: Model, golden: Golden, tolerance: float) -> Float32s:
    """Run the golden inputs and return them."""
    inputs = _matrix(golden.inputs, "inputs", engine.inputs)
    expected = _matrix(golden.outputs, "outputs", engine.outputs)
    if len(inputs) == 0 or len(inputs) != len(expected):
        raise ManifestError(f"golden vectors: expected as many outputs as inputs, got {len(inputs)}, {len(expected)}")
    differences = np.abs(engine.predict(inputs) - expected).max(axis=1)
    # Asked as "met", so that NaN fails; where both engines say NaN they agree, and the output limits take it off.
    both_nan = np.isnan(differences) & np.isnan(expected).any(axis=1)
    met = (differences <= tolerance) | both_nan
    if not met.all():
        row = int(np.flatnonzero(~met)[0])
        raise ParityError(row=row, difference=float(differences[row]), tolerance=tolerance)
    return inputs


def _matrix(rows: tuple[tuple[float, ...], ...], what: str, width: int) -> Float32s:
    if any(len(row) != width for row in rows):
        raise ManifestError(f"golden {what}: expected rows of width {width}")
    return np.asarray(rows, dtype=np.float32).reshape(-1, width)
