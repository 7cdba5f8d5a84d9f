"""Recordings in Parquet: day=2021-01-04/instrument=CFFEX%3AIF2101/FIRST_NS-FINGERPRINT.parquet.

The day is the UTC date of a recording's first event. A file is one recording, whole; it gets its name only once it
lies on the disk, so that whatever has a name is complete.
"""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote

from data_contracts.errors import UsageError
from data_contracts.recording import Recording
from market_data.formats import tables
from market_data.stores import parquet_recording
from market_data.stores.port import FIRST_NS, LAST_NS, between

if TYPE_CHECKING:
    import polars as pl

PATTERN: Final = "day=*/instrument=*/*.parquet"
_LOCK: Final = ".lock"


class ParquetArchive:
    """An EventStore in a folder; needs no server."""

    def __init__(self, folder: Path, *, replace: bool = False) -> None:
        """Use `folder`, which is made when it is first written to.

        Args:
            folder: of the archive.
            replace: whether a recording that overlaps others of its day takes their place; else it is refused.
        """
        self.folder, self._replace = folder, replace

    def write(self, recording: Recording) -> bool:
        """See EventStore.

        Raises:
            UsageError: no event, or it overlaps another recording of its day that is not the same.
        """
        if not len(recording):
            raise UsageError(f"{recording.source}: expected at least one event, got none")
        path = self._path(recording)
        if path.exists():
            return False
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._alone():
            overlapping = self._overlapping(recording)
            if overlapping and not self._replace:
                raise UsageError(
                    f"{recording.source}: overlaps {overlapping[0]}, which holds other events of that time"
                )
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f".{path.name}.part")
            parquet_recording.write(recording, part)
            part.replace(path)
            for old in overlapping:
                old.unlink()
            for folder in (path.parent, path.parent.parent, self.folder):
                _sync_folder(folder)
        return True

    def read(
        self, instrument: str, start_ns: int = FIRST_NS, end_ns: int = LAST_NS, *, depth: bool = False
    ) -> tuple[Recording, ...]:
        """See EventStore.

        Raises:
            FormatError: a file is damaged.
        """
        return read_files(files_of(self.folder, instrument), start_ns, end_ns, depth=depth)

    def instruments(self) -> list[str]:
        """See EventStore."""
        return symbols_in(self.folder)

    def days(self, instrument: str) -> list[str]:
        """Return the days, YYYY-MM-DD, of which there is something of an instrument, sorted."""
        return sorted({path.parent.parent.name.partition("=")[2] for path in files_of(self.folder, instrument)})

    def scan(self) -> "pl.LazyFrame":
        """Return all of it as a Polars query: MARKET_EVENT's columns, and `day` and `instrument` from the folders.

        Raises:
            MissingDependencyError: polars is not installed.
            UsageError: the archive is empty.
        """
        polars = tables.polars()
        if not files_of(self.folder):
            raise UsageError(f"{self.folder}: expected an archive of recordings, found none")
        schema = {"day": polars.Date, "instrument": polars.String}
        frame: pl.LazyFrame = polars.scan_parquet(self.folder / PATTERN, hive_partitioning=True, hive_schema=schema)
        return frame

    def flush(self, timeout_s: float) -> None:
        """See EventStore; what was written lies there."""

    def close(self) -> None:
        """See EventStore."""

    def _path(self, recording: Recording) -> Path:
        first_ns = int(recording.events["event_ns"][0])
        name = f"{first_ns:020d}-{recording.fingerprint[:16]}.parquet"
        symbol = quote(recording.instrument.symbol, safe="")
        return self.folder / f"day={day_of(recording)}" / f"instrument={symbol}" / name

    def _overlapping(self, recording: Recording) -> list[Path]:
        """Return the files with events of the same time; days begin anywhere, so that a neighbour may have them."""
        times, day = recording.events["event_ns"], date.fromisoformat(day_of(recording))
        near = {f"day={day + timedelta(days)}" for days in (-1, 0, 1)}
        files = [path for path in files_of(self.folder, recording.instrument.symbol) if path.parent.parent.name in near]
        spans = [(path, *parquet_recording.span_ns(path)) for path in files]
        return [path for path, first, last in spans if first <= times.max() and times.min() <= last]

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with (self.folder / _LOCK).open("wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def day_of(recording: Recording) -> str:
    """Return the UTC date of the first event, YYYY-MM-DD."""
    return datetime.fromtimestamp(int(recording.events["event_ns"][0]) // 1_000_000_000, UTC).date().isoformat()


def files_of(source: Path, instrument: str | None = None) -> list[Path]:
    """Return an archive's files, or those of a part of it: a day's folder, an instrument's in it, one file."""
    if source.is_file():
        found = [source] if _is_member(source) else []
    else:
        patterns = (PATTERN, "instrument=*/*.parquet", "*.parquet")
        found = [path for pattern in patterns for path in source.glob(pattern) if _is_member(path)]
    return sorted(
        (path for path in found if instrument is None or symbol_of(path) == instrument), key=lambda path: path.name
    )


def symbols_in(source: Path) -> list[str]:
    """Return the symbols in an archive or a part of it, sorted."""
    return sorted({symbol_of(path) for path in files_of(source)})


def symbol_of(path: Path) -> str:
    """Return the symbol that a file's folder names."""
    return unquote(path.resolve().parent.name.partition("=")[2])


def read_files(
    paths: Sequence[Path], start_ns: int = FIRST_NS, end_ns: int = LAST_NS, *, depth: bool = False
) -> tuple[Recording, ...]:
    """Return the recordings in the range, oldest first; with the levels where `depth` asks and they are kept.

    Raises:
        FormatError: a file is damaged.
    """
    everything = (start_ns, end_ns) == (FIRST_NS, LAST_NS)
    found = []
    for path in paths:
        first, last = (FIRST_NS, LAST_NS) if everything else parquet_recording.span_ns(path)
        if everything or (first < end_ns and last >= start_ns):
            part = between(parquet_recording.read(path, depth=depth), start_ns, end_ns)
            found += [part] if len(part) else []
    return tuple(found)


def _is_member(path: Path) -> bool:
    folder = path.resolve().parent
    return (
        path.suffix == ".parquet"
        and not path.name.startswith(".")
        and folder.name.startswith("instrument=")
        and folder.parent.name.startswith("day=")
    )


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
