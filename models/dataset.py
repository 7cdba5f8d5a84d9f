"""Rows a model learns from: vectors, classes and what each action would have earned."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from data_contracts.feature_set import FeatureSet
from data_contracts.journal import MarkoutStatus
from data_contracts.manifest import DataRange
from data_contracts.market_event import UNUSABLE
from data_contracts.recording import Recording
from market_data.features import compute_features
from models.labels import LabelConfig, LabelReport, half_spread_bps, report_labels
from models.marks import Marks, classes_of, horizon_ends, marks, spreads_bps
from models.windows import Windows, run_lengths

Rows = NDArray[np.intp] | NDArray[np.bool_] | slice


@dataclass(frozen=True)
class Dataset:
    """Decisions that could be taken and paid, oldest first; n rows, d features.

    Attributes:
        features: float32 (n, d), finite; windows, float32 (n, w, d), once seen through one.
        classes: int8 (n,), 0 down, 1 flat, 2 up.
        event_ns: int64 (n,), event time of the decision; never falls.
        buy_pnl_bps: float64 (n,), earned by buying, net of half the spread and fees.
        sell_pnl_bps: float64 (n,), earned by selling, likewise.
        mid_move_bps: float64 (n,), mid one horizon on against mid now, without costs.
        exit_half_spread_bps: float64 (n,), what leaving at the touch instead of at mid costs more.
        end_ns: int64 (n,), event time at which class and earnings were known; never before event_ns.
        places: intp (n,), where each row's vector stands among `vectors`.
        vectors: float32 (m, d), of every usable event at which the features were warm, decided on or not.
        names: the d features' names.
        horizon_ns: event time from decision to mark; in the median, where the horizon is in events.
        fee_bps: paid on entry, already taken off what buying and selling earned.
    """

    features: NDArray[np.float32]
    classes: NDArray[np.int8]
    event_ns: NDArray[np.int64]
    buy_pnl_bps: NDArray[np.float64]
    sell_pnl_bps: NDArray[np.float64]
    mid_move_bps: NDArray[np.float64]
    exit_half_spread_bps: NDArray[np.float64]
    end_ns: NDArray[np.int64]
    places: NDArray[np.intp]
    vectors: NDArray[np.float32]
    names: tuple[str, ...]
    horizon_ns: int
    fee_bps: float = 0.0

    def __len__(self) -> int:
        return len(self.classes)

    def seen_through(self, window: int) -> "Dataset":
        """Return the same rows as a model reads them that looks at `window` vectors: at most that of build_dataset."""
        if window == 1:
            return replace(self, features=self.vectors[self.places])
        return replace(self, features=cast("NDArray[np.float32]", Windows(self.vectors, self.places, window)))

    def rows(self, chosen: Rows) -> "Dataset":
        """Return the chosen rows as a dataset of their own."""
        return replace(self, **{name: getattr(self, name)[chosen] for name in COLUMNS})


COLUMNS = (
    "features",
    "classes",
    "event_ns",
    "buy_pnl_bps",
    "sell_pnl_bps",
    "mid_move_bps",
    "exit_half_spread_bps",
    "end_ns",
    "places",
)
"""Of a dataset, one entry a row."""


def build_dataset(
    recordings: Sequence[Recording],
    feature_set: FeatureSet,
    *,
    horizon_ns: int,
    entry_latency_ns: int,
    min_interval_ns: int = 0,
    label: LabelConfig | None = None,
    leader: Sequence[Recording] = (),
    window: int = 1,
) -> tuple[Dataset, LabelReport]:
    """Return one dataset over all recordings (oldest first) and what its labels look like.

    A row is a decision the live engine would take: warm, finite, a usable touch, `min_interval_ns` after the one
    before. Rows without a usable mark are dropped and counted.

    Args:
        recordings: of one instrument, oldest first.
        feature_set: d features.
        horizon_ns: event time from decision to mark; not read where the label's horizon is in events.
        entry_latency_ns: event time from decision to entry.
        min_interval_ns: event time between two decisions, at least.
        label: how classes are made; None: mid move beyond half the median spread of the recordings.
        leader: recordings of the set's leader, where it reads one.
        window: vectors a row must be able to look back on, its own included; all of one session.
    """
    label = label or LabelConfig()
    threshold = _threshold_bps(recordings, label)
    parts = [
        _decisions(
            recording, feature_set, leader, label, threshold, horizon_ns, entry_latency_ns, min_interval_ns, window
        )
        for recording in recordings
    ]
    before = np.cumsum([0, *(len(part[2]) for part in parts)])
    for part, count in zip(parts, before, strict=False):
        part[0]["places"] += count
    columns = {name: np.concatenate([part[0][name] for part in parts]) for name in (*COLUMNS, "spread_bps")}
    vectors = np.concatenate([part[2] for part in parts])
    spreads = columns.pop("spread_bps")
    reach = columns["end_ns"] - columns["event_ns"]
    if label.horizon_events is not None:
        horizon_ns = max(int(np.median(reach)), 1) if len(reach) else 1
    fee_bps = recordings[0].instrument.fee_bps
    dataset = Dataset(**columns, vectors=vectors, names=feature_set.features, horizon_ns=horizon_ns, fee_bps=fee_bps)
    if label.kind in ("spread_aware", "triple_barrier"):
        threshold = label.spreads * float(np.median(spreads)) if len(spreads) else 0.0
    report = report_labels(
        dataset.classes,
        dataset.buy_pnl_bps,
        dataset.sell_pnl_bps,
        config=label,
        threshold_bps=threshold,
        offered=sum(part[1] for part in parts),
        reach_ns=reach,
    )
    return dataset, report


def _threshold_bps(recordings: Sequence[Recording], label: LabelConfig) -> float:
    if label.threshold_bps is not None:
        return label.threshold_bps
    return 0.0 if label.kind == "markout" else half_spread_bps(recordings)


def _decisions(
    recording: Recording,
    feature_set: FeatureSet,
    leader: Sequence[Recording],
    label: LabelConfig,
    threshold_bps: float,
    horizon_ns: int,
    entry_latency_ns: int,
    min_interval_ns: int,
    window: int,
) -> tuple[dict[str, NDArray[Any]], int, NDArray[np.float32]]:
    features, ready = compute_features(recording, feature_set, leader)
    times = recording.events["event_ns"]
    usable = (recording.events["flags"] & UNUSABLE) == 0
    good = ready & usable & np.isfinite(features).all(axis=1)
    # A session begins with usable events at which nothing is warm yet, so no run of good ones reaches over its start.
    runs = np.zeros(len(good), dtype=np.intp)
    runs[usable] = run_lengths(good[usable])
    can_decide = np.flatnonzero(good & (runs >= window))
    taken = can_decide[spaced(times[can_decide], min_interval_ns)]
    ends = horizon_ends(recording, taken, label, horizon_ns)
    made = marks(recording, taken, ends, entry_latency_ns=entry_latency_ns)
    marked = made.status == MarkoutStatus.OK
    kept, made = taken[marked], Marks(*(column[marked] for column in made))
    columns = {
        "features": features[kept],
        "classes": classes_of(recording, kept, made, label, threshold_bps),
        "event_ns": times[kept],
        "spread_bps": spreads_bps(recording, kept),
        "places": np.cumsum(good)[kept] - 1,
    }
    columns |= {name: getattr(made, name) for name in COLUMNS if name not in columns}
    return columns, len(taken), features[good]


def spaced(event_ns: NDArray[np.int64], min_interval_ns: int) -> NDArray[np.intp]:
    """Return the positions kept when each must be at least `min_interval_ns` after the one kept before."""
    if min_interval_ns <= 0:
        return np.arange(len(event_ns))
    kept, position = [], 0
    while position < len(event_ns):
        kept.append(position)
        position = max(position + 1, int(np.searchsorted(event_ns, event_ns[position] + min_interval_ns)))
    return np.array(kept, dtype=np.intp)


def range_of(recording: Recording) -> DataRange:
    """Return what a manifest says of the recording."""
    return DataRange(
        source=recording.source.name,
        instrument=recording.instrument.symbol,
        fingerprint=recording.fingerprint,
        first_event_ns=int(recording.events["event_ns"][0]),
        last_event_ns=int(recording.events["event_ns"][-1]),
        events=len(recording),
    )
