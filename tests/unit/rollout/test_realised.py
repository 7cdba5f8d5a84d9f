"""PnL as the trading system posts it: what each rule does, what a fill earned, and that replaying gives the same."""

import dataclasses
import itertools
import struct
from collections import deque
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.journals import HORIZON_NS, SPACING_NS, Answer, JournalWriter, SyntheticWorker, World, equal

from data_contracts.errors import JournalError
from data_contracts.instrument import Instrument
from data_contracts.journal import DECISION, MARKOUT, RECORD_BYTES, MarkoutStatus, Phase, RecordType
from data_contracts.outcome import PostedOutcome, StoredOutcome
from data_contracts.policy import Guardrails, Outcomes, PnlGuard, Policy, Rollout, Step
from native._native import crc32c
from serving.judge import judge_journal, verdicts
from serving.rollout.events import Concluded, Paused
from serving.rollout.fold import JournalFold
from serving.rollout.keeping import pack
from serving.rollout.posted import fills_pnl_bps
from serving.rollout.records import MarkoutRow
from serving.rollout.ticks import TickFile

POLICY = Policy(
    rollout=Rollout(steps=(Step(share=0.0, min_decisions=300), Step(share=0.5, min_decisions=5000))),
    guardrails=Guardrails(pnl=PnlGuard(outcome="realised", silent_decisions=50)),
    outcomes=Outcomes(realised_watermark_seconds=10.0),
)
SHARING = {"rollout_id": 1, "champion": 1, "challenger": 2, "phase": Phase.AB, "step": 1, "share_bps": 5000}


def realised(decision: int, pnl_bps: float | None, name: str = "", **more: object) -> PostedOutcome:
    name = name or f"realised-{decision}"
    fields = {"outcome_id": name, "decision_id": decision, "model": "m", "kind": "realised", "time_ns": 1, **more}
    return PostedOutcome(pnl_bps=pnl_bps, **fields)


def fill(
    decision: int, price: str, lots: int = 1, side: str = "buy", fee_bps: float = 0.0, n: int = 1
) -> PostedOutcome:
    return PostedOutcome(
        outcome_id=f"fill-{decision}-{n}",
        decision_id=decision,
        model="m",
        kind="fill",
        price=price,
        lots=lots,
        side=side,
        fee_bps=fee_bps,
        time_ns=1,
    )


def stored(outcome: PostedOutcome, position: int = 0, sequence: int = 1) -> StoredOutcome:
    return StoredOutcome(sequence=sequence, position=position, wall_ns=0, status="accepted", outcome=outcome)


@dataclasses.dataclass
class Desk:
    """A worker, and the fold that reads it as it goes on."""

    worker: SyntheticWorker
    fold: JournalFold
    read: int = 0

    def go_on(self, decisions: int = 0) -> list:
        self.worker.decide(decisions)
        fresh = self.worker.writer.records[self.read :]
        self.read += len(fresh)
        return self.fold.consume(b"".join(fresh))

    def post(self, *outcomes: PostedOutcome) -> list:
        return [event for one in outcomes for event in self.fold.take_outcome(stored(one, self.fold.records))]

    @property
    def model(self):
        return self.fold.models[0]

    @property
    def rollout(self):
        return self.model.rollouts[1]


def always(random: np.random.Generator, id_: int) -> World:
    """The champion buys, the challenger sells."""
    return World(Answer(action=1), Answer(action=-1), 2.0, -3.0)


def begun(draw=always, policy: Policy = POLICY, **route: int) -> Desk:
    worker = SyntheticWorker(draw)
    worker.adopt(**{**SHARING, **route})
    return Desk(worker, JournalFold(policy, lambda symbol: {"T:A": 0.5}.get(symbol)))


def test_difference_takes_what_was_posted_for_what_was_earned() -> None:
    desk = begun(share_bps=10_000)  # the challenger acts on everything: phi is Y - p1, and papers differ by -5
    desk.worker.route["share_bps"] = 4000
    desk.worker.adopt(**{**SHARING, "share_bps": 4000})
    desk.go_on(1)
    decision = np.frombuffer(desk.worker.writer.records[-2], DECISION)[0]
    arm, share = int(decision["arm"]), 0.4
    desk.go_on(10)
    assert desk.rollout.folded == 0
    desk.post(realised(1, 7.0))
    p0, p1 = 2.0, -3.0
    expected = (p1 - p0) + ((7.0 - p1) / share if arm else -(7.0 - p0) / (1 - share))
    assert desk.rollout.guards.difference_sum == pytest.approx(expected)
    assert desk.rollout.arms[2 if arm else 1].pnl_bps == 7.0
    assert desk.rollout.arms[2 if arm else 1].paper_pnl_bps == (p1 if arm else p0)


def test_decisions_wait_for_their_outcomes_and_are_folded_in_order() -> None:
    desk = begun()
    desk.go_on(20)
    desk.post(*[realised(decision, 1.0) for decision in (3, 2, 5)])
    assert desk.rollout.folded == 0
    desk.post(realised(1, 1.0))
    assert (desk.rollout.folded, desk.model.last_folded) == (3, 3)


def test_decision_on_which_the_live_arm_did_nothing_waits_for_nothing() -> None:
    desk = begun(lambda random, id_: World(Answer(), Answer(), 1.0, 1.0))
    desk.go_on(20)
    assert desk.rollout.folded == 20 - HORIZON_NS // SPACING_NS - 1


def test_outcome_that_never_comes_is_given_up_at_its_watermark_and_the_mark_out_stands() -> None:
    desk = begun()
    patience = (HORIZON_NS + 10_000_000_000) // SPACING_NS
    desk.go_on(patience + 1)
    assert (desk.rollout.folded, desk.model.posted.never) == (0, 0)
    desk.go_on(1)
    assert (desk.rollout.folded, desk.model.posted.never, desk.rollout.unrealised) == (1, 1, 1)
    assert desk.rollout.arms[1].pnl_bps + desk.rollout.arms[2].pnl_bps in (2.0, -3.0) if 2 in desk.rollout.arms else 2.0


def test_outcome_after_its_decision_was_folded_is_late_and_changes_nothing() -> None:
    desk = begun()
    desk.go_on(100)
    before = pack(desk.rollout)
    desk.post(realised(1, -1000.0))
    assert (desk.model.posted.late, desk.model.posted.joined) == (1, 0)
    assert pack(desk.rollout) == before


def test_outcome_before_its_decision_is_held_and_joined() -> None:
    desk = begun()
    desk.go_on(1)
    desk.post(realised(3, 4.0))
    assert desk.model.posted.joined == 0
    desk.go_on(5)
    assert desk.model.posted.joined == 1


def test_outcome_of_nobodys_decision_is_unknown() -> None:
    desk = begun()
    desk.go_on(5)
    desk.worker.decision_id += 1  # another model's
    desk.post(realised(6, 4.0))
    desk.go_on(1)
    desk.post(realised(6, 4.0, "again"), realised(7, 1.0), dataclass_free(realised(7, 1.0)))
    assert (desk.model.posted.unknown, desk.model.posted.joined) == (2, 1)
    assert desk.fold.unknown_models == 1


def dataclass_free(outcome: PostedOutcome) -> PostedOutcome:
    """The same outcome, posted under a model that nobody serves."""
    return realised(outcome.decision_id, outcome.pnl_bps, "elsewhere", model="other")


def test_same_outcome_twice_counts_once_and_another_content_contradicts() -> None:
    desk = begun()
    desk.go_on(20)
    desk.post(fill(2, "100"), fill(2, "100"), fill(2, "101"))
    desk.post(realised(2, 1.0), realised(2, 1.0), realised(2, 2.0), realised(2, 3.0, "another"))
    counts = desk.model.posted
    assert (counts.joined, counts.duplicate, counts.contradictory) == (2, 2, 3)
    desk.post(realised(1, 1.0))
    acted = [arm.pnl_bps for arm in desk.rollout.arms.values()]
    assert sum(acted) == 2.0  # the first word stood


def test_fills_are_priced_against_the_decisions_own_mark() -> None:
    markout = MarkoutRow(1, 0, 1, 0.0, 0.0, 0, 0, 0, entry_bid_ticks=199, entry_ask_ticks=201, mark_mid_x2_ticks=404)
    # Tick 0.5: entered around 100, marked at 101. Bought 1 at 100.5, 3 at 100; fee 1 bp of the price.
    fills = [fill(1, "100.5", 1, fee_bps=1.0), fill(1, "100", 3, fee_bps=1.0, n=2)]
    by_hand = 1e4 * (1 * (101 - 100.5 - 0.01005) + 3 * (101 - 100 - 0.01)) / 4 / 100
    assert fills_pnl_bps(fills, markout, 0.5) == pytest.approx(by_hand)
    assert fills_pnl_bps([fill(1, "100.5", side="sell")], markout, 0.5) == pytest.approx(-50.0)


@pytest.mark.parametrize(
    ("markout", "tick_size"),
    [
        (MarkoutRow(1, 0, 1, 0.0, 0.0, 0, int(MarkoutStatus.STALE), 0, 199, 201, 404), 0.5),
        (MarkoutRow(1, 0, 1, 0.0, 0.0, 0, 0, 0, 199, 201, 404), None),
        (MarkoutRow(1, 0, 1, 0.0, 0.0, 0, 0, 0, 0, 0, 404), 0.5),
    ],
)
def test_fill_without_mark_or_tick_size_earns_nobody_knows_what(markout: MarkoutRow, tick_size: float | None) -> None:
    assert fills_pnl_bps([fill(1, "100")], markout, tick_size) is None


def test_fills_stand_for_the_outcome_once_no_more_are_waited_for() -> None:
    writer = JournalWriter()
    writer.add(RecordType.NAME, kind=1, name_index=4)
    writer.records[-1] = writer.records[-1][:24] + b"T:A".ljust(104, b"\0")
    writer.add(RecordType.EPOCH, **SHARING)
    for decision, at in ((1, 1), (2, 20_000_000_000)):
        writer.add(RecordType.DECISION, decision_id=decision, event_ns=at, version=1, arm=0, action=1, instrument=4)
        marks = {"entry_bid_ticks": 199, "entry_ask_ticks": 201, "mark_mid_x2_ticks": 404, "buy_pnl_bps": 9.0}
        writer.add(RecordType.MARKOUT, decision_id=decision, decision_event_ns=at, resolved_event_ns=at + 1, **marks)
    fold = JournalFold(POLICY, lambda symbol: {"T:A": 0.5}.get(symbol))
    fold.consume(b"".join(writer.records[:4]))
    fold.take_outcome(stored(fill(1, "100.5")))
    fold.take_outcome(stored(fill(1, "101", n=2)))
    assert fold.models[0].rollouts == {} or fold.models[0].rollouts[1].folded == 0
    fold.consume(b"".join(writer.records[4:]))
    assert fold.models[0].rollouts[1].arms[1].pnl_bps == pytest.approx((50.0 + 0.0) / 2)


def test_outcome_in_dollars_alone_cannot_be_judged_and_is_counted() -> None:
    desk = begun()
    desk.go_on(20)
    desk.post(realised(1, None, pnl_usd=12.0))
    assert (desk.model.posted.unpriced, desk.rollout.unrealised, desk.rollout.silent) == (1, 1, 1)


def test_trading_system_that_falls_silent_pauses_the_rollout() -> None:
    desk = begun()
    events = desk.go_on(30)
    for decision in range(1, 26):
        events += desk.post(realised(decision, 0.5))
    assert events == []
    events = desk.go_on(120)
    assert [type(event) for event in events] == [Paused]
    assert events[0].decision == 25 + 50


def lossy(random: np.random.Generator, id_: int) -> World:
    """Both are as good on paper."""
    return equal(random, id_)


def life(seed: int, loss_bps: float) -> tuple[bytes, deque[StoredOutcome]]:
    """A rollout whose challenger really earns less than paper says; outcomes come in any order, some twice or never."""
    random = np.random.default_rng(seed)
    worker = SyntheticWorker(lossy, seed=seed)
    worker.adopt(**{**SHARING, "phase": Phase.SHADOW, "step": 0, "share_bps": 0})
    worker.decide(200)
    worker.adopt(**SHARING)
    worker.decide(2500)
    worker.finish()
    papers, outcomes, places = {}, [], {}
    for place, raw in enumerate(worker.writer.records):
        if raw[4] == RecordType.DECISION:
            row = np.frombuffer(raw, DECISION)[0]
            places[int(row["decision_id"])] = (place, int(row["action"]), int(row["arm"]))
    for raw in worker.writer.records:
        if raw[4] == RecordType.MARKOUT:
            row = np.frombuffer(raw, MARKOUT)[0]
            papers[int(row["decision_id"])] = (float(row["buy_pnl_bps"]), float(row["sell_pnl_bps"]))
    for decision, (place, action, arm) in places.items():
        if not action or random.random() < 0.02:
            continue
        earned = papers[decision][0 if action > 0 else 1] - loss_bps * arm
        position = min(len(worker.writer.records), place + int(random.integers(0, 60)))
        outcomes.append((position, realised(decision, earned)))
        if random.random() < 0.05:
            outcomes.append((position + 1, realised(decision, earned)))
    outcomes.sort(key=lambda one: one[0])
    taken = [stored(outcome, min(p, len(worker.writer.records)), i + 1) for i, (p, outcome) in enumerate(outcomes)]
    return worker.writer.bytes(), deque(taken)


def replay(fold: JournalFold, records: bytes, outcomes: deque[StoredOutcome]) -> list:
    return fold.replay(records, deque(outcomes))


def test_version_that_loses_only_by_what_is_posted_is_rolled_back() -> None:
    records, outcomes = life(1, loss_bps=4.0)
    by_paper = Policy(rollout=POLICY.rollout, outcomes=POLICY.outcomes)
    assert not any(isinstance(e, Concluded) for e in replay(JournalFold(by_paper), records, outcomes))
    ended = [e for e in replay(JournalFold(POLICY), records, outcomes) if isinstance(e, Concluded)]
    assert [(e.verdict, e.guardrail) for e in ended] == [("rolled_back", "pnl")]


def test_version_that_loses_nothing_is_kept_by_what_is_posted() -> None:
    events = [e for seed in (1, 2, 3) for e in replay(JournalFold(POLICY), *life(seed, loss_bps=0.0))]
    assert not any(isinstance(event, Concluded) for event in events)


LIVES = {seed: life(seed, loss_bps=3.0) for seed in (1, 2)}


@given(cuts=st.sets(st.integers(0, 8000), max_size=3), seed=st.sampled_from([1, 2]))
@settings(max_examples=6, deadline=None)
def test_restarted_anywhere_journal_and_outcomes_give_the_same_to_the_last_bit(cuts: set[int], seed: int) -> None:
    records, outcomes = LIVES[seed]
    straight = JournalFold(POLICY)
    expected = replay(straight, records, outcomes)
    edges = sorted({0, len(records) // RECORD_BYTES, *cuts})
    fold, got, waiting = JournalFold(POLICY), [], deque(outcomes)
    for start, end in itertools.pairwise(edges):
        got += fold.replay(records[start * RECORD_BYTES : end * RECORD_BYTES], waiting)
        fold = JournalFold.load(fold.save(), POLICY)
    assert got == expected
    assert verdicts(fold) == verdicts(straight)
    assert pack(fold) == pack(straight)


def test_tick_sizes_are_kept_and_the_first_word_stands(tmp_path: Path) -> None:
    def instrument(tick: str) -> Instrument:
        return Instrument(symbol="T:A", tick_size=tick, lot_size="1", currency="EUR")

    kept = TickFile(tmp_path / "journal")
    assert kept.of("T:A") is None
    kept.keep([instrument("0.05")])
    kept.keep([instrument("0.01")])
    assert TickFile(tmp_path / "journal").of("T:A") == 0.05
    (tmp_path / "journal" / "ticks.json").write_text("[")
    with pytest.raises(JournalError, match=r"ticks\.json: expected tick sizes"):
        TickFile(tmp_path / "journal")


def test_judge_of_a_journal_whose_oldest_segment_is_gone_takes_outcomes_in_their_places(tmp_path: Path) -> None:
    worker = SyntheticWorker(always)
    worker.adopt()  # a champion alone: what is left of the journal shows the rollout from its beginning
    worker.adopt(**SHARING)
    desk = Desk(worker, JournalFold(POLICY, lambda symbol: {"T:A": 0.5}.get(symbol)))
    desk.go_on(20)
    first, records = 1000, desk.worker.writer.records
    folder = tmp_path / "journal" / "worker-0"
    folder.mkdir(parents=True)
    header = struct.pack("<8sIIQ36x", b"RCJOURN1", 1, RECORD_BYTES, first)
    sealed = [raw[4:8] + struct.pack("<Q", first + at) + raw[16:] for at, raw in enumerate(records)]
    body = b"".join(struct.pack("<I", crc32c(raw)) + raw for raw in sealed)
    (folder / "00000007.rcj").write_bytes(header + struct.pack("<I", crc32c(header)) + body)
    outcomes = [stored(realised(n, 1.0), first + len(records), n) for n in range(1, 11)]
    (verdict,) = judge_journal(folder, POLICY, outcomes)
    assert verdict.reason == "10 decisions folded, no verdict yet"
