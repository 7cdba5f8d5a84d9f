"""Features of a whole recording, by the same native code that serves live events."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_contracts.errors import UsageError
from data_contracts.feature_set import FeatureSet
from data_contracts.market_event import MarketEvents
from data_contracts.recording import Recording
from market_data.feature_sets import needs_sizes
from native import _native

Matrix = NDArray[np.float32]
Flags = NDArray[np.bool_]


def compute_features(recording: Recording, feature_set: FeatureSet) -> tuple[Matrix, Flags]:
    """Return one vector an event, from that event and those before it.

    Args:
        recording: n events, oldest first.
        feature_set: what to compute, d features.

    Returns:
        The matrix, shape (n, d), and whether each row may be acted on, shape (n,): enough events were seen since
        the session began, the touch is usable, every feature is finite.

    Raises:
        UsageError: the set needs sizes and the recording has none.
    """
    if needs_sizes(feature_set) and len(recording) and not recording.has_sizes:
        name = recording.instrument.symbol
        raise UsageError(f"feature set {feature_set.name}: expected sizes at the touch, {name} gives none")
    return _native.compute_features(feature_set.name, as_bytes(recording.events))


def as_bytes(events: MarketEvents) -> NDArray[np.uint8]:
    """Return the events' bytes, shape (80 n,), as native code takes them."""
    contiguous: NDArray[Any] = np.ascontiguousarray(events)
    return contiguous.view(np.uint8).reshape(-1)
