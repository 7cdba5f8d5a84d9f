"""Which archived segments may leave the journal: old ones that nobody needs any more."""

from pathlib import Path
from typing import Final

import msgspec
import structlog

from data_contracts.errors import JournalError
from serving import shared_memory
from serving.archive.compact import alone
from serving.archive.manifest import ARCHIVE, ArchivedSegment, read_manifest
from serving.archive.parquet import sha256_of, sync_folder
from serving.archive.segment import DAY_NS
from serving.controller.book import BOOK_FILE, read_book
from serving.outcomes.ledger import kept_records

log = structlog.get_logger()

KEEP_SEGMENTS: Final = 4
"""The latest stay whatever their age: a worker that starts reads them back."""


def removable(
    lines: list[ArchivedSegment], present: list[str], *, live_rollouts: set[int], folded: int, older_than_ns: int
) -> list[ArchivedSegment]:
    """Return the segments that may go, oldest first; a segment stays while an older one does.

    Args:
        lines: the archive's word on segments.
        present: segments in the journal's folder, oldest first.
        live_rollouts: that are judged now; what they are judged by stays from their first epoch on.
        folded: records of the journal that are in the kept state of whatever folds it.
        older_than_ns: event time.
    """
    by_name = {line.segment: line for line in lines}
    going: list[ArchivedSegment] = []
    for name in present[:-KEEP_SEGMENTS]:
        line = by_name.get(name)
        if line is None or line.last_event_ns >= older_than_ns or line.first_index + line.records > folded:
            break
        if live_rollouts & set(line.rollouts):
            break
        going.append(line)
    return going


def remove_old(state_dir: Path, journal_days: float | None, worker: str = "worker-0") -> list[str]:
    """Remove what may go, each only if its files in the archive still are what was verified; return their names.

    Args:
        state_dir: the tier's.
        journal_days: of event time that stay; None: everything.
        worker: whose journal.

    Raises:
        JournalError: a file in the archive, or a segment, is not what the manifest says.
    """
    if journal_days is None:
        return []
    archive, folder = state_dir / ARCHIVE, shared_memory.journal_folder(state_dir, worker)
    with alone(archive):
        lines = read_manifest(archive, worker)
        present = sorted(path.name for path in folder.glob("*.rcj"))
        newest = max((line.last_event_ns for line in lines), default=0)
        going = removable(
            lines,
            present,
            live_rollouts=_live_rollouts(state_dir),
            folded=kept_records(state_dir),
            older_than_ns=newest - int(journal_days * DAY_NS),
        )
        for line in going:
            for file in line.files:
                _check(archive / file.path, file.sha256)
            _check(folder / line.segment, line.sha256)
            (folder / line.segment).unlink()
            sync_folder(folder)
            log.info("segment_removed", segment=line.segment, records=line.records)
    return [line.segment for line in going]


def _live_rollouts(state_dir: Path) -> set[int]:
    try:
        book = read_book(state_dir / BOOK_FILE)
    except msgspec.DecodeError as error:
        raise JournalError(f"{state_dir / BOOK_FILE}: {error}") from None
    return {desk.rollout.rollout_id for desk in book.desks if desk.rollout is not None}


def _check(path: Path, digest: str) -> None:
    found = sha256_of(path) if path.exists() else "no file"
    if found != digest:
        raise JournalError(f"{path}: expected SHA-256 {digest}, found {found}; nothing is removed")
