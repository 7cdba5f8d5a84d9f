"""Whether a market, a model's answers or its earnings are no longer what they were."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from data_contracts.errors import UsageError
from data_contracts.feature_set import FeatureSet
from data_contracts.manifest import MODEL_FILE, Manifest, verify_files
from data_contracts.recording import Recording
from market_data.feature_sets import complete, default_feature_set, feature_set_of
from models.dataset import Dataset, build_dataset
from models.drift import DriftResult, column_drift, edge_loss, enough_rows, memory_rows
from models.drift_feed import MIN_SESSIONS, bounce_drift, bounce_of, moves_of, session_drift
from models.labels import LabelConfig
from models.parity import run_onnx

MIN_TRADE_SHARE: Final = 0.01
"""A model that trades less is judged by what its score foretells, before costs."""


class DriftRequest(Struct, frozen=True, kw_only=True):
    """What is compared with what."""

    reference: str
    source: str
    format: str | None = None
    instrument: str | None = None
    feature_set: str | None = None
    """None: the model's, or touch_v1 where there are sizes, else quotes_v1."""
    horizon_ns: int = 2_000_000_000
    entry_latency_ns: int = 1_000_000
    min_interval_ns: int = 1_000_000_000
    """Between two rows; one a second says nearly as much as one an event, and remembers less of the row before."""
    label: LabelConfig = LabelConfig()
    alpha: Annotated[float, Meta(gt=0, lt=1)] = 0.05
    """Chance of any false alarm: two fifths for the features, a fifth each for predictions, edge and the feed."""
    seed: int = 1


class DriftReport(Struct, frozen=True, kw_only=True):
    """Every test that was made."""

    model_uri: str | None
    instrument: str
    feature_set: str
    reference_rows: int
    current_rows: int
    results: tuple[DriftResult, ...]
    notes: tuple[str, ...]

    @property
    def drifted(self) -> bool:
        """Whether any test says so."""
        return any(result.drifted for result in self.results)

    @property
    def found(self) -> tuple[DriftResult, ...]:
        """What drifted, the surest first."""
        return tuple(sorted((r for r in self.results if r.drifted), key=lambda r: (r.p_value, -r.value)))


def drift_between(
    reference: Sequence[Recording],
    current: Sequence[Recording],
    request: DriftRequest,
    *,
    version: Path | None = None,
    model_uri: str | None = None,
) -> DriftReport:
    """Return every test of `current` against `reference`.

    Args:
        reference: of one instrument, oldest first; over MIN_SESSIONS of them, each is a session of the feed's test.
        current: of the same instrument.
        request: what rows are, and the false-alarm rate.
        version: folder of a model whose predictions and earnings are asked about too.
        model_uri: where it came from.

    Raises:
        UsageError: other instruments, too few rows, or a model of another feature set.
    """
    symbols = {recording.instrument.symbol for recording in (*reference, *current)}
    if len(symbols) != 1:
        raise UsageError(f"drift: expected recordings of one instrument, got {sorted(symbols) or 'none'}")
    manifest = verify_files(version) if version else None
    features = _features(request, manifest, reference)
    then, now = (_rows(part, features, request, manifest) for part in (reference, current))
    share = request.alpha / 5
    results = list(column_drift(then.features, now.features, then.names, alpha=2 * share, seed=request.seed))
    notes: list[str] = []
    memory = memory_rows(then.features, now.features)
    needed = enough_rows(memory)
    if min(len(then), len(now)) < needed:
        notes.append(
            f"features remember too long for windows of {len(then):,} and {len(now):,} rows: from {needed:,} rows on "
            "their false alarms, and those of what a model makes of them, keep to the stated rate, with fewer they are "
            "more frequent"
        )
    if version is not None and manifest is not None:
        if manifest.state == "window":
            results += _of_model(version, manifest, then, now, share, memory, request.seed)
        else:
            notes.append("predictions and edge of a model that carries its state are watched live, not here")
    results += _of_feed(reference, current, share, request.seed)
    if len(reference) < MIN_SESSIONS:
        notes.append(f"{len(reference)} reference sessions: how sessions differ is asked from {MIN_SESSIONS} on")
    return DriftReport(
        model_uri=model_uri,
        instrument=next(iter(symbols)),
        feature_set=features.title,
        reference_rows=len(then),
        current_rows=len(now),
        results=tuple(results),
        notes=tuple(notes),
    )


def _features(request: DriftRequest, manifest: Manifest | None, reference: Sequence[Recording]) -> FeatureSet:
    if manifest is not None and manifest.features is not None:
        found = complete(manifest.features)
    else:
        name = request.feature_set or (manifest.feature_set if manifest else None)
        found = complete(feature_set_of(name)) if name else default_feature_set(reference)
    if manifest is not None and found.hash != manifest.feature_hash:
        raise UsageError(f"drift: the model reads {manifest.feature_set} {manifest.feature_hash}, this is {found.hash}")
    if found.leader:
        raise UsageError(f"drift: feature set {found.title} reads a leader; expected one of a single instrument")
    return found


def _rows(
    recordings: Sequence[Recording], features: FeatureSet, request: DriftRequest, manifest: Manifest | None
) -> Dataset:
    horizon_ns = manifest.label.horizon_ns if manifest else request.horizon_ns
    rows, _ = build_dataset(
        recordings,
        features,
        horizon_ns=horizon_ns,
        entry_latency_ns=request.entry_latency_ns,
        min_interval_ns=request.min_interval_ns,
        window=manifest.window if manifest else 1,
    )
    return rows


def _of_model(
    version: Path, manifest: Manifest, then: Dataset, now: Dataset, alpha: float, memory: float, seed: int
) -> list[DriftResult]:
    # What is said and earned follows the features, and may remember as long as they do.
    graph = (version / MODEL_FILE).read_bytes()
    scores = [_score(run_onnx(graph, rows.seen_through(manifest.window).features)) for rows in (then, now)]
    before, after = (each[:, None] for each in scores)
    found = list(column_drift(before, after, ("prediction",), alpha=alpha, seed=seed, memory=memory))
    earned, name = [], "net_pnl_bps"
    for score, rows in zip(scores, (then, now), strict=True):
        buys, sells = score > manifest.rule.threshold, score < -manifest.rule.threshold
        earned.append(np.where(buys, rows.buy_pnl_bps, np.where(sells, rows.sell_pnl_bps, 0.0)))
    if np.mean(earned[0] != 0) < MIN_TRADE_SHARE:
        name = "score_times_move_bps"
        earned = [score * rows.mid_move_bps for score, rows in zip(scores, (then, now), strict=True)]
    return [*found, edge_loss(earned[0], earned[1], name=name, alpha=alpha, seed=seed, memory=memory)]


def _score(outputs: NDArray[np.float32]) -> NDArray[np.float64]:
    wide = outputs.astype(np.float64)
    score: NDArray[np.float64] = wide[:, 2] - wide[:, 0] if wide.shape[1] > 1 else wide[:, 0]
    return score


def _of_feed(
    reference: Sequence[Recording], current: Sequence[Recording], alpha: float, seed: int
) -> list[DriftResult]:
    then, now = ([moves_of(recording) for recording in part] for part in (reference, current))
    by_session = len(then) >= MIN_SESSIONS
    share = alpha / 2 if by_session else alpha
    found = [bounce_drift(np.concatenate(then), np.concatenate(now), alpha=share, seed=seed)]
    if by_session:
        sessions = [bounce_of(moves) for moves in then]
        each = share / len(now)
        found += [
            session_drift(sessions, bounce_of(moves), alpha=each, name=f"bounce of {recording.source.name}")
            for moves, recording in zip(now, current, strict=True)
        ]
    return found
