"""A PnL feed that falls silent pauses a rollout and promotes nothing; a market feed that stops decides nothing."""

import msgspec
import pytest
from support.journals import HORIZON_NS, MS, SPACING_NS, Answer, SyntheticWorker, World, equal

from data_contracts.journal import MarkoutStatus, Phase, RecordType
from data_contracts.policy import Guardrails, PnlGuard, Policy, Rollout, Step
from serving.rollout.events import Concluded, Paused, ReadyToPromote, StepAdvanced
from serving.rollout.fold import JournalFold
from serving.rollout.model_fold import LATER

SILENT = 100
POLICY = Policy(
    rollout=Rollout(
        steps=(Step(share=0.0, min_decisions=300), Step(share=0.5, min_decisions=300)),
        on_success="promote_if_non_inferior",
        non_inferiority_margin_sd=0.5,
        bake_decisions=300,
    ),
    guardrails=Guardrails(pnl=PnlGuard(silent_decisions=SILENT)),
)
WAITING = msgspec.structs.replace(POLICY, rollout=msgspec.structs.replace(POLICY.rollout, on_success="wait"))


def always(random, id_: int) -> World:
    """Both buy at every decision, so that every decision needs its outcome."""
    return World(Answer(action=1), Answer(action=1), float(random.normal()), 0.0)


def never(worker: SyntheticWorker) -> None:
    """The worker says of all its open decisions that their mark will not come."""
    for _, decision, decided, _, _ in worker.due:
        worker.writer.add(
            RecordType.MARKOUT,
            decision_id=decision,
            decision_event_ns=decided,
            resolved_event_ns=decided,
            status=int(MarkoutStatus.NEVER),
        )
    worker.due.clear()


def go_silent(worker: SyntheticWorker, how: str, decisions: int) -> None:
    for _ in range(decisions):
        worker.decide()
        if how == "lost":
            worker.due.clear()
        else:
            never(worker)


def begun(draw=always, **route: int) -> SyntheticWorker:
    worker = SyntheticWorker(draw)
    worker.adopt(**{"rollout_id": 1, "champion": 1, "challenger": 2, "phase": Phase.SHADOW, **route})
    return worker


@pytest.mark.parametrize("how", ["lost", "said to be lost"])
def test_dead_pnl_feed_pauses_the_rollout_once_and_at_a_known_decision(how: str) -> None:
    worker = begun()
    worker.decide(50)
    worker.finish()
    go_silent(worker, how, SILENT + LATER + 32)
    (paused,) = JournalFold(POLICY).consume(worker.writer.bytes())
    assert isinstance(paused, Paused)
    assert paused.decision == 50 + SILENT
    assert paused.reason == "the PnL feed is silent: 100 decisions in a row brought no outcome, limit 100"


@pytest.mark.parametrize(("said_ns", "found"), [(HORIZON_NS, True), (0, False)])
def test_feed_that_was_dead_from_the_start_pauses_as_soon_as_one_that_dies(said_ns: int, found: bool) -> None:
    """No mark-out has shown the horizon: the worker's epochs say it. Journals from before they did wait an hour."""
    worker = SyntheticWorker(always, horizon_ns=said_ns)
    worker.adopt(rollout_id=1, champion=1, challenger=2, phase=Phase.SHADOW)
    due_ns = HORIZON_NS + int(POLICY.outcomes.watermark_seconds * 1e9)
    go_silent(worker, "lost", SILENT + due_ns // SPACING_NS + LATER + 1)
    events = JournalFold(POLICY).consume(worker.writer.bytes())
    assert [(type(event), event.decision) for event in events] == ([(Paused, SILENT)] if found else [])


@pytest.mark.parametrize("how", ["lost", "said to be lost"])
@pytest.mark.parametrize("policy", [POLICY, WAITING])
@pytest.mark.parametrize("route", [{}, {"phase": Phase.AB, "step": 1, "share_bps": 5000}])
def test_dead_pnl_feed_promotes_nothing_however_long_it_is_waited_out(how: str, policy: Policy, route: dict) -> None:
    """Nobody pauses it here: the fold alone holds it back."""
    worker = begun(equal, **route)
    worker.decide(280)
    worker.finish()
    go_silent(worker, how, 2000)
    events = JournalFold(policy).consume(worker.writer.bytes())
    assert {type(event) for event in events} == {Paused}


def test_new_champion_is_not_kept_by_a_bake_without_outcomes() -> None:
    worker = begun(rollout_id=2, champion=2, challenger=1, phase=Phase.BAKE)
    worker.decide(250)
    worker.finish()
    go_silent(worker, "said to be lost", 500)
    fold = JournalFold(POLICY)
    assert not any(isinstance(event, Concluded) for event in fold.consume(worker.writer.bytes()))
    heard = len(worker.writer.records)
    worker.decide(20)
    (kept,) = fold.consume(b"".join(worker.writer.records[heard:]))
    assert (kept.verdict, kept.decision) == ("promoted", 751)  # on the first outcome that came again


def test_feed_that_comes_back_while_paused_ends_the_silence() -> None:
    worker = begun()
    go_silent(worker, "said to be lost", SILENT)
    fold = JournalFold(POLICY)
    assert len(fold.consume(worker.writer.bytes())) == 1
    heard = len(worker.writer.records)
    worker.adopt(rollout_id=1, champion=1, challenger=2, phase=Phase.PAUSED)
    worker.decide(20)
    worker.adopt(rollout_id=1, champion=1, challenger=2, phase=Phase.SHADOW)
    go_silent(worker, "said to be lost", SILENT - 1)
    assert fold.consume(b"".join(worker.writer.records[heard:])) == []


def test_rollout_resumed_into_the_same_silence_is_paused_again() -> None:
    worker = begun()
    go_silent(worker, "said to be lost", 3 * SILENT)
    events = JournalFold(POLICY).consume(worker.writer.bytes())
    assert [event.decision for event in events] == [SILENT, 2 * SILENT, 3 * SILENT]


def test_decisions_on_which_nobody_acts_say_nothing_about_the_feed() -> None:
    worker = begun(lambda random, id_: World(Answer(), Answer(), 0.0, 0.0))
    go_silent(worker, "said to be lost", 3 * SILENT)
    assert not any(isinstance(e, Paused) for e in JournalFold(WAITING).consume(worker.writer.bytes()))


def test_gap_in_the_feed_is_not_taken_for_silence() -> None:
    """After a break the first decisions are journalled before the marks of those from before it."""
    worker = begun()
    worker.decide(50)
    worker.event_ns += 100 * HORIZON_NS
    for _ in range(LATER - 1):
        worker.event_ns += MS
        worker._decide()  # the marks that are due wait until all of these are taken
    worker.finish()
    fold = JournalFold(POLICY)
    assert fold.consume(worker.writer.bytes()) == []
    assert (fold.models[0].given_up, fold.models[0].rollouts[1].folded) == (0, 50 + LATER - 1)


def test_market_feed_that_stops_folds_and_promotes_nothing() -> None:
    worker = begun()
    worker.decide(600)
    fold = JournalFold(WAITING)
    events = fold.consume(worker.writer.bytes())
    waiting = HORIZON_NS // SPACING_NS + 1
    assert [type(event) for event in events] == [StepAdvanced]
    assert (fold.models[0].rollouts[1].folded, fold.models[0].waiting) == (600 - waiting, waiting)
    assert fold.consume(b"") == []
    assert not any(isinstance(event, ReadyToPromote) for event in events)


def test_silent_feed_does_not_shield_a_version_that_is_slow() -> None:
    def slow(random, id_: int) -> World:
        return World(Answer(action=1), Answer(action=1, latency_ns=5_000_000), 0.0, 0.0)

    worker = begun(slow)
    go_silent(worker, "said to be lost", 50)
    (ended,) = JournalFold(POLICY).consume(worker.writer.bytes())
    assert (ended.verdict, ended.guardrail) == ("rolled_back", "latency")
