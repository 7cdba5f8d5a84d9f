"""Rows a model learns from: vectors, classes and what each action would have earned."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from data_contracts.feature_set import FeatureSet
from data_contracts.journal import MarkoutStatus
from data_contracts.market_event import UNUSABLE
from data_contracts.recording import Recording
from market_data.features import compute_features
from market_data.markouts import compute_markouts
from models.labels import LabelReport, classify, half_spread_bps, report_labels

Rows = NDArray[np.intp] | NDArray[np.bool_] | slice


@dataclass(frozen=True)
class Dataset:
    """Decisions that could be taken and paid, oldest first; n rows, d features.

    Attributes:
        features: float32 (n, d), finite.
        classes: int8 (n,), 0 down, 1 flat, 2 up.
        event_ns: int64 (n,), event time of the decision; never falls.
        buy_pnl_bps: float64 (n,), earned by buying, net of half the spread and fees.
        sell_pnl_bps: float64 (n,), earned by selling, likewise.
        mid_move_bps: float64 (n,), mid one horizon on against mid now, without costs.
        names: the d features' names.
        horizon_ns: event time from decision to mark.
    """

    features: NDArray[np.float32]
    classes: NDArray[np.int8]
    event_ns: NDArray[np.int64]
    buy_pnl_bps: NDArray[np.float64]
    sell_pnl_bps: NDArray[np.float64]
    mid_move_bps: NDArray[np.float64]
    names: tuple[str, ...]
    horizon_ns: int

    def __len__(self) -> int:
        return len(self.classes)

    def rows(self, chosen: Rows) -> "Dataset":
        """Return the chosen rows as a dataset of their own."""
        columns = ("features", "classes", "event_ns", "buy_pnl_bps", "sell_pnl_bps", "mid_move_bps")
        return replace(self, **{name: getattr(self, name)[chosen] for name in columns})


def build_dataset(
    recordings: Sequence[Recording],
    feature_set: FeatureSet,
    *,
    horizon_ns: int,
    entry_latency_ns: int,
    min_interval_ns: int = 0,
    threshold_bps: float | None = None,
    leader: Sequence[Recording] = (),
) -> tuple[Dataset, LabelReport]:
    """Return one dataset over all recordings (oldest first) and what its labels look like.

    A row is a decision the live engine would take: warm, finite, a usable touch, `min_interval_ns` after the one
    before. Rows without a usable mark are dropped and counted.

    Args:
        recordings: of one instrument, oldest first.
        feature_set: d features.
        horizon_ns: event time from decision to mark.
        entry_latency_ns: event time from decision to entry.
        min_interval_ns: event time between two decisions, at least.
        threshold_bps: a move beyond it is up or down; None: half the median spread of the recordings.
        leader: recordings of the set's leader, where it reads one.
    """
    threshold = half_spread_bps(recordings) if threshold_bps is None else threshold_bps
    parts = [_decisions(r, feature_set, leader, horizon_ns, entry_latency_ns, min_interval_ns) for r in recordings]
    offered = sum(part[1] for part in parts)
    columns = [np.concatenate(column) for column in zip(*(part[0] for part in parts), strict=True)]
    features, event_ns, buy, sell, move = columns
    dataset = Dataset(features, classify(move, threshold), event_ns, buy, sell, move, feature_set.features, horizon_ns)
    return dataset, report_labels(dataset.classes, buy, sell, threshold_bps=threshold, offered=offered)


def _decisions(
    recording: Recording,
    feature_set: FeatureSet,
    leader: Sequence[Recording],
    horizon_ns: int,
    entry_latency_ns: int,
    min_interval_ns: int,
) -> tuple[tuple[NDArray[np.generic], ...], int]:
    features, ready = compute_features(recording, feature_set, leader)
    usable = (recording.events["flags"] & UNUSABLE) == 0
    can_decide = np.flatnonzero(ready & usable & np.isfinite(features).all(axis=1))
    taken = can_decide[spaced(recording.events["event_ns"][can_decide], min_interval_ns)]
    marks = compute_markouts(recording, entry_latency_ns=entry_latency_ns, horizon_ns=horizon_ns)
    kept = taken[marks["status"][taken] == MarkoutStatus.OK]
    columns = (
        features[kept],
        recording.events["event_ns"][kept],
        marks["buy_pnl_bps"][kept].astype(np.float64),
        marks["sell_pnl_bps"][kept].astype(np.float64),
        marks["mid_move_bps"][kept].astype(np.float64),
    )
    return columns, len(taken)


def spaced(event_ns: NDArray[np.int64], min_interval_ns: int) -> NDArray[np.intp]:
    """Return the positions kept when each must be at least `min_interval_ns` after the one kept before."""
    if min_interval_ns <= 0:
        return np.arange(len(event_ns))
    kept, position = [], 0
    while position < len(event_ns):
        kept.append(position)
        position = max(position + 1, int(np.searchsorted(event_ns, event_ns[position] + min_interval_ns)))
    return np.array(kept, dtype=np.intp)
