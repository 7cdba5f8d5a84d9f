"""The offline judge: what a journal and a policy say of every rollout, by the code that judged it live."""

from pathlib import Path

from msgspec import Struct

from data_contracts.policy import Policy
from serving.journal import read_journal
from serving.rollout.fold import JournalFold
from serving.rollout.policies import policies_beside


class RolloutVerdict(Struct, frozen=True, kw_only=True):
    """How one rollout ended; JSON-able."""

    rollout_id: int
    model: str
    version: int
    kind: str
    """challenger or bake."""
    verdict: str
    """promoted, rolled_back, inconclusive, withdrawn; empty where the journal ends before it does."""
    guardrail: str
    decision: int | None
    """The decision whose folding ended it; None where an alias was moved from outside."""
    reason: str


def judge_journal(path: Path, policy: Policy | None = None) -> list[RolloutVerdict]:
    """Return the verdict on every rollout in the journal, in order of rollout id.

    Args:
        path: a worker's journal folder, the folder above it, or one segment.
        policy: by which every rollout is judged, which is what would have been; None: each by the policy it had,
            as it is kept beside the journal.

    Raises:
        JournalError: there is no journal, or it is not one, or a rollout's policy is not there.
    """
    fold = JournalFold(policy if policy is not None else policies_beside(path).of)
    fold.consume(read_journal(path).records)
    return verdicts(fold)


def verdicts(fold: JournalFold) -> list[RolloutVerdict]:
    """Return what the fold has concluded so far, in order of rollout id."""
    found = []
    for model in fold.models.values():
        for rollout_id, rollout in model.rollouts.items():
            if not rollout_id:
                continue
            ended = rollout.concluded
            found.append(
                RolloutVerdict(
                    rollout_id=rollout_id,
                    model=model.name,
                    version=rollout.version,
                    kind=rollout.kind,
                    verdict=ended.verdict if ended else "",
                    guardrail=ended.guardrail if ended else "",
                    decision=ended.decision if ended else None,
                    reason=ended.reason if ended else f"{rollout.folded} decisions folded, no verdict yet",
                )
            )
    return sorted(found, key=lambda verdict: (verdict.rollout_id, verdict.model))
