"""A recording: one instrument's market events, read once from a file or a folder."""

import hashlib
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from data_contracts.instrument import Instrument
from data_contracts.market_event import MARKET_EVENT, NO_LOTS, MarketEvents


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
    """

    instrument: Instrument
    events: MarketEvents
    source: Path
    skipped: dict[str, int]
    by_type: dict[str, int] = field(default_factory=dict)
    gaps: int = 0

    def __post_init__(self) -> None:
        if self.events.dtype != MARKET_EVENT:
            raise TypeError(f"events: expected dtype MARKET_EVENT, got {self.events.dtype}")

    def __len__(self) -> int:
        return len(self.events)

    @property
    def has_sizes(self) -> bool:
        """Whether the feed gives lots at the touch."""
        return bool(len(self.events)) and bool(np.all(self.events["bid_lots"] != NO_LOTS))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the instrument's symbol and of the events' bytes."""
        digest = hashlib.sha256(self.instrument.symbol.encode())
        digest.update(np.ascontiguousarray(self.events).tobytes())
        return digest.hexdigest()

    def part(self, start: int, stop: int) -> "Recording":
        """Return events start..stop as a recording of their own."""
        return replace(self, events=self.events[start:stop])
