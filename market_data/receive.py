"""Receives a feed as it comes: packets from a capture, the kernel or a card, or events from a shared-memory bus.

A source is named by one word:

- `udp://GROUP:PORT[,GROUP:PORT]?interface=eth1&busy_poll_us=50&buffer_bytes=8388608`: the kernel's UDP sockets, one
  for each line
- `pcap:FILE`: a capture, pcap or pcapng, packed or not, as fast as it can be read
- `dpdk:ARGUMENTS`: DPDK's first port, where the package was built with it; ARGUMENTS are DPDK's own
- `shm:NAME`: the events that another process writes to a bus

Packets are MoldUDP64 with ITCH 5.0; lines are arbitrated and holes asked for as in `market_data.formats.moldudp64`.
"""

import shlex
import time
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

import numpy as np
from msgspec import Struct

from data_contracts.errors import FormatError, MarketDataError, MissingDependencyError, UsageError
from data_contracts.instrument import Instrument
from data_contracts.market_event import DEPTH_LEVELS, MARKET_EVENT, BookDepths, EventFlag, MarketEvents
from market_data.formats import itch50, moldudp64
from market_data.formats.tables import read_bytes
from market_data.shared_bus import EventBusReader, open_writer
from native import _native

KINDS: Final = ("udp", "pcap", "dpdk", "shm")
_UDP_OPTIONS: Final = ("interface", "busy_poll_us", "buffer_bytes")
_BUFFER_BYTES: Final = 8 * 2**20
_TURN_S: Final = 0.1

OnEvents = Callable[[MarketEvents, BookDepths | None], None]
"""Called with events as they come, their `instrument` the position in the feed's instruments, and with the levels at
each of them where those are kept."""


class Wanted(Struct, frozen=True, kw_only=True):
    """What is to be made of a feed's packets."""

    instruments: tuple[Instrument, ...]
    day: date | None = None
    """Of the exchange's clock; None: of the capture's first packet, or today, in the first instrument's zone."""
    patience_ms: int = 100
    """How long a hole is waited for."""
    retransmit: str = ""
    """IPV4:PORT of a MoldUDP64 re-request server."""
    record: Path | None = None
    """A pcap that gets every packet."""
    bus: str | None = None
    """A shared-memory bus that gets every event, and the levels where `depth` says so."""
    keep_events: bool = True
    """Whether on_events gets them."""
    depth: bool = False
    """Whether on_events gets the levels too."""


class Limits(Struct, frozen=True, kw_only=True):
    """When to stop, and how to wait."""

    seconds: float | None = None
    spin_s: float = 0.0
    """How long to look again at once before sleeping; it takes a core."""


def open_source(name: str) -> "_native.PacketSource":
    """Return the packet source of that name; `shm:` is none.

    Raises:
        UsageError: a name or an option that means nothing, or an address that cannot be had.
        FormatError: a file that is no capture.
        MissingDependencyError: DPDK, where the package was built without it.
    """
    kind, _, rest = name.partition(":")
    try:
        if kind == "udp" and rest.startswith("//"):
            return _udp(name, rest[2:])
        if kind == "pcap" and rest:
            data = read_bytes(Path(rest))
            if not moldudp64.is_capture(data):
                raise FormatError(rest, where="byte 0", expected="a packet capture, pcap or pcapng", got=repr(data[:4]))
            return _native.CaptureSource(np.frombuffer(data, dtype=np.uint8))
        if kind == "dpdk" and rest:
            if not hasattr(_native, "DpdkSource"):
                raise MissingDependencyError(f"{name}: built without DPDK; see docs/transport.md")
            return _native.DpdkSource(["ringcraft", *shlex.split(rest)])
    except RuntimeError as error:
        raise UsageError(f"{name}: {error}") from None
    raise UsageError(f"source: expected udp://IPV4:PORT, pcap:FILE, dpdk:ARGUMENTS or shm:NAME, got {name!r}")


def _udp(name: str, rest: str) -> "_native.UdpSource":
    places, _, query = rest.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    unknown = sorted(set(options) - set(_UDP_OPTIONS))
    if unknown:
        raise UsageError(f"{name}: expected options {', '.join(_UDP_OPTIONS)}, got {', '.join(unknown)}")
    lines = []
    for place in places.split(","):
        host, _, port = place.rpartition(":")
        if not host or not port.isdecimal() or int(port) > 65_535:
            raise UsageError(f"{name}: expected IPV4:PORT, got {place!r}")
        lines.append((host, int(port)))
    numbers = {"busy_poll_us": 0, "buffer_bytes": _BUFFER_BYTES}
    for key in numbers:
        if key in options:
            if not options[key].isdecimal() or int(options[key]) >= 2**31:
                raise UsageError(f"{name}: {key}: expected a whole number, got {options[key]!r}")
            numbers[key] = int(options[key])
    return _native.UdpSource(lines, interface=options.get("interface", ""), **numbers)


def receive(
    name: str,
    source: "_native.PacketSource",
    wanted: Wanted,
    on_events: Sequence[OnEvents] = (),
    limits: Limits | None = None,
) -> dict[str, Any]:
    """Receive until the session or the source ends, time is up, or an interrupt; return what came.

    Raises:
        UsageError: an instrument's tick, the recording, the bus or the server's address cannot be had.
    """
    limits = limits or Limits()
    first = wanted.instruments[0]
    day = wanted.day or _today(name, first)
    try:
        bus = open_writer(wanted.bus, wanted.instruments, depth=wanted.depth) if wanted.bus else None
        receiver = _native.FeedReceiver(
            source,
            stocks=[
                (each.symbol.partition(":")[2], itch50.price_per_tick(Path(name), each), 0)
                for each in wanted.instruments
            ],
            midnight_ns=itch50.midnight_ns(day, first),
            patience_ns=wanted.patience_ms * 1_000_000,
            bus=bus,
            record=str(wanted.record or ""),
            retransmit=wanted.retransmit,
            keep_events=wanted.keep_events,
            depth=wanted.depth,
        )
    except RuntimeError as error:
        raise UsageError(f"receive: {error}") from None
    start_s = time.monotonic()
    more, stopped = True, "the end"
    try:
        while more:
            left_s = _TURN_S if limits.seconds is None else limits.seconds - (time.monotonic() - start_s)
            if left_s <= 0:
                stopped = "time"
                break
            more = receiver.run(timeout_s=min(left_s, _TURN_S), spin_s=limits.spin_s)
            _hand_on(receiver, on_events, depth=wanted.depth)
    except KeyboardInterrupt:
        stopped = "interrupt"
    seconds = time.monotonic() - start_s
    failure = receiver.finish()
    _hand_on(receiver, on_events, depth=wanted.depth)
    if failure:
        raise MarketDataError(f"recording is not whole: {failure}")
    return _report(source, receiver.summary(), seconds=seconds, stopped=stopped)


def follow(
    name: str,
    bus: EventBusReader,
    on_events: Sequence[OnEvents] = (),
    limits: Limits | None = None,
    *,
    depth: bool = False,
) -> dict[str, Any]:
    """Follow a bus until its writer has gone and all is read, time is up, or an interrupt; return what came.

    Args:
        name: what the answer calls it.
        bus: that is followed.
        on_events: get the events, and their levels where `depth` asks for them.
        limits: when to stop, and how to wait.
        depth: whether levels are handed on.

    Raises:
        UsageError: they are, and the bus has none.
    """
    limits = limits or Limits()
    if depth and not bus.depth:
        raise UsageError(f"{name}: expected a bus with levels, got one without: whoever writes it needs --depth")
    start_s = time.monotonic()
    events, stopped = 0, ""
    states = np.zeros(16, dtype=np.int64)
    try:
        while not stopped:
            left_s = _TURN_S if limits.seconds is None else limits.seconds - (time.monotonic() - start_s)
            alive = bus.writer_lives
            batch, levels = bus.read_with_depth(timeout_s=max(min(left_s, _TURN_S), 0.0), spin_s=limits.spin_s)
            events += len(batch)
            states += [int(np.count_nonzero(batch["flags"] & (1 << bit))) for bit in range(16)]
            for take in on_events if len(batch) else ():
                take(batch, levels if depth else None)
            if left_s <= 0:
                stopped = "time"
            elif not len(batch) and not alive:
                stopped = "the writer has gone"
    except KeyboardInterrupt:
        stopped = "interrupt"
    return {
        "source": name,
        "stopped": stopped,
        "seconds": time.monotonic() - start_s,
        "events": events,
        "missed": bus.missed,
        "laps": bus.laps,
        "events_in_state": {
            flag.name.lower(): int(states[int(flag).bit_length() - 1]) for flag in EventFlag if flag.name
        },
    }


def _hand_on(receiver: "_native.FeedReceiver", on_events: Sequence[OnEvents], *, depth: bool) -> None:
    raw, numbers = receiver.take_events()
    events = raw.view(MARKET_EVENT)
    levels = numbers.reshape(-1, 4, DEPTH_LEVELS) if depth else None
    for take in on_events if len(events) else ():
        take(events, levels)


def _today(name: str, instrument: Instrument) -> date:
    zone = ZoneInfo(instrument.time_zone)
    if name.startswith("pcap:"):
        first_ns = _native.first_packet_ns(np.frombuffer(read_bytes(Path(name[5:])), dtype=np.uint8))
        return datetime.fromtimestamp(first_ns // 10**9, tz=UTC).astimezone(zone).date()
    return datetime.now(tz=zone).date()


def _report(source: "_native.PacketSource", made: Any, *, seconds: float, stopped: str) -> dict[str, Any]:  # noqa: ANN401
    mold = dict(made["mold"])
    lines = mold.pop("first_by_line")
    skipped = itch50.skip_counts(made) | ({"bad_message": made["bad_messages"]} if made["bad_messages"] else {})
    answer = {
        "stopped": stopped,
        "seconds": seconds,
        "source": dict(source.summary()),
        "mold": mold | {"first_by_line": lines[:16], "retransmitted": sum(lines[16:])},
        "requests": made["requests"],
        "answers": made["answers"],
        "messages": made["messages"],
        "events": made["events"],
        "skipped": skipped,
        "states_entered": {
            flag.name.lower(): made["entered"][int(flag).bit_length() - 1] for flag in EventFlag if flag.name
        },
        "unrecorded": made["unrecorded"],
        "unlisted": list(made["unlisted"]),
    }
    if isinstance(source, _native.CaptureSource):
        answer["capture_error"] = source.capture()["error"]
    return answer
