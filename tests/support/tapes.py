"""Simulated tapes in tests: written, read back by the real decoder, held against the simulator's own book."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_contracts.market_event import EventFlag, MarketEvents
from data_contracts.recording import Recording
from market_data.reading import read_recordings
from market_data.tapes.model import Tape
from market_data.tapes.truth import TapeTruth
from market_data.tapes.write import write_tape

TOUCH = ("bid_ticks", "bid_lots", "ask_ticks", "ask_lots")


@dataclass(frozen=True)
class Replayed:
    """What the platform read, and what the simulator knows."""

    day: Recording
    truth: TapeTruth
    touches: np.ndarray

    @property
    def events(self) -> MarketEvents:
        return self.day.events

    def between(self, start_s: float, end_s: float) -> MarketEvents:
        """Events whose venue's time is in [start, end), seconds from the tape's start."""
        at_s = (self.events["event_ns"] - self.truth.start_ns) / 1e9
        return self.events[(at_s >= start_s) & (at_s < end_s)]

    def flagged(self, flag: EventFlag) -> MarketEvents:
        return self.events[(self.events["flags"] & int(flag)) != 0]


def replay_tape(folder: Path, tape: Tape, *, seed: int = 1, locate: int = 1, **options: object) -> Replayed:
    path = folder / f"{tape.name}.pcap" if tape.needs_packets else folder / f"{tape.name}.itch50"
    made = write_tape(path, tape, seed=seed, keep_touches=True, **options)
    symbol = made.truth.stocks[locate - 1].symbol
    (day,) = read_recordings(path, format=made.truth.format, instrument=symbol)
    return Replayed(day=day, truth=made.truth, touches=made.touches[made.touches[:, 1] == locate])


def assert_same_book(replayed: Replayed, *, before: int | None = None) -> int:
    """Every event shows the simulator's own touch and state at its message, and no change of it was left out.

    Args:
        replayed: what to hold against it.
        before: only messages with lower numbers.

    Returns:
        How many changes were compared.
    """
    events, rows = replayed.events, replayed.touches
    if before is not None:
        events, rows = events[events["sequence"] < before], rows[rows[:, 0] < before]
    numbers = events["sequence"].astype(np.int64)
    own = rows[np.searchsorted(rows[:, 0], numbers, side="right") - 1]
    for column, name in enumerate(TOUCH, start=2):
        np.testing.assert_array_equal(events[name], own[:, column], err_msg=name)
    np.testing.assert_array_equal(events["flags"], own[:, 6])
    assert set(rows[:, 0].tolist()) <= set(numbers.tolist())
    assert len(rows) > 100
    return len(rows)
