"""How soon routing left a version that was taken off, read from the journal."""

from support.journals import SPACING_NS, SyntheticWorker, equal, harmful

from data_contracts.journal import Phase, RecordType, TripKind
from data_contracts.policy import Policy, Rollout, Step
from serving.rollout.events import Concluded
from serving.rollout.fold import JournalFold
from serving.rollout.records import DecisionRow, rows

POLICY = Policy(rollout=Rollout(steps=(Step(share=0.0, min_decisions=300), Step(share=0.5, min_decisions=300))))


def in_ab(draw) -> SyntheticWorker:
    worker = SyntheticWorker(draw)
    worker.adopt(rollout_id=1, champion=1, challenger=2, share_bps=5000, phase=Phase.AB, step=1)
    return worker


def consume(fold: JournalFold, worker: SyntheticWorker) -> list[Concluded]:
    events = fold.consume(b"".join(worker.writer.records[fold.records :]))
    return [event for event in events if isinstance(event, Concluded)]


def reaction_of(fold: JournalFold):
    return fold.models[0].rollouts[1].reaction


def test_statistical_verdict_is_left_at_the_next_epoch() -> None:
    worker, fold = in_ab(harmful), JournalFold(POLICY)
    ended: list[Concluded] = []
    while not ended:
        worker.decide()
        ended = consume(fold, worker)
    assert reaction_of(fold).took_us is None
    worker.decide(7)
    worker.adopt(champion=1, wall_ns=worker.event_ns + 5_000)
    worker.decide(3)
    consume(fold, worker)
    reaction = reaction_of(fold)
    decided = [row for row in rows(worker.writer.bytes()) if isinstance(row, DecisionRow) and row.arm == 1]
    assert reaction.decisions == sum(row.answer_ns > reaction.verdict_ns for row in decided)
    assert 0 < reaction.decisions < 8
    # By the worker's clock: seven or eight decisions, and 5 us from the last of them to the epoch.
    assert 6 * SPACING_NS / 1000 < reaction.took_us < 8 * SPACING_NS / 1000 + 5
    assert JournalFold.load(fold.save(), POLICY).models[0].rollouts[1].reaction == reaction


def test_hard_limit_is_left_at_the_next_decision() -> None:
    worker, fold = in_ab(equal), JournalFold(POLICY)
    worker.decide(50)
    worker.writer.add(
        RecordType.TRIP,
        decision_id=50,
        wall_ns=worker.event_ns + SPACING_NS - 2_000,
        version=2,
        rollout_id=1,
        kind=int(TripKind.DRAWDOWN),
        arm=1,
        value=60,
        limit=50,
    )
    worker.route["share_bps"] = 0  # as the worker does by itself, before any epoch
    worker.decide(20)
    (ended,) = consume(fold, worker)
    assert (ended.guardrail, ended.decision) == ("limit:drawdown", 50)
    assert reaction_of(fold).decisions == 0
    assert 2.0 < reaction_of(fold).took_us < 102.0  # its latency is in it


def test_version_that_was_not_taken_off_has_no_reaction() -> None:
    worker, fold = in_ab(equal), JournalFold(POLICY)
    worker.decide(50)
    worker.adopt(champion=1)
    assert [one.verdict for one in consume(fold, worker)] == ["withdrawn"]
    assert reaction_of(fold) is None
