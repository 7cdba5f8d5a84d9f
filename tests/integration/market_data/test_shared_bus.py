"""The shared-memory bus between real processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from data_contracts.errors import MarketDataError, UsageError
from data_contracts.feed_hello import FeedHello, write_hello
from data_contracts.instrument import Instrument
from data_contracts.market_event import MARKET_EVENT
from market_data.shared_bus import EventBusReader, EventBusWriter, bus_path
from native._native import BusReader, BusWriter

INSTRUMENTS = (Instrument(symbol="A:B", tick_size="0.01", lot_size="1", currency="USD"),)

WRITER = """
import sys
import numpy as np
from data_contracts.instrument import Instrument
from data_contracts.market_event import MARKET_EVENT
from market_data.shared_bus import EventBusWriter

bus = EventBusWriter(sys.argv[1], (Instrument(symbol="A:B", tick_size="0.01", lot_size="1", currency="USD"),))
events = np.zeros(int(sys.argv[2]), dtype=MARKET_EVENT)
print("ready", flush=True)
sys.stdin.readline()
for start in range(0, int(sys.argv[3]), len(events)):
    events["sequence"] = events["bid_ticks"] = np.arange(start, start + len(events))
    bus.write(events)
print("done", flush=True)
sys.stdin.readline()
"""


DEEP_WRITER = WRITER.replace('currency="USD"),))', 'currency="USD"),), depth=True)').replace(
    "    bus.write(events)",
    "    bus.write(events, np.arange(40).reshape(1, 4, 10) + 1_000 * events['bid_ticks'].reshape(-1, 1, 1))",
)
"""The levels of event n are 1000 n .. 1000 n + 39."""


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[str]:
    name = f"test-{os.getpid()}-{time.monotonic_ns()}"
    yield name
    bus_path(name).unlink(missing_ok=True)


def events_of(sequences: np.ndarray) -> np.ndarray:
    events = np.zeros(len(sequences), dtype=MARKET_EVENT)
    events["sequence"] = events["bid_ticks"] = sequences
    return events


def writer_process(bus: str, *, batch: int, count: int, program: str = WRITER) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", program, bus, str(batch), str(count)]
    process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def test_another_process_is_followed_event_by_event(bus: str) -> None:
    process = writer_process(bus, batch=100, count=60_000)
    with EventBusReader(bus) as reader:
        assert reader.instruments == INSTRUMENTS
        assert reader.writer_lives
        go(process)
        got: list[np.ndarray] = []
        while sum(map(len, got)) < 60_000:
            events = reader.read(timeout_s=10)
            assert len(events), "nothing for ten seconds"
            got.append(events.copy())
        assert np.array_equal(np.concatenate(got)["sequence"], np.arange(60_000))
        assert reader.missed == 0
        assert len(reader.read(timeout_s=0.01)) == 0
        process.communicate("end\n", timeout=20)
        assert not reader.writer_lives


def test_slow_reader_learns_what_it_missed(bus: str) -> None:
    process = writer_process(bus, batch=10_000, count=300_000)
    with EventBusReader(bus) as reader:
        go(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "done\n"
        got = np.concatenate([reader.read(timeout_s=0.05).copy() for _ in range(16)])
        assert reader.laps == 1
        assert len(got) + reader.missed + reader.behind == 300_000
        assert got["sequence"][0] == reader.missed
        assert np.array_equal(got["sequence"], np.arange(len(got)) + reader.missed)
    process.communicate("end\n", timeout=20)


def test_levels_come_with_their_events_and_a_lapped_reader_of_them_learns_it_too(bus: str) -> None:
    process = writer_process(bus, batch=1_000, count=200_000, program=DEEP_WRITER)
    with EventBusReader(bus) as reader:
        assert reader.depth
        go(process)
        got = 0
        time.sleep(0.2)  # while the writer laps
        while got + reader.missed < 200_000:
            events, levels = reader.read_with_depth(timeout_s=10)
            assert len(events), "nothing for ten seconds"
            assert levels is not None
            assert np.array_equal(levels[:, 0, 0], 1_000 * events["sequence"].astype(np.int64))
            assert np.array_equal(levels[:, 3, 9], levels[:, 0, 0] + 39)
            assert np.array_equal(events["sequence"], got + reader.missed + np.arange(len(events)))
            got += len(events)
        assert reader.missed > 0
        assert reader.laps > 0
    process.communicate("end\n", timeout=20)


def test_bus_with_levels_gives_events_alone_to_who_asks_for_no_more(bus: str) -> None:
    levels = np.arange(120, dtype=np.int64).reshape(3, 4, 10)
    writer = EventBusWriter(bus, INSTRUMENTS, depth=True)
    with EventBusReader(bus) as reader:
        writer.write(events_of(np.arange(3)), levels)
        writer.write(events_of(np.arange(0)), levels[:0])
        assert np.array_equal(reader.read(timeout_s=1), events_of(np.arange(3)))
    with pytest.raises(UsageError, match="bus: expected levels beside the events, got none"):
        writer.write(events_of(np.arange(3)))
    del writer
    plain = EventBusWriter(bus, INSTRUMENTS)  # made anew: its records are shorter
    with pytest.raises(UsageError, match="bus: expected no levels beside the events, got some"):
        plain.write(events_of(np.arange(3)), levels)
    with EventBusReader(bus) as reader:
        plain.write(events_of(np.arange(3)))
        assert reader.read_with_depth(timeout_s=1)[1] is None


def test_bus_whose_records_are_too_short_for_the_levels_it_tells_of_is_refused(bus: str) -> None:
    about = write_hello(FeedHello(instruments=INSTRUMENTS, depth=True)).decode()
    kept = BusWriter(str(bus_path(bus)), slots=8, record_bytes=80, about=about)
    with pytest.raises(MarketDataError, match="expected 400 bytes an event, got records of 80 bytes"):
        EventBusReader(bus)
    assert kept.produced == 0


def test_writer_killed_at_work_is_noticed_and_the_next_one_followed(bus: str) -> None:
    process = writer_process(bus, batch=7, count=2_000_000_000)
    with EventBusReader(bus) as reader:
        go(process)
        assert len(reader.read(timeout_s=10))
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        while len(events := reader.read(timeout_s=0.01)):
            assert np.array_equal(events["sequence"], events["bid_ticks"])
        assert not reader.writer_lives
        EventBusWriter(bus, INSTRUMENTS).write(events_of(np.array([77])))
        assert reader.read(timeout_s=1)["sequence"].tolist() == [77]
        assert not reader.replaced


def test_reader_that_starts_again_takes_what_is_still_there(bus: str) -> None:
    writer = EventBusWriter(bus, INSTRUMENTS)
    writer.write(events_of(np.arange(1_000)))
    for _ in range(2):
        with EventBusReader(bus, from_oldest=True) as reader:
            assert reader.read(timeout_s=1)["sequence"].tolist() == list(range(1_000))


def test_bus_of_other_instruments_is_made_anew_and_its_readers_know(bus: str) -> None:
    EventBusWriter(bus, INSTRUMENTS).write(events_of(np.arange(5)))
    with EventBusReader(bus) as reader:
        other = (Instrument(symbol="A:C", tick_size="0.01", lot_size="1", currency="USD"),)
        EventBusWriter(bus, other)
        assert reader.replaced
    with EventBusReader(bus) as reader:
        assert reader.instruments == other


def test_reader_that_goes_over_reads_the_old_bus_to_its_end_and_then_the_new_one(bus: str) -> None:
    old = EventBusWriter(bus, INSTRUMENTS, slots=16)
    other = (Instrument(symbol="A:C", tick_size="0.01", lot_size="1", currency="USD"),)
    with EventBusReader(bus, goes_over=True) as reader:
        old.write(events_of(np.arange(50)))  # laps the reader
        del old
        writer = EventBusWriter(bus, other, depth=True)
        writer.write(events_of(np.arange(3)), np.ones((3, 4, 10), dtype=np.int64))
        rest = reader.read(timeout_s=0)["sequence"].tolist()
        assert rest[-1] == 49
        assert reader.missed == 50 - len(rest) > 0
        assert reader.instruments == INSTRUMENTS
        assert len(reader.read(timeout_s=0)) == 0
        assert (reader.instruments, reader.depth) == (other, True)
        assert reader.read(timeout_s=0)["sequence"].tolist() == [0, 1, 2]
        assert (reader.missed, reader.laps) == (50 - len(rest), 1)
        bus_path(bus).unlink()  # gone, and nothing in its place
        assert len(reader.read(timeout_s=0)) == 0
        assert reader.instruments == other


def test_second_writer_is_refused(bus: str) -> None:
    first = EventBusWriter(bus, INSTRUMENTS)
    with pytest.raises(UsageError, match=f"bus: {bus_path(bus)}: another process writes to this bus"):
        EventBusWriter(bus, INSTRUMENTS)
    del first


def test_absent_bus_and_one_of_something_else_are_one_line(bus: str) -> None:
    with pytest.raises(UsageError, match=f"bus: {bus_path(bus)}: No such file or directory"):
        EventBusReader(bus)
    other = BusWriter(str(bus_path(bus)), slots=8, record_bytes=20, about="other things")
    with pytest.raises(MarketDataError, match="expected one of market events"):
        EventBusReader(bus)
    plain = BusReader(str(bus_path(bus)))
    assert other.write(b"any bytes", 9)
    assert not other.write(b"x" * 21, 9)
    assert plain.read(timeout_s=1) == (9, b"any bytes")
    assert plain.read(timeout_s=0) is None
