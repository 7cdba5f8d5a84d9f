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
        self._kept = kept

    def add(self, entries: Iterable[Entry]) -> None:
        """Add newer decisions."""
        self._entries.extend(entries)
        # In lumps, so that a full log is not moved up at every decision.
        if len(self._entries) > self._kept + self._kept // 4:
            del self._entries[: len(self._entries) - self._kept]

    @property
    def newest_id(self) -> int:
        """The last decision's id; 0: none yet."""
        return self._entries[-1].decision_id if self._entries else 0

    def reader(self, *, after: int | None) -> "LogReader":
        """Return who reads on behind decision `after`; None: what comes from now on."""
        return LogReader(self, after if after is not None else self.newest_id or None)

    def behind(self, decision_id: int, most: int) -> list[Entry]:
        """Return the first entries with greater ids."""
        place = bisect_right(self._entries, decision_id, key=lambda entry: entry.decision_id)
        return self._entries[place : place + most]


class LogReader:
    """One subscriber's place in the log: by id, so that a log which fills anew behind it repeats nothing."""

    def __init__(self, log: DecisionLog, last_id: int | None) -> None:
        """Read `log` behind decision `last_id`; None: from its first on, whatever came before that."""
        self._log, self._last_id = log, last_id

    def take(self, most: int) -> list[Entry | Missed]:
        """Return what comes next, at most so many decisions, and where some are gone, which."""
        told: list[Entry | Missed] = []
        for entry in self._log.behind(self._last_id or 0, most):
            if self._last_id is not None and entry.decision_id > self._last_id + 1:
                told.append(Missed(self._last_id, entry.decision_id))
            told.append(entry)
            self._last_id = entry.decision_id
        return told
