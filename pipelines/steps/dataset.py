"""From recordings to rows: what is learnt from, what is held out, in which folds."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from data_contracts.errors import UsageError
from data_contracts.feature_set import FeatureSet
from data_contracts.instrument import Instrument
from data_contracts.manifest import DataRange, Label
from data_contracts.recording import Recording
from market_data.feature_sets import complete, default_feature_set, feature_set_of
from market_data.recordings import after, first_share
from models.dataset import Dataset, build_dataset, range_of
from models.families import family
from models.folds import Fold, day_starts, purged, walk_forward
from models.labels import LabelReport
from models.leakage import refuse_leaks
from pipelines.request import TrainRequest
from pipelines.steps import contract

MIN_ROWS = 500
"""Fewer say nothing in any fold."""


@dataclass(frozen=True)
class Prepared:
    """Rows of one request; held-out rows come after every row learnt from, with a gap of horizon and embargo."""

    instrument: Instrument
    features: FeatureSet
    label: Label
    labels: LabelReport
    learn: Dataset
    held_out: Dataset
    folds: tuple[Fold, ...]
    ranges: tuple[DataRange, ...]
    trained_until_ns: int

    def seen_through(self, window: int) -> "Prepared":
        """Return the same rows as a model reads them that looks at `window` vectors."""
        return replace(self, learn=self.learn.seen_through(window), held_out=self.held_out.seen_through(window))


def vectors_read(name: str, request: TrainRequest) -> int:
    """Return how many vectors the family called `name` reads; 1: the newest alone.

    Raises:
        UsageError: there is no such family.
    """
    own = family(name).window
    return own if own == 1 else request.sequence or own


def prepare(recordings: Sequence[Recording], request: TrainRequest) -> Prepared:
    """Return the request's rows.

    Raises:
        UsageError: recordings of several instruments, too few rows, or a set that needs what they do not give.
        ModelError: a feature looks ahead.
    """
    parts = first_share(recordings, request.train_share)
    instrument = _one_instrument(parts)
    features = complete(feature_set_of(request.feature_set)) if request.feature_set else default_feature_set(parts)
    parts = after(parts, features.fitted_until_ns)  # what the fit has seen would tell of itself
    if not parts:
        raise UsageError(f"feature set {features.name}: expected events after those it was fitted on, got none")
    leader: tuple[Recording, ...] = ()
    if features.leader:
        said = None if request.leader else request.format
        leader = contract.read(Path(request.leader or request.source), format=said, instrument=features.leader)
    rows, labels = build_dataset(
        parts,
        features,
        horizon_ns=request.horizon_ns,
        entry_latency_ns=request.entry_latency_ns,
        min_interval_ns=request.min_interval_ns,
        label=request.label,
        leader=leader,
        window=max(request.window, 1),
    )
    if len(rows) < MIN_ROWS:
        raise UsageError(f"{instrument.symbol}: expected at least {MIN_ROWS} rows to learn from, got {len(rows)}")
    rows = rows.rows(slice(-(request.max_rows or len(rows)), None))
    learn, held_out = _split(rows, request)
    refuse_leaks(learn.features, learn.mid_move_bps, learn.names)
    return Prepared(
        instrument=instrument,
        features=features,
        label=_stated(request, rows, labels),
        labels=labels,
        learn=learn,
        held_out=held_out,
        folds=_folds(learn, request, features),
        ranges=tuple(range_of(part) for part in parts),
        trained_until_ns=int(parts[-1].events["event_ns"][-1]),
    )


def _stated(request: TrainRequest, rows: Dataset, labels: LabelReport) -> Label:
    follows_spread = request.label.kind in ("spread_aware", "triple_barrier")
    return Label(
        kind=labels.kind,
        horizon_ns=rows.horizon_ns,
        threshold_bps=labels.threshold_bps,
        horizon_events=labels.horizon_events,
        spreads=request.label.spreads if follows_spread else None,
    )


def _split(rows: Dataset, request: TrainRequest) -> tuple[Dataset, Dataset]:
    start = round(len(rows) * (1 - request.held_out_share))
    kept = purged(rows.event_ns, start, end_ns=rows.end_ns, embargo_ns=rows.horizon_ns)
    return rows.rows(kept), rows.rows(np.arange(start, len(rows)))


def _folds(learn: Dataset, request: TrainRequest, features: FeatureSet) -> tuple[Fold, ...]:
    starts = None
    if request.folds_by == "day":
        starts = day_starts(learn.event_ns, round(features.parameters["session_gap_s"] * 1e9))
        if not len(starts):
            raise UsageError("folds by day: expected at least 2 days before the rows held out, got 1")
    return walk_forward(
        learn.event_ns, folds=request.folds, end_ns=learn.end_ns, embargo_ns=learn.horizon_ns, starts=starts
    )


def _one_instrument(recordings: Sequence[Recording]) -> Instrument:
    found = {recording.instrument.symbol: recording.instrument for recording in recordings}
    if len(found) != 1:
        raise UsageError(f"training: expected recordings of one instrument, got {sorted(found) or 'none'}")
    return next(iter(found.values()))
