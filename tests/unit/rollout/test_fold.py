"""The fold of synthetic journals: verdicts, decision order, what is given up, and that cutting changes nothing."""

import itertools

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.journals import (
    HORIZON_NS,
    SPACING_NS,
    Answer,
    JournalWriter,
    SyntheticWorker,
    World,
    equal,
    harmful,
    slow,
)

from data_contracts.journal import MARKOUT, RECORD_BYTES, Arm, MarkoutStatus, Phase, RecordType, TripKind
from data_contracts.policy import Policy, Rollout, Step
from serving.judge import verdicts
from serving.rollout.events import Concluded, Paused, ReadyToPromote, StepAdvanced
from serving.rollout.fold import JournalFold
from serving.rollout.model_fold import KEPT_ROLLOUTS

POLICY = Policy(
    rollout=Rollout(
        steps=(Step(share=0.0, min_decisions=300), Step(share=0.5, min_decisions=300)),
        max_decisions=8000,
        bake_decisions=500,
    )
)


def with_rollout(**changes: object) -> Policy:
    return msgspec.structs.replace(POLICY, rollout=msgspec.structs.replace(POLICY.rollout, **changes))


def follow(worker: SyntheticWorker, policy: Policy, decisions: int, chunk: int = 50) -> tuple[JournalFold, list]:
    """Let worker and fold play controller and data plane: routing follows what the fold says."""
    fold, events, read = JournalFold(policy), [], 0
    for _ in range(0, decisions, chunk):
        worker.decide(chunk)
        fresh = worker.writer.records[read:]
        read += len(fresh)
        for event in fold.consume(b"".join(fresh)):
            events.append(event)
            if isinstance(event, StepAdvanced):
                share = int(policy.rollout.steps[event.step].share * 10_000)
                worker.adopt(rollout_id=1, champion=1, challenger=2, share_bps=share, phase=Phase.AB, step=event.step)
            elif isinstance(event, Concluded):
                worker.adopt(rollout_id=0, champion=1)
    return fold, events


def begun(draw, seed: int = 1) -> SyntheticWorker:
    worker = SyntheticWorker(draw, seed=seed)
    worker.adopt(rollout_id=1, champion=1, challenger=2, phase=Phase.SHADOW)
    return worker


def test_version_that_trades_at_random_is_rolled_back_on_pnl() -> None:
    _, events = follow(begun(harmful), POLICY, 6000)
    ended = events[-1]
    assert isinstance(ended, Concluded)
    assert (ended.verdict, ended.guardrail, ended.version) == ("rolled_back", "pnl", 2)
    assert "less than the champion (e-value" in ended.reason


def test_version_that_is_slow_is_rolled_back_on_latency() -> None:
    _, events = follow(begun(slow), POLICY, 3000)
    assert isinstance(events[-1], Concluded)
    assert (events[-1].verdict, events[-1].guardrail) == ("rolled_back", "latency")
    assert "took over 500 µs" in events[-1].reason


def test_stall_that_hits_both_versions_rolls_nobody_back() -> None:
    def stalled(random: np.random.Generator, id_: int) -> World:
        world = equal(random, id_)
        if 400 <= id_ < 480 or 900 <= id_ < 960:  # in shadow, and in the A/B step
            world.champion.latency_ns = world.challenger.latency_ns = 5_000_000
        return world

    fold, events = follow(begun(stalled), POLICY, 1500)
    assert [type(event) for event in events] == [StepAdvanced, ReadyToPromote]
    guards = fold.models[0].rollouts[1].guards
    assert guards.latency.tripped, "the rate guard alone would have taken it off"
    assert guards.later.pairs == 0


def test_version_whose_answers_fail_is_rolled_back_on_errors() -> None:
    def failing(random: np.random.Generator, id_: int) -> World:
        world = equal(random, id_)
        if random.random() < 0.05:
            world.challenger = Answer(abstain=11)
        return world

    _, events = follow(begun(failing), POLICY, 3000)
    assert (events[-1].verdict, events[-1].guardrail) == ("rolled_back", "errors")


def test_equal_version_climbs_every_step_and_waits_for_a_person() -> None:
    fold, events = follow(begun(equal), POLICY, 3000)
    assert [type(event) for event in events] == [StepAdvanced, ReadyToPromote]
    assert events[0].step == 1
    assert verdicts(fold)[0].verdict == ""


def test_equal_version_without_superiority_ends_inconclusive() -> None:
    _, events = follow(begun(equal), with_rollout(on_success="promote_if_superior", max_decisions=3000), 4000)
    assert events[-1].verdict == "inconclusive"


def test_equal_version_is_promoted_where_not_inferior_is_enough() -> None:
    policy = with_rollout(on_success="promote_if_non_inferior", non_inferiority_margin_sd=0.3)
    _, events = follow(begun(equal), policy, 8000)
    assert events[-1].verdict == "promoted"
    assert "e-value for promotion" in events[-1].reason


def test_new_champion_that_is_worse_is_taken_back_while_it_bakes() -> None:
    worker = SyntheticWorker(harmful)
    worker.adopt(rollout_id=2, champion=2, challenger=1, phase=Phase.BAKE)
    _, events = follow(worker, with_rollout(bake_decisions=5000), 5000)
    assert (events[-1].kind, events[-1].version, events[-1].verdict) == ("bake", 2, "rolled_back")


def test_new_champion_that_is_as_good_is_kept_after_its_bake() -> None:
    worker = SyntheticWorker(equal)
    worker.adopt(rollout_id=2, champion=2, challenger=1, phase=Phase.BAKE)
    _, events = follow(worker, POLICY, 1000)
    assert (events[-1].kind, events[-1].verdict, events[-1].decision) == ("bake", "promoted", 500)


def test_step_counts_only_decisions_that_were_routed_at_it() -> None:
    _, events = follow(begun(equal), POLICY, 3000, chunk=100)
    advanced, ready = events
    assert advanced.decision == 300
    # Routing follows at the next multiple of 100 that the fold has seen; 300 decisions more are asked for.
    assert ready.decision == (advanced.decision + 99 + 5) // 100 * 100 + 300


def test_step_lasts_as_long_as_it_must_in_event_time_however_many_decisions_come() -> None:
    steps = (Step(share=0.0, min_decisions=10, min_seconds=40.0), Step(share=0.5, min_decisions=10_000))
    _, events = follow(begun(equal), with_rollout(steps=steps), 400)
    (advanced,) = events
    assert advanced.decision == 1 + int(40e9) // SPACING_NS


@given(cuts=st.lists(st.integers(0, 3000), max_size=6), seed=st.integers(0, 3))
@settings(max_examples=15, deadline=None)
def test_how_the_journal_is_cut_into_reads_changes_nothing(cuts: list[int], seed: int) -> None:
    worker = begun(harmful, seed)
    worker.decide(800)
    data = worker.writer.bytes()
    whole, pieces = JournalFold(POLICY), JournalFold(POLICY)
    edges = [0, *sorted(cut * RECORD_BYTES for cut in cuts), len(data)]
    cut_up = [event for a, b in itertools.pairwise(edges) for event in pieces.consume(data[a:b])]
    assert cut_up == whole.consume(data)
    assert verdicts(pieces) == verdicts(whole)


def test_losers_that_resolve_early_change_no_verdict_and_no_decision() -> None:
    """Gains arrive sixty records after losses; folded as they come, that alone would take a version off."""

    def arrival(record: bytes) -> int:
        index = int.from_bytes(record[8:16], "little")
        gained = record[4] == RecordType.MARKOUT and np.frombuffer(record, MARKOUT)["buy_pnl_bps"][0] > 0
        return index + 60 * gained

    worker = begun(harmful)
    worker.decide(4000)
    worker.finish()
    straight, reordered = JournalFold(POLICY), JournalFold(POLICY)
    expected = [e for e in straight.consume(worker.writer.bytes()) if isinstance(e, Concluded)]
    got = reordered.consume(b"".join(sorted(worker.writer.records, key=arrival)))
    assert [e for e in got if isinstance(e, Concluded)] == expected != []


def test_missing_outcome_is_given_up_only_after_its_watermark() -> None:
    worker = begun(equal)
    worker.decide(1)
    worker.due.clear()  # its mark-out never comes
    worker.decide(60)
    fold = JournalFold(POLICY)
    fold.consume(worker.writer.bytes())
    model = fold.models[0]
    patience = (HORIZON_NS + 5_000_000_000) // SPACING_NS
    assert patience == 30
    assert model.given_up == 1
    assert model.rollouts[1].folded == 55  # the last six still wait for their horizon
    early = JournalFold(POLICY)
    early.consume(b"".join(r for r in worker.writer.records if int.from_bytes(r[8:16], "little") < 60))
    assert early.models[0].given_up == 0


def test_score_that_never_comes_is_folded_as_dropped_and_is_no_silence_of_the_feed() -> None:
    worker = SyntheticWorker(lambda r, i: World(Answer(), Answer(action=1), -1.0, 1.0))
    worker.adopt(rollout_id=1, champion=1, challenger=2, phase=Phase.SHADOW)
    worker.decide(700)
    worker.finish()
    lost = [r for r in worker.writer.records if r[4] != RecordType.SHADOW]
    fold = JournalFold(POLICY)
    assert [e for e in fold.consume(b"".join(lost)) if isinstance(e, Paused)] == []
    rollout = fold.models[0].rollouts[1]
    assert (
        rollout.folded == rollout.unpaired == 606
    )  # 30 wait for the watermark, and 64 more for the feed to have gone on
    assert (rollout.given_up, rollout.guards.difference_sum) == (0, 0.0)


def test_unusable_mark_out_counts_as_no_difference() -> None:
    writer = begun(equal).writer
    writer.add(RecordType.DECISION, decision_id=1, event_ns=1, version=1, arm=0, action=1, expected_shadows=1)
    writer.add(RecordType.SHADOW, decision_id=1, version=2, arm=1, action=-1)
    writer.add(RecordType.MARKOUT, decision_id=1, buy_pnl_bps=9.0, status=int(MarkoutStatus.STALE))
    fold = JournalFold(POLICY)
    fold.consume(writer.bytes())
    rollout = fold.models[0].rollouts[1]
    assert (rollout.folded, rollout.guards.difference_sum) == (1, 0.0)


def test_decision_whose_arm_was_asked_for_is_tallied_and_not_judged() -> None:
    writer = begun(equal).writer
    for id_, overridden in ((1, 1), (2, 0)):
        writer.add(
            RecordType.DECISION,
            decision_id=id_,
            event_ns=id_,
            version=2,
            arm=int(Arm.CHALLENGER),
            action=1,
            expected_shadows=1,
            overridden=overridden,
        )
        writer.add(RecordType.SHADOW, decision_id=id_, version=1, arm=int(Arm.CHAMPION), action=-1)
        writer.add(RecordType.MARKOUT, decision_id=id_, buy_pnl_bps=9.0, sell_pnl_bps=-9.0)
    fold = JournalFold(POLICY)
    fold.consume(writer.bytes())
    rollout = fold.models[0].rollouts[1]
    assert fold.models[0].epoch_arms == [0, 1]
    assert (rollout.folded, rollout.live_pnl_bps, rollout.guards.difference_sum) == (1, 9.0, 18.0)
    assert (rollout.arms[2].decisions, rollout.arms[2].pnl_bps) == (2, 18.0)


def test_mark_outs_at_extra_horizons_complete_no_decision_and_are_not_judged() -> None:
    writer = begun(equal).writer
    writer.add(RecordType.DECISION, decision_id=1, event_ns=1, version=1, arm=0, action=1)
    writer.add(RecordType.MARKOUT, decision_id=1, buy_pnl_bps=50.0, horizon=1)
    fold = JournalFold(POLICY)
    fold.consume(writer.bytes())
    assert (fold.models[0].waiting, fold.models[0].late_outcomes) == (1, 0)
    writer.add(RecordType.MARKOUT, decision_id=1, buy_pnl_bps=9.0)
    fold.consume(writer.records[-1])
    assert fold.models[0].rollouts[1].arms[1].pnl_bps == 9.0


def test_hard_limit_in_the_worker_ends_the_rollout_at_its_decision() -> None:
    worker = begun(equal)
    worker.decide(40)
    worker.writer.add(
        RecordType.TRIP,
        decision_id=40,
        version=2,
        rollout_id=1,
        kind=int(TripKind.LATE_OR_FAILED),
        arm=1,
        value=51,
        limit=50,
    )
    (ended,) = JournalFold(POLICY).consume(worker.writer.bytes())
    assert (ended.verdict, ended.guardrail, ended.decision) == ("rolled_back", "limit:late_or_failed", 40)
    assert "51" in ended.reason


def test_lost_records_pause_the_rollout_and_do_not_end_it() -> None:
    worker = begun(equal)
    worker.writer.add(RecordType.TRIP, version=2, rollout_id=1, kind=int(TripKind.JOURNAL_DROPS), arm=1, value=3)
    (paused,) = JournalFold(POLICY).consume(worker.writer.bytes())
    assert isinstance(paused, Paused)


def test_limit_that_the_new_champion_broke_ends_its_bake() -> None:
    worker = SyntheticWorker(equal)
    worker.adopt(rollout_id=1, champion=2, challenger=1, phase=Phase.BAKE)
    trip = {"version": 2, "rollout_id": 1, "decision_id": 7, "value": -51, "limit": -50}
    worker.writer.add(RecordType.TRIP, kind=int(TripKind.LOSS_BUDGET), arm=0, **trip)
    (ended,) = JournalFold(POLICY).consume(worker.writer.bytes())
    assert (ended.kind, ended.verdict, ended.guardrail) == ("bake", "rolled_back", "limit:loss_budget")
    assert (ended.version, ended.decision) == (2, 7)


def test_loss_budget_ends_the_rollout_on_the_decision_that_exceeds_it() -> None:
    def ruinous(random: np.random.Generator, id_: int) -> World:
        return World(Answer(), Answer(action=1), -100.0, 0.0)

    policy = msgspec.structs.replace(POLICY, limits=msgspec.structs.replace(POLICY.limits, loss_budget_bps=250.0))
    worker = SyntheticWorker(ruinous)
    worker.adopt(rollout_id=1, challenger=2, phase=Phase.AB, share_bps=10_000, step=1)
    _, events = follow(worker, policy, 100)
    assert (events[0].guardrail, events[0].decision) == ("limit:loss_budget", 3)
    assert events[0].reason == "lost 300.0 bps on its own decisions, budget 250 bps"


def test_nan_outcome_rolls_back_rather_than_passes() -> None:
    def broken(random: np.random.Generator, id_: int) -> World:
        return World(Answer(), Answer(action=1), float("nan"), 0.0)

    _, events = follow(begun(broken), POLICY, 100)
    assert (events[0].verdict, events[0].guardrail) == ("rolled_back", "pnl")


@pytest.mark.parametrize(("champion", "verdict"), [(1, "withdrawn"), (2, "promoted")])
def test_next_rollout_in_the_journal_tells_how_a_person_ended_the_last(champion: int, verdict: str) -> None:
    worker = begun(equal)
    worker.decide(30)
    worker.adopt(rollout_id=2, champion=champion, challenger=3, phase=Phase.SHADOW)
    (ended,) = JournalFold(POLICY).consume(worker.writer.bytes())
    assert (ended.rollout_id, ended.verdict, ended.decision) == (1, verdict, None)


def test_paused_decisions_are_not_judged() -> None:
    worker = begun(equal)
    worker.decide(20)
    worker.adopt(rollout_id=1, champion=1, challenger=2, phase=Phase.PAUSED)
    worker.decide(50)
    worker.finish()
    fold = JournalFold(POLICY)
    fold.consume(worker.writer.bytes())
    assert fold.models[0].rollouts[1].folded == 20


def test_decisions_taken_before_a_pause_neither_advance_nor_promote_while_it_lasts() -> None:
    worker = begun(equal)
    worker.decide(302)  # five outcomes are still to come
    worker.adopt(rollout_id=1, champion=1, challenger=2, phase=Phase.PAUSED)
    worker.decide(20)
    fold = JournalFold(POLICY)
    assert fold.consume(worker.writer.bytes()) == []
    assert fold.models[0].rollouts[1].folded == 302
    read = len(worker.writer.records)
    worker.adopt(rollout_id=1, champion=1, challenger=2, phase=Phase.SHADOW)
    worker.decide(20)
    (advanced,) = fold.consume(b"".join(worker.writer.records[read:]))
    assert isinstance(advanced, StepAdvanced)
    assert advanced.decision == 323


def test_ab_with_unequal_keys_and_dropped_scores_is_unbiased() -> None:
    """Half the other arm's scores are dropped: folded with weights, the sum stays around zero."""

    def dropping(random: np.random.Generator, id_: int) -> World:
        world = equal(random, id_)
        world.champion.dropped = world.challenger.dropped = bool(random.random() < 0.5)
        return world

    kept = 0
    for seed in range(12):
        worker = SyntheticWorker(dropping, seed=seed)
        worker.adopt(rollout_id=1, champion=1, challenger=2, phase=Phase.AB, share_bps=3000, step=1)
        _, events = follow(worker, with_rollout(on_success="promote_if_superior"), 2000)
        kept += not any(isinstance(e, Concluded) and e.guardrail == "pnl" for e in events)
    assert kept >= 11


def test_totals_belong_to_the_version_that_acted() -> None:
    worker = SyntheticWorker(lambda r, i: World(Answer(action=1), Answer(action=-1), 2.0, -3.0))
    worker.adopt(rollout_id=1, champion=1, challenger=2, phase=Phase.SHADOW)
    worker.decide(10)
    worker.finish()
    fold = JournalFold(POLICY)
    fold.consume(worker.writer.bytes())
    arms = fold.models[0].rollouts[1].arms
    assert (arms[1].decisions, arms[1].pnl_bps, arms[1].paper_pnl_bps) == (10, 20.0, 20.0)
    assert (arms[2].decisions, arms[2].pnl_bps, arms[2].paper_pnl_bps) == (0, 0.0, -30.0)
    assert arms[1].latency_us(0.5) == pytest.approx(20.0, rel=0.05)


def test_record_for_an_unknown_decision_is_counted_and_not_guessed() -> None:
    writer = JournalWriter()
    writer.add(RecordType.EPOCH, rollout_id=1, champion=1, challenger=2, phase=1)
    writer.add(RecordType.DECISION, decision_id=5, event_ns=1, version=1, arm=int(Arm.CHAMPION))
    for _ in range(2):
        writer.add(RecordType.MARKOUT, decision_id=5)
    fold = JournalFold(POLICY)
    fold.consume(writer.bytes())
    assert fold.models[0].late_outcomes == 1


def test_model_named_after_its_first_epoch_is_known_by_its_name() -> None:
    writer = JournalWriter()
    writer.records.clear()
    writer.add(RecordType.EPOCH, rollout_id=1, champion=1, challenger=2, phase=1)
    writer.name(0, "late")
    fold = JournalFold(POLICY)
    fold.consume(writer.bytes())
    assert fold.model("late") is fold.models[0]
    assert verdicts(fold)[0].model == "late"


def test_records_of_decisions_that_were_lost_are_not_held_for_ever() -> None:
    writer = JournalWriter()
    writer.add(RecordType.EPOCH, rollout_id=1, champion=1, challenger=2, phase=1)
    writer.add(RecordType.MARKOUT, decision_id=1)  # its decision was dropped
    writer.add(RecordType.MARKOUT, decision_id=2)
    writer.add(RecordType.DECISION, decision_id=2, event_ns=1, version=1, arm=int(Arm.CHAMPION))
    fold = JournalFold(POLICY)
    fold.consume(writer.bytes())
    model = fold.models[0]
    assert (model.unknown, model.rollouts[1].folded, len(model._early)) == (1, 1, 0)


def test_hard_limit_during_the_bake_ends_it() -> None:
    worker = SyntheticWorker(equal)
    worker.adopt(rollout_id=2, champion=2, challenger=1, phase=Phase.BAKE)
    worker.decide(5)
    worker.writer.add(RecordType.TRIP, decision_id=5, version=2, rollout_id=2, kind=int(TripKind.BAD_OUTPUT))
    (ended,) = JournalFold(POLICY).consume(worker.writer.bytes())
    assert (ended.kind, ended.version, ended.verdict) == ("bake", 2, "rolled_back")
    assert (ended.guardrail, ended.decision) == ("limit:bad_output", 5)


def test_long_life_keeps_the_last_rollouts_whole_and_of_the_others_how_they_ended() -> None:
    worker = SyntheticWorker(equal)
    for number in range(1, 3 * KEPT_ROLLOUTS):
        worker.adopt(rollout_id=number, champion=1, challenger=number + 1, phase=Phase.SHADOW)
        worker.decide(10)
    worker.finish()
    fold = JournalFold(POLICY)
    fold.consume(worker.writer.bytes())
    model, judged = fold.models[0], verdicts(fold)
    assert [verdict.rollout_id for verdict in judged] == list(range(1, 3 * KEPT_ROLLOUTS))
    assert {verdict.verdict for verdict in judged[:-1]} == {"withdrawn"}
    assert judged[-1].verdict == ""
    # One runs, and the one that had just ended had decisions waiting when the next began.
    assert len(model.rollouts) <= KEPT_ROLLOUTS + 2
    assert max(rollout.folded for rollout in model.rollouts.values()) == 10
