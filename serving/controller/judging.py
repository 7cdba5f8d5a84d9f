"""The worker's journal as the controller reads it: folded by the policy that each rollout began with.

Posted outcomes are folded where they were taken first: a restart comes to the same conclusions. The fold is kept in
fold.bin with its place in the journal, so that a restart reads only what came since; whatever is wrong with that file,
journal and outcomes say it all again.
"""

import os
import time
from collections import deque
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Final

import structlog

from data_contracts.errors import JournalError, StateError
from data_contracts.instrument import Instrument
from data_contracts.outcome import StoredOutcome
from data_contracts.policy import Policy
from serving import shared_memory
from serving.archive.manifest import ARCHIVE, names_before
from serving.journal import JournalFollower, oldest_record
from serving.outcomes.intake import Intake
from serving.outcomes.ledger import Ledger
from serving.outcomes.port import OutcomeStore
from serving.outcomes.taken import TakenLog
from serving.rollout.events import FoldEvent
from serving.rollout.fold import HEAD_BYTES, JournalFold
from serving.rollout.policies import POLICIES_FOLDER, PolicyFolder
from serving.rollout.ticks import TickFile

log = structlog.get_logger()

CHUNK_RECORDS: Final = 8192
STATE_FILE: Final = "fold.bin"
SAVE_S: Final = 5.0
_SAVE_SHARE: Final = 0.05
"""Of the loop's time that saving may take."""


class Judging:
    """The fold of one worker's journal; one thread."""

    def __init__(self, state_dir: Path, worker: str, policy: Policy, store: OutcomeStore) -> None:
        """Take up where fold.bin says, or before the journal's first record.

        Args:
            state_dir: the tier's.
            worker: whose journal is read.
            policy: measures what is late outside every rollout.
            store: where posted outcomes are kept.

        Raises:
            JournalError: the order in which outcomes were taken is damaged.
        """
        self._policy = policy
        self._policies = PolicyFolder(state_dir / "journal" / POLICIES_FOLDER)
        self._ticks = TickFile(state_dir / "journal")
        self._state_path = state_dir / STATE_FILE
        self._folder = shared_memory.journal_folder(state_dir, worker)
        taken = TakenLog(self._folder)
        self._taken_before = taken.earlier()
        self.fold, self._journal = self._restored() or self._anew()
        self.ledger = Ledger(state_dir, worker, policy.reconciliation)
        self.intake = Intake(store, taken, lambda: self._newest_decision)
        self._newest_decision = self.fold.newest_decision
        self._unsaid: list[FoldEvent] = []
        """What followed from records that are folded, until it is handed over: the fold does not say it again."""
        self._saved, self._save_at = self._place(), time.monotonic() + SAVE_S

    def keep_policy(self, rollout_id: int, policy: Policy) -> None:
        """Keep what a rollout is judged by, before a route names it: the judge must never miss one."""
        self._policies.keep(rollout_id, policy)

    def keep_ticks(self, instruments: Iterable[Instrument]) -> None:
        """Keep the tick sizes that the feed introduced: posted fills are priced by them."""
        self._ticks.keep(instruments)

    def policy_of(self, rollout_id: int) -> Policy:
        """Return what a rollout is judged by."""
        if not rollout_id:
            return self._policy
        try:
            return self._policies.of(rollout_id)
        except JournalError as error:
            # Somebody took its file away: judging the others must go on.
            log.error("policy_lost", rollout_id=rollout_id, error=str(error), using="the policy now in force")
            return self._policy

    def take(self) -> tuple[list[FoldEvent], bool]:
        """Fold what is new, a chunk at most; return what follows, and whether more is waiting.

        Raises:
            JournalError: a record is damaged.
        """
        batch = self._journal.poll(CHUNK_RECORDS)
        self._unsaid += self.fold.replay(batch, self._taken_before)
        self._newest_decision = self.fold.newest_decision
        # New ones come after all that were taken before: their order is one.
        if not self._taken_before:
            taken = self._new_outcomes()
            self.ledger.add(taken)
            for stored in taken:
                self._unsaid += self.fold.take_outcome(stored)
        self._add_up()
        events, self._unsaid = self._unsaid, []
        return events, len(batch) == CHUNK_RECORDS

    def _new_outcomes(self) -> list[StoredOutcome]:
        try:
            return self.intake.take(self.fold.records)
        except OSError as error:  # what the journal said must be heard all the same
            log.error("outcomes_not_taken", error=str(error), doing="taking them at the next turn")
            return []

    def _add_up(self) -> None:
        try:
            self.ledger.turn(self.fold.records)
        except JournalError as error:  # the fold meets it too, and says so; what it has just said must be heard
            log.debug("pnl_waits", error=str(error))

    def save(self, *, at_once: bool = False) -> None:
        """Keep the fold, if it is time or `at_once`, and the PnL book if that is due.

        Call it only when everything that followed from what was folded is on the disk: it will not be said again.
        """
        self.ledger.save_if_due()
        began = time.monotonic()
        if self._place() == self._saved or (began < self._save_at and not at_once):
            return
        try:
            _write(self._state_path, self.fold.save())
        except OSError as error:
            log.error("fold_not_saved", path=str(self._state_path), error=str(error))
        self._saved = self._place()
        self._save_at = time.monotonic() + max(SAVE_S, (time.monotonic() - began) / _SAVE_SHARE)

    def _place(self) -> tuple[int, int]:
        return self.fold.records, self.fold.outcomes

    def _anew(self) -> tuple[JournalFold, JournalFollower]:
        """Begin with the oldest record there is: what was archived and removed belongs to rollouts that have ended."""
        fold, oldest = JournalFold(self.policy_of, self._ticks.of), oldest_record(self._folder)
        fold.consume(b"".join(names_before(self._state_path.parent / ARCHIVE, self._folder.name, oldest)))
        fold.records = oldest
        return fold, JournalFollower(self._folder, fold.records)

    def _restored(self) -> tuple[JournalFold, JournalFollower] | None:
        """Return the fold that was kept and the journal from there on; None where it must be folded anew."""
        try:
            fold = JournalFold.load(self._state_path.read_bytes(), self.policy_of, self._ticks.of)
            journal = JournalFollower(self._folder, max(0, fold.records - 1))
            if fold.records and journal.poll(1).tobytes()[:HEAD_BYTES] != fold.last_head:
                raise StateError(f"kept state: the journal's record {fold.records - 1} is not the one it ends with")
            if fold.outcomes > len(self._taken_before):
                raise StateError(f"kept state: expected {fold.outcomes} outcomes, found {len(self._taken_before)}")
        except FileNotFoundError:
            return None
        except (StateError, JournalError, OSError) as error:
            log.warning("fold_state_left", path=str(self._state_path), error=str(error), doing="folding anew")
            return None
        self._taken_before = deque(islice(self._taken_before, fold.outcomes, None))
        log.info("fold_restored", records=fold.records)
        return fold, journal


def _write(path: Path, data: bytes) -> None:
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
