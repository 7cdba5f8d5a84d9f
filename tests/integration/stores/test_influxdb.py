"""Line protocol to servers that come and go: the strict double of InfluxDB 3, and a real VictoriaMetrics."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.events import DAY_NS, START_NS, recording
from support.influxdb3 import InfluxDouble
from support.victoria import VictoriaMetrics

from data_contracts.errors import StoreFullError, StoreUnavailableError
from market_data.stores.influxdb import InfluxEventStore
from market_data.stores.influxdb_writer import REJECTED_FILE, InfluxAddress, LineWriter, client_of
from market_data.stores.line_protocol import event_batches
from market_data.stores.parquet_archive import day_of

SYMBOL = recording(1).instrument.symbol


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InfluxDouble]:
    started = InfluxDouble(tmp_path_factory.mktemp("influx")).start()
    yield started
    started.kill()


@pytest.fixture
def double(server: InfluxDouble) -> InfluxDouble:
    """The one server, there again after a test that killed it."""
    if server.child is None:
        server.start()
    return server


def address(double: InfluxDouble, database: str = "market", **change: object) -> InfluxAddress:
    given = {"url": double.url, "database": database, "token": double.token, "query_port": double.flight_port}
    return InfluxAddress(**{**given, "timeout_s": 10.0, **change})


def test_nothing_is_lost_when_the_server_and_the_writer_are_killed_midway(double: InfluxDouble, tmp_path: Path) -> None:
    days = [recording(120, seed=day, start_ns=START_NS + day * DAY_NS) for day in range(12)]
    store = InfluxEventStore(address(double), tmp_path / "spool")
    store.write(days[0])
    store.flush(20)
    killer = threading.Timer(0.005, double.kill)
    killer.start()
    for day in days[1:7]:
        store.write(day)  # never waits for the server
    killer.join()
    with pytest.raises(StoreUnavailableError, match="bytes wait in"):
        store.flush(0.1)
    store.close()  # with a spool that is not empty: as much as a kill leaves
    store = InfluxEventStore(address(double), tmp_path / "spool")
    for day in days[7:]:
        store.write(day)
    double.start()
    store.flush(30)
    read = store.read(SYMBOL)
    store.close()
    assert [one.fingerprint for one in read] == [one.fingerprint for one in days]


def test_refusals_that_pass_are_waited_out_in_order(double: InfluxDouble, tmp_path: Path) -> None:
    writer, before = LineWriter(address(double), tmp_path / "spool"), double.writes()
    for status in (503, 429, 500, 401):
        double.fail(status, 1)
    writer.write(f"t,a=b v={number}i {number}".encode() for number in range(5))
    writer.flush(20)
    writer.close()
    assert (writer.sent_batches, writer.rejected_lines, double.writes() - before) == (5, 0, 5)


def test_a_line_that_no_server_takes_is_set_aside_and_holds_up_nothing(double: InfluxDouble, tmp_path: Path) -> None:
    writer = LineWriter(address(double, "refused"), tmp_path / "spool")
    writer.write([b"t,a=b v=1i 1", b't,a=b v=2i 2\nt,a=b v="text" 3\nt,a=b v=4i 4', b"t,a=b v=5i 5"])
    writer.flush(20)
    writer.close()
    client = client_of(address(double, "refused"))
    assert writer.rejected_lines == 1
    kept = (tmp_path / "spool" / REJECTED_FILE).read_text().splitlines()
    assert kept[0].startswith("# partial write of line protocol occurred")
    assert kept[1:] == ['t,a=b v="text" 3']
    rows = client.query("SELECT v FROM t ORDER BY time", language="sql", mode="all")
    assert rows.column("v").to_pylist() == [1, 2, 4, 5]


def test_a_wrong_token_loses_nothing_and_says_so(double: InfluxDouble, tmp_path: Path) -> None:
    writer = LineWriter(address(double, token="wrong"), tmp_path / "spool")
    writer.write([b"t,a=b v=1i 1"])
    with pytest.raises(StoreUnavailableError, match="status 401: the request was not authenticated"):
        writer.flush(0.5)
    writer.close()
    right = LineWriter(address(double), tmp_path / "spool")
    right.flush(20)
    right.close()


def test_with_no_server_the_disk_is_bounded_and_the_caller_is_told(double: InfluxDouble, tmp_path: Path) -> None:
    double.kill()
    writer = LineWriter(address(double), tmp_path / "spool", max_bytes=100_000, full_timeout_s=0.1)
    with pytest.raises(StoreFullError, match="at most 100,000"):
        writer.write(event_batches(recording(5_000), "2023-11-14"))
    with pytest.raises(StoreFullError):
        writer.write(f"t v={number}i 9\n".encode() * 100 for number in range(1000))
    writer.close()
    assert sum(path.stat().st_size for path in (tmp_path / "spool").glob("*.spool")) <= 100_000


@pytest.fixture
def victoria(tmp_path: Path) -> Iterator[VictoriaMetrics]:
    started = VictoriaMetrics(tmp_path / "vm").start()
    yield started
    started.stop()


def test_victoria_metrics_takes_the_same_lines_and_none_is_lost_across_its_restart(
    victoria: VictoriaMetrics, tmp_path: Path
) -> None:
    days = [recording(150, seed=day, start_ns=START_NS + day * DAY_NS, step_ns=1_000_000) for day in range(6)]
    writer = LineWriter(InfluxAddress(url=victoria.url, database="market", api="v2", timeout_s=2.0), tmp_path / "spool")
    for place, day in enumerate(days):
        if place == 2:
            victoria.stop()
        writer.write(event_batches(day, day_of(day)))
        if place == 4:
            victoria.start()
    writer.flush(30)
    assert writer.rejected_lines == 0
    time.sleep(0.1)
    found = {}
    for labels, times, values in victoria.series("events_sequence"):
        assert labels["instrument"] == SYMBOL
        for moment, value in zip(times, values, strict=True):
            found[labels["day"], labels["n"], moment] = value  # sent again, a point is there again with the same time
    writer.close()
    expected = np.concatenate([day.events["sequence"] for day in days])
    assert sorted(found.values()) == sorted(expected.tolist())
