"""The newest decisions, kept for subscribers that each read at their own pace: none holds another up."""

from bisect import bisect_right
from collections.abc import Iterable
from typing import Final, NamedTuple

KEPT: Final = 65_536


class Entry(NamedTuple):
    """One decision, as it goes out."""

    decision_id: int
    model: str
    instrument: str
    content: bytes


class Missed(NamedTuple):
    """Decisions between two ids that are no longer here."""

    after: int
    before: int


class DecisionLog:
    """Entries in order of their ids; the oldest go first where there are too many."""

    def __init__(self, *, kept: int = KEPT) -> None:
        self._entries: list[Entry] = []
        self._first = 0  # position of the oldest, counted from the first ever
        self._kept = kept

    def add(self, entries: Iterable[Entry]) -> None:
        """Add newer decisions."""
        self._entries.extend(entries)
        # In lumps, so that a full log is not moved up at every decision.
        if len(self._entries) > self._kept + self._kept // 4:
            gone = len(self._entries) - self._kept
            del self._entries[:gone]
            self._first += gone

    @property
    def newest_id(self) -> int:
        """The last decision's id; 0: none yet."""
        return self._entries[-1].decision_id if self._entries else 0

    def reader(self, *, after: int | None) -> "LogReader":
        """Return who reads on behind decision `after`; None: what comes from now on."""
        if after is None:
            return LogReader(self, self._first + len(self._entries), self.newest_id)
        place = bisect_right(self._entries, after, key=lambda entry: entry.decision_id)
        return LogReader(self, self._first + place, after)

    def behind(self, position: int, most: int) -> tuple[int, list[Entry]]:
        """Return entries from a position on, and the position that they really begin at."""
        start = max(position, self._first)
        place = start - self._first
        return start, self._entries[place : place + most]


class LogReader:
    """One subscriber's place in the log."""

    def __init__(self, log: DecisionLog, position: int, last_id: int) -> None:
        self._log, self._position, self._last_id = log, position, last_id

    def take(self, most: int) -> list[Entry | Missed]:
        """Return what comes next, at most so many decisions, and where some are gone, which."""
        start, entries = self._log.behind(self._position, most)
        told: list[Entry | Missed] = []
        for entry in entries:
            if self._last_id and entry.decision_id > self._last_id + 1:
                told.append(Missed(self._last_id, entry.decision_id))
            told.append(entry)
            self._last_id = entry.decision_id
        self._position = start + len(entries)
        return told
