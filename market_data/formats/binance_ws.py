"""Binance's websocket streams as they were received: `1723161256172216566 {"stream":"btcusdt@depth@100ms",...}`.

A line is our clock in ns, UTC, a space, and the message: diffs of the book, bookTicker, trade or aggTrade, and REST
snapshots. `<name>.instrument.json` beside the file, as our recorder writes it, states the instrument; without it the
grid is the coarsest power of ten that all numbers lie on. Files of one instrument follow each other: a book goes on
from one into the next.
"""

import re
from collections import Counter
from collections.abc import Iterable
from itertools import chain, groupby
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from data_contracts.errors import FormatError, UsageError
from data_contracts.instrument import Instrument
from data_contracts.recording import Recording
from market_data.crypto.binance_decoder import BinanceDecoder
from market_data.crypto.grid import FinerGridError, Grid, grid_of
from market_data.crypto.lines import Line, day_of, files_that, read_lines
from market_data.formats.packed import bare_name, read_bytes
from market_data.formats.touch import choose

FEES_BPS: Final = {"BINANCE": 10.0, "BINANCE_USDM": 5.0, "BINANCE_COINM": 5.0}
"""What a taker without discounts pays, by venue: spot, USD-M and COIN-M futures."""

_LINE: Final = re.compile(rb"^(\d{19}) (.*)$", re.DOTALL)
_OURS: Final = (b'"stream":', b'"lastUpdateId":', b'"depthUpdate"', b'"bookTicker"')
_SYMBOL: Final = re.compile(rb'"s":\s?"([A-Z0-9_]{1,40})"')
_ABOUT: Final = re.compile(rb'"stream":\s?"([a-z0-9_]{1,40})@|"(?:s|symbol)":\s?"([A-Z0-9_]{1,40})"')
_MONEY: Final = ("USDT", "USDC", "FDUSD", "TUSD", "BUSD", "BTC", "ETH", "BNB", "EUR", "TRY", "BRL", "JPY", "USD")


class _File(Struct, frozen=True):
    path: Path
    symbols: tuple[str, ...]
    stated: Instrument | None
    has_diffs: bool
    first_ns: int


def claims(source: Path) -> bool:
    """Whether the path is such a file, or a folder that holds one."""
    return bool(files_that(source, _fits))


def read(source: Path, instrument: str | None, *, depth: bool = False) -> tuple[Recording, ...]:
    """Return one recording a UTC day of our clock, oldest first.

    Raises:
        UsageError: several instruments and no `instrument`, or none of that name.
        FormatError: a line without a receive time, or no message at all; names the file and the row.
    """
    files = [_look(path) for path in files_that(source, _fits)]
    symbols = sorted({symbol for file in files for symbol in file.symbols})
    if not symbols:
        raise FormatError(source, where="file", expected="messages that name a symbol", got="none")
    symbol = choose(source, symbols, _wanted(symbols, instrument))
    chosen = sorted((file for file in files if symbol in file.symbols), key=lambda file: file.first_ns)
    stated = next((file.stated for file in chosen if file.stated is not None), None)
    grid = Grid() if stated is None else grid_of(stated)
    while True:
        try:
            return _decode(source, chosen, _instrument(symbol, grid) if stated is None else stated, grid, depth=depth)
        except FinerGridError as error:
            grid = error.grid


def split(text: bytes) -> tuple[int, bytes]:
    """Return a line's receive time in ns and its message.

    Raises:
        ValueError: it is no such line.
    """
    found = _LINE.match(text)
    if found is None or int(found[1]) >= 2**63:
        raise ValueError
    return int(found[1]), found[2]


def _fits(first_bytes: bytes) -> bool:
    first = first_bytes.partition(b"\n")[0]
    return _LINE.match(first) is not None and any(name in first for name in _OURS)


def _look(path: Path) -> _File:
    data = read_bytes(path)
    beside = path.with_name(f"{bare_name(path)}.instrument.json")
    stated = None
    if beside.exists():
        try:
            stated = msgspec.json.decode(beside.read_bytes(), type=Instrument)
        except (OSError, msgspec.DecodeError, UsageError) as error:
            raise FormatError(beside, where="file", expected="an instrument", got=str(error)) from None
    return _File(
        path=path,
        symbols=(stated.symbol,) if stated is not None else _symbols(data),
        stated=stated,
        has_diffs=b'"depthUpdate"' in data,
        first_ns=int(data[:19]),
    )


def _symbols(data: bytes) -> tuple[str, ...]:
    # Only futures' messages hold `pu`, and `e` in bookTicker; only COIN-M's the pair `ps`.
    futures = b'"pu":' in data or b'"e":"bookTicker"' in data
    venue = "BINANCE_COINM" if b'"ps":' in data else "BINANCE_USDM" if futures else "BINANCE"
    return tuple(f"{venue}:{name.decode()}" for name in sorted(set(_SYMBOL.findall(data))))


def _wanted(symbols: list[str], instrument: str | None) -> str | None:
    """Return what is asked for; BINANCE:NAME also means the only futures of that name where spot has none."""
    if instrument is not None and instrument not in symbols and instrument.startswith("BINANCE:"):
        return instrument.removeprefix("BINANCE:")
    return instrument


def _instrument(symbol: str, grid: Grid) -> Instrument:
    venue, _, name = symbol.partition(":")
    money = name.partition("_")[0]
    currency = next((each for each in _MONEY if money.endswith(each)), "USD")
    return Instrument(
        symbol=symbol,
        tick_size=grid.tick_size,
        lot_size=grid.lot_size,
        currency=currency,
        fee_bps=FEES_BPS.get(venue, 0.0),
    )


def _decode(
    source: Path, files: list[_File], instrument: Instrument, grid: Grid, *, depth: bool
) -> tuple[Recording, ...]:
    decoder = BinanceDecoder(
        grid,
        stale_after_ns=instrument.stale_after_ns,
        expects_book=any(file.has_diffs for file in files),
        depth=depth,
    )
    only = instrument.symbol.partition(":")[2] if any(len(file.symbols) > 1 for file in files) else None
    lines = chain.from_iterable(read_lines(file.path, split) for file in files)
    return tuple(
        _day(decoder, source, instrument, day_lines, only, depth=depth)
        for _, day_lines in groupby(lines, key=lambda line: day_of(line.receive_ns))
    )


def _day(
    decoder: BinanceDecoder,
    source: Path,
    instrument: Instrument,
    lines: Iterable[Line],
    only: str | None,
    *,
    depth: bool,
) -> Recording:
    """Return a day's recording; what the decoder had counted before is not the day's."""
    types, skips, gaps = Counter(decoder.by_type), Counter(decoder.skipped), decoder.gaps
    others = Counter[str]()
    for line in lines:
        if only is not None and not _about(line.payload, only):
            others["other_instrument"] += 1
            continue
        decoder.feed(line.receive_ns, line.payload)
    events, levels = decoder.take()
    return Recording(
        instrument=instrument,
        events=events,
        source=source,
        skipped=dict(decoder.skipped - skips),
        by_type=dict(decoder.by_type - types + others),
        gaps=decoder.gaps - gaps,
        depth=levels if depth else None,
    )


def _about(payload: bytes, name: str) -> bool:
    """Whether a message names the instrument; one that names none, as spot's snapshots, could be anybody's."""
    found = _ABOUT.search(payload[:400])
    return found is not None and (found[1] or found[2]).decode().upper() == name
