"""Files by which the controller tells workers what to hold ready, and workers answer.

Both are replaced whole and atomically, so that either side may die and read the other's last word.
"""

import os
from pathlib import Path
from typing import Final, Literal, TypeVar

import msgspec
from msgspec import Struct

from data_contracts.feature_set import FeatureSet
from data_contracts.instrument import Instrument

LINEUP_FILE: Final = "lineup.json"
STATUS_FILE: Final = "status.json"
INSTRUMENTS_MAX: Final = 1024
"""Different instruments that feeds may introduce to one worker; a stream of a version's for each."""
MODELS_MAX: Final = 16
SLOTS_MAX: Final = 8
"""Versions of one model that a worker holds at once."""


class Slot(Struct, frozen=True, kw_only=True):
    """One version to hold ready."""

    slot: int
    version: int
    folder: str
    """Verified files of the version."""
    latency_budget_ns: int


class ModelLineup(Struct, frozen=True, kw_only=True):
    """One model's versions and how its decisions are taken and paid."""

    index: int
    """Dense id in routing table and journal; never reused for another name within a state folder."""
    name: str
    feature_set: str
    features: FeatureSet | None = None
    """The set in full where something of it was fitted or chosen."""
    instruments: tuple[str, ...]
    """Symbols it decides on; empty: all."""
    slots: tuple[Slot, ...]
    horizon_ns: int
    entry_latency_ns: int
    min_interval_ns: int
    late_or_failed_of_64: int
    output_abs_max: float
    loss_budget_bps: float
    drawdown_budget_bps: float | None = None
    """None, here and below: no limit."""
    position_lots_max: int | None = None
    notional_max: float | None = None
    decisions_per_second_max: float | None = None
    model_age_max_ns: int | None = None
    extra_horizons_ns: tuple[int, ...] = ()
    """Three at most."""
    window: int = 1
    """Vectors that the version which reads most of them reads."""


class Lineup(Struct, frozen=True, kw_only=True):
    """Everything a worker must hold ready before routing may name it."""

    generation: int
    models: tuple[ModelLineup, ...]


class SlotStatus(Struct, frozen=True, kw_only=True):
    """What became of one slot."""

    model: str
    slot: int
    version: int
    state: Literal["ready", "failed"]
    reason: str = ""
    tier: str = ""
    """Engine that runs it, for example onnxruntime."""
    warm_p50_us: float = 0.0
    warm_p99_us: float = 0.0
    breaker: str = "closed"
    """closed, half_open, or open with what opened it: open: failed, open: late, open: constant."""


class WorkerStatus(Struct, frozen=True, kw_only=True):
    """What a worker says of itself, a few times a second."""

    pid: int
    written_ns: int
    generation: int
    """Of the line-up that the slots answer."""
    epoch: int
    """Of the routing table in force."""
    feed_port: int
    slots: tuple[SlotStatus, ...]
    instruments: tuple[Instrument, ...]
    """As the feed introduced them, by dense id."""
    counters: dict[str, int]
    """events, decisions, abstentions, shadows_scored, shadows_dropped, journal_dropped, feed_connections, ..."""
    last_event_ns: int = 0
    rest_port: int = 0
    """0: no such door."""


_T = TypeVar("_T", Lineup, WorkerStatus)


def breaker_words(state: int, cause: int) -> str:
    """Return how a breaker stands, from native code's numbers."""
    word = ("closed", "half_open", "open")[state]
    return f"{word}: {('none', 'failed', 'late', 'constant')[cause]}" if word == "open" else word


def write_whole(path: Path, value: Lineup | WorkerStatus) -> None:
    """Replace the file at `path` in one step; a reader sees the old one or the new one."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_bytes(msgspec.json.encode(value))
    part.replace(path)


def read_whole(path: Path, kind: type[_T]) -> _T | None:
    """Return what the file says, None where there is none yet.

    Raises:
        msgspec.DecodeError: it is there and is something else.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
