"""A version's folder: model.onnx, golden.json, manifest.json, and whatever else lies there, each with its digest."""

import subprocess
from pathlib import Path

import msgspec
import numpy as np
import onnx
from onnx import ModelProto, TensorProto

from data_contracts.errors import ModelError, UsageError
from data_contracts.feature_limits import FeatureLimits
from data_contracts.feature_set import FeatureSet
from data_contracts.manifest import (
    GOLDEN_FILE,
    MANIFEST_FILE,
    MODEL_FILE,
    STREAM_GOLDEN_MAX,
    STREAM_GOLDEN_MIN,
    Compression,
    DataRange,
    DecisionRule,
    Estimate,
    Golden,
    Label,
    Latency,
    Manifest,
    SeedSpread,
    State,
    sha256_of,
    write_manifest,
)
from models.parity import FLOAT_TOLERANCE, Floats, compare, golden, run_along, run_onnx, window_of

_OUTPUTS = {"up_minus_down": 3, "expected_bps": 1}


def package(
    folder: Path,
    onnx_model: ModelProto | bytes,
    *,
    model: str,
    family: str,
    feature_set: FeatureSet,
    rule: DecisionRule,
    label: Label,
    golden_inputs: Floats,
    state: State = "window",
    limits: FeatureLimits | None = None,
    data: tuple[DataRange, ...] = (),
    metrics: dict[str, Estimate] | None = None,
    seeds: SeedSpread | None = None,
    compression: Compression | None = None,
    parity_tolerance: float = FLOAT_TOLERANCE,
    latency: Latency | None = None,
    notes: tuple[str, ...] = (),
) -> Manifest:
    """Write model.onnx, golden.json and, last, manifest.json with the digest of every file in `folder`.

    Args:
        folder: made if absent; cards and plots already in it become part of the version.
        onnx_model: `features` (batch, d), or windows (batch, w, d), in, `output` (batch, k) out.
        model: registered model it is meant for.
        family: what kind of model it is.
        feature_set: what it reads; serving refuses it where its hash is not the live one.
        rule: from outputs to an action.
        label: what was learnt; its horizon is the one decisions are marked at.
        golden_inputs: rows (n, d), or windows (n, w, d) or (n, w * d); what ONNX Runtime answers to them here is
            written beside them. Of a stream one sequence (n, d).
        state: whether its state is carried from vector to vector: a stream's graph reads (batch, steps, d), the steps
            left open.
        limits: what its training data kept to, and serving abstains outside of; None: none.
        data: what made it.
        metrics: on rows it has not learnt from.
        seeds: how far they hang on the seed, None: it learnt with one alone.
        compression: what was done to it, None: nothing.
        parity_tolerance: difference allowed where the golden vectors are asked again.
        latency: as measured here, None: not measured.
        notes: plain statements of limits.
    """
    folder.mkdir(parents=True, exist_ok=True)
    content = onnx_model if isinstance(onnx_model, bytes) else onnx_model.SerializeToString()
    (folder / MODEL_FILE).write_bytes(content)
    vectors = golden(content, golden_inputs, state=state)
    window = window_of(content)
    (folder / GOLDEN_FILE).write_bytes(msgspec.json.encode(vectors))
    manifest = Manifest(
        model=model,
        family=family,
        feature_set=feature_set.name,
        feature_hash=feature_set.hash,
        features=feature_set if feature_set.tables or feature_set.leader else None,
        inputs=len(vectors.inputs[0]) // window,
        window=window,
        state=state,
        limits=limits,
        outputs=len(vectors.outputs[0]),
        rule=rule,
        label=label,
        data=data,
        metrics=metrics or {},
        seeds=seeds,
        compression=compression,
        parity_tolerance=parity_tolerance,
        latency=latency,
        source_commit=source_commit(),
        notes=notes,
        files=digests(folder),
    )
    write_manifest(folder, manifest)
    return manifest


def package_own(
    folder: Path,
    onnx_path: Path,
    *,
    model: str,
    feature_set: FeatureSet,
    rule: DecisionRule,
    label: Label,
    family: str = "own",
    golden_file: Path | None = None,
    state: State = "window",
    parity_tolerance: float = FLOAT_TOLERANCE,
    notes: tuple[str, ...] = (),
) -> Manifest:
    """Package a model made elsewhere, once it is one that serving can run.

    Args:
        folder: the version's, made if absent.
        onnx_path: one float32 input, (batch, d), windows (batch, w, d) or a stream's (batch, steps, d); one float32
            output first, (batch, k), k as the rule wants.
        model: registered model it is meant for.
        feature_set: what it reads, d features.
        rule: from outputs to an action.
        label: what was learnt; its horizon is the one decisions are marked at.
        family: what kind of model it is.
        golden_file: JSON {"inputs": rows, "outputs": rows} that the model must answer, a window as one flat row, those
            of a stream one sequence; None: seeded normal rows are used, which proves only that it answers the same
            everywhere.
        state: as in package().
        parity_tolerance: difference allowed, here and where the vectors are asked again.
        notes: plain statements of limits.

    Raises:
        UsageError: the file, or the golden vectors, are missing or not what they should be.
        ModelError: the graph's input or output does not fit the feature set or the rule.
        ParityError: ONNX Runtime answers the golden vectors differently.
    """
    width = len(feature_set.features)
    content = _checked_graph(onnx_path, width=width, outputs=_OUTPUTS[rule.kind], state=state)
    numbers = window_of(content) * width
    if golden_file is None:
        inputs = np.random.default_rng(0).normal(size=(32, numbers)).astype(np.float32)
    else:
        vectors = read_vectors(golden_file, width=numbers)
        if state == "stream" and not STREAM_GOLDEN_MIN <= len(vectors.inputs) <= STREAM_GOLDEN_MAX:
            wanted = f"{STREAM_GOLDEN_MIN} to {STREAM_GOLDEN_MAX} vectors of a stream"
            raise UsageError(f"{golden_file}: expected {wanted}, got {len(vectors.inputs)}")
        inputs = np.array(vectors.inputs, dtype=np.float32)
        said = run_along(content, inputs) if state == "stream" else run_onnx(content, inputs)
        compare(said, np.array(vectors.outputs, dtype=np.float32), tolerance=parity_tolerance)
    return package(
        folder,
        content,
        model=model,
        family=family,
        feature_set=feature_set,
        rule=rule,
        label=label,
        golden_inputs=inputs,
        state=state,
        parity_tolerance=parity_tolerance,
        notes=notes,
    )


def read_vectors(path: Path, *, width: int) -> Golden:
    """Return the golden vectors in the JSON file at `path`, each input `width` long.

    Raises:
        UsageError: missing, malformed, empty, or of another width.
    """
    try:
        vectors = msgspec.json.decode(path.read_bytes(), type=Golden)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    except msgspec.DecodeError as error:
        raise UsageError(f"{path}: golden vectors: {error}") from None
    if not vectors.inputs or len(vectors.inputs) != len(vectors.outputs):
        counts = f"{len(vectors.inputs)} and {len(vectors.outputs)}"
        raise UsageError(f"{path}: expected as many inputs as outputs and at least one, got {counts}")
    widths = {len(row) for row in vectors.inputs}
    if widths != {width} or len({len(row) for row in vectors.outputs}) != 1:
        raise UsageError(f"{path}: expected inputs of {width} numbers and outputs of one width, got {sorted(widths)}")
    return vectors


def digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file under `folder` but the manifest, by its relative path."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != MANIFEST_FILE)
    return {path.relative_to(folder).as_posix(): sha256_of(path) for path in files}


def source_commit() -> str:
    """Return the commit of the code that runs, with '-dirty' where files differ; 'unknown' outside a checkout."""
    here = Path(__file__).resolve().parent
    try:
        said = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            cwd=here,
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return said.stdout.strip()


def _checked_graph(path: Path, *, width: int, outputs: int, state: State) -> bytes:
    try:
        content = path.read_bytes()
        graph = onnx.load_from_string(content).graph
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    except Exception as error:  # protobuf raises its own kinds on bytes that are no model
        raise ModelError(f"{path}: not an ONNX model: {str(error).splitlines()[0]}") from None
    constants = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in constants]
    if len(inputs) != 1 or not graph.output:
        raise ModelError(f"{path}: expected one input and an output, got {len(inputs)} and {len(graph.output)}")
    _must_fit(path, "input", inputs[0], width, state=state)
    _must_fit(path, "output", graph.output[0], outputs)
    return content


def _must_fit(path: Path, role: str, value: onnx.ValueInfoProto, width: int, *, state: State | None = None) -> None:
    """Refuse what is not rows of `width`; nor, of an input to a model of this state, windows or a stream's steps."""
    kind = value.type.tensor_type
    shape = [d.dim_value or d.dim_param or "?" for d in kind.shape.dim]
    got = f"{TensorProto.DataType.Name(kind.elem_type)} {shape}"
    rows = state != "stream" and len(shape) == 2 and shape[1] in (width, "?")
    sequence = state is not None and len(shape) == 3 and shape[2] == width
    fits = rows or (sequence and isinstance(shape[1], int) == (state == "window"))
    if kind.elem_type != TensorProto.FLOAT or not fits:
        row, window, steps = (f"[batch, {many}{width}]" for many in ("", "window, ", "steps, "))
        wanted = {None: row, "window": f"{row} or {window}", "stream": f"{steps}, the steps left open"}[state]
        raise ModelError(f"{path}: {role} {value.name!r}: expected FLOAT {wanted}, got {got}")
