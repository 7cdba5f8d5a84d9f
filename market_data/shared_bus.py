"""Market events on a shared-memory bus, with the book's levels or without: one process writes, any number follow.

A reader that is too slow loses the oldest events and learns how many; it never holds the writer up.
"""

from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec
import numpy as np

from data_contracts.errors import MarketDataError, UsageError
from data_contracts.feed_hello import FeedHello, read_hello, write_hello
from data_contracts.instrument import Instrument
from data_contracts.market_event import DEEP_EVENT, MARKET_EVENT, BookDepths, MarketEvents, packed
from native._native import BusReader, BusWriter

SLOTS: Final = 65_536
"""Events that a reader may be behind; 8 MiB of memory, 28 with levels."""
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


def open_writer(
    name: str, instruments: tuple[Instrument, ...], *, depth: bool = False, slots: int = SLOTS
) -> BusWriter:
    """Return the native writer of a bus of such events; native code that makes events writes to it directly.

    Raises:
        UsageError: another process writes it, or no such memory can be had.
    """
    about = write_hello(FeedHello(instruments=instruments, depth=depth)).decode()
    each = DEEP_EVENT if depth else MARKET_EVENT
    try:
        return BusWriter(str(bus_path(name)), slots=slots, record_bytes=each.itemsize, about=about)
    except RuntimeError as error:
        raise UsageError(f"bus: {error}") from None


class EventBusWriter:
    """Writes events to a bus, each with its levels where it is made with `depth`.

    A bus that lies there from before is taken up, its readers too; where it was for other instruments, or had levels
    and now has none, it is made anew.

    Raises:
        UsageError: another process writes it, or no such memory can be had.
    """

    def __init__(
        self, name: str, instruments: tuple[Instrument, ...], *, depth: bool = False, slots: int = SLOTS
    ) -> None:
        self._bus = open_writer(name, instruments, depth=depth, slots=slots)
        self._depth = depth

    def write(self, events: MarketEvents, depth: BookDepths | None = None) -> None:
        """Write events, shape (n,), and the levels of each, shape (n, 4, 10), where the bus has levels. Never waits.

        `instrument` of an event is the position in what the bus was made with.

        Raises:
            UsageError: levels where the bus has none, or none where it has.
        """
        if (depth is not None) != self._depth:
            expected, got = ("levels", "none") if self._depth else ("no levels", "some")
            raise UsageError(f"bus: expected {expected} beside the events, got {got}")
        self._bus.write_events(packed(events, depth).reshape(-1), depth=self._depth)


class EventBusReader:
    """Follows a bus.

    Raises:
        UsageError: there is no bus of that name.
        MarketDataError: it carries something else than market events.
    """

    def __init__(self, name: str, *, from_oldest: bool = False, goes_over: bool = False) -> None:
        """Open the bus `name`.

        Args:
            name: of the bus.
            from_oldest: begin at the oldest event that is still there, not at the newest.
            goes_over: once all of it is read, go over to the bus that has taken its place, to its oldest event; a read
                that returns nothing may then leave other `instruments` and another `depth`.
        """
        self._path, self._goes_over = bus_path(name), goes_over
        self._missed_before = self._laps_before = 0
        self._open(from_oldest=from_oldest)

    def _open(self, *, from_oldest: bool) -> None:
        try:
            bus = BusReader(str(self._path), from_oldest=from_oldest)
        except RuntimeError as error:
            raise UsageError(f"bus: {error}") from None
        try:
            said = read_hello(bus.about.encode())
        except (msgspec.DecodeError, UsageError) as error:
            raise MarketDataError(f"bus: {self._path}: expected one of market events, got another: {error}") from None
        rows = np.zeros(_BATCH, dtype=DEEP_EVENT if said.depth else MARKET_EVENT)
        if bus.record_bytes < rows.itemsize:
            found = f"records of {bus.record_bytes} bytes"
            raise MarketDataError(f"bus: {self._path}: expected {rows.itemsize} bytes an event, got {found}")
        self._bus, self._rows = bus, rows
        self.instruments, self.depth = said.instruments, said.depth
        """`depth`: whether the events' levels come with them."""

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
        return self.read_with_depth(timeout_s=timeout_s, spin_s=spin_s)[0]

    def read_with_depth(self, *, timeout_s: float, spin_s: float = 0.0) -> tuple[MarketEvents, BookDepths | None]:
        """Return what read() does, and the levels of each event; None where the bus has none."""
        count = self._read(timeout_s, spin_s)
        if not count and self._goes_over and self._bus.replaced:
            count = self._read(0.0, 0.0)  # what its writer left last
            if not count:
                self._go_over()
        rows = self._rows[:count]
        return (rows["event"], rows["levels"]) if self.depth else (rows, None)

    def _read(self, timeout_s: float, spin_s: float) -> int:
        room = self._rows.view(np.uint8)
        return self._bus.read_events(room, timeout_s=timeout_s, spin_s=spin_s, depth=self.depth)

    def _go_over(self) -> None:
        missed, laps = self.missed, self.laps
        with suppress(UsageError, MarketDataError):  # none yet, or one of something else: this one is kept
            self._open(from_oldest=True)
            self._missed_before, self._laps_before = missed, laps

    @property
    def missed(self) -> int:
        """Events that were overwritten before this reader came to them."""
        return self._missed_before + self._bus.missed

    @property
    def laps(self) -> int:
        """Times that happened."""
        return self._laps_before + self._bus.laps

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
        """Whether the bus of this name is another one by now: one that does not go over will hear nothing more."""
        return self._bus.replaced
