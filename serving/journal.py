"""Reading the journal: what was decided, in the order in which it was.

A journal is a folder of segments. Each has a 64-byte header and then 128-byte records, checksummed and numbered
without holes. A torn tail, what a write that was cut short leaves, is cut off and reported; anything else that is not
whole is an error that says where.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from data_contracts.errors import JournalError
from data_contracts.journal import RECORD_BYTES, RecordType
from native._native import crc32c, sound_records
from serving.journal_records import JournalRecord, RecordBatch, decode, decode_name, record_types, select

SEGMENT_HEADER_BYTES: Final = 64
_HEADER: Final = struct.Struct("<8sIIQ36xI")
_MAGIC: Final = b"RCJOURN1"
_VERSION: Final = 1


@dataclass
class Journal:
    """A whole journal, read once.

    Attributes:
        records: (n, 128), in index order.
        cut_bytes: of a torn tail, left out.
        models: name of each model index, the last one spelled.
        instruments: likewise.
    """

    records: RecordBatch
    cut_bytes: int = 0
    models: dict[int, str] = field(default_factory=dict)
    instruments: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for row in self.records[record_types(self.records) == RecordType.NAME]:
            name = decode_name(row.tobytes())
            (self.models if name.kind == 0 else self.instruments)[name.name_index] = name.name

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[JournalRecord]:
        for start in range(0, len(self.records), 65_536):
            yield from decode(self.records[start : start + 65_536])

    def select(self, kind: RecordType) -> NDArray[Any]:
        """Return the records of one type as a structured array."""
        return select(self.records, kind)

    @property
    def decisions(self) -> NDArray[Any]:
        """Structured array of DECISION."""
        return self.select(RecordType.DECISION)

    @property
    def markouts(self) -> NDArray[Any]:
        """Structured array of MARKOUT."""
        return self.select(RecordType.MARKOUT)


def read_journal(path: Path) -> Journal:
    """Return the journal at `path`: a worker's folder, a folder with one worker's folder in it, or one segment.

    Raises:
        JournalError: nothing there, several workers, or a record before the tail is damaged or missing; the message
            names the file and the byte.
    """
    segments = segments_of(path)
    batches: list[RecordBatch] = []
    cut_bytes = 0
    next_index: int | None = None
    for place, segment in enumerate(segments):
        batch, cut, next_index = read_segment(segment, next_index, last=place == len(segments) - 1)
        batches.append(batch)
        cut_bytes += cut
    return Journal(np.concatenate(batches), cut_bytes)


def worker_folder(path: Path) -> Path:
    """Return the folder that holds the segments of the journal at `path`, taken as `read_journal` takes it.

    Raises:
        JournalError: nothing there, or several workers.
    """
    return segments_of(path)[0].parent


def segments_of(path: Path) -> list[Path]:
    """Return the segments of the journal at `path`, oldest first: of a worker's folder, one above it, or one file.

    Raises:
        JournalError: nothing there, or several workers.
    """
    if path.is_file():
        return [path]
    found = sorted(path.glob("*.rcj"))
    if found:
        return found
    workers = sorted({segment.parent for segment in [*path.glob("*/*.rcj"), *path.glob("journal/*/*.rcj")]})
    if len(workers) == 1:
        return sorted(workers[0].glob("*.rcj"))
    names = ", ".join(worker.name for worker in workers) or "none"
    raise JournalError(f"{path}: expected one worker's journal segments (*.rcj), found {names}")


def oldest_record(folder: Path) -> int:
    """Return the index of the oldest record in a worker's folder; 0 where there is none yet.

    Raises:
        JournalError: the first segment is damaged.
    """
    for path in sorted(folder.glob("*.rcj")):
        header = _head(path)
        return _first_index(path, header, None) if len(header) == SEGMENT_HEADER_BYTES else 0
    return 0


def read_segment(path: Path, expected_index: int | None, *, last: bool) -> tuple[RecordBatch, int, int]:
    """Return a segment's records, the bytes cut off, and the index that comes next.

    Args:
        path: the segment.
        expected_index: of its first record; None: whatever it says.
        last: whether its tail may be torn, or being written.

    Raises:
        JournalError: it is damaged; the message names the byte.
    """
    raw = np.fromfile(path, dtype=np.uint8)
    if len(raw) < SEGMENT_HEADER_BYTES:
        start = raw[: len(_MAGIC)].tobytes()
        if last and not start.strip(b"\0").removeprefix(_MAGIC[: len(start)]):  # torn before its first record
            return np.empty((0, RECORD_BYTES), np.uint8), len(raw), expected_index or 0
        raise JournalError(f"{path}: byte {len(raw)}: expected a journal segment's header, got the end of the file")
    first = _first_index(path, raw[:SEGMENT_HEADER_BYTES].tobytes(), expected_index)
    body = raw[SEGMENT_HEADER_BYTES:]
    whole = body[: len(body) // RECORD_BYTES * RECORD_BYTES].reshape(-1, RECORD_BYTES)
    sound = sound_records(whole, first)
    cut = len(body) - sound * RECORD_BYTES
    if cut and not last:
        raise JournalError(f"{path}: byte {_offset(sound)}: damaged or torn record within the journal")
    _refuse_damage(path, whole, sound, first)
    return whole[:sound], cut, first + sound


def _first_index(path: Path, header: bytes, expected_index: int | None) -> int:
    magic, version, record_bytes, first, checksum = _HEADER.unpack(header)
    if (magic, version, record_bytes) != (_MAGIC, _VERSION, RECORD_BYTES) or checksum != crc32c(header[:-4]):
        raise JournalError(f"{path}: byte 0: expected a journal segment's header")
    if expected_index is not None and first != expected_index:
        raise JournalError(f"{path}: byte 0: expected records from index {expected_index}, got {first}")
    return int(first)


def _refuse_damage(path: Path, whole: RecordBatch, sound: int, first: int) -> None:
    """Raise where sound records follow a broken one: that is damage, not a write that was cut short."""
    for row in range(sound + 1, len(whole)):
        if sound_records(whole[row : row + 1], first + row):
            raise JournalError(f"{path}: byte {_offset(sound)}: damaged record with sound ones after it")


def _offset(row: int) -> int:
    return SEGMENT_HEADER_BYTES + row * RECORD_BYTES


class JournalFollower:
    """Reads a growing journal, each record once, in order.

    It only reads: the worker may be killed, and a torn tail cut off and written anew, between two polls.
    """

    def __init__(self, folder: Path, start: int = 0) -> None:
        """Read `folder` from record `start` on; nothing need be there yet."""
        self._folder = folder
        self._segment: Path | None = None
        self._row = 0
        self._first = 0
        self._next_index = start

    @property
    def next_index(self) -> int:
        """Index of the record that comes next."""
        return self._next_index

    def poll(self, limit: int = 65_536) -> RecordBatch:
        """Return what is new, at most `limit` records, shape (n, 128); (0, 128) where there is nothing.

        Raises:
            JournalError: a record is damaged.
        """
        if self._segment is None and not self._open_next():
            return np.empty((0, RECORD_BYTES), np.uint8)
        batch = self._read(limit)
        if len(batch) == 0 and self._open_next():
            batch = self._read(limit)
        return batch

    def _open_next(self) -> bool:
        """Go to the segment that holds the next record, where there is one already."""
        if self._segment is None:
            return self._open_first()
        for path in sorted(self._folder.glob("*.rcj")):
            if path <= self._segment:
                continue
            header = _head(path)
            if len(header) < SEGMENT_HEADER_BYTES:
                return False  # being made
            self._first = _first_index(path, header, self._next_index)
            self._segment, self._row = path, 0
            return True
        return False

    def _open_first(self) -> bool:
        """Go to the segment that holds the record to begin with: the last that begins with it or before."""
        for path in sorted(self._folder.glob("*.rcj")):
            header = _head(path)
            if len(header) < SEGMENT_HEADER_BYTES:
                break  # being made
            first = _first_index(path, header, None)
            if first > self._next_index:
                if self._segment is None:
                    _first_index(path, header, self._next_index)
                break
            self._segment, self._first, self._row = path, first, self._next_index - first
        return self._segment is not None

    def _read(self, limit: int) -> RecordBatch:
        if self._segment is None:
            return np.empty((0, RECORD_BYTES), np.uint8)
        raw = np.fromfile(self._segment, dtype=np.uint8, count=limit * RECORD_BYTES, offset=_offset(self._row))
        whole = raw[: len(raw) // RECORD_BYTES * RECORD_BYTES].reshape(-1, RECORD_BYTES)
        sound = sound_records(whole, self._first + self._row)
        # A record may be half written just now; only a sound one behind it says that it is damaged.
        if sound < len(whole) - 1:
            _refuse_damage(self._segment, whole, sound, self._first + self._row)
        self._row += sound
        self._next_index += sound
        return whole[:sound]


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(SEGMENT_HEADER_BYTES)
