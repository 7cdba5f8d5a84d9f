"""The order in which the fold took posted outcomes, kept beside the journal: with both, a verdict can be had again.

One line of JSON an outcome, on the disk before the fold sees it. A torn last line, what a write that was cut short
leaves, is cut off; its outcome is still in the store and is taken anew.
"""

import os
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from data_contracts.errors import JournalError
from data_contracts.outcome import StoredOutcome
from serving.journal_records import RecordBatch

TAKEN_FILE: Final = "outcomes.jsonl"
_DECODER: Final = msgspec.json.Decoder(StoredOutcome)
_ENCODER: Final = msgspec.json.Encoder()


class TakenLog:
    """The file, for the one process that appends to it."""

    def __init__(self, folder: Path) -> None:
        """Take up the file in a worker's journal folder, made where there is none.

        Raises:
            JournalError: a line before the last is damaged.
        """
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / TAKEN_FILE
        self._earlier, sound_bytes = _read(path)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        os.ftruncate(self._file, sound_bytes)
        self._size = sound_bytes
        self.last_sequence = max((stored.sequence for stored in self._earlier), default=0)
        """Highest number in the file."""

    def earlier(self) -> deque[StoredOutcome]:
        """Return what was in the file when it was taken up, in order; once, so that it need not stay in memory."""
        earlier, self._earlier = deque(self._earlier), []
        return earlier

    def append(self, outcomes: Sequence[StoredOutcome]) -> None:
        """Keep them all; on return they are on the disk.

        Raises:
            OSError: the disk refuses; none of them is kept.
        """
        if not outcomes:
            return
        lines = b"".join(_ENCODER.encode(stored) + b"\n" for stored in outcomes)
        # At a place, not at the end: what a refused write left is written over by the next.
        written = 0
        while written < len(lines):
            written += os.pwrite(self._file, lines[written:], self._size + written)
        os.fdatasync(self._file)
        self._size += len(lines)
        self.last_sequence = max(self.last_sequence, outcomes[-1].sequence)

    def close(self) -> None:
        """Give the file back."""
        os.close(self._file)


def read_taken(folder: Path) -> list[StoredOutcome]:
    """Return what the fold of the journal in `folder` was given, in order; nothing where nothing was posted.

    Args:
        folder: a worker's journal folder.

    Raises:
        JournalError: a line before the last is damaged.
    """
    return _read(folder / TAKEN_FILE)[0]


def read_taken_file(path: Path) -> list[StoredOutcome]:
    """Return the outcomes in one such file.

    Raises:
        JournalError: it is not there, or a line before the last is damaged.
    """
    if not path.is_file():
        raise JournalError(f"{path}: expected a file of posted outcomes, found none")
    return _read(path)[0]


def merged(batch: RecordBatch, first: int, outcomes: deque[StoredOutcome]) -> Iterator[RecordBatch | StoredOutcome]:
    """Yield a batch of journal records cut where outcomes were taken, and these in between, in order.

    Args:
        batch: records, shape (n, 128).
        first: how many records came before the batch.
        outcomes: still to come, in order of position; those that belong before the batch's end or at it are taken out.
    """
    start = 0
    while outcomes and outcomes[0].position <= first + len(batch):
        cut = max(start, outcomes[0].position - first)
        if cut > start:
            yield batch[start:cut]
            start = cut
        yield outcomes.popleft()
    if start < len(batch):
        yield batch[start:]


def _read(path: Path) -> tuple[list[StoredOutcome], int]:
    """Return the sound lines, and how many bytes they take."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return [], 0
    found, start = [], 0
    while (end := raw.find(b"\n", start)) >= 0:
        try:
            found.append(_DECODER.decode(raw[start:end]))
        except msgspec.DecodeError as error:
            if raw.find(b"\n", end + 1) < 0:
                break  # the last line: torn by a loss of power
            raise JournalError(f"{path}: byte {start}: expected an outcome, got: {error}") from None
        start = end + 1
    return found, start
