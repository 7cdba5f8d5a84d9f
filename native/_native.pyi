"""The extension module's types; folders of native/ mirror the sections."""

from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

# --- contracts ---------------------------------------------------------------

LAYOUT: dict[str, int]
"""Sizes and offsets of the shared structs, for the test that holds the dtypes against them."""

# --- market_data -------------------------------------------------------------

class FeatureSetSpec(TypedDict):
    """How native code defines a feature set; not there at run time."""

    features: list[str]
    half_lives_s: list[float]
    needs_sizes: bool
    session_gap_s: float
    warm_up_events: int

FEATURE_SETS: dict[str, FeatureSetSpec]

class FeatureEngine:
    """Streaming features of one instrument; ValueError where no set has that name."""

    def __init__(self, set_name: str) -> None: ...
    @property
    def width(self) -> int: ...
    def update(self, event: NDArray[np.uint8]) -> tuple[NDArray[np.float32], bool]:
        """Take one event's 80 bytes; return its vector, shape (width,), and whether the engine is warm."""

    def reset(self) -> None: ...

def compute_features(set_name: str, events: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the matrix, shape (n, width), and which rows may be acted on, shape (n,), for 80 n bytes of events."""

def compute_markouts(
    events: NDArray[np.uint8], *, fee_bps: float, stale_after_ns: int, entry_latency_ns: int, horizon_ns: int
) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """Return buy, sell and mid move in bps, shape (n, 3), and the status, shape (n,), of a decision at every event."""

# --- models ------------------------------------------------------------------

# --- serving -----------------------------------------------------------------
