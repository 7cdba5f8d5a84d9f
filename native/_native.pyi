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

class ItchSummary(TypedDict):
    """What was read of an ITCH file; `error` is empty where all of it was. Not there at run time."""

    error: str
    offset: int
    messages: int
    by_type: dict[str, int]
    unknown_orders: int
    duplicate_orders: int
    off_grid_orders: int

def itch50_stocks(data: NDArray[np.uint8]) -> tuple[list[tuple[int, bytes]], ItchSummary]:
    """Return each directory entry's locate code and symbol."""

def itch50_decode(
    data: NDArray[np.uint8], *, locate: int, price_per_tick: int, midnight_ns: int
) -> tuple[NDArray[np.uint8], ItchSummary]:
    """Return one stock's market events, 80 bytes each; those before an error stand."""

def simulate_itch50(
    *,
    seed: int,
    seconds: float,
    touch_changes: int,
    relaxation_s: float,
    market_rate: float,
    market_tilt: float,
    limit_rate: float,
    limit_decay: float,
    limit_tilt: float,
    cancel_rate: float,
    cancel_tilt: float,
    start_ticks: int,
) -> tuple[bytes, NDArray[np.float64], NDArray[np.float64], int, float]:
    """Return ITCH bytes, signal and mid in ticks at each second, touch changes, and seconds simulated."""

# --- models ------------------------------------------------------------------

# --- serving -----------------------------------------------------------------
