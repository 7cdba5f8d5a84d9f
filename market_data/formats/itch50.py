"""NASDAQ TotalView-ITCH 5.0 BinaryFILE: one stock's touch and trades out of a day's messages.

The bytes name neither venue, fees nor date. A file beside them, `<name>.instrument.json`, may:
{"instrument": {...an Instrument...}, "date": "2026-01-05"}. Without it the venue is NASDAQ, the tick a cent, and the
date the eight digits in the file's name (MMDDYYYY, as NASDAQ has it, or YYYYMMDD), else 1970-01-01.
"""

import re
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from data_contracts.errors import FormatError, UsageError
from data_contracts.instrument import Instrument
from data_contracts.market_event import MARKET_EVENT
from data_contracts.recording import Recording
from market_data.formats import packed
from market_data.formats.touch import choose, drop_backwards_with_depth
from native import _native

_SYSTEM_EVENT: Final = b"\x00\x0cS"  # how every file begins: the start-of-messages event
_PRICE_UNITS: Final = Decimal(10_000)  # prices are in 1/10000
_SKIPS: Final = {
    "unknown_type": "unknown_types",
    "unknown_order": "unknown_orders",
    "duplicate_order": "duplicate_orders",
    "off_grid_order": "off_grid_orders",
    "over_executed": "over_executed",
}
_DIGITS: Final = re.compile(r"(\d{8})")


class Beside(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the bytes do not say."""

    instrument: Instrument
    date: date


def claims(source: Path) -> bool:
    """Whether the path is a file that is named or begins as such files are, packed or not."""
    if not source.is_file():
        return False
    bare = packed.bare_name(source)
    if bare.endswith((".itch", ".itch50")) or (bare != source.name and "ITCH50" in bare.upper()):
        return True
    return packed.peek(source, len(_SYSTEM_EVENT)) == _SYSTEM_EVENT


def read(source: Path, instrument: str | None, *, depth: bool = False) -> tuple[Recording, ...]:
    """Return the day's recording of one stock.

    Raises:
        UsageError: no such file, several stocks and no `instrument`, or none of that name.
        FormatError: bytes that are not ITCH 5.0; names the offset.
    """
    data = np.frombuffer(packed.read_bytes(source), dtype=np.uint8)
    beside = read_beside(source)
    stocks = _stocks(source, data, venue=venue_of(beside))
    symbol = choose(source, sorted(stocks), instrument)
    traded = instrument_of(beside, symbol)
    raw, summary, levels = _native.itch50_decode(
        data,
        locate=stocks[symbol],
        price_per_tick=price_per_tick(source, traded),
        midnight_ns=midnight_ns(beside.date if beside is not None else named_date(source), traded),
        depth=depth,
    )
    _refuse_errors(source, summary)
    events, levels, backwards = drop_backwards_with_depth(raw.view(MARKET_EVENT), levels)
    skipped = skip_counts(summary) | ({"out_of_order": backwards} if backwards else {})
    recording = Recording(
        instrument=traded,
        events=events,
        source=source,
        skipped=skipped,
        by_type=dict(summary["by_type"]),
        depth=levels,
    )
    return (recording,)


def skip_counts(summary: Any) -> dict[str, int]:  # noqa: ANN401  typed in native/_native.pyi
    """Return what a native summary counts as left out, by the reason's public name."""
    counts = {name: summary[key] for name, key in _SKIPS.items()}
    return {reason: n for reason, n in counts.items() if n}


def beside_path(source: Path) -> Path:
    """Return where `source`'s instrument is described."""
    return source.with_name(source.name + ".instrument.json")


def _stocks(source: Path, data: NDArray[np.uint8], *, venue: str) -> dict[str, int]:
    found, summary = _native.itch50_stocks(data)
    _refuse_errors(source, summary)
    return stocks_by_symbol(source, found, venue=venue)


def stocks_by_symbol(source: Path, found: list[tuple[int, bytes]], *, venue: str, beside: str = "") -> dict[str, int]:
    """Return the locate code of each VENUE:SYMBOL.

    Args:
        source: what was read, for messages.
        found: locate code and symbol of each message of the directory; what is said again is one.
        venue: of all of them.
        beside: what was there instead, should there be no directory.

    Raises:
        FormatError: there is none, or a code and a symbol do not belong to each other alone.
    """
    if not found:
        raise FormatError(source, where="stock directory", expected="a message of type R", got=f"none{beside}")
    stocks: dict[str, int] = {}
    symbols: dict[int, str] = {}
    for locate, raw in found:
        symbol = raw.decode("latin-1")
        if symbols.setdefault(locate, symbol) != symbol or stocks.setdefault(f"{venue}:{symbol}", locate) != locate:
            known = symbols[locate] if symbols[locate] != symbol else f"locate {stocks[f'{venue}:{symbol}']}"
            got = f"locate {locate} of {symbol} after {known}"
            raise FormatError(source, where="stock directory", expected="one locate code a stock, all day", got=got)
    return stocks


def _refuse_errors(source: Path, summary: Any) -> None:  # noqa: ANN401  typed in native/_native.pyi
    expected, _, got = summary["error"].partition(", got ")
    if expected:
        raise FormatError(source, where=f"byte {summary['offset']}", expected=expected, got=got)


def read_beside(source: Path) -> Beside | None:
    """Return what is written beside the recording; None where nothing is.

    Raises:
        FormatError: it cannot be read as what it should be.
    """
    path = beside_path(source)
    try:
        return msgspec.json.decode(path.read_bytes(), type=Beside)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError, UsageError) as error:
        raise FormatError(path, where="file", expected="instrument and date", got=str(error)) from None


def venue_of(beside: Beside | None) -> str:
    """Return the venue; NASDAQ where nothing says otherwise."""
    return "NASDAQ" if beside is None else beside.instrument.symbol.partition(":")[0]


def instrument_of(beside: Beside | None, symbol: str) -> Instrument:
    """Return the instrument of that symbol, a US stock where nothing says otherwise."""
    if beside is not None and beside.instrument.symbol == symbol:
        return beside.instrument
    return Instrument(symbol=symbol, tick_size="0.01", lot_size="1", currency="USD", time_zone="America/New_York")


def price_per_tick(source: Path, instrument: Instrument) -> int:
    """Return the tick size in the feed's 1/10000.

    Raises:
        UsageError: it is no multiple of that.
    """
    price = Decimal(instrument.tick_size) * _PRICE_UNITS
    if price != int(price):
        raise UsageError(f"{source}: tick size: expected a multiple of 0.0001, got {instrument.tick_size}")
    return int(price)


def midnight_ns(day: date, instrument: Instrument) -> int:
    """Return the UTC time of the day's start in the instrument's zone."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(instrument.time_zone))
    return int(midnight.timestamp()) * 1_000_000_000


def named_date(source: Path) -> date:
    """Return the date that the file's name tells, MMDDYYYY or YYYYMMDD; else 1970-01-01."""
    digits = _DIGITS.search(source.name)
    for pattern in ("%m%d%Y", "%Y%m%d"):
        try:
            return datetime.strptime(digits[1] if digits else "", pattern).date()
        except ValueError:
            continue
    return date(1970, 1, 1)
