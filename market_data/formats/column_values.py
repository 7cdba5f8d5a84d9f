"""Columns of text or of numbers into times, ticks and lots, exactly, with the row of whatever does not fit."""

import re
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from data_contracts.errors import FormatError
from market_data.formats import tables
from market_data.formats.column_map import Clock

if TYPE_CHECKING:
    import polars as pl

_UNIT_NS: Final = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
_DECIMAL: Final = r"^-?\d{1,19}(\.\d*)?$"
_ISO: Final = "%Y-%m-%dT%H:%M:%S%.f%:z"
_OFFSET: Final = r"(Z|[+-]\d\d:?\d\d)$"
_DATE_IN_NAME: Final = re.compile(r"(\d{8})")
_OFF_GRID: Final = 1e-3
"""Ticks that a price may lie beside its tick: binary fractions of decimal prices lie beside it by far less."""
_MOST: Final = 2.0**52


@dataclass(frozen=True)
class Sheet:
    """A file's columns; row `first_row` of the file is row 0 of the frame."""

    source: Path
    frame: "pl.DataFrame"
    first_row: int

    def refuse(self, bad: NDArray[np.bool_], column: str, *, expected: str) -> None:
        """Raise FormatError for the first bad row, if any."""
        if bad.any():
            row = int(bad.argmax())
            where = f"row {self.first_row + row}, column {column}"
            raise FormatError(self.source, where=where, expected=expected, got=self.shown(column, row))

    def shown(self, column: str, row: int) -> str:
        """Return a cell as messages show it."""
        try:
            return repr(self.frame[column][row] if column in self.frame.columns else None)
        except (OverflowError, ValueError):  # a time that Python has none of
            return f"a {self.frame[column].dtype}"

    def wrong_type(self, column: str, *, expected: str) -> FormatError:
        """Return what to raise for a column whose cells are all of a kind that cannot be meant."""
        return FormatError(self.source, where=f"column {column}", expected=expected, got=str(self.frame[column].dtype))

    def numbers(self, column: str) -> NDArray[np.float64]:
        """Return the column as numbers; NaN where a cell is empty.

        Raises:
            FormatError: a cell is neither empty nor a finite number.
        """
        pl = tables.polars()
        cells = self.frame[column]
        if cells.dtype in (pl.Categorical, pl.Enum):
            cells = cells.cast(pl.String)
        if not (cells.dtype.is_numeric() or cells.dtype in (pl.String, pl.Null)):
            raise self.wrong_type(column, expected="numbers or texts")
        if cells.dtype == pl.String:
            text = cells.str.strip_chars()
            empty = (cells.is_null() | (text == "")).fill_null(True)
            found = text.cast(pl.Float64, strict=False)
        else:
            empty = cells.is_null() | (cells.is_nan() if cells.dtype.is_float() else False)
            found = cells.cast(pl.Float64, strict=False)
        values: NDArray[np.float64] = found.to_numpy().astype(np.float64)
        self.refuse(~np.isfinite(values) & ~empty.to_numpy(), column, expected="a finite number or nothing")
        return values

    def texts(self, column: str) -> NDArray[Any]:
        """Return the column's cells as texts, "" where one is empty.

        Raises:
            FormatError: they are lists, structures or bytes.
        """
        texts: NDArray[Any] = self.strings(column).fill_null("").to_numpy()
        return texts

    def strings(self, column: str) -> "pl.Series":
        """Return the column's cells as texts without blanks around them, null where one is empty.

        Raises:
            FormatError: they are lists, structures or bytes.
        """
        pl = tables.polars()
        cells = self.frame[column]
        if cells.dtype.is_nested() or cells.dtype == pl.Binary:
            raise self.wrong_type(column, expected="texts or numbers")
        return cells.cast(pl.String, strict=False).str.strip_chars()


def on_grid(values: NDArray[np.float64], unit: str, step: str) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return how many steps each value is, 0 for NaN, and which values are none of them, shape (n,) both.

    Args:
        values: as written.
        unit: what they are multiplied by, a decimal.
        step: the tick or lot size, a decimal.
    """
    ratio = Decimal(unit) / Decimal(step)
    inverse = 1 / ratio
    whole = inverse == inverse.to_integral_value()  # dividing by a whole number is exact where multiplying is not
    scaled = values / float(inverse) if whole else values * float(ratio)
    steps = np.rint(scaled)
    with np.errstate(invalid="ignore"):
        off = (np.abs(scaled - steps) > _OFF_GRID) | (np.abs(steps) > _MOST)
    there = ~np.isnan(values)
    return np.where(there & (np.abs(steps) <= _MOST), steps, 0).astype(np.int64), off & there


def times_ns(sheet: Sheet, clock: Clock) -> NDArray[np.int64]:
    """Return the times, UTC.

    Raises:
        FormatError: a cell is no such time, or one that its zone has twice or never; names the row.
    """
    names = [clock.columns] if isinstance(clock.columns, str) else clock.columns
    if clock.format in _UNIT_NS:
        counted = _counted(sheet, names, _UNIT_NS[clock.format])
        return counted + _origin_ns(sheet.source, clock)
    return _written(sheet, names, clock)


def _counted(sheet: Sheet, names: list[str], unit_ns: int) -> NDArray[np.int64]:
    pl = tables.polars()
    if len(names) != 1:
        raise FormatError(sheet.source, where="map, time.columns", expected="one that counts", got=", ".join(names))
    cells = sheet.frame[names[0]]
    expected = "a whole or decimal number of its unit"
    most = (2**63 - 1) // unit_ns - 1
    if cells.dtype.is_float():
        values = cells.to_numpy().astype(np.float64)
        sheet.refuse(~(np.abs(values) < most), names[0], expected=expected)
        return np.asarray(np.rint(values * unit_ns), dtype=np.int64)
    texts = sheet.strings(names[0]).fill_null("")
    sheet.refuse(~texts.str.contains(_DECIMAL).to_numpy(), names[0], expected=expected)
    whole = texts.str.extract(r"^(-?\d+)").cast(pl.Int64, strict=False)
    sheet.refuse((whole.is_null() | (whole.abs() >= most)).to_numpy(), names[0], expected=expected)
    fraction = texts.str.extract(r"\.(\d*)$").fill_null("").str.pad_end(9, "0").str.slice(0, 9).cast(pl.Int64)
    sign = np.where(texts.str.starts_with("-").to_numpy(), -1, 1)
    part = fraction.to_numpy() * unit_ns // 1_000_000_000
    return np.asarray(whole.to_numpy() * unit_ns + sign * part, dtype=np.int64)


def _origin_ns(source: Path, clock: Clock) -> int:
    if not clock.origin:
        return 0
    text = clock.origin
    if text == "name":
        found = _DATE_IN_NAME.search(source.name)
        text = f"{found[1][:4]}-{found[1][4:6]}-{found[1][6:]}" if found else ""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        got = source.name if clock.origin == "name" else repr(clock.origin)
        raise FormatError(source, where="time.origin", expected="YYYY-MM-DD or a name with YYYYMMDD", got=got) from None
    midnight = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(clock.zone))
    return int(midnight.timestamp()) * 1_000_000_000


def _written(sheet: Sheet, names: list[str], clock: Clock) -> NDArray[np.int64]:
    pl = tables.polars()
    first: Any = sheet.frame[names[0]]
    if len(names) == 1 and first.dtype == pl.Datetime:
        found: Any = first.cast(pl.Datetime("ns", first.dtype.time_zone), strict=False)
    else:
        joined = sheet.strings(names[0])
        for each in names[1:]:
            joined = joined + " " + sheet.strings(each)
        found = _parsed(joined, clock.format)
    sheet.refuse(found.is_null().to_numpy(), names[0], expected=f"a time as {clock.format!r}")
    if found.dtype.time_zone is None:
        found = found.dt.replace_time_zone(clock.zone, ambiguous="null", non_existent="null")
        sheet.refuse(found.is_null().to_numpy(), names[0], expected=f"a time that {clock.zone} has once")
    values: NDArray[np.int64] = found.dt.convert_time_zone("UTC").to_physical().to_numpy()
    return values


def _parsed(texts: Any, pattern: str) -> Any:  # noqa: ANN401  polars Series
    pl = tables.polars()
    if pattern == "iso":
        texts, pattern = texts.str.replace(" ", "T"), _ISO
        offset = texts.str.contains(_OFFSET).fill_null(False)
        if not offset.any():
            pattern = _ISO.removesuffix("%:z")
        texts = texts.str.replace("Z$", "+00:00")
    try:
        return texts.str.to_datetime(pattern, time_unit="ns", strict=False)
    except pl.exceptions.PolarsError:
        return pl.Series([None] * len(texts), dtype=pl.Datetime("ns"))
