"""ITCH 5.0 as NASDAQ sends it: MoldUDP64 packets in pcap or pcapng captures, both lines put together.

A capture may hold both lines (two destinations), or each line its own file: a folder's captures are read as one, by
the recorder's clock. One whose name ends in `.retransmit.pcap` or `.retransmit.pcapng` is not a line: it answers where
both lines lost something. `<name>.instrument.json` beside the capture, or beside the first of the folder, may name
instrument and date, as for `itch50`; without it the date is that of the recorder's clock in New York.
"""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from data_contracts.errors import FormatError, UsageError
from data_contracts.market_event import MARKET_EVENT
from data_contracts.recording import Recording
from market_data.formats import itch50, packed
from market_data.formats.touch import choose, drop_backwards_with_depth
from native import _native

PATIENCE_NS: Final = 100_000_000
"""How long a hole is waited for, on the recorder's clock."""

_ENDINGS: Final = tuple(f".{kind}{ending}" for kind in ("pcap", "pcapng") for ending in ("", *packed.ENDINGS))
_RETRANSMISSIONS: Final = tuple(f".retransmit{ending}" for ending in _ENDINGS)
_MAGICS: Final = (
    b"\xd4\xc3\xb2\xa1",
    b"\xa1\xb2\xc3\xd4",
    b"\x4d\x3c\xb2\xa1",
    b"\xa1\xb2\x3c\x4d",
    b"\x0a\x0d\x0d\x0a",
)


def claims(source: Path) -> bool:
    """Whether the path is a packet capture, or a folder that holds one."""
    return bool(_captures(source))


def read(source: Path, instrument: str | None, *, depth: bool = False) -> tuple[Recording, ...]:
    """Return the recording of one stock.

    Raises:
        UsageError: no such file, several stocks and no `instrument`, or none of that name.
        FormatError: not a capture, a broken one, or one without ITCH in it; names the file and the offset.
    """
    files = _captures(source)
    answers = _retransmission(source)
    captures = [_bytes(path) for path in files]
    arguments: dict[str, Any] = {
        "retransmission": _bytes(answers) if answers else np.zeros(0, dtype=np.uint8),
        "patience_ns": PATIENCE_NS,
    }
    beside = itch50.read_beside(files[0])
    found, summary = _native.itch50_packet_stocks(captures, **arguments)
    _refuse_errors([*files, *([answers] if answers else [])], summary)
    instead = "".join(f", {reason} {count}" for reason, count in _skipped(summary, 0).items())
    stocks = itch50.stocks_by_symbol(source, found, venue=itch50.venue_of(beside), beside=instead)
    symbol = choose(source, sorted(stocks), instrument)
    traded = itch50.instrument_of(beside, symbol)
    day = beside.date if beside is not None else _day(files[0], summary["first_ns"], traded.time_zone)
    raw, decoded, levels = _native.itch50_packet_decode(
        captures,
        **arguments,
        locate=stocks[symbol],
        price_per_tick=itch50.price_per_tick(source, traded),
        midnight_ns=itch50.midnight_ns(day, traded),
        depth=depth,
    )
    events, levels, backwards = drop_backwards_with_depth(raw.view(MARKET_EVENT), levels)
    recording = Recording(
        instrument=traded,
        events=events,
        source=source,
        skipped=_skipped(decoded, backwards),
        by_type=dict(decoded["by_type"]),
        gaps=decoded["mold"]["gaps"],
        depth=levels,
    )
    return (recording,)


def _captures(source: Path) -> list[Path]:
    if source.is_dir():
        inside = sorted(path for path in source.iterdir() if path.name.endswith(_ENDINGS))
        return packed.once(path for path in inside if not path.name.endswith(_RETRANSMISSIONS))
    return [source] if source.name.endswith(_ENDINGS) or _begins_as_capture(source) else []


def is_capture(data: bytes) -> bool:
    """Whether the bytes begin as pcap or pcapng does."""
    return data[:4] in _MAGICS


def _begins_as_capture(source: Path) -> bool:
    return source.is_file() and is_capture(packed.peek(source, 4))


def _retransmission(source: Path) -> Path | None:
    if source.is_dir():
        found = sorted(path for path in source.iterdir() if path.name.endswith(_RETRANSMISSIONS))
        if len(found) > 1:
            raise UsageError(f"{source}: expected one retransmission at most, got {', '.join(p.name for p in found)}")
        return found[0] if found else None
    stem = source.name.split(".pcap")[0]
    return next((path for ending in _RETRANSMISSIONS if (path := source.with_name(stem + ending)).exists()), None)


def _bytes(path: Path) -> NDArray[np.uint8]:
    return np.frombuffer(packed.read_bytes(path), dtype=np.uint8)


def _refuse_errors(files: list[Path], summary: Any) -> None:  # noqa: ANN401  typed in native/_native.pyi
    for path, capture in zip(files, summary["captures"], strict=True):
        expected, _, got = capture["error"].partition(", got ")
        if expected:
            raise FormatError(path, where=f"byte {capture['offset']}", expected=expected, got=got)


def _skipped(summary: Any, backwards: int) -> dict[str, int]:  # noqa: ANN401  typed in native/_native.pyi
    mold = summary["mold"]
    counts = {
        "duplicate_message": mold["duplicates"],
        "missed_message": mold["missed"],
        "bad_packet": mold["bad_packets"],
        "other_session": mold["other_session"],
        "bad_message": summary["bad_messages"],
        "out_of_order": backwards,
    }
    for reason in ("other_link", "other_protocol", "fragments", "cut", "garbled"):
        counts[f"packet_{reason}"] = sum(capture[reason] for capture in summary["captures"])
    return itch50.skip_counts(summary) | {reason: n for reason, n in counts.items() if n}


def _day(first: Path, first_ns: int, time_zone: str) -> date:
    if first_ns == 0:  # the recorder kept no clock
        return itch50.named_date(first)
    moment = datetime.fromtimestamp(first_ns // 1_000_000_000, tz=UTC)
    return moment.astimezone(ZoneInfo(time_zone)).date()
