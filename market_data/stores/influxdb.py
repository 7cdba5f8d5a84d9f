"""Recordings in InfluxDB 3: written as line protocol, read by SQL over Arrow Flight.

Table events: a point an event. Table recordings: a point a recording, written after its events: a recording can be
read only once all of it is there, and its fingerprint says whether it is.
"""

# mypy: disable-error-code="no-any-return"
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from data_contracts.errors import StoreError, StoreUnavailableError, UsageError
from data_contracts.instrument import Instrument
from data_contracts.market_event import MARKET_EVENT, MarketEvents
from data_contracts.recording import Recording
from market_data.stores.influxdb_writer import InfluxAddress, LineWriter, client_of
from market_data.stores.line_protocol import EVENTS, FIELDS, RECORDINGS, event_batches, recording_line
from market_data.stores.parquet_archive import day_of
from market_data.stores.port import FIRST_NS, LAST_NS, between


class InfluxEventStore:
    """An EventStore in InfluxDB 3; the book's levels are not kept."""

    def __init__(self, address: InfluxAddress, spool: Path, **options: Any) -> None:  # noqa: ANN401  LineWriter's
        """Begin to send what waits in the spool.

        Raises:
            UsageError: another process has the spool.
            StoreError: it is damaged.
            MissingDependencyError: influxdb3-python is not installed.
        """
        self._address = address
        self._writer = LineWriter(address, spool, **options)
        self._client: Any = None
        """Made by the first query, and after a failure anew: one that was refused waits ever longer to try again."""

    def write(self, recording: Recording) -> bool:
        """See EventStore; True always, since asking would take longer than writing again.

        Raises:
            UsageError: no event, times that go back, or a symbol that line protocol cannot say.
        """
        times = recording.events["event_ns"]
        if not len(recording) or (times[1:] < times[:-1]).any():
            raise UsageError(f"{recording.source}: expected events, oldest first, got {len(recording)} out of order")
        day, flat = day_of(recording), replace(recording, depth=None)
        self._writer.write(event_batches(flat, day))
        self._writer.write([recording_line(flat, day, flat.fingerprint)])
        return True

    def read(
        self,
        instrument: str,
        start_ns: int = FIRST_NS,
        end_ns: int = LAST_NS,
        *,
        depth: bool = False,  # noqa: ARG002  levels are not kept
    ) -> tuple[Recording, ...]:
        """See EventStore.

        Raises:
            StoreError: a recording's events are not those that were written with it.
        """
        rows = self._query(
            f"SELECT * FROM {RECORDINGS} WHERE instrument = $instrument"  # noqa: S608  whole numbers
            f" AND first_ns < {end_ns} AND last_ns >= {start_ns} ORDER BY time",
            instrument=instrument,
        )
        found = [between(self._read(row), start_ns, end_ns) for row in rows.to_pylist()] if rows is not None else []
        return tuple(one for one in found if len(one))

    def instruments(self) -> list[str]:
        """See EventStore."""
        rows = self._query(f"SELECT DISTINCT instrument FROM {RECORDINGS}")  # noqa: S608  a constant
        return sorted(row["instrument"] for row in rows.to_pylist()) if rows is not None else []

    def flush(self, timeout_s: float) -> None:
        """See EventStore."""
        self._writer.flush(timeout_s)

    def close(self) -> None:
        """See EventStore."""
        self._writer.close()
        self._drop_client()

    def _read(self, row: dict[str, Any]) -> Recording:
        table = self._query(
            f"SELECT * FROM {EVENTS} WHERE instrument = $instrument AND day = $day"  # noqa: S608  whole numbers
            f" AND time >= '{_moment(row['first_ns'])}' AND time <= '{_moment(row['last_ns'])}'",
            instrument=row["instrument"],
            day=row["day"],
        )
        events: MarketEvents = np.zeros(table.num_rows if table is not None else 0, MARKET_EVENT)
        if table is not None:
            events["event_ns"] = table.column("time").cast("timestamp[ns]").cast("int64").to_numpy()
            for name in ("sequence", *FIELDS):
                events[name] = table.column(name).to_numpy()
            places = table.column("n").cast("string").cast("int64").to_numpy()
            events = events[np.lexsort((places, events["event_ns"]))]
        recording = Recording(
            instrument=msgspec.json.decode(row["about"], type=Instrument),
            events=events,
            source=Path(row["source"]),
            skipped=msgspec.json.decode(row["skipped"], type=dict[str, int]),
            by_type=msgspec.json.decode(row["by_type"], type=dict[str, int]),
            gaps=row["gaps"],
        )
        if recording.fingerprint != row["fingerprint"]:
            raise StoreError(
                f"{self._address.url}: {row['instrument']} {row['day']}: expected {row['events']} events with"
                f" fingerprint {row['fingerprint']}, got {len(events)} with {recording.fingerprint}"
            )
        return recording

    def _query(self, sql: str, **parameters: str) -> Any:  # noqa: ANN401  a pyarrow.Table
        """Return a query's answer; None where there is no such table yet."""
        from influxdb_client_3.exceptions.exceptions import InfluxDB3ClientError

        given = {"query_parameters": parameters} if parameters else {}
        self._client = self._client or client_of(self._address)
        try:
            return self._client.query(sql, language="sql", mode="all", **given)
        except InfluxDB3ClientError as error:
            if "not found" in str(error):
                return None
            self._drop_client()
            raise StoreUnavailableError(f"{self._address.url}: {' '.join(str(error).split())[:300]}") from None

    def _drop_client(self) -> None:
        if self._client is not None:
            self._client.close()
        self._client = None


def _moment(time_ns: int) -> str:
    seconds, rest = divmod(time_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"
