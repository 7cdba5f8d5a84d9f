"""Recorded websocket messages as text lines, in files and folders."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from data_contracts.errors import FormatError
from market_data.formats.packed import bare_name, peek, read_bytes

_HEAD_BYTES: Final = 8192
_MOST_FILES: Final = 10_000


class Line(NamedTuple):
    """A message as it was received."""

    row: int
    receive_ns: int
    payload: bytes


def files_that(source: Path, fits: Callable[[bytes], bool]) -> list[Path]:
    """Return the files at `source`, itself or what lies in it, whose first bytes fit, by name.

    What lies there plain and packed is taken once, plain.
    """
    inside = sorted(source.iterdir())[:_MOST_FILES] if source.is_dir() else [source]
    fitting = [path for path in inside if path.is_file() and fits(peek(path, _HEAD_BYTES))]
    plain = {path.name for path in fitting if bare_name(path) == path.name}
    return [path for path in fitting if path.name in plain or bare_name(path) not in plain]


def day_of(receive_ns: int) -> str:
    """Return the UTC day of a time, YYYY-MM-DD."""
    return datetime.fromtimestamp(receive_ns // 1_000_000_000, tz=UTC).strftime("%Y-%m-%d")


def read_lines(path: Path, split: Callable[[bytes], tuple[int, bytes] | None]) -> Iterator[Line]:
    """Yield every message of a file.

    Args:
        path: the file.
        split: returns a line's receive time and message; None where it is no message; ValueError where it is no line.

    Raises:
        FormatError: not whole as packed, or a line without a receive time; names the row. What a recorder that was
            stopped leaves of its last line is left out where it does not split.
    """
    data = read_bytes(path)
    rows = data.split(b"\n")
    for row, text in enumerate(rows, start=1):
        if not text.strip():
            continue
        try:
            found = split(text)
        except ValueError:
            if row == len(rows):
                return
            shown = repr(text[:40].decode("utf-8", "replace"))
            raise FormatError(path, where=f"row {row}", expected="a receive time and a message", got=shown) from None
        if found is not None:
            yield Line(row, *found)
