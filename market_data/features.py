"""Features of a whole recording, by the same native code that serves live events."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_contracts.errors import UsageError
from data_contracts.feature_set import FeatureSet
from data_contracts.instrument import Instrument
from data_contracts.market_event import MARKET_EVENT, MarketEvents
from data_contracts.recording import Recording
from market_data.feature_sets import MICROPRICE, complete, needs_depth, needs_leader, needs_sizes
from market_data.zones import utc_offsets
from native import _native

Matrix = NDArray[np.float32]
Flags = NDArray[np.bool_]


def compute_features(
    recording: Recording, feature_set: FeatureSet, leader: Sequence[Recording] = ()
) -> tuple[Matrix, Flags]:
    """Return one vector an event, from that event and those before it.

    Args:
        recording: n events, oldest first; with levels where the set needs them.
        feature_set: what to compute, d features.
        leader: recordings of the set's leader, where it reads one; those of other times do no harm.

    Returns:
        The matrix, shape (n, d), and whether each row may be acted on, shape (n,): enough events were seen since
        the session began, the touch is usable, every feature is finite.

    Raises:
        UsageError: the set needs sizes, levels or a leader that are not there, or was not fitted.
    """
    engine = feature_engine(feature_set, recording.instrument)
    name = recording.instrument.symbol
    if needs_sizes(feature_set) and len(recording) and not recording.has_sizes:
        raise UsageError(f"feature set {feature_set.name}: expected sizes at the touch, {name} gives none")
    if needs_depth(feature_set) and recording.depth is None:
        raise UsageError(f"feature set {feature_set.name}: expected levels of the book, {name} gives none")
    return _native.compute_features(
        engine,
        as_bytes(recording.events),
        depth=np.ascontiguousarray(recording.depth) if needs_depth(feature_set) else None,
        leader=as_bytes(leader_events(feature_set, leader)) if needs_leader(feature_set) else None,
    )


def feature_engine(feature_set: FeatureSet, instrument: Instrument) -> "_native.FeatureEngine":
    """Return what computes the set for the instrument, event by event.

    Raises:
        UsageError: the set was not fitted.
    """
    complete(feature_set)
    return _native.FeatureEngine(
        feature_set.name,
        microprice_ticks=feature_set.tables.get(MICROPRICE, ()),
        leader=feature_set.leader,
        utc_offsets=utc_offsets(instrument.time_zone),
    )


def leader_events(feature_set: FeatureSet, recordings: Sequence[Recording]) -> MarketEvents:
    """Return the events of the set's leader, oldest first.

    Raises:
        UsageError: there is no recording of it, or one of something else.
    """
    symbols = sorted({recording.instrument.symbol for recording in recordings})
    if symbols != [feature_set.leader]:
        got = ", ".join(symbols) or "none"
        raise UsageError(f"feature set {feature_set.title}: expected recordings of {feature_set.leader}, got {got}")
    events = np.concatenate([np.zeros(0, MARKET_EVENT), *(recording.events for recording in recordings)])
    return events[np.argsort(events["event_ns"], kind="stable")]


def as_bytes(events: MarketEvents) -> NDArray[np.uint8]:
    """Return the events' bytes, shape (80 n,), as native code takes them."""
    contiguous: NDArray[Any] = np.ascontiguousarray(events)
    return contiguous.view(np.uint8).reshape(-1)
