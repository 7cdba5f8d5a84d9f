"""Where messages go: a bus, a store of latest values, InfluxDB."""

from collections.abc import Sequence
from typing import Protocol

from data_contracts.messages import DecisionMessage, EventMessage, FeaturesMessage, OutcomeMessage
from market_data.buses.port import Bus
from market_data.stores.influxdb_writer import LineWriter
from market_data.stores.latest import Entry, LatestStore
from market_data.stores.line_protocol import decision_line, outcome_line
from serving.export.teller import Told


class Sink(Protocol):
    """Takes messages; told again, it ends in the same state."""

    name: str

    def tell(self, told: Sequence[Told]) -> None:
        """Take messages; on return they are where they outlive this process.

        Raises:
            StoreError: not all of them are; telling all of them again is safe.
        """
        ...

    def idle(self) -> None:
        """Do what is due while there is nothing to tell."""
        ...

    def settle(self, timeout_s: float) -> None:
        """Return once everything is where others can read it.

        Raises:
            StoreUnavailableError: not in time; it is still kept, and will be.
        """
        ...

    def close(self) -> None:
        """Give everything back."""
        ...


class BusSink:
    """A bus."""

    def __init__(self, name: str, bus: Bus, *, timeout_s: float = 30.0) -> None:
        self.name, self._bus, self._timeout_s = name, bus, timeout_s

    def tell(self, told: Sequence[Told]) -> None:
        """See Sink."""
        for one in told:
            if not isinstance(one.message, FeaturesMessage):  # there is no topic of theirs: they follow from events
                self._bus.publish(one.topic, one.key, one.message)
        self._bus.flush(self._timeout_s)

    def idle(self) -> None:
        """See Sink."""
        self._bus.flush(self._timeout_s)

    def settle(self, timeout_s: float) -> None:
        """See Sink."""
        self._bus.flush(timeout_s)

    def close(self) -> None:
        """See Sink."""
        self._bus.close()


class LatestSink:
    """The newest book, features and decision of each key; outcomes are not kept."""

    def __init__(self, name: str, store: LatestStore) -> None:
        self.name, self._store = name, store

    def tell(self, told: Sequence[Told]) -> None:
        """See Sink."""
        newest = {(entry.kind, entry.key): entry for entry in map(_entry, told) if entry is not None}
        self._store.put(list(newest.values()))

    def idle(self) -> None:
        """See Sink."""

    def settle(self, timeout_s: float) -> None:
        """See Sink."""

    def close(self) -> None:
        """See Sink."""
        self._store.close()


class InfluxSink:
    """Decisions and outcomes as points; what the writer took lies in its spool."""

    def __init__(self, name: str, writer: LineWriter) -> None:
        self.name, self._writer = name, writer

    def tell(self, told: Sequence[Told]) -> None:
        """See Sink."""
        lines = []
        for one in told:
            if isinstance(one.message, DecisionMessage):
                lines.append(decision_line(one.message))
            elif isinstance(one.message, OutcomeMessage):
                lines.append(outcome_line(one.message))
        self._writer.write(b"\n".join(lines[start : start + 5_000]) for start in range(0, len(lines), 5_000))

    def idle(self) -> None:
        """See Sink."""

    def settle(self, timeout_s: float) -> None:
        """See Sink."""
        self._writer.flush(timeout_s)

    def close(self) -> None:
        """See Sink."""
        self._writer.close()


def _entry(told: Told) -> Entry | None:
    message = told.message
    if isinstance(message, DecisionMessage):
        return Entry(kind="decision", key=f"{message.model}/{message.instrument}", value=message)
    if isinstance(message, EventMessage):
        return Entry(kind="book", key=message.instrument, value=message)
    if isinstance(message, FeaturesMessage):
        return Entry(kind="features", key=message.instrument, value=message)
    return None
