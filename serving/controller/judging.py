"""The worker's journal as the controller reads it: folded by the policy that each rollout began with.

Posted outcomes are folded where they were taken first: a restart comes to the same conclusions.
"""

from pathlib import Path
from typing import Final

import structlog

from data_contracts.errors import JournalError
from data_contracts.journal import RecordType
from data_contracts.outcome import StoredOutcome
from data_contracts.policy import Policy
from serving import shared_memory
from serving.journal import JournalFollower, RecordBatch, select
from serving.outcomes.intake import Intake
from serving.outcomes.port import OutcomeStore
from serving.outcomes.taken import TakenLog, merged
from serving.rollout.events import FoldEvent
from serving.rollout.fold import JournalFold
from serving.rollout.policies import POLICIES_FOLDER, PolicyFolder

log = structlog.get_logger()

CHUNK_RECORDS: Final = 8192


class Judging:
    """The fold of one worker's journal; one thread."""

    def __init__(self, state_dir: Path, worker: str, policy: Policy, store: OutcomeStore) -> None:
        """Start before the journal's first record.

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
        self.fold = JournalFold(self.policy_of)
        folder = shared_memory.journal_folder(state_dir, worker)
        self._journal = JournalFollower(folder)
        taken = TakenLog(folder)
        self._taken_before = taken.earlier()
        self.intake = Intake(store, taken, lambda: self._newest_decision)
        self._newest_decision = 0

    def keep_policy(self, rollout_id: int, policy: Policy) -> None:
        """Keep what a rollout is judged by, before a route names it: the judge must never miss one."""
        self._policies.keep(rollout_id, policy)

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
            OSError: the order of outcomes cannot be kept; they are taken at the next turn.
        """
        batch = self._journal.poll(CHUNK_RECORDS)
        self._see(batch)
        events: list[FoldEvent] = []
        for part in merged(batch, self.fold.records, self._taken_before):
            events.extend(self._fold(part))
        # New ones come after all that were taken before: their order is one.
        if not self._taken_before:
            for stored in self.intake.take(self.fold.records):
                events.extend(self._fold(stored))
        return events, len(batch) == CHUNK_RECORDS

    def _fold(self, part: RecordBatch | StoredOutcome) -> list[FoldEvent]:
        return self.fold.take_outcome(part) if isinstance(part, StoredOutcome) else self.fold.consume(part)

    def _see(self, batch: RecordBatch) -> None:
        decisions = select(batch, RecordType.DECISION)["decision_id"]
        if len(decisions):
            self._newest_decision = max(self._newest_decision, int(decisions[-1]))
