"""Market events on a shared-memory bus: one process writes, any number on the same machine follow.

A reader that is too slow loses the oldest events and learns how many; it never holds the writer up.
"""

from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec
import numpy as np

from data_contracts.errors import MarketDataError, UsageError
from data_contracts.feed_hello import FeedHello, read_hello, write_hello
from data_contracts.instrument import Instrument
from data_contracts.market_event import MARKET_EVENT, MarketEvents
from native._native import BusReader, BusWriter

SLOTS: Final = 65_536
"""Events that a reader may be behind; 8 MiB of memory."""
_BATCH: Final = 4_096
_SHARED: Final = Path("/dev/shm")  # noqa: S108  shared memory is the point


def bus_path(name: str) -> Path:
    """Return the file of the bus `name`; a name with a slash is the file itself.

    Raises:
        UsageError: an empty name.
    """
    if not name:
        raise UsageError("bus: expected a name, got an empty one")
    return Path(name) if "/" in name else _SHARED / f"ringcraft-bus-{name}"


class EventBusWriter:
    """Writes events to a bus.

    A bus that lies there from before is taken up, its readers too; where it was for other instruments, it is made
    anew.

    Raises:
        UsageError: another process writes it, or no such memory can be had.
    """

    def __init__(self, name: str, instruments: tuple[Instrument, ...], *, slots: int = SLOTS) -> None:
        about = write_hello(FeedHello(instruments=instruments)).decode()
        try:
            self._bus = BusWriter(str(bus_path(name)), slots=slots, record_bytes=MARKET_EVENT.itemsize, about=about)
        except RuntimeError as error:
            raise UsageError(f"bus: {error}") from None

    def write(self, events: MarketEvents) -> None:
        """Write events, shape (n,); `instrument` is the position in what the bus was made with. Never waits."""
        self._bus.write_events(np.ascontiguousarray(events).view(np.uint8))


class EventBusReader:
    """Follows a bus.

    Raises:
        UsageError: there is no bus of that name.
        MarketDataError: it carries something else than market events.
    """

    def __init__(self, name: str, *, from_oldest: bool = False) -> None:
        path = bus_path(name)
        try:
            self._bus = BusReader(str(path), from_oldest=from_oldest)
        except RuntimeError as error:
            raise UsageError(f"bus: {error}") from None
        try:
            self.instruments = read_hello(self._bus.about.encode()).instruments
        except (msgspec.DecodeError, UsageError) as error:
            raise MarketDataError(f"bus: {path}: expected one of market events, got another: {error}") from None
        self._events = np.zeros(_BATCH, dtype=MARKET_EVENT)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        del self._bus

    def read(self, *, timeout_s: float, spin_s: float = 0.0) -> MarketEvents:
        """Return what has come since, at most 4,096 events; waits for the first.

        Args:
            timeout_s: longest wait; then none are returned.
            spin_s: how much of it without sleeping between looks, which takes a core.

        Returns:
            A view of this reader's own memory, good until the next call.
        """
        count = self._bus.read_events(self._events.view(np.uint8), timeout_s=timeout_s, spin_s=spin_s)
        return self._events[:count]

    @property
    def missed(self) -> int:
        """Events that were overwritten before this reader came to them."""
        return self._bus.missed

    @property
    def laps(self) -> int:
        """Times that happened."""
        return self._bus.laps

    @property
    def behind(self) -> int:
        """Events that wait to be read."""
        return self._bus.behind

    @property
    def writer_lives(self) -> bool:
        """Whether a process has the bus for writing."""
        return self._bus.writer_lives

    @property
    def replaced(self) -> bool:
        """Whether the bus of this name is another one by now: this reader will hear nothing more."""
        return self._bus.replaced
