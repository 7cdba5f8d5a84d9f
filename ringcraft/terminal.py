"""What commands print: tables, progress, JSON. Progress goes to stderr, so that a pipe sees the answer alone."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

_WIDTH_OF_A_FILE: Final = 160
"""Columns where nobody's terminal says how wide it is."""

out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else _WIDTH_OF_A_FILE)
err = Console(stderr=True, highlight=False)


def say(message: str, *, indent: int = 4) -> None:
    """Print a sentence, set in by `indent`; broken between words on a terminal, in one line elsewhere."""
    if out.is_terminal:
        out.print(Padding(Text.from_markup(message), (0, 0, 0, indent), expand=False), soft_wrap=False)
    else:
        out.print(" " * indent + message)


def say_row(cells: Sequence[str], widths: Sequence[int], *, indent: int = 4) -> None:
    """Print a line of columns, the last as wide as there is room; `widths` are those of the others."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    for width in widths:
        grid.add_column(width=width, no_wrap=True)
    grid.add_column()
    grid.add_row(*cells)
    if out.is_terminal:
        out.print(Padding(grid, (0, 0, 0, indent), expand=False), soft_wrap=False)
    else:
        plain = [Text.from_markup(cell).plain for cell in cells]
        fixed = [cell.ljust(width) for cell, width in zip(plain, widths, strict=False)]
        out.print(" " * indent + "  ".join([*fixed, plain[-1]]), markup=False)


def moment(event_ns: int | None) -> str:
    """Return an event time as UTC to the second; as wide where there is none."""
    if event_ns is None:
        return f"{'-':<19}"
    return datetime.fromtimestamp(event_ns // 1_000_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def words(name: str) -> str:
    """Return a name as a person says it: rolled back for rolled_back."""
    return name.replace("_", " ").removeprefix("limit:")


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows under a title; numbers are set right."""
    grid = Table(title=title, title_justify="left", header_style="bold", title_style="bold")
    rows = [tuple(row) for row in rows]
    for index, column in enumerate(columns):
        numbers = all(_is_number(row[index]) for row in rows) and rows
        grid.add_column(column, justify="right" if numbers else "left", overflow="fold")
    for row in rows:
        grid.add_row(*(text(cell) for cell in row))
    out.print(grid)


def _is_number(cell: object) -> bool:
    return cell is None or isinstance(cell, int | float) or cell in ("", "-") or str(cell)[:1] in "+-"


def text(value: object) -> str:
    """Return a cell as a person reads it; None is a dash."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 100 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def print_json(value: object) -> None:
    """Print one JSON document on stdout and nothing else."""
    json.dump(value, sys.stdout, indent=2, allow_nan=False)
    sys.stdout.write("\n")


@contextmanager
def progress() -> Iterator[Progress]:
    """Show bars on stderr for as long as the block runs; nothing where stderr is no terminal."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
    )
    # One console for both where both are the terminal, so that what is printed meanwhile goes above the bars.
    console = out if out.is_terminal and err.is_terminal else err
    shown = Progress(*columns, console=console, transient=True, disable=not err.is_terminal, refresh_per_second=5)
    with shown as bars:
        yield bars
