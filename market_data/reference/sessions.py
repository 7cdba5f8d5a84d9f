"""What the plain features of whole sessions share: which events count, where sessions begin, sums over all before."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_contracts.market_event import UNUSABLE, BookDepths, MarketEvents

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]

_MOST_WEIGHTS = 1 << 22  # of a matrix of weights held at once: 32 MiB


@dataclass(frozen=True)
class Run:
    """The usable events of one session, oldest first.

    Attributes:
        rows: where they stand in the recording.
        events: themselves.
        clock_ns: their time, never falling.
        time_s: seconds since the session began.
        depth: their levels, or None.
        asked: at which of them sums are wanted, shape (n,); at the others they are NaN.
    """

    rows: Rows
    events: MarketEvents
    clock_ns: NDArray[np.int64]
    depth: BookDepths | None
    asked: NDArray[np.bool_]

    @property
    def time_s(self) -> Floats:
        """Seconds since the session began, shape (n,)."""
        return np.asarray((self.clock_ns - self.clock_ns[0]) * 1e-9)

    @property
    def gap_s(self) -> Floats:
        """Seconds since the event before, 0 for the first."""
        return np.diff(self.clock_ns, prepend=self.clock_ns[:1]) * 1e-9

    @property
    def mid(self) -> Floats:
        """In ticks."""
        return np.asarray(0.5 * (self.events["bid_ticks"] + self.events["ask_ticks"]))

    def decayed(self, values: Floats, half_life_s: float) -> Floats:
        """Return at each event the sum of all values up to it, each halved every half-life since."""
        found, times = np.full(len(values), np.nan), self.time_s
        asked = np.flatnonzero(self.asked)
        for part in np.array_split(asked, len(asked) * len(times) // _MOST_WEIGHTS + 1):
            after = np.arange(len(times)) > part[:, None]
            age_s = np.maximum(times[part, None] - times, 0.0)
            found[part] = np.where(after, 0.0, np.exp2(-age_s / half_life_s)) @ values
        return found

    def mean(self, values: Floats, half_life_s: float) -> Floats:
        """Return the mean over all past time of a value that stands until the next, before the start the first."""
        found, times = np.full(len(values), np.nan), self.time_s
        for n in np.flatnonzero(self.asked):
            found[n] = standing_mean(times[: n + 1], values[: n + 1], times[n], half_life_s)
        return found


def runs(events: MarketEvents, depth: BookDepths | None, *, sizes: bool, session_gap_s: float) -> list[Run]:
    """Return the sessions of a recording."""
    usable = (events["flags"] & UNUSABLE) == 0
    if sizes:
        usable &= (events["bid_lots"] >= 0) & (events["ask_lots"] >= 0)
    rows, found = np.flatnonzero(usable), []
    while len(rows):
        times = events["event_ns"][rows]
        clock = np.maximum.accumulate(times)
        # A silence is told from the clock of before; where one is, a new clock begins.
        silent = np.flatnonzero((times[1:] - clock[:-1]) * 1e-9 > session_gap_s)
        count = int(silent[0]) + 1 if len(silent) else len(rows)
        kept = rows[:count]
        levels = None if depth is None else depth[kept]
        found.append(Run(kept, events[kept], clock[:count], levels, np.ones(count, dtype=bool)))
        rows = rows[count:]
    return found


def others_weights(at_s: Floats, time_s: Floats, half_life_s: float) -> Floats:
    """Return 2^(-age / half-life) at each moment of each event until then, shape (m, n); 0 of the others."""
    age_s = at_s[:, None] - time_s[None, :]
    return np.where(age_s >= 0, np.exp2(-np.maximum(age_s, 0.0) / half_life_s), 0.0)


def standing_mean(times_s: NDArray[Any], values: Floats, now_s: float, half_life_s: float) -> float:
    """Return the mean over all time until now of values that stand from their time until the next one's."""
    edges = np.exp2(-(now_s - np.append(times_s, now_s)) / half_life_s)
    return float(np.sum(np.diff(edges) * values) + edges[0] * values[0])
