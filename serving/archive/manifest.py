"""archive/manifest.jsonl: which segments are in the archive, whole and verified; a line is its word for it."""

import os
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from msgspec import Struct

from data_contracts.journal import NAME, RECORD_BYTES, RecordType

ARCHIVE: Final = "archive"
MANIFEST_FILE: Final = "manifest.jsonl"
_NAME_AT: Final = 24


class ArchivedFile(Struct, frozen=True, kw_only=True):
    """A Parquet file."""

    path: str
    """Below the archive's folder: DATE/KIND-WORKER-SEGMENT.parquet."""
    kind: str
    """decisions, shadows, epochs or trips."""
    rows: int
    sha256: str


class ArchivedSegment(Struct, frozen=True, kw_only=True):
    """A segment of a worker's journal that is in the archive."""

    worker: str
    segment: str
    """File name."""
    first_index: int
    records: int
    sha256: str
    """Of the segment's file."""
    first_decision: int
    last_decision: int
    """0 where it holds none."""
    first_event_ns: int
    last_event_ns: int
    rollouts: tuple[int, ...]
    """Named by its epochs."""
    models: dict[int, str]
    instruments: dict[int, str]
    """What indices mean at its end."""
    files: tuple[ArchivedFile, ...]


def read_manifest(archive: Path, worker: str) -> list[ArchivedSegment]:
    """Return a worker's archived segments, oldest first; a torn last line counts for nothing.

    Raises:
        msgspec.DecodeError: another line is damaged.
    """
    try:
        raw = (archive / MANIFEST_FILE).read_bytes()
    except FileNotFoundError:
        return []
    lines = [msgspec.json.decode(line, type=ArchivedSegment) for line in raw[: raw.rfind(b"\n") + 1].splitlines()]
    return sorted((line for line in lines if line.worker == worker), key=lambda line: line.first_index)


def archive_of(folder: Path) -> Path:
    """Return where the archive of a worker's journal folder lies: beside the journal, in the state folder."""
    return folder.parent.parent / ARCHIVE


def names_before(archive: Path, worker: str, record: int) -> list[bytes]:
    """Return records that spell what indices mean just before a record, where what spelled it has been removed.

    Whoever folds the journal from its oldest record on takes them first; each is a whole record without an index.
    """
    for line in reversed(read_manifest(archive, worker)):
        if record and line.first_index + line.records == record:
            models = [_name_record(0, *item) for item in line.models.items()]
            return models + [_name_record(1, *item) for item in line.instruments.items()]
    return []


def _name_record(kind: int, index: int, name: str) -> bytes:
    row = np.zeros((), NAME)
    row["type"], row["kind"], row["name_index"] = int(RecordType.NAME), kind, index
    return row.tobytes()[:_NAME_AT] + name.encode().ljust(RECORD_BYTES - _NAME_AT, b"\0")


def append_manifest(archive: Path, line: ArchivedSegment) -> None:
    """Keep that a segment is archived; on return it is on the disk."""
    path = archive / MANIFEST_FILE
    raw = path.read_bytes() if path.exists() else b""
    file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
    try:
        end = raw.rfind(b"\n") + 1
        os.ftruncate(file, end)
        os.pwrite(file, msgspec.json.encode(line) + b"\n", end)
        os.fsync(file)
    finally:
        os.close(file)
