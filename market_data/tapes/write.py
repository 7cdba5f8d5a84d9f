"""Tapes as files: ITCH 5.0 BinaryFILE, or MoldUDP64 packets in a capture, with instrument and truth beside."""

import hashlib
import math
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from data_contracts.errors import UsageError
from data_contracts.instrument import Instrument
from market_data.formats.itch50 import Beside, beside_path, midnight_ns
from market_data.tapes.model import (
    Change,
    Duplicates,
    FlowEvent,
    Gap,
    Halt,
    Hold,
    Intervention,
    Loss,
    Notice,
    Overlap,
    PacketFault,
    Reorder,
    Skew,
    Tape,
    check_tape,
)
from market_data.tapes.truth import (
    ChangePoint,
    Injected,
    Stock,
    TapeTruth,
    measure_edge,
    packets_truth,
    planted_ticks,
    truth_path,
)
from native import _native

TapeFormat = Literal["itch50", "moldudp64"]

INSTRUMENT: Final = Instrument(
    symbol="SIM:RING",
    tick_size="0.01",
    lot_size="1",
    currency="USD",
    fee_bps=0.1,
    time_zone="America/New_York",
    stale_after_ns=5 * 10**9,
)
DATE: Final = date(2026, 1, 5)
"""A Monday."""

_CHUNK: Final = 1 << 22
_NEVER_NS: Final = 2**63
_LATER_S: Final = 1e6
"""Later than any tape."""
_LINES: Final = {"A": 1, "B": 2, "AB": 3}
_FAULTS: Final = (Gap, Loss, Duplicates, Reorder, Hold, Skew)  # in the order of native's FaultKind

# Children of each kind (row) that an event of each kind (column) has, of all its children: market buys and sells, new
# bids and asks, cancelled bids and asks. Columns sum to 1, so that the matrix times n has the branching ratio n. Market
# orders follow market orders of their side, the taken side is refilled and withdrawn from, quoting begets quoting.
_EXCITATION: Final = (
    (0.45, 0.05, 0.02, 0.02, 0.02, 0.02),
    (0.05, 0.45, 0.02, 0.02, 0.02, 0.02),
    (0.12, 0.23, 0.36, 0.10, 0.30, 0.10),
    (0.23, 0.12, 0.10, 0.36, 0.10, 0.30),
    (0.05, 0.10, 0.30, 0.20, 0.36, 0.20),
    (0.10, 0.05, 0.20, 0.30, 0.20, 0.36),
)


@dataclass(frozen=True)
class SimulatedTape:
    """What came of it.

    Attributes:
        truth: as it lies beside the recording.
        touches: int64, shape (n, 7), where asked for: message number, locate code, bid ticks and lots, ask ticks and
            lots, EventFlag bits, at each change of a stock's touch or state, from the simulator's own book; no gap is
            in the bits, since the venue has none.
    """

    truth: TapeTruth
    touches: NDArray[np.int64]


def write_tape(
    path: Path | str,
    tape: Tape,
    *,
    seed: int,
    format: TapeFormat | None = None,  # noqa: A002  the option's name
    seconds: float | None = None,
    messages: int | None = None,
    stocks: int = 1,
    horizon_s: int = 5,
    keep_touches: bool = False,
) -> SimulatedTape:
    """Write a recording to `path`, its instrument and truth beside it, in pieces: memory stays flat.

    Same arguments, same bytes, on any machine.

    Args:
        path: the file; its folder must be there. A retransmission's messages go to `<stem>.retransmit.pcap`.
        tape: what to simulate; see `find_tape`.
        seed: 0 or more.
        format: None: itch50, or moldudp64 where something happens to packets.
        seconds: of event time; None: the tape's.
        messages: the tape ends with so many, if it comes so far; None: no bound.
        stocks: independent ones, RING, RING2, ..; all that happens happens to each.
        horizon_s: what the truth's edge looks ahead, and what informed traders trade for.
        keep_touches: return the simulator's own book at each change, in memory.

    Raises:
        UsageError: a tape, count or time out of bounds, packets' faults without packets, or a path that cannot be
            written.
    """
    if seconds is not None:
        tape = msgspec.structs.replace(tape, seconds=float(seconds))
    check_tape(tape)
    chosen: TapeFormat = format or ("moldudp64" if tape.needs_packets else "itch50")
    if chosen == "itch50" and tape.needs_packets:
        raise UsageError(f"tape {tape.name} is about packets: expected format moldudp64, got itch50")
    if seed < 0 or not 1 <= stocks <= 1_000 or horizon_s < 1 or (messages is not None and messages < 1):
        got = f"{seed}, {stocks}, {horizon_s}, {messages}"
        raise UsageError(f"expected seed >= 0, stocks 1 to 1000, horizon_s and messages over 0, got {got}")
    maker = _native.Tape(
        seed=seed,
        stocks=stocks,
        start_ns=int(tape.start_s * 1e9),
        seconds=tape.seconds,
        most_messages=messages or 0,
        keep_touches=keep_touches,
        packets=chosen == "moldudp64",
        midnight_ns=midnight_ns(DATE, INSTRUMENT),
        **_native_arguments(tape, horizon_s),
    )
    digest = _write(Path(path), maker)
    truth = _truth(tape, maker, seed=seed, format=chosen, stocks=stocks, horizon_s=horizon_s, digest=digest)
    _write_beside(Path(path), truth)
    return SimulatedTape(truth=truth, touches=maker.touches().reshape(-1, 7))


def branching_matrix(tape: Tape) -> list[list[float]]:
    """Return how many children of each kind (row) an event of each kind (column) has; six kinds, see the docs."""
    ratio = tape.flow.branching if tape.flow.arrivals == "hawkes" else 0.0
    return [[ratio * share for share in row] for row in _EXCITATION]


def _native_arguments(tape: Tape, horizon_s: int) -> dict[str, Any]:
    flow = {name: value for name, value in msgspec.structs.asdict(tape.flow).items() if not isinstance(value, str)}
    del flow["branching"]
    flow["lead_ticks"] = planted_ticks(tape.flow, horizon_s)
    return {
        "flow": flow,
        "branching": branching_matrix(tape),
        "windows": [_window(each) for each in tape.what if isinstance(each, Change)],
        "halts": [[each.start_s, each.quote_s, each.end_s] for each in tape.what if isinstance(each, Halt)],
        "overlaps": [
            [each.start_s, each.end_s, each.ticks, each.shares] for each in tape.what if isinstance(each, Overlap)
        ],
        "notices_s": [each.start_s for each in tape.what if isinstance(each, Notice)],
        "marks_s": [min(moment, _LATER_S) for each in tape.what for moment in _span(each)],
        "faults": [_fault(tape, each) for each in tape.what if isinstance(each, PacketFault)],
    }


def _span(each: Intervention) -> tuple[float, float]:
    """Return start and end in s; a thing of one moment ends where it starts."""
    end_s = getattr(each, "end_s", each.start_s)
    return each.start_s, math.inf if end_s is None else end_s


def _window(each: Change) -> list[float]:
    names = ("market", "limit", "cancel", "buys", "sells", "bids", "asks", "drift_ticks_per_s", "volatility", "edge")
    return [*_span(each), *(float(getattr(each, name)) for name in names)]


def _fault(tape: Tape, each: PacketFault) -> tuple[int, int, int, int, float, float, float, bool]:
    start_s, end_s = _span(each)
    forever = isinstance(each, Gap) or math.isinf(end_s)
    amount = {Gap: "messages", Duplicates: "late_us", Reorder: "late_us", Skew: "ahead_us"}.get(type(each))
    return (
        _FAULTS.index(type(each)),
        int((tape.start_s + start_s) * 1e9),
        _NEVER_NS if forever else int((tape.start_s + end_s) * 1e9),
        _LINES[getattr(each, "lines", "AB")],
        float(getattr(each, "share", 1.0)),
        float(getattr(each, amount)) if amount else 0.0,
        float(getattr(each, "ppm", 0.0)),
        bool(getattr(each, "answered", False)),
    )


def _write(path: Path, maker: _native.Tape) -> str:
    """Write the bytes as they come; return their SHA-256."""
    digest = hashlib.sha256()
    try:
        with path.open("wb") as file:
            while chunk := maker.next(_CHUNK):
                digest.update(chunk)
                file.write(chunk)
        if answers := maker.answers():
            path.with_name(path.name.split(".pcap")[0] + ".retransmit.pcap").write_bytes(answers)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    return digest.hexdigest()


def _truth(
    tape: Tape,
    maker: _native.Tape,
    *,
    seed: int,
    format: TapeFormat,  # noqa: A002  the option's name
    stocks: int,
    horizon_s: int,
    digest: str,
) -> TapeTruth:
    start_ns = midnight_ns(DATE, INSTRUMENT) + int(tape.start_s * 1e9)
    injected = _injected(tape, maker, start_ns)
    return TapeTruth(
        tape=tape,
        seed=seed,
        format=format,
        start_ns=start_ns,
        seconds=maker.seconds,
        messages=maker.messages,
        by_type=maker.by_type,
        branching_ratio=tape.flow.branching if tape.flow.arrivals == "hawkes" else 0.0,
        injected=injected,
        change_points=tuple(
            ChangePoint(event_ns=each.start_ns, first_message=each.first_message)
            for each in injected
            if isinstance(each.what, Change) and each.what.start_s > 0 and each.what.end_s is None
        ),
        stocks=tuple(_stock(tape, maker, i, horizon_s) for i in range(stocks)),
        packets=packets_truth(about) if (about := maker.packets()) is not None else None,
        sha256=digest,
    )


def _stock(tape: Tape, maker: _native.Tape, index: int, horizon_s: int) -> Stock:
    samples = maker.samples(index).reshape(-1, 3)
    arrivals, excited = maker.arrivals(index)
    return Stock(
        symbol="SIM:RING" if index == 0 else f"SIM:RING{index + 1}",
        locate=index + 1,
        edge=measure_edge(tape, samples, horizon_s),
        arrivals=arrivals,
        excited=excited,
        signal=tuple(np.round(samples[:, 0], 4).tolist()),
        efficient_ticks=tuple(np.round(samples[:, 1], 4).tolist()),
    )


def _injected(tape: Tape, maker: _native.Tape, start_ns: int) -> tuple[Injected, ...]:
    about = maker.packets()
    faults = iter(about["faults"] if about else ())
    found = []
    for i, each in enumerate(tape.what):
        start_s, end_s = _span(each)
        packets = 0
        if isinstance(each, FlowEvent | Skew):
            first, after = maker.marks[2 * i], maker.marks[2 * i + 1]
            last = first if start_s == end_s else after - 1
            count = max(0, last - first + 1) if first <= maker.messages else 0
            if isinstance(each, Skew):
                next(faults)
        else:
            packets, count, first, last = next(faults)
        found.append(
            Injected(
                what=each,
                start_ns=start_ns + int(start_s * 1e9),
                end_ns=start_ns + int(min(end_s, maker.seconds) * 1e9),
                first_message=first if count else 0,
                last_message=last if count else 0,
                messages=count,
                packets=packets,
            )
        )
    return tuple(found)


def _write_beside(path: Path, truth: TapeTruth) -> None:
    try:
        beside_path(path).write_bytes(msgspec.json.encode(Beside(instrument=INSTRUMENT, date=DATE)))
        truth_path(path).write_bytes(msgspec.json.encode(truth))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
