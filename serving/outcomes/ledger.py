"""The PnL book of a worker's journal as the controller keeps it: it follows the fold and survives restarts.

It is kept in pnl.bin with its place in the journal. Whatever is wrong with that file, the journal says it again, as
far back as it goes.
"""

import os
import sys
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import structlog

from data_contracts.errors import JournalError
from data_contracts.outcome import StoredOutcome
from data_contracts.policy import Reconciliation
from serving import shared_memory
from serving.archive.manifest import ARCHIVE, archive_of, names_before
from serving.journal import JournalFollower, oldest_record, read_journal, segments_of
from serving.journal_records import RecordBatch, record_indices
from serving.outcomes.pnl import PnlBook
from serving.outcomes.taken import merged, read_taken

log = structlog.get_logger()

FILE: Final = "pnl.bin"
SAVE_RECORDS: Final = 500_000
"""Records between two saves: what a restart has to read again, a second's work."""
CHUNK_RECORDS: Final = 65_536
_HEAD_BYTES: Final = 16


def book_of(path: Path, policy: Reconciliation) -> PnlBook:
    """Return the book of the journal at `path`, with the outcomes that were taken beside it.

    Args:
        path: a worker's folder, a folder with one worker's folder in it, or one segment.
        policy: by which paper and realised are compared.

    Raises:
        JournalError: there is no journal, or it is not one.
    """
    records, folder = read_journal(path).records, segments_of(path)[0].parent
    first = int(record_indices(records[:1])[0]) if len(records) else 0
    # Outcomes of before the first segment that is left come first: their decisions may be there all the same.
    outcomes = deque(read_taken(folder))
    book = PnlBook(policy)
    _begin(book, archive_of(folder), folder.name, first)
    for part in merged(records, first, outcomes):
        _fold(book, part)
    return book


def current_book(state_dir: Path, policy: Reconciliation, worker: str = "worker-0") -> PnlBook:
    """Return the book as the journal stands now; nothing is written.

    Raises:
        JournalError: the journal is damaged, or there is none.
    """
    segments_of(shared_memory.journal_folder(state_dir, worker))
    ledger = Ledger(state_dir, worker, policy)
    before = -1
    while before != ledger.book.state.records:
        before = ledger.book.state.records
        ledger.turn(sys.maxsize)
    return ledger.book


def kept_records(state_dir: Path) -> int:
    """Return how many records of the journal the kept book has folded; 0 where none is kept."""
    book = PnlBook(Reconciliation())
    try:
        book.load(msgspec.msgpack.decode((state_dir / FILE).read_bytes(), type=tuple[bytes, bytes])[1])
    except (FileNotFoundError, msgspec.DecodeError):
        return 0
    return book.state.records


class Ledger:
    """A PnL book that reads on; one thread."""

    def __init__(self, state_dir: Path, worker: str, policy: Reconciliation) -> None:
        """Take up where pnl.bin says, or before the journal's first record.

        Raises:
            JournalError: the order in which outcomes were taken is damaged.
        """
        self._path, self._folder = state_dir / FILE, shared_memory.journal_folder(state_dir, worker)
        self.book, self._head = PnlBook(policy), b""
        self._journal = self._restored() or self._anew()
        self._saved_records = self.book.state.records
        # In the order in which they were taken, which is the file's.
        self._outcomes = deque(read_taken(self._folder)[self.book.state.outcomes :])

    def add(self, taken: Iterable[StoredOutcome]) -> None:
        """Queue outcomes that the fold has just taken."""
        self._outcomes.extend(taken)

    def turn(self, records: int) -> None:
        """Fold on, a chunk at most, and never past what the fold of rollouts has: `records`.

        Raises:
            JournalError: a record is damaged.
        """
        limit = min(CHUNK_RECORDS, records - self.book.state.records)
        batch = self._journal.poll(limit) if limit > 0 else None
        if batch is not None and len(batch):
            self._head = batch[-1, :_HEAD_BYTES].tobytes()
            for part in merged(batch, self.book.state.records, self._outcomes):
                _fold(self.book, part)
        while self._outcomes and self._outcomes[0].position <= self.book.state.records:
            self.book.take(self._outcomes.popleft())

    def save_if_due(self) -> None:
        """Keep the book now and then; call it when all that followed from it is on the disk, as with the fold."""
        if self.book.state.records - self._saved_records >= SAVE_RECORDS:
            self.save()

    def save(self) -> None:
        """Keep the book and its place."""
        try:
            part = self._path.with_suffix(".part")
            with part.open("wb") as file:
                file.write(msgspec.msgpack.encode((self._head, self.book.save())))
                file.flush()
                os.fsync(file.fileno())
            part.replace(self._path)
        except OSError as error:
            log.error("pnl_not_saved", path=str(self._path), error=str(error))
        self._saved_records = self.book.state.records

    def _anew(self) -> JournalFollower:
        self.book, self._head = PnlBook(self.book.policy), b""
        oldest = oldest_record(self._folder)
        _begin(self.book, self._path.parent / ARCHIVE, self._folder.name, oldest)
        return JournalFollower(self._folder, self.book.state.records)

    def _restored(self) -> JournalFollower | None:
        """Return the journal from where the kept book ends; None where the book must be made anew."""
        try:
            self._head, kept = msgspec.msgpack.decode(self._path.read_bytes(), type=tuple[bytes, bytes])
            self.book.load(kept)
            records = self.book.state.records
            journal = JournalFollower(self._folder, max(0, records - 1))
            if records and journal.poll(1).tobytes()[:_HEAD_BYTES] != self._head:
                raise JournalError(f"{self._folder}: record {records - 1} is not the one that {FILE} ends with")
        except FileNotFoundError:
            return None
        except (msgspec.DecodeError, JournalError, OSError) as error:
            log.warning("pnl_state_left", path=str(self._path), error=str(error), doing="adding up anew")
            return None
        return journal


def _begin(book: PnlBook, archive: Path, worker: str, oldest: int) -> None:
    """Let a new book begin with the oldest record that there is."""
    for name in names_before(archive, worker, oldest):
        book.consume(np.frombuffer(name, np.uint8).reshape(1, -1))
    book.state.records = book.state.begins = oldest


def _fold(book: PnlBook, part: RecordBatch | StoredOutcome) -> None:
    if isinstance(part, StoredOutcome):
        book.take(part)
    else:
        book.consume(part)
