"""CSV and Parquet files of anybody's making, read through a column map: one recording a file."""

import io
from collections.abc import Iterator
from datetime import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
from numpy.typing import NDArray

from data_contracts.errors import FormatError, MissingDependencyError, UsageError
from data_contracts.instrument import Instrument
from data_contracts.market_event import DEPTH_LEVELS, MARKET_EVENT, NO_LOTS, BookDepths, EventFlag, MarketEvents
from data_contracts.recording import Recording
from market_data.formats import packed, tables
from market_data.formats.column_map import ENDING, ColumnMap, map_beside, read_map
from market_data.formats.column_values import Sheet, on_grid, times_ns
from market_data.formats.touch import choose, drop_backwards_with_depth, touch_flags

if TYPE_CHECKING:
    import polars as pl

_PARQUET: Final = b"PAR1"
_ENDINGS: Final = {"csv": (".csv", ".tsv", ".txt"), "parquet": (".parquet", ".pq")}


class ColumnFiles:
    """The format `csv` or `parquet`: files with a map beside them, in their folder, or named.

    Args:
        kind: csv or parquet.
        map_path: the map; None: looked for beside each file.
    """

    def __init__(self, kind: str, map_path: Path | None = None) -> None:
        self._kind, self._map_path = kind, map_path

    def claims(self, source: Path) -> bool:
        """Whether the path is such a file with a map, or a folder that holds one."""
        return bool(self._files(source))

    def read(self, source: Path, instrument: str | None, *, depth: bool = False) -> tuple[Recording, ...]:
        """Return one recording a file of one instrument, by name.

        Raises:
            UsageError: several instruments and no `instrument`, or none of that name; no map.
            FormatError: file or map are not what they should be; names row and column, or the field.
        """
        opened = [(path, *self._open(path)) for path in self._files(source)]
        spelled = {_symbol(columns, name): name for _, columns, sheet in opened for name in _names(columns, sheet)}
        wanted = next((symbol for symbol, name in spelled.items() if instrument and name == instrument), instrument)
        symbol = choose(source, sorted(spelled), wanted)
        return tuple(
            _recording(part, columns, symbol, depth=depth)
            for _, columns, sheet in opened
            if len((part := _part(columns, sheet, spelled[symbol])).frame)
        )

    def _files(self, source: Path) -> list[Path]:
        if self._map_path is not None and source.is_file():  # told what it is: its name does not matter
            found = "parquet" if packed.peek(source, len(_PARQUET)) == _PARQUET else "csv"
            return [source] if found == self._kind else []
        inside = sorted(source.iterdir()) if source.is_dir() else [source]
        return packed.once(
            path
            for path in inside
            if path.is_file()
            and packed.bare_name(path).lower().endswith(_ENDINGS[self._kind])
            and not path.name.startswith(".")
            and (self._map_path is not None or map_beside(path) is not None)
        )

    def _open(self, path: Path) -> tuple[ColumnMap, Sheet]:
        beside = self._map_path or map_beside(path)
        if beside is None:
            raise UsageError(f"{path}: expected a column map, --columns or {path.name}{ENDING}, got none")
        columns = read_map(beside)
        data = packed.read_bytes(path)
        if self._kind == "csv":
            frame, first = _csv(path, data, columns), 1 + columns.values.header
        else:
            frame, first = _parquet(path, data), 1
        for name in _wanted(columns):
            if name not in frame.columns:
                shown = ", ".join(frame.columns[:8])
                raise FormatError(path, where="columns", expected=f"column {name}", got=shown)
            if f"{name}_duplicated_0" in frame.columns:
                raise FormatError(path, where="columns", expected=f"one column {name}", got="several")
        if not len(frame):
            raise FormatError(path, where="file", expected="rows", got="none")
        return columns, Sheet(path, frame, first)


def _csv(path: Path, data: bytes, columns: ColumnMap) -> "pl.DataFrame":
    frame = tables.read_text_columns(path, data, header=columns.values.header, separator=columns.values.separator)
    if not columns.values.header:
        frame.columns = [f"c{number}" for number in range(1, len(frame.columns) + 1)]
    return frame


def _parquet(path: Path, data: bytes) -> "pl.DataFrame":
    engine = tables.polars()
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise MissingDependencyError("Parquet needs pyarrow: pip install 'ringcraft[training]'") from None
    try:
        found: Any = engine.from_arrow(pq.ParquetFile(io.BytesIO(data)).read(use_threads=False))
    except (pa.ArrowException, OSError, ValueError, MemoryError, engine.exceptions.PolarsError) as error:
        text = " ".join(str(error).split())
        raise FormatError(path, where=f"Parquet of {len(data)} bytes", expected="whole", got=text) from None
    if not isinstance(found, engine.DataFrame):
        raise FormatError(path, where="file", expected="columns", got="none")
    return cast("pl.DataFrame", found)


def _wanted(columns: ColumnMap) -> Iterator[str]:
    for clock in (columns.time, columns.receive):
        if clock is not None:
            yield from [clock.columns] if isinstance(clock.columns, str) else clock.columns
    for name in ("bid", "ask", "bid_size", "ask_size"):
        yield from columns.levels(name)
    named = columns.columns
    for each in (named.trade_price, named.trade_size, named.trade_side, named.sequence, named.symbol):
        if each is not None:
            yield each


def _names(columns: ColumnMap, sheet: Sheet) -> list[str]:
    if columns.columns.symbol is None:
        return [""]
    return sorted(set(sheet.texts(columns.columns.symbol)) - {""})


def _symbol(columns: ColumnMap, name: str) -> str:
    return columns.instrument.symbol.replace("{}", name)


def _part(columns: ColumnMap, sheet: Sheet, name: str) -> Sheet:
    """Return the rows of one instrument; the number of the first row stays that of the file."""
    if columns.columns.symbol is None:
        return sheet
    mine = sheet.texts(columns.columns.symbol) == name
    numbered = sheet.frame.with_row_index(_ROW)
    return _Part(sheet.source, numbered.filter(tables.polars().Series(mine)), sheet.first_row)


_ROW: Final = "row of the file"


class _Part(Sheet):
    """Some of a file's rows."""

    def refuse(self, bad: NDArray[np.bool_], column: str, *, expected: str) -> None:
        if bad.any():
            row = int(bad.argmax())
            where = f"row {self.first_row + self.frame[_ROW][row]}, column {column}"
            raise FormatError(self.source, where=where, expected=expected, got=self.shown(column, row))


def _recording(sheet: Sheet, columns: ColumnMap, symbol: str, *, depth: bool) -> Recording:
    traded = msgspec.structs.replace(columns.instrument, symbol=symbol)
    events = np.zeros(len(sheet.frame), dtype=MARKET_EVENT)
    events["event_ns"] = times_ns(sheet, columns.time)
    events["receive_ns"] = events["event_ns"] if columns.receive is None else times_ns(sheet, columns.receive)
    events["sequence"] = _sequence(sheet, columns)
    levels, off = _levels(sheet, columns, traded)
    for position, name in enumerate(("bid_ticks", "bid_lots", "ask_ticks", "ask_lots")):
        events[name] = levels[:, position, 0]
    if columns.columns.trade_price is not None:
        off |= _add_trades(sheet, columns, traded, events)
    events["flags"] = touch_flags(events)
    for span in columns.values.auctions:
        events["flags"][_inside(sheet.source, span, events["event_ns"], traded.time_zone)] |= np.uint16(
            EventFlag.AUCTION
        )
    skipped = {}
    if off.any() and columns.values.off_grid == "drop":
        skipped["off_grid"] = int(off.sum())
        events, levels = events[~off], levels[~off]
    kept, kept_levels, backwards = drop_backwards_with_depth(events, levels if depth else None)
    skipped |= {"out_of_order": backwards} if backwards else {}
    return Recording(instrument=traded, events=kept, source=sheet.source, skipped=skipped, depth=kept_levels)


def _sequence(sheet: Sheet, columns: ColumnMap) -> NDArray[np.uint64]:
    name = columns.columns.sequence
    if name is None:
        return np.arange(1, len(sheet.frame) + 1, dtype=np.uint64)
    pl = tables.polars()
    found = sheet.strings(name).cast(pl.UInt64, strict=False)
    sheet.refuse(found.is_null().to_numpy(), name, expected="a whole number of 0 or more")
    values: NDArray[np.uint64] = found.to_numpy()
    return values


def _levels(sheet: Sheet, columns: ColumnMap, traded: Instrument) -> tuple[BookDepths, NDArray[np.bool_]]:
    """Return the levels, those that are not there 0, and which rows are off the grid."""
    found = np.zeros((len(sheet.frame), 4, DEPTH_LEVELS), dtype=np.int64)
    off = np.zeros(len(sheet.frame), dtype=bool)
    for position, side in ((0, "bid"), (2, "ask")):
        sizes = columns.levels(f"{side}_size")
        for rank, name in enumerate(columns.levels(side)):
            ticks, beside = _ticks(sheet, columns, traded, name)
            off |= beside
            found[:, position, rank] = ticks
            found[:, position + 1, rank] = np.where(ticks > 0, NO_LOTS, 0)
            if sizes:
                lots, uneven = _lots(sheet, columns, traded, sizes[rank], needed=ticks > 0)
                found[:, position + 1, rank] = np.where(ticks > 0, lots, 0)
                found[lots == 0, position, rank] = 0  # nothing rests there
                off |= uneven & (ticks > 0)
    if not columns.levels("bid_size"):
        found[:, 1, 0] = NO_LOTS
    if not columns.levels("ask_size"):
        found[:, 3, 0] = NO_LOTS
    return found, off


def _ticks(
    sheet: Sheet, columns: ColumnMap, traded: Instrument, name: str
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return a price column in ticks, 0 where none stands, and which rows are off the grid."""
    prices = sheet.numbers(name)
    sheet.refuse(prices < 0, name, expected="a price of 0 or more")
    ticks, off = on_grid(prices, columns.values.price_unit, traded.tick_size)
    off |= (ticks == 0) & (prices > 0)
    if columns.values.off_grid == "refuse":
        sheet.refuse(off, name, expected=f"a multiple of tick_size {traded.tick_size}")
    return ticks, off


def _lots(
    sheet: Sheet, columns: ColumnMap, traded: Instrument, name: str, *, needed: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    sizes = sheet.numbers(name)
    sheet.refuse(needed & ~(sizes >= 0), name, expected="a size of 0 or more beside its price")
    lots, off = on_grid(sizes, columns.values.size_unit, traded.lot_size)
    if columns.values.off_grid == "refuse":
        sheet.refuse(off & needed, name, expected=f"a multiple of lot_size {traded.lot_size}")
    return lots, off & needed


def _add_trades(sheet: Sheet, columns: ColumnMap, traded: Instrument, events: MarketEvents) -> NDArray[np.bool_]:
    """Sign each trade by its side column; without one, by its price against the mid before it, 0 at the mid."""
    named = columns.columns
    ticks, off = _ticks(sheet, columns, traded, str(named.trade_price))
    lots, uneven = _lots(sheet, columns, traded, str(named.trade_size), needed=ticks > 0)
    if named.trade_side is not None:
        said = sheet.texts(named.trade_side)
        sign = np.isin(said, columns.values.buys).astype(np.int64) - np.isin(said, columns.values.sells)
    else:
        bid, ask = (np.roll(events[f"{side}_ticks"], 1) for side in ("bid", "ask"))
        sign = np.where((bid > 0) & (ask > 0), np.sign(2 * ticks - bid - ask), 0)
        sign[:1] = 0
    events["trade_ticks"] = ticks
    events["trade_lots"] = np.where(ticks > 0, sign * lots, 0)
    return off | uneven


def _inside(source: Path, span: str, event_ns: NDArray[np.int64], zone: str) -> NDArray[np.bool_]:
    """Return which times lie in a span of the day, "HH:MM-HH:MM", in the zone."""
    first, _, last = span.partition("-")
    try:
        start, end = time.fromisoformat(first), time.fromisoformat(last)
    except ValueError:
        raise FormatError(source, where="map, values.auctions", expected="HH:MM-HH:MM", got=repr(span)) from None
    pl = tables.polars()
    local = pl.Series(event_ns).cast(pl.Datetime("ns", "UTC")).dt.convert_time_zone(str(ZoneInfo(zone)))
    since: Any = local.dt.hour().cast(pl.Int64) * 3600 + local.dt.minute().cast(pl.Int64) * 60 + local.dt.second()
    seconds = since.to_numpy()
    bounds = [each.hour * 3600 + each.minute * 60 + each.second for each in (start, end)]
    return np.asarray((seconds >= bounds[0]) & (seconds < bounds[1]))
