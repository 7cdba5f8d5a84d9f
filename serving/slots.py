"""Bringing a version into a worker's slot: nothing is served that was not checked here, on this machine."""

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np

from data_contracts.errors import FeatureMismatchError, ManifestError, ModelError, ParityError
from data_contracts.feature_set import FeatureSet
from data_contracts.manifest import MODEL_FILE, Golden, Manifest, read_golden, verify_files
from native import onnxruntime_library
from native._native import Model, OnnxError, OnnxModel, StreamModel, load_kernel
from serving.lineup import INSTRUMENTS_MAX
from serving.parity import Float32s, check_rows, check_widths, golden_rows
from serving.streams import admit_stream

_WARM_RUNS = 300
_WARM_RUNS_MIN = 20
_WARM_NS = 200_000_000


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
    acting: Model
    shadow: Model
    if manifest.state == "stream":
        acting, shadow, inputs = admit_stream(folder, manifest, streams=INSTRUMENTS_MAX)
        no_kernel = ""
    else:
        golden = read_golden(folder)
        reference = load_model(folder / MODEL_FILE)
        check_widths(reference, manifest)
        inputs = _check_parity(reference, golden, manifest.parity_tolerance)
        acting, shadow, no_kernel = _engines(folder / MODEL_FILE, reference, golden, manifest.parity_tolerance)
    for engine in (acting, shadow):
        runs = _warm_runs(engine, inputs)
        engine.latencies_ns(inputs[:1], runs)
    spent_us = acting.latencies_ns(inputs, math.ceil(runs / len(inputs))) / 1000
    for engine in (acting, shadow):
        if isinstance(engine, StreamModel):
            engine.restart(0)
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


def _check_parity(engine: Model, golden: Golden, tolerance: float) -> Float32s:
    """Run the golden inputs and return them."""
    inputs, expected = golden_rows(golden, engine)
    check_rows(engine.predict(inputs), expected, tolerance)
    if engine.batches:
        try:
            check_rows(engine.predict(inputs, together=True), expected, tolerance)
        except ParityError as error:
            raise ModelError(f"graph: its rows hang together: run as one batch, {error}") from None
    return inputs
