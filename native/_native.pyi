"""The extension module's types; folders of native/ mirror the sections."""

from collections.abc import Sequence
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

class OnnxError(RuntimeError):
    """A graph or ONNX Runtime itself cannot be used."""

class OnnxModel:
    """One graph, a row at a time, one thread; see models/onnx_model.hpp."""

    def __init__(self, path: str, library: str) -> None: ...
    @property
    def inputs(self) -> int: ...
    @property
    def outputs(self) -> int: ...
    def predict(self, rows: NDArray[np.float32]) -> NDArray[np.float32]: ...
    def latencies_ns(self, rows: NDArray[np.float32], repeats: int) -> NDArray[np.int64]: ...

def onnxruntime_version(library: str) -> str: ...

# --- serving -----------------------------------------------------------------

class Route:
    """One model's routing; slot 255 and version 0: none."""

    def __init__(
        self,
        *,
        model: int,
        rollout_id: int = 0,
        champion_slot: int = 255,
        champion_version: int = 0,
        challenger_slot: int = 255,
        challenger_version: int = 0,
        share_bps: int = 0,
        salt: int = 0,
        phase: int = 0,
        step: int = 0,
        shadow_slots: Sequence[int] = (255, 255, 255, 255),
        shadow_versions: Sequence[int] = (0, 0, 0, 0),
    ) -> None: ...
    @property
    def model(self) -> int: ...
    @property
    def rollout_id(self) -> int: ...
    @property
    def champion_slot(self) -> int: ...
    @property
    def champion_version(self) -> int: ...
    @property
    def challenger_slot(self) -> int: ...
    @property
    def challenger_version(self) -> int: ...
    @property
    def share_bps(self) -> int: ...
    @property
    def salt(self) -> int: ...
    @property
    def phase(self) -> int: ...
    @property
    def step(self) -> int: ...
    @property
    def shadow_slots(self) -> list[int]: ...
    @property
    def shadow_versions(self) -> list[int]: ...

class RoutingTable:
    """Who answers, in shared memory: one writer, any number of readers; see serving/routing_table.hpp."""

    @staticmethod
    def create(path: str) -> RoutingTable:
        """Open it, made empty where there is none; an existing one keeps its routes."""

    @staticmethod
    def open(path: str) -> RoutingTable: ...
    def publish(self, routes: Sequence[Route]) -> int: ...
    def read(self) -> tuple[int, list[Route]]: ...
    def beat(self) -> None: ...
    def heartbeat_age_ns(self) -> int: ...

class Worker:
    """One worker's data plane; see serving/worker.hpp."""

    def __init__(
        self,
        *,
        journal_folder: str,
        rings_path: str,
        routing_path: str,
        host: str = "127.0.0.1",
        port: int = 0,
        worker: int = 0,
        core: int = -1,
        heartbeat_timeout_ns: int = 2_000_000_000,
        ring_records: int = 65_536,
        shadow_queue: int = 16_384,
        records_per_segment: int = ...,
    ) -> None: ...
    @property
    def feed_port(self) -> int: ...
    @property
    def recovered(self) -> dict[str, int]: ...
    def counters(self) -> dict[str, int]: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def set_model(
        self,
        *,
        index: int,
        name: str,
        feature_set: str,
        instruments: Sequence[str],
        horizon_ns: int,
        entry_latency_ns: int,
        min_interval_ns: int,
        late_or_failed_of_64: int,
        output_abs_max: float,
        loss_budget_bps: float,
    ) -> None: ...
    def clear_model(self, index: int) -> None: ...
    def set_slot(
        self,
        *,
        model: int,
        slot: int,
        version: int,
        expected_bps: bool,
        threshold: float,
        latency_budget_ns: int,
        live: OnnxModel,
        shadow: OnnxModel,
    ) -> None: ...
    def clear_slot(self, model: int, slot: int) -> None: ...
    def reclaim(self) -> int: ...
    def wait_hello(self, timeout_s: float) -> bytes | None: ...
    def accept_hello(self, instruments: Sequence[tuple[str, float, int]]) -> None: ...
    def refuse_hello(self, error: str) -> None: ...
    def replay(self, instruments: Sequence[tuple[str, float, int]], events: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Decide in the calling thread on packed market events; nanoseconds from event to decision for each."""

def drain_ring(ring_path: str, journal_dir: str) -> int:
    """Write what a dead worker left in its rings into its journal; return how many records."""

def sound_records(records: NDArray[np.uint8], first_index: int) -> int:
    """Return the first row of (n, 128) that is not whole or not in order, n where there is none."""

def crc32c(data: bytes) -> int: ...
