"""The latest book, features and decision of each key: the port, and the driver that needs no server."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Final, Literal, Protocol

from msgspec import Struct

from data_contracts.messages import DecisionMessage, EventMessage, FeaturesMessage

Kind = Literal["book", "features", "decision"]
Value = EventMessage | FeaturesMessage | DecisionMessage
VALUES: Final[dict[Kind, type[Value]]] = {
    "book": EventMessage,
    "features": FeaturesMessage,
    "decision": DecisionMessage,
}
TTL_S: Final = 60.0


class Entry(Struct, frozen=True, kw_only=True):
    """A value to keep."""

    kind: Kind
    key: str
    """The instrument's symbol; of a decision MODEL/SYMBOL."""
    value: Value


class Latest(Struct, frozen=True, kw_only=True):
    """A value as it is kept, with the times that tell how stale it is."""

    value: Value
    event_ns: int
    """The exchange's clock."""
    written_ns: int
    """The writer's clock."""

    def age_ns(self, now_ns: int) -> int:
        """Return how long ago its event was."""
        return now_ns - self.event_ns

    def written_age_ns(self, now_ns: int) -> int:
        """Return how long ago it was written."""
        return now_ns - self.written_ns


class LatestStore(Protocol):
    """The newest value by event time of each kind and key, for as long as its time to live.

    Raises:
        StoreUnavailableError: it cannot be reached just now; doing it again is safe.
        MissingDependencyError: the driver's library is not installed.
    """

    def put(self, entries: Sequence[Entry]) -> int:
        """Keep values, in as few round trips as there can be; return how many were taken.

        A value whose event is older than that of the value there is not. Event times are 0 or more.
        """
        ...

    def get(self, kind: Kind, key: str) -> Latest | None:
        """Return the newest value; None where there is none, or its time to live is over."""
        ...

    def get_many(self, kind: Kind, keys: Sequence[str]) -> list[Latest | None]:
        """Return the newest value of each key, in one round trip."""
        ...

    def close(self) -> None:
        """Give everything back."""
        ...


class InProcessLatest:
    """A LatestStore in this process alone; safe to call from several threads."""

    def __init__(self, *, ttl_s: float = TTL_S, clock_ns: Callable[[], int] = time.time_ns) -> None:
        """Begin with nothing.

        Args:
            ttl_s: how long a value is kept after it was written.
            clock_ns: the writer's clock.
        """
        self._ttl_ns, self._clock_ns = int(ttl_s * 1e9), clock_ns
        self._kept: dict[tuple[Kind, str], Latest] = {}
        self._lock = threading.Lock()

    def put(self, entries: Sequence[Entry]) -> int:
        """See LatestStore."""
        now_ns, taken = self._clock_ns(), 0
        with self._lock:
            for entry in entries:
                there = self._alive(entry.kind, entry.key)
                if there is None or there.event_ns <= entry.value.event_ns:
                    value = Latest(value=entry.value, event_ns=entry.value.event_ns, written_ns=now_ns)
                    self._kept[entry.kind, entry.key] = value
                    taken += 1
        return taken

    def get(self, kind: Kind, key: str) -> Latest | None:
        """See LatestStore."""
        with self._lock:
            return self._alive(kind, key)

    def get_many(self, kind: Kind, keys: Sequence[str]) -> list[Latest | None]:
        """See LatestStore."""
        with self._lock:
            return [self._alive(kind, key) for key in keys]

    def close(self) -> None:
        """See LatestStore."""
        self._kept.clear()

    def _alive(self, kind: Kind, key: str) -> Latest | None:
        there = self._kept.get((kind, key))
        if there is not None and there.written_age_ns(self._clock_ns()) >= self._ttl_ns:
            del self._kept[kind, key]
            return None
        return there
