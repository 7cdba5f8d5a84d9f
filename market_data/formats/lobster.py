"""LOBSTER: `AAPL_2012-06-21_34200000_57600000_message_10.csv` with its `..._orderbook_10.csv` beside it.

Neither has a header. A message is seconds after New York's midnight, type, order id, size, price in 1/10000 and the
resting order's direction; the row of the same number in the order book is the book right after it: ask price, ask
size, bid price, bid size, level by level. The messages alone would not do: they begin without the orders that rest
already.
"""

import re
from datetime import date
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from data_contracts.errors import FormatError
from data_contracts.instrument import Instrument
from data_contracts.market_event import DEPTH_LEVELS, MARKET_EVENT, BookDepths, EventFlag, MarketEvents
from data_contracts.recording import Recording
from market_data.formats import packed, tables
from market_data.formats.itch50 import midnight_ns
from market_data.formats.touch import choose, drop_backwards_with_depth, touch_flags

_FILE: Final = re.compile(r"^([A-Z.]+)_(\d{4}-\d{2}-\d{2})_(\d+)_(\d+)_message_(\d+)\.csv" + packed.PATTERN + "$")
_NO_PRICE: Final = 9_999_999_999
"""Stands for an empty level's price, negative on the bid's side."""

_PRICE_PER_TICK: Final = 100
_TYPES: Final = {
    1: "add",
    2: "cancel",
    3: "delete",
    4: "execution",
    5: "hidden_execution",
    6: "cross",
    7: "halt",
}
_TRADES: Final = (4, 5, 6)


def claims(source: Path) -> bool:
    """Whether the path is a message file, or a folder that holds one."""
    return bool(_files(source))


def read(source: Path, instrument: str | None, *, depth: bool = False) -> tuple[Recording, ...]:
    """Return one recording a day, oldest first.

    Raises:
        UsageError: several stocks and no `instrument`, or none of that name.
        FormatError: the files are not what the format says, or do not belong together.
    """
    files = _files(source)
    wanted = choose(source, sorted({_symbol(path) for path in files}), instrument)
    return tuple(_read_day(path, wanted, depth=depth) for path in files if _symbol(path) == wanted)


def _files(source: Path) -> list[Path]:
    """Return one file a day: of several, the one with the most levels, plain where it is packed too."""
    days: dict[tuple[str, ...], tuple[int, Path]] = {}
    for path in sorted(source.iterdir()) if source.is_dir() else [source]:
        if named := _FILE.match(path.name):
            levels = int(named[5])
            if levels > days.get(named.groups()[:4], (-1, path))[0]:
                days[named.groups()[:4]] = (levels, path)
    return [path for _, path in days.values()]


def _symbol(path: Path) -> str:
    return f"NASDAQ:{path.name.partition('_')[0]}"


def _read_day(path: Path, symbol: str, *, depth: bool) -> Recording:
    messages = _messages(path)
    levels = _levels(path, len(messages["time_s"]), most=DEPTH_LEVELS if depth else 1)
    instrument = Instrument(symbol=symbol, tick_size="0.01", lot_size="1", currency="USD", time_zone="America/New_York")
    events = np.zeros(len(messages["time_s"]), dtype=MARKET_EVENT)
    # Exact: a day's ns take 47 bits, and a float64 has 53.
    events["event_ns"] = _midnight_ns(path, instrument) + np.rint(messages["time_s"] * 1e9).astype(np.int64)
    events["receive_ns"] = events["event_ns"]
    events["sequence"] = np.arange(1, len(events) + 1)
    for position, name in enumerate(("bid_ticks", "bid_lots", "ask_ticks", "ask_lots")):
        events[name] = levels[:, position, 0]
    _add_trades(events, messages)
    events["flags"] = touch_flags(events) | _halted(messages)
    kinds = messages["type"]
    by_type = {name: int(np.count_nonzero(kinds == kind)) for kind, name in _TYPES.items() if np.any(kinds == kind)}
    kept, kept_levels, backwards = drop_backwards_with_depth(events, levels if depth else None)
    skipped = {"out_of_order": backwards} if backwards else {}
    return Recording(
        instrument=instrument, events=kept, source=path, skipped=skipped, by_type=by_type, depth=kept_levels
    )


def _messages(path: Path) -> dict[str, NDArray[Any]]:
    pl = tables.polars()
    whole = ("type", "order", "size", "price", "direction")
    columns = {"time_s": pl.Float64, **dict.fromkeys(whole, pl.Int64)}
    table = tables.read_table(path, tables.read_bytes(path), columns=columns, header=False)
    found = {name: table[name].to_numpy() for name in table.columns}
    kinds, seconds, traded = found["type"], found["time_s"], np.isin(found["type"], _TRADES)
    for column, bad, expected in (
        ("type", ~np.isin(kinds, list(_TYPES)), "1 to 7"),
        ("time_s", ~((seconds >= 0) & (seconds < 86_400)), "0 to 86400"),
        ("size", traded & (found["size"] < 0), "shares, 0 or more"),
        ("price", traded & (found["price"] < 0), "1/10000 dollars, 0 or more"),
        ("direction", np.abs(found["direction"]) > 1, "1 or -1"),
    ):
        tables.refuse_rows(path, bad, found[column], column, expected=expected)
    return found


def _book_of(messages: Path) -> Path:
    """Return the order book's file, packed as the messages are or otherwise."""
    stem = packed.bare_name(messages).replace("_message_", "_orderbook_")
    endings = (messages.name[len(packed.bare_name(messages)) :], "", *packed.ENDINGS)
    candidates = [messages.with_name(stem + ending) for ending in endings]
    return next((path for path in candidates if path.is_file()), candidates[0])


def _levels(path: Path, rows: int, *, most: int) -> BookDepths:
    """Return the best levels of each row, at most `most`; those that the file does not have are 0."""
    pl = tables.polars()
    book = _book_of(path)
    named = _FILE.match(path.name)
    levels = int(named[5]) if named else 0
    sides = ("ask_price", "ask_size", "bid_price", "bid_size")
    names = [f"{side}_{level}" for level in range(1, levels + 1) for side in sides]
    table = tables.read_table(book, tables.read_bytes(book), columns=dict.fromkeys(names, pl.Int64), header=False)
    if len(table) != rows:
        raise FormatError(book, where="table", expected=f"a row a message, {rows}", got=str(len(table)))
    found = np.zeros((rows, 4, DEPTH_LEVELS), dtype=np.int64)
    for position, side in ((0, "bid"), (2, "ask")):
        for level in range(min(most, levels, DEPTH_LEVELS)):
            name = f"{side}_price_{level + 1}"
            price = table[name].to_numpy()
            there = np.abs(price) != _NO_PRICE
            off_grid = there & ((price % _PRICE_PER_TICK != 0) | (price <= 0))
            tables.refuse_rows(book, off_grid, price, name, expected="whole cents in 1/10000")
            size = table[f"{side}_size_{level + 1}"].to_numpy()
            tables.refuse_rows(book, there & (size <= 0), size, f"{side}_size_{level + 1}", expected="shares, over 0")
            found[:, position, level] = np.where(there, price // _PRICE_PER_TICK, 0)
            found[:, position + 1, level] = np.where(there, size, 0)
    return found


def _add_trades(events: MarketEvents, messages: dict[str, NDArray[Any]]) -> None:
    """Sign each trade by its aggressor, the opposite of the order that rested; a cross has none."""
    traded = np.isin(messages["type"], _TRADES)
    events["trade_ticks"] = np.where(traded, np.rint(messages["price"] / _PRICE_PER_TICK), 0)
    sign = np.where(messages["type"] == 6, 0, -np.sign(messages["direction"]))
    events["trade_lots"] = np.where(traded, sign * messages["size"], 0)


def _halted(messages: dict[str, NDArray[Any]]) -> NDArray[np.uint16]:
    """Flag what comes after a type 7: its price is -1 at a halt, 0 when quoting resumes, 1 when trading does."""
    changes = np.flatnonzero(messages["type"] == 7)
    flags = np.zeros(len(messages["type"]), dtype=np.uint16)
    flag_of = {-1: EventFlag.HALTED, 0: EventFlag.AUCTION}
    for start in changes:
        flags[start:] = int(flag_of.get(int(messages["price"][start]), EventFlag(0)))
    return flags


def _midnight_ns(path: Path, instrument: Instrument) -> int:
    named = _FILE.match(path.name)
    try:
        day = date.fromisoformat(named[2] if named else "")
    except ValueError:
        raise FormatError(path, where="file name", expected="a date YYYY-MM-DD", got=path.name) from None
    return midnight_ns(day, instrument)
