"""A column map: a small TOML file that says what the columns of a CSV or Parquet file mean."""

import tomllib
from pathlib import Path
from typing import Final, Literal
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct, field

from data_contracts.errors import FormatError, UsageError
from data_contracts.instrument import Instrument
from data_contracts.market_event import DEPTH_LEVELS

ENDING: Final = ".columns.toml"
FOLDER_MAP: Final = "columns.toml"
_UNITS: Final = ("s", "ms", "us", "ns")


class Clock(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a time stands, and how it is written."""

    columns: str | list[str]
    """One column, or several whose texts are joined by a blank."""
    format: str = "ns"
    """s, ms, us or ns since the origin; else a text such as "%Y-%m-%d %H:%M:%S%.f", or "iso"."""
    zone: str = "UTC"
    """Of times written without one."""
    origin: str = ""
    """Of times counted: empty for 1970-01-01; YYYY-MM-DD; or "name": the eight digits YYYYMMDD in the file's name."""


class Prices(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Columns of the book and of trades; a list names levels, the best first."""

    bid: str | list[str]
    ask: str | list[str]
    bid_size: str | list[str] | None = None
    ask_size: str | list[str] | None = None
    trade_price: str | None = None
    trade_size: str | None = None
    trade_side: str | None = None
    sequence: str | None = None
    symbol: str | None = None
    """Of the instrument, where a file holds several."""


class Values(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How cells are to be understood."""

    price_unit: str = "1"
    """What a price is multiplied by: 0.0001 where 123400 stands for 12.34."""
    size_unit: str = "1"
    """What a size is multiplied by before it is divided by the lot size."""
    off_grid: Literal["refuse", "drop", "round"] = "refuse"
    """What becomes of a row whose price is no multiple of the tick."""
    buys: list[str] = field(default_factory=lambda: ["B", "b", "buy", "BUY", "1"])
    sells: list[str] = field(default_factory=lambda: ["S", "s", "sell", "SELL", "-1"])
    separator: str = ","
    header: bool = True
    """Whether a CSV's first row names the columns; else they are c1, c2 and so on."""
    auctions: list[str] = field(default_factory=list)
    """Times of day from and to, "14:57-15:00", in the instrument's time zone, that are call auctions."""


class ColumnMap(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    instrument: Instrument
    """`{}` in its symbol stands for what the symbol column says."""
    time: Clock
    columns: Prices
    receive: Clock | None = None
    values: Values = field(default_factory=Values)

    def levels(self, name: str) -> list[str]:
        """Return the columns of `bid`, `ask`, `bid_size` or `ask_size`, the best first; none where it is not given."""
        found = getattr(self.columns, name)
        return [] if found is None else [found] if isinstance(found, str) else found


def map_beside(source: Path) -> Path | None:
    """Return `<name>.columns.toml` beside the file, else `columns.toml` in its folder, else None."""
    for path in (source.with_name(source.name + ENDING), source.with_name(FOLDER_MAP)):
        if path.is_file():
            return path
    return None


def read_map(path: Path) -> ColumnMap:
    """Return the map.

    Raises:
        UsageError: there is no such file.
        FormatError: it is no TOML, or not a map; names the field.
    """
    try:
        found = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), ColumnMap)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FormatError(path, where="file", expected="TOML", got=str(error)) from None
    except (msgspec.ValidationError, UsageError) as error:
        raise FormatError(path, where="map", expected="its fields", got=str(error)) from None
    _check(path, found)
    return found


def _check(path: Path, found: ColumnMap) -> None:
    """Refuse what the types alone let through."""
    for name in ("bid", "ask", "bid_size", "ask_size"):
        count = len(found.levels(name))
        wanted = len(found.levels(name.partition("_")[0]))
        if not (1 <= count <= DEPTH_LEVELS or (count == 0 and "_" in name)):
            raise FormatError(path, where=f"columns.{name}", expected=f"1 to {DEPTH_LEVELS} levels", got=str(count))
        if count and count != wanted:
            raise FormatError(path, where=f"columns.{name}", expected=f"{wanted} levels, one a price", got=str(count))
    sides = [found.columns.trade_price, found.columns.trade_size]
    if (sides[0] is None) != (sides[1] is None):
        raise FormatError(path, where="columns", expected="trade_price and trade_size, or neither", got="one")
    for where, clock in (("time", found.time), ("receive", found.receive)):
        if clock is not None:
            _check_zone(path, f"{where}.zone", clock.zone)
            if clock.origin and clock.format not in _UNITS:
                expected = f"none with {clock.format!r}"
                raise FormatError(path, where=f"{where}.origin", expected=expected, got=clock.origin)
    _check_zone(path, "instrument.time_zone", found.instrument.time_zone)
    for where in ("price_unit", "size_unit"):
        try:
            positive = 0 < float(getattr(found.values, where)) < float("inf")
        except ValueError:
            positive = False
        if not positive:
            got = repr(getattr(found.values, where))
            raise FormatError(path, where=f"values.{where}", expected="a decimal over 0", got=got)
    if len(found.values.separator.encode()) != 1:
        raise FormatError(path, where="values.separator", expected="one character", got=repr(found.values.separator))


def _check_zone(path: Path, where: str, zone: str) -> None:
    try:
        ZoneInfo(zone)
    except (ValueError, OSError, KeyError):
        raise FormatError(path, where=where, expected="a time zone such as Europe/London", got=repr(zone)) from None
