"""A rollout is judged by the policy it began with: kept beside its journal, whatever becomes of the policy file."""

import itertools
from pathlib import Path

import msgspec
import pytest
from support.journals import SyntheticWorker, equal

from data_contracts.errors import JournalError
from data_contracts.journal import Phase
from data_contracts.policy import HardLimits, Policy, Rollout, Step
from serving.judge import judge_journal
from serving.rollout.desk import Desk
from serving.rollout.desk_state import DeskState, copy_of
from serving.rollout.policies import PolicyFolder, policies_beside

SHORT = Policy(rollout=Rollout(steps=(Step(share=0.0, min_decisions=10),), max_decisions=50))
LONG = Policy(
    rollout=Rollout(steps=(Step(share=0.0, min_decisions=10),), max_decisions=90),
    limits=HardLimits(loss_budget_bps=1e6),
)


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """Two rollouts, one after the other; each policy ends its own inconclusive at another decision."""
    worker = SyntheticWorker(equal)
    for rollout in (1, 2):
        worker.adopt(rollout_id=rollout, champion=1, challenger=rollout + 1, phase=Phase.SHADOW)
        worker.decide(100)
    worker.finish()
    worker.writer.append_to(tmp_path / "journal" / "worker-0")
    return tmp_path / "journal"


def decisions(verdicts: list) -> list[int | None]:
    return [verdict.decision for verdict in verdicts]


def test_each_rollout_is_judged_by_its_own_policy(journal: Path) -> None:
    kept = PolicyFolder(journal / "policies")
    kept.keep(1, waiting(SHORT))
    kept.keep(2, waiting(LONG))
    for place in (journal, journal.parent, journal / "worker-0", journal / "worker-0" / "00000001.rcj"):
        assert decisions(judge_journal(place)) == [50, 100 + 90]


def test_policy_that_is_named_judges_every_rollout(journal: Path) -> None:
    PolicyFolder(journal / "policies").keep(1, waiting(SHORT))
    assert decisions(judge_journal(journal, waiting(LONG))) == [90, 190]


def waiting(policy: Policy) -> Policy:
    """Never promoted within the journal, so that it ends inconclusive."""
    superior = msgspec.structs.replace(policy.rollout, on_success="promote_if_superior")
    return msgspec.structs.replace(policy, rollout=superior)


def test_rollout_without_its_policy_is_an_error_that_says_where(journal: Path) -> None:
    PolicyFolder(journal / "policies").keep(1, SHORT)
    with pytest.raises(JournalError, match=r"rollout-2\.json: expected the policy that rollout 2 was judged by"):
        judge_journal(journal)


def test_first_word_on_a_rollout_stands(tmp_path: Path) -> None:
    PolicyFolder(tmp_path).keep(1, SHORT)
    later = PolicyFolder(tmp_path)
    later.keep(1, LONG)
    assert later.of(1) == PolicyFolder(tmp_path).of(1) == SHORT


def test_policy_that_is_none_says_so(tmp_path: Path) -> None:
    (tmp_path / "rollout-1.json").write_text('{"rollouts": 1}')
    with pytest.raises(JournalError, match=r"rollout-1\.json: expected a policy"):
        PolicyFolder(tmp_path).of(1)


def test_journal_without_policies_looks_beside_the_worker(tmp_path: Path) -> None:
    assert policies_beside(tmp_path / "journal" / "worker-0").folder == tmp_path / "journal" / "policies"


def test_running_rollout_keeps_its_policy_and_the_next_takes_the_new_one() -> None:
    now = SHORT
    desk = Desk(DeskState(model="m", index=0), lambda: now, itertools.count(1).__next__)
    desk.aliases({"champion": 1})
    desk.passed(1)
    desk.aliases({"champion": 1, "challenger": 2})
    desk.passed(2)
    now = LONG
    assert desk.policy == SHORT
    again = Desk(copy_of(desk.state), lambda: now, itertools.count(9).__next__)
    assert again.policy == SHORT
    desk.promote("good enough")
    assert desk.state.rollout is not None
    assert (desk.state.rollout.kind, desk.policy) == ("bake", LONG)
