"""CSV text into typed columns, with the row and the column of whatever does not fit."""

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data_contracts.errors import FormatError, MissingDependencyError
from market_data.formats.packed import read_bytes as read_bytes

if TYPE_CHECKING:
    import polars as pl

HEADER_ROWS = 1


def read_table(source: Path, data: bytes, *, columns: dict[str, "type[pl.DataType]"], header: bool) -> "pl.DataFrame":
    """Return the named columns of CSV text, typed.

    Args:
        source: what the text was read from, for messages.
        data: the text.
        columns: name and type of what is wanted; without a header, of all columns in order.
        header: whether the first row names the columns.

    Raises:
        FormatError: not CSV, a column is missing, or a cell is not of its column's type; names row and column.
    """
    text = read_text_columns(source, data, header=header)
    if header:
        missing = [name for name in columns if name not in text.columns]
        if missing:
            raise FormatError(source, where="header", expected=f"column {missing[0]}", got=", ".join(text.columns[:6]))
    elif len(text.columns) != len(columns):
        raise FormatError(source, where="row 1", expected=f"{len(columns)} columns", got=str(len(text.columns)))
    else:
        text.columns = list(columns)
    typed = text.select(
        **{name: text[name].str.strip_chars().cast(kind, strict=False) for name, kind in columns.items()}
    )
    _refuse_bad_cell(source, text, typed, first_row=1 + HEADER_ROWS * header)
    return typed


def polars() -> Any:  # noqa: ANN401  a module
    """Import polars, which serving is installed without.

    Raises:
        MissingDependencyError: it is not there.
    """
    try:
        import polars as pl
    except ImportError:
        raise MissingDependencyError("reading CSV recordings needs polars: pip install 'ringcraft[training]'") from None
    return pl


def read_text_columns(source: Path, data: bytes, *, header: bool, separator: str = ",") -> "pl.DataFrame":
    """Return all columns of CSV text, as text.

    Raises:
        FormatError: not CSV, nothing at all, or a row of more or fewer cells than the first; names it.
    """
    engine = polars()
    data = data.rstrip(b"\r\n")
    if not data.strip():
        raise FormatError(source, where="file", expected="rows", got="nothing")
    try:
        frame: pl.DataFrame = engine.read_csv(
            io.BytesIO(data), has_header=header, infer_schema=False, separator=separator
        )
    except engine.exceptions.PolarsError as error:
        _refuse_uneven(source, data, separator)
        raise FormatError(source, where="table", expected="CSV", got=str(error).splitlines()[0]) from None
    # Cells that a short row lacks would be taken for empty ones.
    if b'"' in data or data.count(separator.encode()) != (len(frame) + header) * (len(frame.columns) - 1):
        _refuse_uneven(source, data, separator)
    return frame


def _refuse_uneven(source: Path, data: bytes, separator: str) -> None:
    """Refuse text that is not UTF-8, or the first row that is not as long as row 1."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        got = data[error.start : error.start + 4].hex(" ")
        raise FormatError(source, where=f"byte {error.start}", expected="UTF-8", got=got) from None
    width = 0
    try:
        for row, cells in enumerate(csv.reader(io.StringIO(text, newline=""), delimiter=separator), start=1):
            width = width or len(cells)
            if len(cells) != width:
                raise FormatError(source, where=f"row {row}", expected=f"{width} columns", got=str(len(cells)))
    except csv.Error as error:
        raise FormatError(source, where="table", expected="CSV", got=str(error)) from None


def refuse_rows(
    source: Path, bad: NDArray[np.bool_], cells: NDArray[Any], column: str, *, expected: str, first_row: int = 1
) -> None:
    """Raise FormatError for the first bad row, if any; `first_row` is the file's of cell 0."""
    if bad.any():
        row = int(bad.argmax())
        raise FormatError(
            source, where=f"row {first_row + row}, column {column}", expected=expected, got=str(cells[row])
        )


def _refuse_bad_cell(source: Path, text: "pl.DataFrame", typed: "pl.DataFrame", *, first_row: int) -> None:
    for name in typed.columns:
        column = typed[name]
        bad = column.is_null() | column.is_nan() | column.is_infinite() if column.dtype.is_float() else column.is_null()
        row = bad.arg_max()
        if bad.any() and row is not None:
            where = f"row {first_row + row}, column {name}"
            kind = "a whole number" if column.dtype.is_integer() else "a finite number"
            kind = kind if column.dtype.is_numeric() else "a text"
            raise FormatError(source, where=where, expected=kind, got=repr(text[name][row]))
