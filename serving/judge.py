"""The offline judge: what a journal and a policy say of every rollout, by the code that judged it live."""

from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from data_contracts.journal import RecordType
from data_contracts.outcome import StoredOutcome
from data_contracts.policy import Policy
from serving.archive.manifest import archive_of, names_before, read_manifest
from serving.journal import oldest_record, read_journal, worker_folder
from serving.journal_records import RecordBatch, record_indices, select
from serving.outcomes.taken import read_taken
from serving.rollout.events import Concluded
from serving.rollout.fold import JournalFold
from serving.rollout.policies import policies_beside
from serving.rollout.rollout_fold import RolloutFold
from serving.rollout.ticks import TickFile

CHUNK_RECORDS: Final = 65_536
NOT_JUDGED: Final = "not_judged"


class RolloutVerdict(Struct, frozen=True, kw_only=True):
    """How one rollout ended; JSON-able."""

    rollout_id: int
    model: str
    version: int
    kind: str
    """challenger or bake."""
    verdict: str
    """promoted, rolled_back, inconclusive, withdrawn; empty where the journal ends before it does; NOT_JUDGED where
    its beginning has been removed."""
    guardrail: str
    decision: int | None
    """The decision whose folding ended it; None where an alias was moved from outside."""
    reason: str


def judge_journal(
    path: Path, policy: Policy | None = None, outcomes: Iterable[StoredOutcome] | None = None
) -> list[RolloutVerdict]:
    """Return the verdict on every rollout in the journal, in order of rollout id.

    Args:
        path: a worker's journal folder, the folder above it, or one segment.
        policy: by which every rollout is judged, which is what would have been; None: each by the policy it had,
            as it is kept beside the journal.
        outcomes: posted outcomes in the order in which they were taken; None: those kept beside the journal.

    Raises:
        JournalError: there is no journal, or it is not one, or a rollout's policy is not there.
    """
    policies = policies_beside(path)
    fold = JournalFold(policy if policy is not None else policies.of, TickFile(policies.folder.parent).of)
    records = read_journal(path).records
    folder = worker_folder(path)
    oldest = int(record_indices(records[:1])[0]) if len(records) else 0
    fold.consume(b"".join(names_before(archive_of(folder), folder.name, oldest)))
    fold.records = oldest
    taken = deque(read_taken(folder) if outcomes is None else outcomes)
    for start in range(0, len(records), CHUNK_RECORDS):
        fold.replay(records[start : start + CHUNK_RECORDS], taken)
    if not oldest:
        return verdicts(fold)
    cut = _cut(folder, oldest, records)
    return [_beheaded(one, oldest) if one.rollout_id in cut else one for one in verdicts(fold)]


def removed_rollouts(path: Path) -> list[int]:
    """Return the rollouts that the journal at `path` no longer shows from their beginning, as the archive knows them.

    Raises:
        JournalError: there is no journal, or it is not one.
    """
    folder = worker_folder(path)
    return sorted(_named_before(folder, oldest_record(folder)))


def _named_before(folder: Path, oldest: int) -> set[int]:
    """Return the rollouts named by the epochs of archived segments that were removed."""
    lines = read_manifest(archive_of(folder), folder.name) if oldest else []
    return {rollout for line in lines if line.first_index < oldest for rollout in line.rollouts}


def _cut(folder: Path, oldest: int, records: RecordBatch) -> set[int]:
    """Return the rollouts of which the first epoch was removed, or may have been.

    The archive's manifest says it; of a journal without one, for each model the rollout that its first epoch names.
    """
    if read_manifest(archive_of(folder), folder.name):
        return _named_before(folder, oldest)
    epochs = select(records, RecordType.EPOCH)
    first = {int(row["model"]): int(row["rollout_id"]) for row in epochs[::-1]}
    return set(first.values())


def _beheaded(verdict: RolloutVerdict, oldest: int) -> RolloutVerdict:
    reason = (
        f"the journal begins with record {oldest:,}, after this rollout did: its evidence beside the version stands"
    )
    return msgspec.structs.replace(verdict, verdict=NOT_JUDGED, guardrail="", decision=None, reason=reason)


def verdicts(fold: JournalFold) -> list[RolloutVerdict]:
    """Return what the fold has concluded so far, in order of rollout id."""
    found = []
    for model in fold.models.values():
        found += [_ended(one, model.name) for one in model.past]
        for rollout_id, rollout in model.rollouts.items():
            if rollout.concluded:
                found.append(_ended(rollout.concluded, model.name))
            elif rollout_id:
                found.append(_running(rollout))
    return sorted(found, key=lambda verdict: (verdict.rollout_id, verdict.model))


def _ended(end: Concluded, model: str) -> RolloutVerdict:
    return RolloutVerdict(
        rollout_id=end.rollout_id,
        model=model,
        version=end.version,
        kind=end.kind,
        verdict=end.verdict,
        guardrail=end.guardrail,
        decision=end.decision,
        reason=end.reason,
    )


def _running(rollout: RolloutFold) -> RolloutVerdict:
    return RolloutVerdict(
        rollout_id=rollout.rollout_id,
        model=rollout.model,
        version=rollout.version,
        kind=rollout.kind,
        verdict="",
        guardrail="",
        decision=None,
        reason=f"{rollout.folded} decisions folded, no verdict yet",
    )
