"""One recording as one Parquet file: MARKET_EVENT's columns, the book's levels, the rest in the file's metadata.

The levels, where they are kept, are columns bid_ticks_1 to ask_lots_10.
"""

# mypy: disable-error-code="no-any-return"
import os
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from msgspec import Struct

from data_contracts.errors import FormatError, MissingDependencyError
from data_contracts.instrument import Instrument
from data_contracts.market_event import DEPTH_LEVELS, MARKET_EVENT, MarketEvents
from data_contracts.recording import Recording

_KEY: Final = b"ringcraft.recording"
_VERSION: Final = 1
_COLUMN: Final = {"instrument": "instrument_index"}
"""In folders, instrument is the symbol."""
_LEVELS: Final = [
    (f"{name}_{level + 1}", part, level)
    for part, name in enumerate(("bid_ticks", "bid_lots", "ask_ticks", "ask_lots"))
    for level in range(DEPTH_LEVELS)
]
_ROWS_A_GROUP: Final = 131_072
_ONLY_HERE: Final = "a recording that this archive wrote"


class _About(Struct, frozen=True, kw_only=True):
    version: int
    instrument: Instrument
    fingerprint: str
    """Of the events alone."""
    with_depth: str | None = None
    """Fingerprint of events and levels, where levels are kept."""
    source: str
    skipped: dict[str, int]
    by_type: dict[str, int]
    gaps: int


def write(recording: Recording, path: Path) -> None:
    """Write a file, and return once it is on the disk.

    Raises:
        MissingDependencyError: pyarrow is not installed.
    """
    pa, pq = _pyarrow()
    instrument = recording.instrument
    about = _About(
        version=_VERSION,
        instrument=instrument,
        fingerprint=replace(recording, depth=None).fingerprint,
        with_depth=None if recording.depth is None else recording.fingerprint,
        source=str(recording.source.name),
        skipped=recording.skipped,
        by_type=recording.by_type,
        gaps=recording.gaps,
    )
    columns = {
        _COLUMN.get(name, name): pa.array(np.ascontiguousarray(recording.events[name]))
        for name in MARKET_EVENT.names or ()
    }
    if recording.depth is not None:
        columns |= {
            name: pa.array(np.ascontiguousarray(recording.depth[:, part, level])) for name, part, level in _LEVELS
        }
    metadata = {
        _KEY: msgspec.json.encode(about),
        "tick_size": instrument.tick_size,
        "lot_size": instrument.lot_size,
        "instrument": instrument.symbol,
    }
    pq.write_table(pa.table(columns, metadata=metadata), path, compression="zstd", row_group_size=_ROWS_A_GROUP)
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def read(path: Path, *, depth: bool = False) -> Recording:
    """Return a file's recording, bit for bit as it was written; its levels only where `depth` asks for them.

    Raises:
        FormatError: no Parquet, not written here, or the events are not those that its fingerprint says.
        MissingDependencyError: pyarrow is not installed.
    """
    pa, pq = _pyarrow()
    try:
        about = _about(path, pq.read_schema(path).metadata)
        deep = depth and about.with_depth is not None
        wanted = [_COLUMN.get(name, name) for name in MARKET_EVENT.names or ()]
        table = pq.read_table(path, partitioning=None, columns=[*wanted, *(name for name, _, _ in _LEVELS if deep)])
        events: MarketEvents = np.zeros(table.num_rows, MARKET_EVENT)
        for name in MARKET_EVENT.names or ():
            events[name] = table.column(_COLUMN.get(name, name)).to_numpy()
        levels = np.zeros((len(events), 4, DEPTH_LEVELS), np.int64) if deep else None
        if levels is not None:
            for name, part, level in _LEVELS:
                levels[:, part, level] = table.column(name).to_numpy()
    except (pa.ArrowException, OSError, KeyError) as error:
        raise FormatError(path, where="file", expected=_ONLY_HERE, got=str(error).splitlines()[0]) from None
    recording = Recording(
        instrument=about.instrument,
        events=events,
        source=path,
        skipped=about.skipped,
        by_type=about.by_type,
        gaps=about.gaps,
        depth=levels,
    )
    said = about.with_depth if deep else about.fingerprint
    if recording.fingerprint != said:
        raise FormatError(path, where="events", expected=f"fingerprint {said}", got=recording.fingerprint)
    return recording


def span_ns(path: Path) -> tuple[int, int]:
    """Return the first and the last event's time, of the file's statistics alone.

    Raises:
        FormatError: no Parquet, or not written here.
    """
    pa, pq = _pyarrow()
    try:
        file = pq.read_metadata(path)
        column = file.schema.names.index("event_ns")
        groups = [file.row_group(place).column(column).statistics for place in range(file.num_row_groups)]
        return min(one.min for one in groups), max(one.max for one in groups)
    except (pa.ArrowException, OSError, ValueError, AttributeError) as error:
        raise FormatError(path, where="file", expected=_ONLY_HERE, got=str(error).splitlines()[0]) from None


def _about(path: Path, metadata: dict[bytes, bytes] | None) -> _About:
    try:
        about = msgspec.json.decode((metadata or {})[_KEY], type=_About)
    except (KeyError, msgspec.DecodeError) as error:
        raise FormatError(path, where="metadata", expected=_ONLY_HERE, got=str(error)) from None
    if about.version != _VERSION:
        raise FormatError(path, where="metadata", expected=f"version {_VERSION}", got=str(about.version))
    return about


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ModuleNotFoundError:
        raise MissingDependencyError("the archive needs pyarrow: pip install 'ringcraft[archive]'") from None
    return pa, pq
