"""What every store of events does: the Parquet archive, and InfluxDB 3 (its strict double), by one suite."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.events import DAY_NS, START_NS, recording
from support.influxdb3 import InfluxDouble

from data_contracts.errors import UsageError
from market_data.stores.influxdb import InfluxEventStore
from market_data.stores.influxdb_writer import InfluxAddress
from market_data.stores.parquet_archive import ParquetArchive
from market_data.stores.port import EventStore

SYMBOL = recording(1).instrument.symbol
WAIT_S = 20.0
Open = Callable[[], EventStore]


@pytest.fixture(scope="module")
def influx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InfluxDouble]:
    double = InfluxDouble(tmp_path_factory.mktemp("influx")).start()
    yield double
    double.kill()


@pytest.fixture(params=["parquet", "influxdb"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Opens the same store again and again; each test has one of its own."""
    if request.param == "parquet":
        return lambda: ParquetArchive(tmp_path / "archive")
    double: InfluxDouble = request.getfixturevalue("influx")
    address = InfluxAddress(
        url=double.url, database=tmp_path.name, token=double.token, query_port=double.flight_port, timeout_s=5.0
    )
    return lambda: InfluxEventStore(address, tmp_path / "spool")


@pytest.fixture
def store(open_store: Open) -> Iterator[EventStore]:
    opened = open_store()
    yield opened
    opened.close()


def test_an_empty_store_says_so(store: EventStore) -> None:
    assert store.instruments() == []
    assert store.read(SYMBOL) == ()


def test_what_was_written_comes_back_bit_for_bit(store: EventStore) -> None:
    written = recording()
    store.write(written)
    store.flush(WAIT_S)
    (read,) = store.read(SYMBOL)
    assert read.events.tobytes() == written.events.tobytes()
    assert (read.instrument, read.skipped, read.by_type, read.gaps) == (
        written.instrument, written.skipped, written.by_type, written.gaps)  # fmt: skip


def test_written_again_it_is_there_once(store: EventStore) -> None:
    for _ in range(3):
        store.write(recording())
    store.flush(WAIT_S)
    assert [one.fingerprint for one in store.read(SYMBOL)] == [recording().fingerprint]


def test_days_and_instruments_are_kept_apart_and_read_oldest_first(store: EventStore) -> None:
    days = [recording(60, seed=day, start_ns=START_NS + day * DAY_NS) for day in range(3)]
    other = recording(40, symbol="TEST:OTHER", seed=9)
    for one in (*reversed(days), other):
        store.write(one)
    store.flush(WAIT_S)
    assert store.instruments() == sorted([SYMBOL, "TEST:OTHER"])
    assert [one.fingerprint for one in store.read(SYMBOL)] == [one.fingerprint for one in days]
    assert [one.fingerprint for one in store.read("TEST:OTHER")] == [other.fingerprint]
    assert store.read("TEST:NONE") == ()


def test_a_range_is_read_to_the_nanosecond(store: EventStore) -> None:
    days = [recording(60, seed=day, start_ns=START_NS + day * DAY_NS) for day in range(2)]
    for one in days:
        store.write(one)
    store.flush(WAIT_S)
    start, end = int(days[0].events["event_ns"][30]), int(days[1].events["event_ns"][20])
    first, second = store.read(SYMBOL, start, end)
    assert first.events.tobytes() == days[0].events[days[0].events["event_ns"] >= start].tobytes()
    assert second.events.tobytes() == days[1].events[days[1].events["event_ns"] < end].tobytes()
    assert store.read(SYMBOL, START_NS + 5 * DAY_NS) == ()
    assert store.read(SYMBOL, 0, START_NS) == ()


def test_a_recording_without_events_is_refused(store: EventStore) -> None:
    with pytest.raises(UsageError, match="expected"):
        store.write(recording(10).part(0, 0))


def test_what_was_written_outlives_the_store(open_store: Open) -> None:
    first = open_store()
    first.write(recording())
    first.close()
    second = open_store()
    second.flush(WAIT_S)
    assert [one.fingerprint for one in second.read(SYMBOL)] == [recording().fingerprint]
    second.close()
