"""A worker's journal on disk: segment files, read from the start or followed while they grow."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from data_contracts.errors import JournalError
from data_contracts.journal import RECORD_BYTES

HEADER_BYTES: Final = 64
MAGIC: Final = b"RCJOURN1"
CHUNK_BYTES: Final = 32_768 * RECORD_BYTES
_SEGMENT: Final = re.compile(r"^\d{8}\.rcj$")


class JournalTail:
    """Reads each record once, in order, as the worker appends them."""

    def __init__(self, folder: Path) -> None:
        """Start before the first record; the folder may not be there yet."""
        self.folder = folder
        self.position = 0
        """Records read so far."""
        self._segment: Path | None = None
        self._offset = 0

    def read(self) -> Iterator[bytes]:
        """Yield the whole records appended since the last call, in chunks; nothing where there are none.

        Raises:
            JournalError: a segment is not one.
        """
        while self._open():
            chunk = self._chunk()
            if not chunk and not self._next():
                return
            if chunk:
                self.position += len(chunk) // RECORD_BYTES
                yield chunk

    def _open(self) -> bool:
        if self._segment is not None:
            return True
        return self._next()

    def _next(self) -> bool:
        later = [path for path in segments(self.folder) if self._segment is None or path.name > self._segment.name]
        if not later:
            return False
        with later[0].open("rb") as file:
            header = file.read(HEADER_BYTES)
        if len(header) < HEADER_BYTES:
            return False  # just being made
        if header[: len(MAGIC)] != MAGIC:
            raise JournalError(f"{later[0]}: expected a journal segment ({MAGIC.decode()}), got {header[:8]!r}")
        self._segment, self._offset = later[0], HEADER_BYTES
        return True

    def _chunk(self) -> bytes:
        assert self._segment is not None  # noqa: S101  _open made sure
        with self._segment.open("rb") as file:
            file.seek(self._offset)
            data = file.read(CHUNK_BYTES)
        whole = len(data) - len(data) % RECORD_BYTES
        # A record's type is never 0: what follows one that is has not been written yet.
        while whole and data[whole - RECORD_BYTES + 4] == 0:
            whole -= RECORD_BYTES
        self._offset += whole
        return data[:whole]


def segments(folder: Path) -> list[Path]:
    """Return the folder's segment files, oldest first."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _SEGMENT.match(path.name))


def journal_folder(path: Path) -> Path:
    """Return the folder that holds the segments: `path` itself, a segment's, or its one worker's.

    Raises:
        JournalError: none, or more than one, is there.
    """
    path = path.parent if path.is_file() else path
    found = [folder for folder in (path, *sorted(path.glob("worker-*"))) if segments(folder)]
    if len(found) != 1:
        got = "none" if not found else ", ".join(str(folder) for folder in found)
        raise JournalError(f"{path}: expected one journal folder with segments (00000001.rcj), got {got}")
    return found[0]
