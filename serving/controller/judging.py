"""The worker's journal as the controller reads it: folded by the policy that each rollout began with."""

from pathlib import Path
from typing import Final

import structlog

from data_contracts.errors import JournalError
from data_contracts.policy import Policy
from serving import shared_memory
from serving.journal import JournalFollower
from serving.rollout.events import FoldEvent
from serving.rollout.fold import JournalFold
from serving.rollout.policies import POLICIES_FOLDER, PolicyFolder

log = structlog.get_logger()

CHUNK_RECORDS: Final = 8192


class Judging:
    """The fold of one worker's journal; one thread."""

    def __init__(self, state_dir: Path, worker: str, policy: Policy) -> None:
        """Start before the journal's first record.

        Args:
            state_dir: the tier's.
            worker: whose journal is read.
            policy: measures what is late outside every rollout.
        """
        self._policy = policy
        self._policies = PolicyFolder(state_dir / "journal" / POLICIES_FOLDER)
        self.fold = JournalFold(self.policy_of)
        self._journal = JournalFollower(shared_memory.journal_folder(state_dir, worker))

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
        """
        batch = self._journal.poll(CHUNK_RECORDS)
        return self.fold.consume(batch), len(batch) == CHUNK_RECORDS
