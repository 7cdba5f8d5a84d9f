"""What a store of events does, whatever keeps them."""

from typing import Final, Protocol

from data_contracts.errors import UsageError
from data_contracts.recording import Recording

FIRST_NS: Final = -(2**63)
LAST_NS: Final = 2**63 - 1
"""No event is later: as the end of a range, everything."""


class EventStore(Protocol):
    """Recordings by instrument and day; writing one again changes nothing.

    Raises:
        StoreUnavailableError: it cannot be reached just now; doing it again is safe.
        MissingDependencyError: the driver's library is not installed.
    """

    def write(self, recording: Recording) -> bool:
        """Keep a recording; return whether it was not there before, as far as the store can tell.

        On return it is on a disk: the store's own, or a spool from which it goes to the store in order.

        Raises:
            StoreFullError: a spool has been full for too long; nothing of the recording's next batch was taken.
        """
        ...

    def read(
        self, instrument: str, start_ns: int = FIRST_NS, end_ns: int = LAST_NS, *, depth: bool = False
    ) -> tuple[Recording, ...]:
        """Return an instrument's events with start_ns <= event_ns < end_ns, a recording a day, oldest first.

        Bit for bit what was written; empty where there are none. The book's levels come only where `depth` asks for
        them and the store keeps them.
        """
        ...

    def instruments(self) -> list[str]:
        """Return the symbols of which there is something, sorted."""
        ...

    def flush(self, timeout_s: float) -> None:
        """Return once everything that was written can be read.

        Raises:
            StoreUnavailableError: it could not be brought there in time; it is still kept, and will be.
        """
        ...

    def close(self) -> None:
        """Give everything back; nothing that was written is lost."""
        ...


def between(recording: Recording, start_ns: int, end_ns: int) -> Recording:
    """Return the events with start_ns <= event_ns < end_ns.

    Raises:
        UsageError: the range ends before it begins.
    """
    if end_ns < start_ns:
        raise UsageError(f"range: expected an end at or after {start_ns}, got {end_ns}")
    times = recording.events["event_ns"]
    inside = (times >= start_ns) & (times < end_ns)
    if inside.all():
        return recording
    start = int(inside.argmax())
    return recording.part(start, start + int(inside.sum()))
