"""Quote ticks of FX and metals in QuantConnect Lean's zips: one a day, `oanda_xauusd/20140502_quote.zip`.

The inner CSV has no header: milliseconds since the day's start, bid, ask. No sizes, no trades.
"""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np

from data_contracts.errors import FormatError, UsageError
from data_contracts.instrument import Instrument
from data_contracts.market_event import MARKET_EVENT, NO_LOTS
from data_contracts.recording import Recording
from market_data.formats import tables
from market_data.formats.column_values import on_grid
from market_data.formats.touch import choose, drop_backwards, touch_flags

_FILE: Final = re.compile(r"^(\d{8})_quote\.zip$")
_FOLDER: Final = re.compile(r"^([a-z]+)_([a-z0-9]+)$")
_DAY_MS: Final = 86_400_000
_NS_PER_MS: Final = 1_000_000

_UTC_OFFSET_HOURS: Final = {"OANDA": 0, "FXCM": -5}
"""FXCM's clock is UTC-5 all year: only so do the two venues' EURUSD returns line up."""

_TICKS: Final = {"XAUUSD": "0.001", "EURUSD": "0.00001"}
"""The smallest step between prices seen: gold is quoted with three decimals, EURUSD with five, on every day."""


def claims(source: Path) -> bool:
    """Whether the path is such a zip, a folder of them, or a folder of such folders."""
    return bool(_files(source))


def read(source: Path, instrument: str | None) -> tuple[Recording, ...]:
    """Return one recording a day, oldest first.

    Raises:
        UsageError: several instruments and no `instrument`, or none of that name.
        FormatError: a zip or its CSV is not what the format says.
    """
    files = _files(source)
    symbols = sorted({_symbol(path) for path in files})
    wanted = choose(source, symbols, instrument)
    return tuple(_read_day(path, _instrument(path, wanted)) for path in files if _symbol(path) == wanted)


def _files(source: Path) -> list[Path]:
    inside = [*source.glob("*_quote.zip"), *source.glob("*/*_quote.zip")]
    found = inside if source.is_dir() else [source]
    return sorted((path for path in found if _FILE.match(path.name)), key=lambda path: path.name)


def _symbol(path: Path) -> str:
    folder = _FOLDER.match(path.resolve().parent.name)
    if folder is None:
        raise UsageError(f"{path}: expected a folder named venue_symbol, such as oanda_xauusd")
    return f"{folder[1].upper()}:{folder[2].upper()}"


def _instrument(source: Path, symbol: str) -> Instrument:
    venue, _, name = symbol.partition(":")
    if venue not in _UTC_OFFSET_HOURS or name not in _TICKS:
        known = f"a venue of {', '.join(_UTC_OFFSET_HOURS)} and a symbol of {', '.join(_TICKS)}"
        raise UsageError(f"{source}: expected {known}, got {symbol}")
    # Fees are none: these venues earn their spread.
    return Instrument(symbol=symbol, tick_size=_TICKS[name], lot_size="1", currency="USD", fee_bps=0.0)


def _read_day(path: Path, instrument: Instrument) -> Recording:
    pl = tables.polars()
    columns = {"milliseconds": pl.Float64, "bid": pl.Float64, "ask": pl.Float64}
    table = tables.read_table(path, tables.read_bytes(path), columns=columns, header=False)
    milliseconds, bid, ask = (table[name].to_numpy() for name in columns)
    outside = np.flatnonzero((milliseconds < 0) | (milliseconds >= _DAY_MS))
    if outside.size:
        row = int(outside[0])
        where = f"row {row + 1}, column milliseconds"
        raise FormatError(path, where=where, expected=f"0 to {_DAY_MS}", got=str(milliseconds[row]))
    events = np.zeros(len(table), dtype=MARKET_EVENT)
    events["event_ns"] = _day_start_ns(path, instrument) + np.rint(milliseconds * _NS_PER_MS).astype(np.int64)
    events["receive_ns"] = events["event_ns"]
    events["sequence"] = np.arange(1, len(events) + 1)
    for side, prices in (("bid", bid), ("ask", ask)):
        ticks, off = on_grid(prices, "1", instrument.tick_size)
        expected = f"0 or a price over it, a multiple of {instrument.tick_size}"
        tables.refuse_rows(path, off | (prices < 0), prices, side, expected=expected)
        events[f"{side}_ticks"] = ticks
        events[f"{side}_lots"] = NO_LOTS
    events["flags"] = touch_flags(events)
    events, backwards = drop_backwards(events)
    skipped = {"out_of_order": backwards} if backwards else {}
    return Recording(instrument=instrument, events=events, source=path, skipped=skipped)


def _day_start_ns(path: Path, instrument: Instrument) -> int:
    text = path.name[:8]
    try:
        day = datetime.strptime(text, "%Y%m%d").replace(tzinfo=UTC)
    except ValueError:
        raise FormatError(path, where="file name", expected="YYYYMMDD_quote.zip", got=path.name) from None
    venue = instrument.symbol.partition(":")[0]
    return (int(day.timestamp()) - _UTC_OFFSET_HOURS[venue] * 3600) * 1_000_000_000
