"""Recordings from files and folders, whatever their format."""

from pathlib import Path
from typing import Any, Final

from data_contracts.errors import UsageError
from data_contracts.recording import Recording
from market_data.feed_format import FeedFormat, load, registered, takes_depth
from market_data.formats import (
    archive,
    binance_ws,
    cffex_ticks,
    dbn,
    itch50,
    kraken_ws,
    lobster,
    moldudp64,
    quotes,
    sse_l3,
    taq,
)
from market_data.formats.columns import ColumnFiles

FORMATS: Final[dict[str, FeedFormat]] = {
    "archive": archive,
    "binance-ws": binance_ws,
    "cffex-ticks": cffex_ticks,
    "csv": ColumnFiles("csv"),
    "dbn": dbn,
    "itch50": itch50,
    "kraken-ws": kraken_ws,
    "lobster": lobster,
    "moldudp64": moldudp64,
    "parquet": ColumnFiles("parquet"),
    "quotes": quotes,
    "sse-l3": sse_l3,
    "taq": taq,
}
"""The platform's own; those that installed packages register come on top."""

WITH_DEPTH: Final = frozenset(name for name, reader in FORMATS.items() if takes_depth(reader))
"""Formats that keep the levels of the book where they are asked to; the others have none to keep."""

_MAPPED: Final = ("csv", "parquet")
COLUMNS: Final = "columns"
"""Either of these, whichever the files are."""


def read_recordings(
    source: Path | str,
    *,
    format: str | None = None,  # noqa: A002  the option's name
    instrument: str | None = None,
    depth: bool = False,
) -> tuple[Recording, ...]:
    """Return one recording a trading day of one instrument, oldest first.

    Args:
        source: a file, or a folder of them; a day that is there in two formats is read once.
        format: a name in FORMATS, of an entry point, or package.module:Class; columns=MAP.toml, csv=MAP.toml or
            parquet=MAP.toml for one that follows a column map from elsewhere; None: found out from names and bytes.
        instrument: VENUE:SYMBOL, or SYMBOL where that is unambiguous; None where there is only one.
        depth: whether to keep the levels at each event too, 320 bytes more an event, where the format gives them.

    Raises:
        UsageError: no such path, no such format, or no way to tell which instrument is meant.
        FormatError: a file is not what its format says; names the row and column, or the byte.
    """
    path = Path(source)
    if not path.exists():
        raise UsageError(f"{path}: no such file or folder")
    if not (path.is_file() or path.is_dir()):
        raise UsageError(f"{path}: expected a file or a folder, got a pipe or a device, which cannot be read twice")
    if format is None or format.startswith(f"{COLUMNS}="):
        reader = _detect(path, FORMATS if format is None else _mapped(Path(format.partition("=")[2])))
    else:
        reader = _named(format)
        if not reader.claims(path):
            wants = f": {_NEEDS_MAP}" if format in _MAPPED else ""
            raise UsageError(f"{path}: found no recording of format {format}{wants}")
    keywords: dict[str, Any] = {"depth": True} if depth and takes_depth(reader) else {}
    recordings: tuple[Recording, ...] = reader.read(path, instrument, **keywords)
    return recordings


_NEEDS_MAP: Final = "expected a column map beside it, or --columns"


def with_columns(format: str | None, columns: Path | None) -> str | None:  # noqa: A002
    """Return the format that follows the column map, as text that can be kept and read again from anywhere.

    Raises:
        UsageError: it is a format that follows none.
    """
    if columns is None:
        return format
    if format not in (None, *_MAPPED):
        raise UsageError(f"--columns: expected format {' or '.join(_MAPPED)}, got {format}")
    return f"{format or COLUMNS}={columns.resolve()}"


def _mapped(columns: Path) -> dict[str, FeedFormat]:
    return {kind: ColumnFiles(kind, columns) for kind in _MAPPED}


def _named(name: str) -> FeedFormat:
    kind, told, columns = name.partition("=")
    if told and kind in _MAPPED:
        return _mapped(Path(columns))[kind]
    return FORMATS.get(name) or _loaded(name)


def _loaded(name: str) -> FeedFormat:
    if ":" not in name and name not in registered():
        choices = ", ".join([*FORMATS, *registered(), "package.module:Class"])
        raise UsageError(f"format: expected one of {choices}, got {name!r}")
    return load(name)


def _detect(path: Path, known: dict[str, FeedFormat]) -> FeedFormat:
    candidates = dict(known) | {name: load(name) for name in registered() if name not in known and known is FORMATS}
    fitting = [name for name, reader in candidates.items() if reader.claims(path)]
    if len(fitting) != 1:
        found = f"fits {', '.join(fitting)}" if fitting else "fits none"
        raise UsageError(f"{path}: {found} of the formats {', '.join(candidates)}: name one")
    return candidates[fitting[0]]
