"""`ringcraft receive` between real processes: a sender, its re-request server, the receiver, a follower of the bus."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support import captures, mold_feed
from support.cli import environment, one_line, ringcraft
from support.feed_door import Door

from data_contracts.errors import FormatError, UsageError
from data_contracts.market_event import MARKET_EVENT
from market_data.reading import read_recordings
from market_data.receive import open_source
from market_data.shared_bus import EventBusReader, EventBusWriter, bus_path
from market_data.simulator import simulate
from native import _native

START_NS = int(datetime(2026, 1, 5, 14, 30, tzinfo=UTC).timestamp()) * 10**9
TOUCH = ("event_ns", "sequence", "bid_ticks", "bid_lots", "ask_ticks", "ask_lots")
UNGRANTED = """
import ctypes, resource, sys
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(41, 1, 0, 0, 0) == 0  # PR_SET_THP_DISABLE
resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))
libc.prctl(24, 14, 0, 0, 0)  # PR_CAPBSET_DROP, CAP_IPC_LOCK: for the program that is run below
import os
os.execv(sys.executable, [sys.executable, "-m", "ringcraft.cli", *sys.argv[1:]])
"""
"""Runs the command without huge pages, and without the right to lock memory."""
SUPPORT = Path(__file__).parents[2]


class Tape:
    """A simulated session: its payloads, its capture, and the book that replay makes of it."""

    def __init__(self, folder: Path) -> None:
        itch = folder / "01052026.itch"
        simulate(itch, seed=4, seconds=60)
        self.messages = captures.itch_messages(itch.read_bytes())
        packets = captures.packets(self.messages, per_packet=8, first_ns=START_NS)
        self.pcap = captures.write(folder / "01052026.pcap", captures.pcap(packets))
        self.about = folder / "01052026.pcap.instrument.json"
        shutil.copy(folder / "01052026.itch.instrument.json", self.about)
        self.payloads = [frame[42:] for _, frame in packets]
        self.packets = mold_feed.write_packets(folder / "packets", self.payloads)
        self.book = folder / "replay.parquet"
        done = ringcraft("replay", self.pcap, "--format", "moldudp64", "--book", self.book, "--json")
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Tape:
    return Tape(tmp_path_factory.mktemp("tape"))


@pytest.fixture
def bus() -> Iterator[str]:
    name = f"test-{os.getpid()}-{time.monotonic_ns()}"
    yield name
    bus_path(name).unlink(missing_ok=True)


class Received:
    """A receiver on loopback and the feed that sends to it."""

    def __init__(self, tape: Tape, *arguments: object, lost: str = "", ask: bool = False) -> None:
        self.receiver: subprocess.Popen[str] | None = None
        # The feed must know the receiver's port and the receiver the server's: the receiver comes second to start.
        with mold_feed.free_port() as port:
            where = f"udp://127.0.0.1:{port}"
        feed = subprocess.Popen(
            [sys.executable, "-m", "support.mold_feed", str(tape.packets), str(port), lost],
            cwd=SUPPORT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert feed.stdout is not None
        assert feed.stdin is not None
        server = feed.stdout.readline().split()[1]
        asking = ("--retransmit", f"127.0.0.1:{server}", "--patience-ms", 20_000) if ask else ()
        command = [sys.executable, "-m", "ringcraft.cli", "receive", where, "--about", tape.about, "--json", *asking]
        receiver = subprocess.Popen(
            [str(each) for each in (*command, *arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        assert receiver.stderr is not None
        self.notes = []
        while "receiving on port" not in (note := receiver.stderr.readline()):
            assert note, "the receiver ended"
            self.notes.append(note)
        feed.stdin.write("go\n")
        feed.stdin.flush()
        answer, error = receiver.communicate(timeout=60)
        feed.communicate(timeout=10)
        assert receiver.returncode == 0, error
        self.answer = json.loads(answer)


def same_rows(found: Path, expected: Path, *, times: bool = False) -> None:
    left, right = pq.read_table(found), pq.read_table(expected)
    names = [*TOUCH, *(["receive_ns"] if times else [])]
    assert left.select(names).equals(right.select(names))
    assert left.schema.metadata == right.schema.metadata
    assert left.num_rows > 300


def test_udp_gives_the_book_that_replay_gives_of_the_same_packets(tape: Tape, tmp_path: Path, bus: str) -> None:
    book, record = tmp_path / "book.parquet", tmp_path / "recorded.pcap"
    got = Received(tape, "--book", book, "--record", record, "--bus", bus).answer
    same_rows(book, tape.book)
    assert got["stopped"] == "the end"
    assert got["source"]["stamp"] == "kernel"
    assert got["source"]["packets"] == len(tape.payloads)
    assert (got["mold"]["holes"], got["mold"]["missed"], got["source"]["dropped"]) == (0, 0, 0)
    assert got["mold"]["messages"] == got["messages"] == len(tape.messages)
    received_ns = pa.compute.max(pq.read_table(book)["receive_ns"]).as_py()
    assert abs(received_ns - time.time_ns()) < 60 * 10**9
    # What it recorded replays to the same rows, the kernel's stamps included.
    shutil.copy(tape.about, f"{record}.instrument.json")
    again = tmp_path / "again.parquet"
    assert ringcraft("replay", record, "--format", "moldudp64", "--book", again).returncode == 0
    same_rows(again, book, times=True)
    with EventBusReader(bus, from_oldest=True) as reader:
        events = reader.read(timeout_s=1).copy()
        assert reader.instruments[0].symbol == "SIM:RING"
        assert len(events) == min(got["events"], 4_096)
    followed = ringcraft("receive", f"shm:{bus}", "--seconds", "0.1", "--json")
    assert json.loads(followed.stdout)["missed"] == 0


@pytest.mark.parametrize("depth", [False, True])
def test_a_tier_gets_the_events_and_levels_that_replay_sends(tape: Tape, depth: bool) -> None:
    door = Door()
    got = Received(tape, "--publish", door.address, "--account", "ana", *["--depth"] * depth).answer
    door.close()
    (day,) = read_recordings(tape.pcap, format="moldudp64", depth=True)
    assert got["published"] == {"sent": len(day), "dropped": 0, "connections": 1, "last_error": ""}
    assert [each.symbol for each in door.said.instruments] == ["SIM:RING"]
    assert (door.said.account, door.said.depth) == ("ana", depth)
    names = [name for name in MARKET_EVENT.names if name != "receive_ns"]  # the kernel's stamp, not the capture's
    assert all(np.array_equal(door.events[name], day.events[name]) for name in names)
    if depth:
        assert day.depth is not None
        assert np.array_equal(door.depth, day.depth)
        assert np.count_nonzero(door.depth, axis=(1, 2)).max() > 20


def test_bus_gets_the_levels_that_replay_gives(tape: Tape, bus: str) -> None:
    done = ringcraft("receive", f"pcap:{tape.pcap}", "--about", tape.about, "--bus", bus, "--depth", "--json")
    assert done.returncode == 0, done.stderr
    (day,) = read_recordings(tape.pcap, format="moldudp64", depth=True)
    with EventBusReader(bus, from_oldest=True) as reader:
        events, levels = reader.read_with_depth(timeout_s=1)
    assert np.array_equal(events, day.events)
    assert levels is not None
    assert day.depth is not None
    assert np.array_equal(levels, day.depth)


def test_process_that_follows_the_bus_hands_its_levels_to_a_tier(tape: Tape, bus: str) -> None:
    (day,) = read_recordings(tape.pcap, format="moldudp64", depth=True)
    assert day.depth is not None
    writer, door = EventBusWriter(bus, (day.instrument,), depth=True), Door()
    command = [sys.executable, "-m", "ringcraft.cli", "receive", f"shm:{bus}", "--publish", door.address]
    follower = subprocess.Popen(
        [*command, "--depth", "--seconds", "30", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    assert follower.stderr is not None
    assert "following SIM:RING" in follower.stderr.readline()
    writer.write(day.events, day.depth)
    del writer
    answer, error = follower.communicate(timeout=60)
    door.close()
    assert follower.returncode == 0, error
    got = json.loads(answer)
    assert (got["events"], got["missed"], got["published"]["dropped"]) == (len(day), 0, 0)
    assert door.said.depth
    assert np.array_equal(door.events, day.events)
    assert np.array_equal(door.depth, day.depth)


def test_bus_without_levels_is_refused_where_levels_are_asked_for(tape: Tape, bus: str) -> None:
    done = ringcraft("receive", f"pcap:{tape.pcap}", "--about", tape.about, "--bus", bus, "--json")
    assert done.returncode == 0, done.stderr
    refused = ringcraft("receive", f"shm:{bus}", "--publish", "127.0.0.1:1", "--depth")
    assert f"shm:{bus}: expected a bus with levels, got one without" in refused.stderr
    assert refused.returncode == 2


def test_events_are_handed_on_as_soon_as_no_packet_waits(tape: Tape) -> None:
    source = _native.UdpSource([("127.0.0.1", 0)], interface="", buffer_bytes=1 << 20, busy_poll_us=0)
    receiver = _native.FeedReceiver(
        source,
        stocks=[("RING", 100, 0)],
        midnight_ns=0,
        patience_ns=0,
        bus=None,
        record="",
        retransmit="",
        keep_events=True,
        depth=True,
    )
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for payload in tape.payloads[:40]:
            sender.sendto(payload, ("127.0.0.1", source.ports[0]))
    start_s = time.monotonic()
    assert receiver.run(timeout_s=20.0, spin_s=0.0)
    assert time.monotonic() - start_s < 10
    events, levels = receiver.take_events()
    assert len(events) > 50 * MARKET_EVENT.itemsize
    assert len(levels) == len(events) // MARKET_EVENT.itemsize * 40


def test_lost_packets_are_asked_for_and_recovered(tape: Tape, tmp_path: Path) -> None:
    book = tmp_path / "book.parquet"
    got = Received(tape, "--book", book, lost="3,4,5,40,100", ask=True).answer
    same_rows(book, tape.book)
    mold = got["mold"]
    assert 1 <= mold["holes"] <= 3  # one that opens while another is open belongs to it
    assert (mold["gaps"], mold["missed"]) == (0, 0)
    assert mold["requested"] == mold["retransmitted"] == 40
    assert got["requests"] >= 10  # four messages an answer
    assert got["answers"] >= 10


def test_lost_packets_that_nobody_brings_are_a_gap(tape: Tape, tmp_path: Path) -> None:
    book = tmp_path / "book.parquet"
    got = Received(tape, "--book", book, "--patience-ms", 30, lost="3,4,5,40").answer
    assert got["mold"]["gaps"] == 2
    assert got["mold"]["missed"] == 32
    assert got["messages"] == len(tape.messages) - 32
    assert got["states_entered"]["gap"] == 1
    assert got["requests"] == 0


def test_capture_gives_the_very_rows_of_replay(tape: Tape, tmp_path: Path, bus: str) -> None:
    book = tmp_path / "book.parquet"
    done = ringcraft("receive", f"pcap:{tape.pcap}", "--about", tape.about, "--book", book, "--bus", bus, "--json")
    assert done.returncode == 0, done.stderr
    same_rows(book, tape.book, times=True)
    assert json.loads(done.stdout)["source"]["stamp"] == "recorder"
    with EventBusReader(bus, from_oldest=True) as reader:
        batches = [reader.read(timeout_s=0.1).copy() for _ in range(20)]
    assert sum(map(len, batches)) == json.loads(done.stdout)["events"]


def test_instrument_that_is_named_twice_is_received_once(tape: Tape, bus: str) -> None:
    named = ("--instrument", "RING", "--instrument", "SIM:RING", "--instrument", "RING")
    done = ringcraft("receive", f"pcap:{tape.pcap}", "--about", tape.about, *named, "--bus", bus, "--json")
    assert done.returncode == 0, done.stderr
    with EventBusReader(bus, from_oldest=True) as reader:
        assert [each.symbol for each in reader.instruments] == ["SIM:RING"]
        assert len(reader.read(timeout_s=1)) == json.loads(done.stdout)["events"] > 300


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--seconds", "nan"], "Invalid value for '--seconds': expected a number, got nan"),
        (["--publish", "nowhere"], "address: expected HOST:PORT, got 'nowhere'"),
        (
            ["--book", "no/such/book.parquet"],
            "--book: no/such/book.parquet: expected a folder that is there, got no/such",
        ),
    ],
)
def test_what_could_only_fail_at_the_end_is_refused_at_the_start(options: list[str], why: str) -> None:
    begun_s = time.monotonic()
    done = ringcraft("receive", "udp://127.0.0.1:0", "--instrument", "X:Y", *options)
    assert done.returncode == 2
    assert why in done.stderr
    assert time.monotonic() - begun_s < 10


def test_wait_that_is_no_number_is_none() -> None:
    source = _native.UdpSource([("127.0.0.1", 0)], interface="", buffer_bytes=1 << 20, busy_poll_us=0)
    receiver = _native.FeedReceiver(
        source, stocks=[("X", 100, 0)], midnight_ns=0, patience_ns=0, bus=None, record="", retransmit="",
        keep_events=False,
    )  # fmt: skip
    assert receiver.run(timeout_s=float("nan"), spin_s=float("nan"))
    assert receiver.run(timeout_s=-1.0, spin_s=1e300)


def test_silence_ends_when_time_is_up() -> None:
    done = ringcraft(
        "receive", "udp://127.0.0.1:0", "--instrument", "X:Y", "--seconds", "0.2", "--json", "--core", 9999
    )
    answer = json.loads(done.stdout)
    assert (answer["stopped"], answer["source"]["packets"], answer["unlisted"]) == ("time", 0, ["Y"])
    assert "ringcraft: not pinned to core 9999: Invalid argument" in done.stderr


def test_what_the_system_does_not_grant_is_a_line_each_and_receiving_goes_on(tape: Tape) -> None:
    command = ["receive", f"pcap:{tape.pcap}", "--about", tape.about, "--core", "9999", "--lock-memory", "--json"]
    done = subprocess.run(
        [sys.executable, "-c", UNGRANTED, *map(str, command)],
        capture_output=True,
        text=True,
        env=environment(),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[:3] == [
        "ringcraft: not pinned to core 9999: Invalid argument",
        "ringcraft: memory not locked: Operation not permitted; needs CAP_IPC_LOCK or a higher ulimit -l",
        "ringcraft: no huge pages: switched off for this process (PR_SET_THP_DISABLE)",
    ]
    assert json.loads(done.stdout)["messages"] == len(tape.messages)


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (
            "tcp://1.2.3.4:5",
            "source: expected udp://IPV4:PORT, pcap:FILE, dpdk:ARGUMENTS or shm:NAME, got 'tcp://1.2.3.4:5'",
        ),
        ("udp://1.2.3.4", "expected IPV4:PORT, got '1.2.3.4'"),
        ("udp://1.2.3.4:5?speed=1", "expected options interface, busy_poll_us, buffer_bytes, got speed"),
        ("udp://127.0.0.1:0?busy_poll_us=x", "busy_poll_us: expected a whole number, got 'x'"),
        ("udp://a.b:5", "a.b:5: expected an IPv4 address"),
        ("udp://233.54.12.111:26477?interface=no-such", "interface no-such: No such device"),
        ("pcap:/no/such", "/no/such"),
        (f"pcap:{__file__}", "byte 0: expected a packet capture, pcap or pcapng, got b"),
    ],
)
def test_source_that_makes_no_sense_is_one_line(source: str, why: str) -> None:
    with pytest.raises((UsageError, FormatError), match=re.escape(why)):
        open_source(source)


def test_bus_that_is_not_there_is_one_line() -> None:
    assert "No such file or directory" in one_line(ringcraft("receive", "shm:no-such-bus"))
    nowhere = ringcraft("receive", "udp://127.0.0.1:0", "--instrument", "X:Y", "--depth")
    assert "--depth: expected --publish or --bus too" in one_line(nowhere)
    assert "--instrument: expected at least one" in one_line(ringcraft("receive", "udp://127.0.0.1:0"))


def test_kernel_counts_what_it_drops(tmp_path: Path) -> None:
    source = _native.UdpSource([("127.0.0.1", 0)], interface="", buffer_bytes=4_096, busy_poll_us=0)
    receiver = _native.FeedReceiver(
        source,
        stocks=[("X", 100, 0)],
        midnight_ns=0,
        patience_ns=0,
        bus=None,
        record="",
        retransmit="",
        keep_events=False,
    )
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for sequence in range(200):
            sender.sendto(captures.mold(sequence + 1, [b"x" * 100]), ("127.0.0.1", source.ports[0]))
        receiver.run(timeout_s=0.05, spin_s=0.0)
        sender.sendto(captures.heartbeat(201), ("127.0.0.1", source.ports[0]))  # the kernel tells with the next packet
        receiver.run(timeout_s=0.05, spin_s=0.0)
    receiver.finish()
    summary, mold = source.summary(), receiver.summary()["mold"]
    assert summary["dropped"] > 100
    assert summary["packets"] + summary["dropped"] == 201
    assert mold["missed"] == summary["dropped"]
    assert mold["messages"] + mold["missed"] == 200
