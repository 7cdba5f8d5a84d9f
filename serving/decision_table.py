"""A plain table of decisions, Parquet or CSV: one row each, in the order in which they were taken."""

import csv
import math
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from data_contracts.errors import FormatError, MissingDependencyError

SUFFIXES: Final = (".csv", ".parquet", ".pq")
COLUMNS: Final = (
    "decision_ns",
    "resolved_ns",
    "key",
    "arm",
    "share",
    "latency_ns",
    "failed",
    "pnl_champion_bps",
    "pnl_challenger_bps",
)
OPTIONAL: Final = ("latency_champion_ns", "failed_champion", "latency_challenger_ns", "failed_challenger")
"""Where both versions' answers are known; they then stand for latency_ns and failed."""


class Answer(Struct, frozen=True):
    """How one version answered."""

    latency_ns: int | None
    failed: bool


class TableRow(Struct, frozen=True, kw_only=True):
    """One decision; None: the table's cell is empty."""

    row: int
    """From 1: the first row of data."""
    decision_ns: int
    resolved_ns: int | None
    key: str
    by_challenger: bool
    share: float
    """The challenger's, in [0, 1]; 0 is shadow."""
    champion: Answer | None
    challenger: Answer | None
    both_asked: bool
    """The table says how both answered; where it says nothing of one, that one did not."""
    champion_bps: float | None
    challenger_bps: float | None


def read_decision_table(path: Path) -> Iterator[TableRow]:
    """Yield the rows in order.

    Raises:
        FormatError: a column is missing, or a cell is not what it should be; the message names column and row.
        MissingDependencyError: Parquet, and pyarrow is not installed.
    """
    source = _csv_rows(path) if path.suffix == ".csv" else _parquet_rows(path)
    before: int | None = None
    for number, cells in source:
        row = _row(path, number, cells)
        if before is not None and row.decision_ns < before:
            expected = f"{before} or later, as rows come in the order of decisions"
            raise _wrong(path, number, "decision_ns", expected, row.decision_ns)
        before = row.decision_ns
        yield row


def _csv_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        try:
            reader = csv.DictReader(file, skipinitialspace=True, strict=True)
            _check_columns(path, reader.fieldnames or ())
            for number, cells in enumerate(reader, 1):
                if None in cells or None in cells.values():
                    expected = f"{len(reader.fieldnames or ())} cells"
                    raise FormatError(path, where=f"row {number}", expected=expected, got=str(_cells_in(cells)))
                yield number, cells
        except (csv.Error, UnicodeDecodeError) as error:
            raise FormatError(path, where="the file", expected="CSV in UTF-8", got=str(error)) from None


def _cells_in(cells: dict[Any, Any]) -> int:
    return sum(value is not None for key, value in cells.items() if key is not None) + len(cells.get(None) or ())


def _parquet_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ModuleNotFoundError:
        raise MissingDependencyError("reading Parquet needs pyarrow: pip install 'ringcraft[training]'") from None
    try:
        file = pq.ParquetFile(path)
    except pa.ArrowInvalid as error:
        raise FormatError(path, where="the file", expected="Parquet", got=str(error)) from None
    with file:
        _check_columns(path, file.schema_arrow.names)
        wanted = [name for name in file.schema_arrow.names if name in COLUMNS + OPTIONAL]
        number = 0
        for batch in file.iter_batches(columns=wanted):
            for column, kind in zip(batch.schema.names, batch.schema.types, strict=True):
                if pa.types.is_timestamp(kind):
                    whole = batch.column(column).cast(pa.timestamp("ns", kind.tz)).cast(pa.int64())
                    batch = batch.set_column(batch.schema.get_field_index(column), column, whole)
            for cells in batch.to_pylist():
                number += 1
                yield number, cells


def _check_columns(path: Path, got: Iterable[str]) -> None:
    names = list(got)
    for column in COLUMNS:
        if column not in names:
            got = ", ".join(names) or "none"
            raise FormatError(path, where=f"column {column}", expected="one of that name", got=got)


def _row(path: Path, number: int, cells: dict[str, Any]) -> TableRow:
    def cell(column: str, parse: Callable[[Any], Any], expected: str, *, needed: bool = False) -> Any:  # noqa: ANN401
        value = cells.get(column)
        value = value.strip() if isinstance(value, str) else value
        if value is None or value == "":
            if needed:
                raise _wrong(path, number, column, expected, "nothing")
            return None
        try:
            return parse(value)
        except (ValueError, TypeError, ArithmeticError):
            raise _wrong(path, number, column, expected, value) from None

    decided = cell("decision_ns", _nanoseconds, "whole nanoseconds", needed=True)
    resolved = cell("resolved_ns", _nanoseconds, "whole nanoseconds, or nothing")
    if resolved is not None and resolved < decided:
        raise _wrong(path, number, "resolved_ns", f"{decided} (decision_ns) or later", resolved)
    share = cell("share", _share, "a share from 0 to 1, or nothing in shadow") or 0.0
    arm = cell("arm", _arm, "champion, challenger, or nothing in shadow", needed=share > 0.0)

    def answer(latency: str, failed: str) -> Answer | None:
        took = cell(latency, _latency, "whole nanoseconds from 0, or nothing")
        broke = cell(failed, _flag, "true, false, 1, 0, or nothing")
        return None if took is None and broke is None else Answer(took, bool(broke))

    both = any(column in cells for column in OPTIONAL)
    if both:
        champion = answer("latency_champion_ns", "failed_champion")
        challenger = answer("latency_challenger_ns", "failed_challenger")
    else:
        champion, challenger = None, answer("latency_ns", "failed")
        if share > 0.0 and not arm:
            challenger = None
    money = "a finite number of bps, or nothing"
    return TableRow(
        row=number,
        decision_ns=decided,
        resolved_ns=resolved,
        key=str(cells["key"] if cells["key"] is not None else ""),
        by_challenger=bool(arm) and share > 0.0,
        share=share,
        champion=champion,
        challenger=challenger,
        both_asked=both,
        champion_bps=cell("pnl_champion_bps", _finite, money),
        challenger_bps=cell("pnl_challenger_bps", _finite, money),
    )


def _nanoseconds(value: object) -> int:
    if isinstance(value, bool | datetime):
        raise TypeError
    if isinstance(value, int):
        return value
    exact = Decimal(str(value))  # 1.7e18 and 1700000000000000000.0 are whole too
    if exact != exact.to_integral_value():
        raise ValueError
    return int(exact)


def _latency(value: object) -> int:
    took = _nanoseconds(value)
    if took < 0:
        raise ValueError
    return took


def _finite(value: Any) -> float:  # noqa: ANN401  a cell is anything
    number = float(value)
    if not math.isfinite(number):
        raise ValueError
    return number


def _share(value: object) -> float:
    share = _finite(value)
    if not 0.0 <= share <= 1.0:
        raise ValueError
    return share


_ARMS: Final = {"champion": 0, "challenger": 1, "shadow": 1}


def _arm(value: object) -> int:
    if value not in _ARMS:
        raise ValueError
    return _ARMS[str(value)]


_FLAGS: Final = {"true": True, "1": True, "false": False, "0": False, "1.0": True, "0.0": False}


def _flag(value: object) -> bool:
    word = str(value).lower()
    if word not in _FLAGS:
        raise ValueError
    return _FLAGS[word]


def _wrong(path: Path, row: int, column: str, expected: str, got: object) -> FormatError:
    return FormatError(path, where=f"row {row}, column {column}", expected=expected, got=str(got))
