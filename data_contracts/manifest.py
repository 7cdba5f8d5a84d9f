"""What every model version says of itself: manifest.json beside model.onnx."""

import hashlib
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from data_contracts.errors import ManifestError
from data_contracts.feature_limits import FeatureLimits
from data_contracts.feature_set import FeatureSet

MANIFEST_FILE: Final = "manifest.json"
MODEL_FILE: Final = "model.onnx"
GOLDEN_FILE: Final = "golden.json"

STREAM_GOLDEN_MIN: Final = 16
"""Golden vectors of a stream: fewer would not show what is carried."""
STREAM_GOLDEN_MAX: Final = 1024
"""ONNX Runtime reads every beginning of them: its time goes with their number squared."""

State = Literal["window", "stream"]
Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class Estimate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A measured value with its 95 % confidence interval; null where it could not be measured."""

    value: float | None
    low: float | None = None
    high: float | None = None


class Spread(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A figure's lowest, mean and highest value over seeds; no confidence interval."""

    low: float
    mean: float
    high: float


class SeedSpread(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same family, configuration and rows learnt with several seeds, before compression."""

    seeds: tuple[int, ...]
    published: int
    """The first of them, named before anything was measured: which one did best is no reason to publish it."""
    held_out: dict[str, Spread]
    """By figure, on the held-out rows; each seed with a threshold chosen on its own walk-forward scores."""
    walk_forward: dict[str, Spread]
    """By figure, out of fold."""
    one_optimum: bool = False
    """The second seed gave the very same model, so that no further one was asked."""


class DecisionRule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From outputs to an action: buy where score > threshold, sell where score < -threshold.

    kind up_minus_down: outputs are P(down), P(flat), P(up); score = up - down.
    kind expected_bps: one output, the expected mid move in bps; score is that output.
    A threshold no score can reach means that the model never trades.
    """

    kind: Literal["up_minus_down", "expected_bps"]
    threshold: Annotated[float, Meta(ge=0)]


class Label(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was learnt, and how long after a decision it is marked out."""

    kind: str
    """mid_move, smoothed_mid, spread_aware, triple_barrier or markout; own: not made here."""
    horizon_ns: Annotated[int, Meta(gt=0)]
    threshold_bps: float = 0.0
    """In the median, where it follows the spread."""
    horizon_events: int | None = None
    """The horizon was so many events, which took horizon_ns in the median; None: it was horizon_ns."""
    spreads: float | None = None
    """The threshold was so many spreads as they stood at the decision; None: it was threshold_bps."""


class DataRange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Data that made the model."""

    source: str
    instrument: str
    fingerprint: Sha256
    first_event_ns: int
    last_event_ns: int
    events: int


class Latency(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row through the native engine, batch 1, on the machine that is named."""

    p50_us: float
    p99_us: float
    machine: str


class FrontPoint(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A form of the model that no other beats in bytes, difference and median latency at once."""

    steps: tuple[str, ...]
    """Empty: the original."""
    bytes: int
    compared: Estimate
    """Metric difference to the original on the rows that candidates are compared on."""
    confirmed: Estimate | None = None
    """The same on the later rows that confirm; null: its turn did not come."""
    latency: Latency
    published: bool = False


class Compression(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What pruning, distilling and quantizing did, against the fp32 original, on held-out data."""

    original_bytes: int
    compressed_bytes: int
    steps: tuple[str, ...]
    """What was done, in order; empty: published uncompressed."""
    metric: str
    difference_low: float
    difference_high: float
    margin: float
    not_inferior: bool
    confirmed_from_ns: int | None = None
    """The interval is of the held-out rows from this event time on; the choice was made on those before."""
    original_latency: Latency | None = None
    latency: Latency | None = None
    """Of what is published, timed in turns with the original."""
    front: tuple[FrontPoint, ...] = ()
    """Largest first."""


class Manifest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything serving checks before a version sees a live event."""

    schema: Literal[1] = 1
    model: str
    family: str
    feature_set: str
    feature_hash: str
    features: FeatureSet | None = None
    """The set in full where something of it was fitted or chosen; None: the name says it all."""
    inputs: int
    """Width of the one float32 input, shape (1, inputs) or (batch, inputs)."""
    window: Annotated[int, Meta(ge=1, le=128)] = 1
    """Vectors a decision reads; over 1, the input is (batch, window, inputs), oldest first: those of the newest usable
    events of the session, at each of which the features were warm."""
    state: State = "window"
    """window: every decision begins with none. stream: the states of its LSTM layers are carried from each usable event
    to the next, one for each instrument, from its session's begin; the input is (batch, steps, inputs), the steps left
    open."""
    limits: FeatureLimits | None = None
    """What its training data kept to: a vector outside, or a window with one, is abstained on; None: no limits."""
    outputs: int
    """Width of the one float32 output read by the rule."""
    rule: DecisionRule
    label: Label
    data: tuple[DataRange, ...]
    metrics: dict[str, Estimate]
    seeds: SeedSpread | None = None
    """How far the figures hang on the seed; None: it learnt with one alone."""
    compression: Compression | None = None
    parity_tolerance: float
    latency: Latency | None = None
    source_commit: str
    notes: tuple[str, ...] = ()
    """Plain statements of limits, for example that no threshold paid its costs."""
    files: dict[str, Sha256]
    """SHA-256 of every other file of the version."""

    def __post_init__(self) -> None:
        """Refuse limits of another width than the features', and a stream of windows.

        Raises:
            ValueError: as said.
        """
        if self.state == "stream" and self.window != 1:
            raise ValueError(f"window: expected 1 of a stream, whose state is its past, got {self.window}")
        if self.limits is not None and len(self.limits.low) != self.inputs:
            raise ValueError(f"limits: expected {self.inputs}, one a feature, got {len(self.limits.low)}")


class Golden(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Vectors and the outputs that ONNX Runtime gave for them where the model was made; a window is one flat row.

    Those of a stream are one sequence, each output what came after its vector and all before it.
    """

    inputs: tuple[tuple[float, ...], ...]
    outputs: tuple[tuple[float, ...], ...]


def sha256_of(path: Path) -> str:
    """Return the file's SHA-256 in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_manifest(folder: Path, manifest: Manifest) -> Path:
    """Write manifest.json into `folder`, with the digests it already carries."""
    path = folder / MANIFEST_FILE
    path.write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2))
    return path


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest in `folder` without looking at the files it names.

    Raises:
        ManifestError: it is missing or not a manifest.
    """
    path = folder / MANIFEST_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Manifest)
    except FileNotFoundError:
        raise ManifestError(f"{path}: expected a manifest, found no such file") from None
    except msgspec.DecodeError as error:
        raise ManifestError(f"{path}: {error}") from None


def read_golden(folder: Path) -> Golden:
    """Return the golden vectors in `folder`.

    Raises:
        ManifestError: they are missing or malformed.
    """
    path = folder / GOLDEN_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Golden)
    except FileNotFoundError:
        raise ManifestError(f"{path}: expected golden vectors, found no such file") from None
    except msgspec.DecodeError as error:
        raise ManifestError(f"{path}: {error}") from None


def verify_files(folder: Path) -> Manifest:
    """Return the manifest once every file it names is there with the digest it states.

    Raises:
        ManifestError: a file is missing, differs, or is there without being named where it matters.
    """
    manifest = read_manifest(folder)
    for required in (MODEL_FILE, GOLDEN_FILE):
        if required not in manifest.files:
            raise ManifestError(f"{folder / MANIFEST_FILE}: files: expected an entry for {required}, got none")
    for name, expected in manifest.files.items():
        path = folder / name
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise ManifestError(f"{folder / MANIFEST_FILE}: files: {name!r} points outside the version's folder")
        if not path.is_file():
            raise ManifestError(f"{path}: named by the manifest, found no such file")
        got = sha256_of(path)
        if got != expected:
            raise ManifestError(f"{path}: expected SHA-256 {expected}, got {got}")
    return manifest
