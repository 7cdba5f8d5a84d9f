"""Shanghai Stock Exchange, order by order: `SHorders.csv` with `SHtrans.csv` beside it, packed or not (`SHorders.zip`).

One sequence per channel numbers orders and trades together. An order's message comes after the trades that it makes on
arrival and carries only what is left: one that trades in full at once is never added. So a trade may name an order
that is not in the book, and that side of it changes nothing.
"""

import math
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from data_contracts.errors import FormatError, UsageError
from data_contracts.instrument import Instrument
from data_contracts.market_event import DEPTH_LEVELS, MARKET_EVENT, BookDepths, EventFlag, MarketEvents
from data_contracts.recording import Recording
from market_data.formats import packed, tables
from market_data.formats.touch import choose, drop_backwards_with_depth, touch_flags
from native import _native

if TYPE_CHECKING:
    import polars as pl

_ENDINGS: Final = (".zip", ".csv", *(f".csv{ending}" for ending in packed.ENDINGS))
_UTC_OFFSET_NS: Final = 8 * 3_600_000_000_000  # China keeps one time all year
_CALL_AUCTIONS_S: Final = ((0, 9 * 3600 + 30 * 60), (14 * 3600 + 57 * 60, 24 * 3600))
_TICKS_PER_YUAN: Final = 100
_ALL: Final = 2**32 - 1
_HIGHEST: Final = 2**63 - 1
_CODE: Final = r"^[0-9]{6}\.SH$"
_NOISE_TICKS: Final = 1e-3
_TIME: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9])(?:\.([0-9]{1,3}))?")
_ADD, _DELETE = 2, 10


class Message(NamedTuple):
    """An order added or deleted, or a trade, of one stock; in the order of its channel."""

    kind: str
    """add, delete or trade."""
    sequence: int
    event_ns: int
    side: str
    """B or S: of the order, or the aggressor of the trade; empty in an auction."""
    ticks: int
    """0 of a delete."""
    lots: int
    order: int
    """Of an add or delete, 0 of a trade."""
    buy: int
    sell: int
    """The two orders of a trade, 0 of another message."""


class _Found(NamedTuple):
    """A message and the row that it stands in."""

    message: Message
    path: Path
    row: dict[str, Any]


def claims(source: Path) -> bool:
    """Whether the path is such a pair's order file, or a folder that holds the pair."""
    return _pair(source) is not None


def read(source: Path, instrument: str | None, *, depth: bool = False) -> tuple[Recording, ...]:
    """Return the day's recording of one stock.

    Raises:
        UsageError: several stocks and no `instrument`, or none of that name.
        FormatError: the files are not what the format says.
    """
    messages, symbol, repeated = read_messages(source, instrument)
    events, levels, skipped = _build(messages, depth=depth)
    if repeated:
        skipped["repeated_row"] = repeated
    events, levels, backwards = drop_backwards_with_depth(events, levels)
    if backwards:
        skipped["out_of_order"] = backwards
    kinds = [message.kind for message in messages]
    by_type = {kind: kinds.count(kind) for kind in ("add", "delete", "trade")}
    traded = Instrument(
        symbol=symbol, tick_size="0.01", lot_size="1", currency="CNY", time_zone="Asia/Shanghai"
    )  # fees and the duty on sales differ by year and broker: none is assumed
    return (Recording(instrument=traded, events=events, source=source, skipped=skipped, by_type=by_type, depth=levels),)


def read_messages(source: Path, instrument: str | None) -> tuple[list[Message], str, int]:
    """Return one stock's messages as its channel numbered them, its VENUE:SYMBOL, and how many rows said nothing new.

    Raises:
        UsageError: several stocks and no `instrument`, or none of that name.
        FormatError: the files are not what the format says, or two rows of one number say different things.
    """
    pair = _pair(source)
    if pair is None:
        raise UsageError(f"{source}: expected SHorders and SHtrans side by side")
    orders, trades = _table(pair[0], _order_columns()), _table(pair[1], _trade_columns())
    codes = sorted(set(orders["SecurityID"].unique()) | set(trades["SecurityID"].unique()))
    wanted = None if instrument is None else instrument.removesuffix(".SH")
    symbol = choose(source, [f"SSE:{code.removesuffix('.SH')}" for code in codes], wanted)
    code = f"{symbol.removeprefix('SSE:')}.SH"
    found = [*_orders(pair[0], orders, code), *_trades(pair[1], trades, code)]
    found.sort(key=lambda each: each.message.sequence)
    messages = _once_each(found)
    return messages, symbol, len(found) - len(messages)


def _once_each(found: list[_Found]) -> list[Message]:
    """Return each number's message once; a number that two rows give to different messages is refused."""
    messages: list[Message] = []
    for at, each in enumerate(found):
        before = found[at - 1] if at else None
        if before is None or each.message.sequence != before.message.sequence:
            messages.append(each.message)
        elif each.message != before.message:
            first = f"{before.path.name} row {_row_number(before.row)}"
            raise _bad_cell(each.path, each.row, "ApplSeqNum", f"a number of its own, or all that {first} says with it")
    return messages


def _pair(source: Path) -> tuple[Path, Path] | None:
    folder = source if source.is_dir() else source.parent
    if not source.is_dir() and not source.name.startswith("SHorders."):
        return None
    for ending in _ENDINGS:
        orders, trades = folder / f"SHorders{ending}", folder / f"SHtrans{ending}"
        if orders.is_file() and trades.is_file() and (source.is_dir() or source.name == orders.name):
            return orders, trades
    return None


def _order_columns() -> dict[str, "type[pl.DataType]"]:
    pl = tables.polars()
    whole = ("OrderType", "OrderQty", "OrderBSFlag", "ApplSeqNum", "OrderNO")
    texts = ("MDDate", "MDTime", "SecurityID")
    return {**dict.fromkeys(texts, pl.String), "OrderPrice": pl.Float64, **dict.fromkeys(whole, pl.Int64)}


def _trade_columns() -> dict[str, "type[pl.DataType]"]:
    pl = tables.polars()
    whole = ("TradeBuyNo", "TradeSellNo", "TradeBSFlag", "TradeQty", "ApplSeqNum")
    texts = ("MDDate", "MDTime", "SecurityID")
    return {**dict.fromkeys(texts, pl.String), "TradePrice": pl.Float64, **dict.fromkeys(whole, pl.Int64)}


def _table(path: Path, columns: dict[str, "type[pl.DataType]"]) -> "pl.DataFrame":
    table = tables.read_table(path, packed.read_bytes(path), columns=columns, header=True)
    # A row whose stock cannot be told may be any stock's: leaving it out would make that one's book wrong.
    unknown = table.with_row_index("row").filter(~table["SecurityID"].str.contains(_CODE))
    if len(unknown):
        raise _bad_cell(path, unknown.row(0, named=True), "SecurityID", "six digits and .SH")
    return table


def _orders(path: Path, table: "pl.DataFrame", code: str) -> Iterator[_Found]:
    rows = _rows_of(table, code)
    kinds = {_ADD: "add", _DELETE: "delete"}
    sides = {1: "B", 2: "S"}
    for row, event_ns in zip(rows, _event_ns(path, rows), strict=True):
        kind = _one_of(path, row, "OrderType", kinds)
        side = _one_of(path, row, "OrderBSFlag", sides)
        # A deletion's price says nothing: it is the order's number that is taken out.
        ticks = _ticks(path, row, "OrderPrice") if kind == "add" else 0
        lots = _whole(path, row, "OrderQty", 1, _ALL)
        order = _whole(path, row, "OrderNO", 1, _HIGHEST)
        sequence = _whole(path, row, "ApplSeqNum", 1, _HIGHEST)
        yield _Found(Message(kind, sequence, event_ns, side, ticks, lots, order, 0, 0), path, row)


def _trades(path: Path, table: "pl.DataFrame", code: str) -> Iterator[_Found]:
    rows = _rows_of(table, code)
    aggressors = {0: "", 1: "B", 2: "S"}
    for row, event_ns in zip(rows, _event_ns(path, rows), strict=True):
        side = _one_of(path, row, "TradeBSFlag", aggressors)
        lots, ticks = _whole(path, row, "TradeQty", 1, _ALL), _ticks(path, row, "TradePrice")
        buy, sell = (_whole(path, row, name, 1, _HIGHEST) for name in ("TradeBuyNo", "TradeSellNo"))
        sequence = _whole(path, row, "ApplSeqNum", 1, _HIGHEST)
        yield _Found(Message("trade", sequence, event_ns, side, ticks, lots, 0, buy, sell), path, row)


def _rows_of(table: "pl.DataFrame", code: str) -> list[dict[str, Any]]:
    numbered = table.with_row_index("row")
    return numbered.filter(numbered["SecurityID"] == code).to_dicts()


def _bad_cell(path: Path, row: dict[str, Any], column: str, expected: str) -> FormatError:
    where = f"row {_row_number(row)}, column {column}"
    return FormatError(path, where=where, expected=expected, got=str(row[column]))


def _row_number(row: dict[str, Any]) -> int:
    """As a spreadsheet counts."""
    number: int = row["row"] + 1 + tables.HEADER_ROWS
    return number


def _one_of(path: Path, row: dict[str, Any], column: str, meanings: dict[int, str]) -> str:
    if row[column] not in meanings:
        *first, last = map(str, meanings)
        raise _bad_cell(path, row, column, f"{', '.join(first)} or {last}")
    return meanings[row[column]]


def _whole(path: Path, row: dict[str, Any], column: str, least: int, most: int) -> int:
    found: int = row[column]
    if not least <= found <= most:
        raise _bad_cell(path, row, column, f"{least} to {most}")
    return found


def _ticks(path: Path, row: dict[str, Any], column: str) -> int:
    cents = row[column] * _TICKS_PER_YUAN
    ticks: int = round(cents) if math.isfinite(cents) else 0  # prices carry float noise: 15.929999999999999
    if not 0 < ticks < 2**31 or abs(cents - ticks) > _NOISE_TICKS:
        raise _bad_cell(path, row, column, "a price over 0 in whole cents")
    return ticks


def _event_ns(path: Path, rows: list[dict[str, Any]]) -> Iterator[int]:
    midnights: dict[str, int] = {}
    for row in rows:
        day = row["MDDate"]
        if day not in midnights:
            try:
                start = datetime.strptime(day, "%Y.%m.%d").replace(tzinfo=UTC)
            except ValueError:
                raise _bad_cell(path, row, "MDDate", "YYYY.MM.DD") from None
            midnights[day] = int(start.timestamp()) * 1_000_000_000 - _UTC_OFFSET_NS
        said = _TIME.fullmatch(row["MDTime"])
        if said is None:
            raise _bad_cell(path, row, "MDTime", "HH:MM:SS.mmm")
        hours, minutes, seconds, thousandths = said.groups()
        since_ms = ((int(hours) * 60 + int(minutes)) * 60 + int(seconds)) * 1_000 + int(
            (thousandths or "").ljust(3, "0")
        )
        yield midnights[day] + since_ms * 1_000_000


def _build(messages: list[Message], *, depth: bool) -> tuple[MarketEvents, BookDepths | None, dict[str, int]]:
    """Return an event for each change of the touch and each trade, its levels, and what could not be applied."""
    book = _native.Books(1)
    skipped = {"unknown_order": 0, "duplicate_order": 0, "over_executed": 0}
    rows: list[tuple[int, ...]] = []
    levels: list[NDArray[np.int64]] = []
    last = (0, 0, 0, 0)
    for message in messages:
        apply(book, message, skipped)
        touch = book.best(0)
        if touch == last and message.kind != "trade":
            continue
        last = touch
        traded = (0, 0)
        if message.kind == "trade":
            sign = {"B": 1, "S": -1, "": 0}[message.side]
            traded = (message.ticks, sign * message.lots)
        rows.append((message.event_ns, message.event_ns, message.sequence, *touch, *traded, 0, 0, 0))
        if depth:
            levels.append(book.levels(0))
    events = np.array(rows, dtype=MARKET_EVENT)
    events["flags"] = touch_flags(events)
    events["flags"][_in_call_auction(events["event_ns"])] |= np.uint16(EventFlag.AUCTION)
    stacked = np.array(levels, dtype=np.int64).reshape(-1, 4, DEPTH_LEVELS) if depth else None
    return events, stacked, {reason: n for reason, n in skipped.items() if n}


def apply(book: "_native.Books", message: Message, skipped: dict[str, int]) -> None:
    """Change instrument 0 of `book` by one message; count in `skipped` what cannot be applied."""
    if message.kind == "add":
        skipped["duplicate_order"] += not book.add(0, message.order, message.side, message.ticks, message.lots)
    elif message.kind == "delete":
        skipped["unknown_order"] += book.reduce(0, message.order, _ALL) == 0
    else:
        for order in (message.buy, message.sell):
            taken = book.reduce(0, order, message.lots)
            skipped["over_executed"] += 0 < taken < message.lots


def _in_call_auction(event_ns: NDArray[np.int64]) -> NDArray[np.bool_]:
    local_s = (event_ns + _UTC_OFFSET_NS) // 1_000_000_000 % 86_400
    inside = np.zeros(len(event_ns), dtype=bool)
    for start, end in _CALL_AUCTIONS_S:
        inside |= (local_s >= start) & (local_s < end)
    return inside
