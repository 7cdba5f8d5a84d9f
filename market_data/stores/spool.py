"""Batches that wait on the disk for a server: each written once, checksummed, fsynced, and taken in order.

A segment is named after the offset of its first byte in the whole spool and holds frames: u32 length, u32 CRC-32C,
payload. What was taken is remembered in `position`, which may lag: a frame may be taken again after a crash, never
left out. A torn last frame, what a write that was cut short leaves, was never acknowledged and is cut off.
"""

import fcntl
import os
import struct
import threading
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from data_contracts.errors import StoreError, StoreFullError, UsageError
from native._native import crc32c

POSITION_FILE: Final = "position"
_FRAME: Final = struct.Struct("<II")
_SEGMENT_BYTES: Final = 16 << 20


class Frame(NamedTuple):
    """A batch, and where in the spool it ends."""

    payload: bytes
    end: int


class Spool:
    """A queue in a folder, for one process: one thread may append while another takes."""

    def __init__(self, folder: Path, *, max_bytes: int = 1 << 30, segment_bytes: int = _SEGMENT_BYTES) -> None:
        """Open it, and cut off a torn tail.

        Args:
            folder: of its own; made where it is not there.
            max_bytes: that may wait; more is refused.
            segment_bytes: after which a new file is begun.

        Raises:
            UsageError: another process has it.
            StoreError: a frame before the tail is damaged; names the file and the byte.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._max_bytes, self._segment_bytes = folder, max_bytes, segment_bytes
        self._lock_file = (folder / ".lock").open("wb")
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock_file.close()
            raise UsageError(f"{folder}: another process has this spool") from None
        self._changed = threading.Condition()
        self._reading: tuple[int, BinaryIO] | None = None
        segments = self._segments()
        self._end = self._cut(segments[-1]) if segments else 0
        self._begin = self._last_position(segments[0] if segments else 0)
        self._open_segment(segments[-1] if segments else 0)

    @property
    def waiting_bytes(self) -> int:
        """Return how much has not been taken yet."""
        return self._end - self._begin

    def append(self, payload: bytes, *, timeout_s: float = 0.0) -> None:
        """Add a batch; on return it is on the disk.

        Raises:
            StoreFullError: there was no room in time; nothing was added.
            ValueError: the batch is empty.
        """
        if not payload:
            raise ValueError("payload: expected at least one byte, got none")
        size = _FRAME.size + len(payload)
        with self._changed:
            if not self._changed.wait_for(lambda: self.waiting_bytes + size <= self._max_bytes, timeout_s):
                raise StoreFullError(f"{self._folder}: {self.waiting_bytes:,} bytes wait, at most {self._max_bytes:,}")
            if self._end - self._writing_from >= self._segment_bytes:
                self._writing.close()
                self._open_segment(self._end)
            self._writing.write(_FRAME.pack(len(payload), crc32c(payload)) + payload)
            self._writing.flush()
            os.fsync(self._writing.fileno())
            self._end += size
            self._changed.notify_all()

    def peek(self, timeout_s: float = 0.0) -> Frame | None:
        """Return the oldest batch that was not taken, or None where none came in time.

        Raises:
            StoreError: it is damaged; names the file and the byte.
        """
        with self._changed:
            self._changed.wait_for(lambda: self.waiting_bytes > 0, timeout_s)
            if not self.waiting_bytes:
                return None
            begin = self._begin
        start = max(segment for segment in self._segments() if segment <= begin)
        if self._reading is None or self._reading[0] != start:
            if self._reading:
                self._reading[1].close()
            self._reading = (start, self._path(start).open("rb"))
        file = self._reading[1]
        file.seek(begin - start)
        payload = _read_frame(file)
        if payload is None:
            raise StoreError(f"{self._path(start)}: byte {begin - start}: damaged batch; move the file away to go on")
        return Frame(payload, begin + _FRAME.size + len(payload))

    def take(self, frame: Frame) -> None:
        """Say that a batch which `peek` returned is done with."""
        with self._changed:
            self._begin = frame.end
            part = self._folder / f".{POSITION_FILE}.part"
            part.write_text(f"{self._begin}\n")  # lost or stale, batches are taken again
            part.replace(self._folder / POSITION_FILE)
            segments = self._segments()
            for segment, following in pairwise(segments):
                if following <= self._begin:
                    self._path(segment).unlink()
            self._changed.notify_all()

    def wait_empty(self, timeout_s: float) -> bool:
        """Return whether everything was taken in time."""
        with self._changed:
            return self._changed.wait_for(lambda: self.waiting_bytes == 0, timeout_s)

    def close(self) -> None:
        """Give it back; what waits goes on waiting."""
        self._writing.close()
        if self._reading:
            self._reading[1].close()
        self._lock_file.close()

    def _segments(self) -> list[int]:
        return sorted(int(path.stem) for path in self._folder.glob("*.spool"))

    def _path(self, start: int) -> Path:
        return self._folder / f"{start:020d}.spool"

    def _open_segment(self, start: int) -> None:
        new = not self._path(start).exists()
        self._writing_from, self._writing = start, self._path(start).open("ab")
        if new:
            handle = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
            os.fsync(handle)
            os.close(handle)

    def _last_position(self, oldest: int) -> int:
        try:
            kept = int((self._folder / POSITION_FILE).read_text())
        except (FileNotFoundError, ValueError):
            return oldest
        return min(max(kept, oldest), self._end)

    def _cut(self, start: int) -> int:
        """Cut the last segment's torn frame off; return where the spool ends."""
        path = self._path(start)
        size = path.stat().st_size
        with path.open("rb+") as file:
            sound = 0
            while sound < size:
                payload = _read_frame(file)
                if payload is None:
                    break
                sound = file.tell()
            if sound < size:
                file.seek(sound)
                head = file.read(_FRAME.size)
                length = _FRAME.unpack(head)[0] if len(head) == _FRAME.size else 0
                if length and sound + _FRAME.size + length < size:
                    raise StoreError(f"{path}: byte {sound}: damaged batch with others after it")
                file.truncate(sound)
                os.fsync(file.fileno())
        return start + sound


def _read_frame(file: BinaryIO) -> bytes | None:
    """Return the payload of the frame that begins here; None where it is torn or damaged."""
    head = file.read(_FRAME.size)
    if len(head) < _FRAME.size:
        return None
    length, checksum = _FRAME.unpack(head)
    payload = file.read(length)
    return payload if length and len(payload) == length and crc32c(payload) == checksum else None
