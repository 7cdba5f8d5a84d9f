"""Kraken's websocket books and trades, version 1, as they were received.

A line is our clock in seconds, a colon, and the message: `1618678134.213106: [992,{"b":[...],"c":"..."},...]`. Lines
with ` <-> ` tell of a new connection, lines with ` <- ` of what the client sent. Kraken checks its books by a
checksum of the ten best levels with every change. `<name>.instrument.json` beside a file may
state an instrument, or an array of them, a pair each; without it the grid is the coarsest power of ten that all numbers
lie on.
"""

import re
from itertools import groupby
from pathlib import Path
from typing import Final

import msgspec

from data_contracts.errors import FormatError, UsageError
from data_contracts.instrument import Instrument
from data_contracts.recording import Recording
from market_data.crypto.grid import FinerGridError, Grid, grid_of
from market_data.crypto.kraken_decoder import CONNECTED, KrakenDecoder
from market_data.crypto.lines import Line, day_of, files_that, read_lines
from market_data.formats.packed import bare_name, read_bytes
from market_data.formats.touch import choose

FEE_BPS: Final = 40.0
"""What a taker without discounts pays."""

_LINE: Final = re.compile(rb"^(\d{1,10})(?:\.(\d{1,9}))?: ([\[{].*)$", re.DOTALL)
_CLIENT: Final = re.compile(rb"^wss?://\S+ (<->|<-) (\d{1,10})(?:\.(\d{1,9}))?")
_PAIR: Final = re.compile(rb',"(?:book-\d{1,5}|trade)","([A-Z0-9.]{1,16}/[A-Z0-9.]{1,16})"\]\s*$', re.MULTILINE)
_OURS: Final = (b"wss://ws.kraken.com", b'"channelName":"book-', b'],"book-', b'},"book-')


def claims(source: Path) -> bool:
    """Whether the path is such a file, or a folder that holds one."""
    return bool(files_that(source, _fits))


def read(source: Path, instrument: str | None, *, depth: bool = False) -> tuple[Recording, ...]:
    """Return one recording a UTC day of our clock, oldest first.

    Raises:
        UsageError: several pairs and no `instrument`, or none of that name.
        FormatError: a line without a receive time, or no book at all; names the file and the row.
    """
    files = files_that(source, _fits)
    pairs = {path: {pair.decode() for pair in _PAIR.findall(read_bytes(path))} for path in files}
    symbols = sorted({f"KRAKEN:{pair}" for found in pairs.values() for pair in found})
    if not symbols:
        raise FormatError(source, where="file", expected="a pair's book", got="none")
    symbol = choose(source, symbols, instrument)
    pair = symbol.removeprefix("KRAKEN:")
    lines = [line for path in files if pair in pairs[path] for line in read_lines(path, split)]
    stated = next((each for path in files for each in _beside(path) if each.symbol == symbol), None)
    grid = Grid() if stated is None else grid_of(stated)
    while True:
        try:
            return _decode(source, lines, stated or _instrument(symbol, grid), grid, depth=depth)
        except FinerGridError as error:
            grid = error.grid


def split(text: bytes) -> tuple[int, bytes] | None:
    """Return a line's receive time in ns and its message; None where the client sent it.

    Raises:
        ValueError: it is no such line.
    """
    found = _LINE.match(text)
    if found is not None:
        return _ns(found[1], found[2]), found[3]
    note = _CLIENT.match(text)
    if note is None:
        raise ValueError
    return (_ns(note[2], note[3]), CONNECTED) if note[1] == b"<->" else None


def _ns(seconds: bytes, part: bytes | None) -> int:
    value = int(seconds) * 1_000_000_000 + int((part or b"").ljust(9, b"0"))
    if value >= 2**63:
        raise ValueError
    return value


def _fits(first_bytes: bytes) -> bool:
    first = first_bytes.partition(b"\n")[0]
    return (_LINE.match(first) or _CLIENT.match(first)) is not None and any(name in first_bytes for name in _OURS)


def _beside(path: Path) -> tuple[Instrument, ...]:
    beside = path.with_name(f"{bare_name(path)}.instrument.json")
    try:
        found = msgspec.json.decode(beside.read_bytes(), type=Instrument | tuple[Instrument, ...])
    except FileNotFoundError:
        return ()
    except (OSError, msgspec.DecodeError, UsageError) as error:
        raise FormatError(beside, where="file", expected="an instrument or several", got=str(error)) from None
    return (found,) if isinstance(found, Instrument) else found


def _instrument(symbol: str, grid: Grid) -> Instrument:
    return Instrument(
        symbol=symbol,
        tick_size=grid.tick_size,
        lot_size=grid.lot_size,
        currency=symbol.rpartition("/")[2],
        fee_bps=FEE_BPS,
    )


def _decode(
    source: Path, lines: list[Line], instrument: Instrument, grid: Grid, *, depth: bool
) -> tuple[Recording, ...]:
    pair = instrument.symbol.removeprefix("KRAKEN:")
    decoder = KrakenDecoder(pair, grid, stale_after_ns=instrument.stale_after_ns, depth=depth)
    days = []
    for _, day in groupby(lines, key=lambda line: day_of(line.receive_ns)):
        types, skips, gaps = decoder.by_type.copy(), decoder.skipped.copy(), decoder.gaps
        for line in day:
            decoder.feed(line.receive_ns, line.payload)
        events, levels = decoder.take()
        days.append(
            Recording(
                instrument=instrument,
                events=events,
                source=source,
                skipped=dict(decoder.skipped - skips),
                by_type=dict(decoder.by_type - types),
                gaps=decoder.gaps - gaps,
                depth=levels if depth else None,
            )
        )
    return tuple(days)
