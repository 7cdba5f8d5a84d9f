"""Admission of versions whose state is carried from vector to vector: held to ONNX Runtime over whole sequences."""

from pathlib import Path

import numpy as np

from data_contracts.errors import ManifestError, ModelError, ParityError
from data_contracts.manifest import MODEL_FILE, STREAM_GOLDEN_MAX, STREAM_GOLDEN_MIN, Manifest, read_golden
from native import onnxruntime_library
from native._native import OnnxError, OnnxModel, StreamModel, load_stream
from serving.parity import Float32s, check_rows, check_widths, golden_rows


def admit_stream(folder: Path, manifest: Manifest, *, streams: int) -> tuple[StreamModel, StreamModel, Float32s]:
    """Return the version's stream models, at their beginning, for the decision and the shadow thread.

    Its golden vectors are one sequence. ONNX Runtime must answer every beginning of it as they say, and the kernels,
    a vector at a time, likewise: in the first stream while another sequence goes through the last, and in the last.
    Nothing stands in for the kernels: ONNX Runtime carries no state.

    Args:
        folder: the version's files, verified.
        manifest: of them.
        streams: how many each model keeps.

    Returns:
        Both models, and the golden vectors (n, width).

    Raises:
        ManifestError: it is no stream's, or the golden vectors are too few, too many or malformed.
        ModelError: the graph is no stream's, or nothing that the kernels can carry.
        ParityError: a golden vector is answered otherwise.
    """
    if manifest.state != "stream":
        raise ManifestError(f"{folder}: state: expected stream, got {manifest.state}")
    path = str(folder / MODEL_FILE)
    try:
        reference = OnnxModel(path, onnxruntime_library(), stream=True)
        check_widths(reference, manifest)
        inputs, expected = golden_rows(read_golden(folder), reference)
        if not STREAM_GOLDEN_MIN <= len(inputs) <= STREAM_GOLDEN_MAX:
            wanted = f"{STREAM_GOLDEN_MIN} to {STREAM_GOLDEN_MAX} of a stream"
            raise ManifestError(f"{folder}: golden vectors: expected {wanted}, got {len(inputs)}")
        check_rows(reference.answers_along(inputs), expected, manifest.parity_tolerance)
        models = load_stream(path, streams), load_stream(path, streams)
    except OnnxError as error:
        raise ModelError(str(error)) from None
    for model in models:
        check_widths(model, manifest)
        try:
            _check_carried(model, inputs, expected, manifest.parity_tolerance)
        except ParityError as error:
            raise ModelError(f"{model.tier}: {error}; ONNX Runtime, which agrees, carries no state") from None
    return *models, inputs


def _check_carried(model: StreamModel, inputs: Float32s, expected: Float32s, tolerance: float) -> None:
    last = model.streams - 1
    said = np.empty_like(expected)
    for step, vector in enumerate(inputs):
        if last > 0:  # another sequence, which must not show
            model.select(last)
            model.predict(inputs[-1 - step :][:1])
        model.select(0)
        said[step] = model.predict(vector[None])[0]
    check_rows(said, expected, tolerance)
    model.restart(last)
    model.select(last)
    check_rows(model.predict(inputs), expected, tolerance)
    model.restart(last)
    model.restart(0)
    model.select(0)
