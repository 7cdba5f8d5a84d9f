"""What the transport takes: rings against a locked queue, the shared bus against a socket pair and ZeroMQ, recvmmsg.

Between threads, native ones, records of 80 bytes through room for 1,024: the rings' users look again and yield, the
queue's sleep on condition variables. Between two processes, both sides in Python, events of 80 bytes. Bus and peers
look without sleeping (the bus spins, sockets are polled without blocking), so that a round trip is the transport's and
not the scheduler's; a machine with fewer free cores than two measures its scheduler all the same. Packets of UDP are
received by recvmmsg and by a call each.
"""

import os
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import zmq

from benchmarks.report import paired, ratio
from data_contracts.market_event import MARKET_EVENT
from market_data.shared_bus import bus_path
from native import _native

ROUNDS: Final = 5
TRIPS: Final = 200
BATCH: Final = 256
EVENTS: Final = 240 * BATCH
"""In a round: fewer batches than the bus has slots, so that none can be lost to either."""
_SLOTS: Final = 256
"""Of the bus: few, so that all but the first round find memory that was touched before, as on a bus in use."""
RECORDS: Final = 400_000
"""Passed between threads in a round, by all producers together."""
PRODUCERS: Final = (1, 2, 4)
THREAD_TRIPS: Final = 5_000
PACKETS: Final = 64
"""Sent before they are received: what the kernel's smallest buffer holds for certain."""
_LOCKED: Final = "mutex, condition variables"
_LAST: Final = b"last"
_SPIN_S: Final = 5.0
_ROOT: Final = Path(__file__).parents[1]


class Wire(Protocol):
    """One end of a transport: sends and receives whole records."""

    def send(self, record: bytes) -> None:
        """Hand a record over."""

    def receive(self) -> bytes:
        """Return the next record."""


class BusWire:
    """Two buses, one a direction."""

    def __init__(self, here: str, there: str) -> None:
        self._out = _native.BusWriter(here, slots=_SLOTS, record_bytes=BATCH * MARKET_EVENT.itemsize, about="")
        while not Path(there).exists():
            time.sleep(0.001)
        self._in = _native.BusReader(there, from_oldest=True)

    def send(self, record: bytes) -> None:  # noqa: D102  as Wire
        self._out.write(record, 1)

    def receive(self) -> bytes:  # noqa: D102
        found = self._in.read(timeout_s=_SPIN_S, spin_s=_SPIN_S)
        if found is None:
            raise TimeoutError("bus: nothing came")
        return found[1]


class SocketWire:
    """One end of a pair of Unix sockets."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        end.setblocking(False)

    def send(self, record: bytes) -> None:  # noqa: D102  as Wire
        self._end.send(record)

    def receive(self) -> bytes:  # noqa: D102
        while True:
            with suppress(BlockingIOError):
                return self._end.recv(65_536)


class ZmqWire:
    """PUB and SUB, one of each a direction."""

    def __init__(self, here: str, there: str, *, leads: bool = False) -> None:
        self._context = zmq.Context()
        self._out, self._in = self._context.socket(zmq.PUB), self._context.socket(zmq.SUB)
        for each in (self._out, self._in):
            each.setsockopt(zmq.LINGER, 0)
        self._out.setsockopt(zmq.SNDHWM, 0)
        self._in.setsockopt(zmq.RCVHWM, 0)
        self._out.bind(f"ipc://{here}")
        self._in.setsockopt(zmq.SUBSCRIBE, b"")
        self._in.connect(f"ipc://{there}")
        if leads:  # what is published before the other end hears is lost: knock until it answers
            while not self._in.poll(10):
                self._out.send(bytes(MARKET_EVENT.itemsize))
            while self._in.poll(50):
                self._in.recv()

    def send(self, record: bytes) -> None:  # noqa: D102  as Wire
        self._out.send(record)

    def receive(self) -> bytes:  # noqa: D102
        while True:
            with suppress(zmq.Again):
                return bytes(self._in.recv(zmq.NOBLOCK))


def run() -> list[dict[str, Any]]:
    """Measure each transport in turn, in rounds."""
    return [*_between_threads(), *_across_processes(), _packets()]


def _between_threads() -> list[dict[str, Any]]:
    """Compare each ring with a queue of the same room that has a mutex and condition variables."""
    rows = []
    for how, producers in (("single", 1), *(("multi", n) for n in PRODUCERS)):
        pairs = paired(partial(_records_s, how, producers), partial(_records_s, "locked", producers), ROUNDS)
        ring = "one producer's ring" if how == "single" else f"several producers' ring, {producers} of them"
        what = f"records a second between threads, {ring}"
        rows.append(ratio(what, pairs, peer_name=_LOCKED, unit="records/s", smaller_wins=False))
    for how, name in (("single", "one producer's ring"), ("multi", "several producers' ring")):
        rounds = [(_trips_us(how), _trips_us("locked")) for _ in range(ROUNDS)]
        for position, said in enumerate(("p50", "p99")):
            pairs = [(ours[position], other[position]) for ours, other in rounds]
            what = f"round trip between threads, {name}, {said} µs"
            rows.append(ratio(what, pairs, peer_name=_LOCKED, unit="us", smaller_wins=True))
    return rows


def _records_s(how: str, producers: int) -> float:
    done = _native.bench_hand_over(how, producers=producers, each=RECORDS // producers)
    if not done["ordered"]:
        raise AssertionError(f"{how}: records came out of order")
    return done["records"] * 1e9 / done["nanoseconds"]


def _trips_us(how: str) -> tuple[float, float]:
    found = _native.bench_round_trips(how, trips=THREAD_TRIPS)
    return found["p50_ns"] / 1e3, found["p99_ns"] / 1e3


def _across_processes() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        times = {kind: _between_processes(kind, Path(folder)) for kind in ("bus", "socket pair", "ZeroMQ PUB/SUB")}
    rows = []
    for peer in ("socket pair", "ZeroMQ PUB/SUB"):
        for position, name, smaller in (
            (0, "round trip of an event between processes, p50 µs", True),
            (1, "round trip of an event between processes, p99 µs", True),
            (2, f"events a second between processes, {BATCH} at a time", False),
        ):
            pairs = [(ours[position], other[position]) for ours, other in zip(times["bus"], times[peer], strict=True)]
            unit = "us" if smaller else "events/s"
            rows.append(ratio(name, pairs, peer_name=peer, unit=unit, smaller_wins=smaller))
    return rows


def _packets() -> dict[str, Any]:
    pairs = [(_recvmmsg(), _recv()) for _ in range(ROUNDS)]
    name = "UDP packets a second on loopback, received and arbitrated"
    return ratio(name, pairs, peer_name="socket.recv", unit="packets/s", smaller_wins=False)


def _between_processes(kind: str, folder: Path) -> list[tuple[float, float, float]]:
    """Return p50 and p99 of a round trip in µs, and events/s, of each round."""
    make, theirs = _ends(kind, folder)
    files = [each for each in theirs if isinstance(each, int)]
    other = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.transport", kind, *map(str, theirs)], pass_fds=files, cwd=_ROOT
    )
    wire, found = make(), []
    event = bytes(MARKET_EVENT.itemsize)
    try:
        for _ in range(ROUNDS):
            trips = []
            for _ in range(TRIPS):
                start = time.perf_counter_ns()
                wire.send(event)
                wire.receive()
                trips.append((time.perf_counter_ns() - start) / 1e3)
            start = time.perf_counter_ns()
            wire.send(struct.pack("<I", EVENTS))
            for _ in range(EVENTS // BATCH):
                wire.receive()
            rate = EVENTS / ((time.perf_counter_ns() - start) / 1e9)
            found.append((statistics.median(trips), float(np.percentile(trips, 99)), rate))
        wire.send(_LAST * 2)
    finally:
        with suppress(subprocess.TimeoutExpired):
            other.wait(timeout=5)
        other.kill()
        other.wait()
        for each in theirs:
            if isinstance(each, str):
                Path(each).unlink(missing_ok=True)
    return found


def _ends(kind: str, folder: Path) -> tuple[Callable[[], Wire], tuple[Any, ...]]:
    """Return what makes our end, and what the other process makes its own of."""
    if kind == "bus":
        names = [str(bus_path(f"bench-{os.getpid()}-{side}")) for side in "ab"]
        return (lambda: BusWire(*names)), (names[1], names[0])
    if kind == "socket pair":
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return (lambda: SocketWire(ours)), (theirs.detach(),)
    places = [str(folder / side) for side in "ab"]
    return (lambda: ZmqWire(*places, leads=True)), (places[1], places[0])


def _answer(kind: str, *end: str) -> None:
    """Echo events; at a number of them, send so many in batches; at the last word, end."""
    wire: Wire
    if kind == "bus":
        wire = BusWire(*end)
    else:
        wire = SocketWire(socket.socket(fileno=int(end[0]))) if kind == "socket pair" else ZmqWire(*end)
    batch = bytes(BATCH * MARKET_EVENT.itemsize)
    while (record := wire.receive()) != _LAST * 2:
        if len(record) == MARKET_EVENT.itemsize:
            wire.send(record)
            continue
        for _ in range(struct.unpack("<I", record)[0] // BATCH):
            while True:
                with suppress(BlockingIOError):  # a socket pair that is full waits for its reader
                    wire.send(batch)
                    break


def _recvmmsg() -> float:
    source = _native.UdpSource([("127.0.0.1", 0)], interface="", buffer_bytes=8 << 20, busy_poll_us=0)
    receiver = _native.FeedReceiver(
        source, stocks=[("X", 100, 0)], midnight_ns=0, patience_ns=0, bus=None, record="", retransmit="",
        keep_events=False,
    )  # fmt: skip
    seconds = _drain(source.ports[0], lambda: receiver.run(timeout_s=0.0, spin_s=0.0))
    received = source.summary()["packets"]
    return received / seconds


def _recv() -> float:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.setblocking(False)
        got = 0

        def drain() -> None:
            nonlocal got
            with suppress(BlockingIOError):
                while receiver.recv(2048):
                    got += 1

        seconds = _drain(receiver.getsockname()[1], drain)
    return got / seconds


def _drain(port: int, drain: Callable[[], object]) -> float:
    """Send packets by the handful and return how long receiving alone took, in seconds."""
    packet = b"BENCHMARK " + struct.pack(">QH", 1, 0)
    seconds = 0.0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(300):
            for _ in range(PACKETS):
                sender.sendto(packet, ("127.0.0.1", port))
            start = time.perf_counter()
            drain()
            seconds += time.perf_counter() - start
    return seconds


if __name__ == "__main__":  # the other end
    _answer(*sys.argv[1:])
