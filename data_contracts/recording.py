"""A recording: one instrument's market events, read once from a file or a folder."""

import hashlib
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from data_contracts.instrument import Instrument
from data_contracts.market_event import DEPTH_LEVELS, MARKET_EVENT, NO_LOTS, BookDepths, MarketEvents


@dataclass(frozen=True)
class Recording:
    """Events of one instrument, oldest first.

    Attributes:
        instrument: what was traded, and on which grid.
        events: MARKET_EVENT, shape (n,).
        source: where it was read from.
        skipped: rows or messages left out while reading, by reason.
        by_type: messages of each type that the source holds, of all instruments; empty where it holds rows.
        gaps: times that messages were missed.
        depth: the levels right after each event, shape (n, 4, DEPTH_LEVELS); None: not asked for, or none given.
    """

    instrument: Instrument
    events: MarketEvents
    source: Path
    skipped: dict[str, int]
    by_type: dict[str, int] = field(default_factory=dict)
    gaps: int = 0
    depth: BookDepths | None = None

    def __post_init__(self) -> None:
        if self.events.dtype != MARKET_EVENT:
            raise TypeError(f"events: expected dtype MARKET_EVENT, got {self.events.dtype}")
        expected = (len(self.events), 4, DEPTH_LEVELS)
        if self.depth is not None and (self.depth.dtype != np.int64 or self.depth.shape != expected):
            got = f"{self.depth.dtype}, {self.depth.shape}"
            raise TypeError(f"depth: expected int64 of shape {expected}, got {got}")

    def __len__(self) -> int:
        return len(self.events)

    @property
    def has_sizes(self) -> bool:
        """Whether the feed gives lots at the touch."""
        return bool(len(self.events)) and bool(np.all(self.events["bid_lots"] != NO_LOTS))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the instrument's symbol, of the events' bytes, and of the levels' where they are kept."""
        digest = hashlib.sha256(self.instrument.symbol.encode())
        digest.update(np.ascontiguousarray(self.events).tobytes())
        if self.depth is not None:
            digest.update(np.ascontiguousarray(self.depth).tobytes())
        return digest.hexdigest()

    def part(self, start: int, stop: int) -> "Recording":
        """Return events start..stop as a recording of their own."""
        depth = None if self.depth is None else self.depth[start:stop]
        return replace(self, events=self.events[start:stop], depth=depth)
