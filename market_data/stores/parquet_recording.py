"""One recording as one Parquet file: MARKET_EVENT's columns; everything else of it in the file's metadata."""

# mypy: disable-error-code="no-any-return"
import os
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from msgspec import Struct

from data_contracts.errors import FormatError, MissingDependencyError
from data_contracts.instrument import Instrument
from data_contracts.market_event import MARKET_EVENT, MarketEvents
from data_contracts.recording import Recording

_KEY: Final = b"ringcraft.recording"
_VERSION: Final = 1
_COLUMN: Final = {"instrument": "instrument_index"}
"""In folders, instrument is the symbol."""
_ROWS_A_GROUP: Final = 131_072
_ONLY_HERE: Final = "a recording that this archive wrote"


class _About(Struct, frozen=True, kw_only=True):
    version: int
    instrument: Instrument
    fingerprint: str
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
        fingerprint=recording.fingerprint,
        source=str(recording.source.name),
        skipped=recording.skipped,
        by_type=recording.by_type,
        gaps=recording.gaps,
    )
    columns = {
        _COLUMN.get(name, name): pa.array(np.ascontiguousarray(recording.events[name]))
        for name in MARKET_EVENT.names or ()
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


def read(path: Path) -> Recording:
    """Return a file's recording, bit for bit as it was written.

    Raises:
        FormatError: no Parquet, not written here, or the events are not those that its fingerprint says.
        MissingDependencyError: pyarrow is not installed.
    """
    pa, pq = _pyarrow()
    try:
        table = pq.read_table(path, partitioning=None)
        about = _about(path, table.schema.metadata)
        events: MarketEvents = np.zeros(table.num_rows, MARKET_EVENT)
        for name in MARKET_EVENT.names or ():
            events[name] = table.column(_COLUMN.get(name, name)).to_numpy()
    except (pa.ArrowException, OSError, KeyError) as error:
        raise FormatError(path, where="file", expected=_ONLY_HERE, got=str(error).splitlines()[0]) from None
    recording = Recording(
        instrument=about.instrument,
        events=events,
        source=path,
        skipped=about.skipped,
        by_type=about.by_type,
        gaps=about.gaps,
    )
    if recording.fingerprint != about.fingerprint:
        raise FormatError(path, where="events", expected=f"fingerprint {about.fingerprint}", got=recording.fingerprint)
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
