"""What is watched, fed by journals as a worker writes them: alarms, pauses, and that nothing is taken off."""

import json
from dataclasses import dataclass

import msgspec
import numpy as np
from support.journals import Answer, SyntheticWorker, World, equal
from test_fold import POLICY, begun, follow

from data_contracts.journal import Phase, RecordType
from data_contracts.policy import Policy
from data_contracts.watch_policy import AbstentionWatch, DriftWatch, ShareWatch, Watch
from serving.rollout.desk import Desk
from serving.rollout.desk_state import DeskState, Rollout
from serving.rollout.effects import Noted
from serving.rollout.events import Alarmed, Paused
from serving.rollout.fold import JournalFold
from serving.rollout.watching import Watching


def watched(**changes: object) -> Policy:
    return msgspec.structs.replace(POLICY, watch=Watch(**changes))


def reserved(random: np.random.Generator, id_: int) -> World:
    """The challenger is equal and abstains on one decision in ten."""
    world = equal(random, id_)
    if random.random() < 0.1:
        world.challenger = Answer(abstain=9)
    return world


@dataclass
class Lopsided(SyntheticWorker):
    """Routes fewer decisions to the challenger than it was told, and says that it did as told."""

    def decide(self, count: int = 1) -> None:
        for _ in range(count):
            told, self.route["share_bps"] = self.route["share_bps"], self.route["share_bps"] // 2
            super().decide(1)
            self.route["share_bps"] = told


def in_ab(draw, **changes: int) -> JournalFold:
    fold = JournalFold(watched())
    worker = Lopsided(draw, seed=2) if changes.pop("lopsided", 0) else SyntheticWorker(draw, seed=2)
    worker.adopt(rollout_id=1, champion=1, challenger=2, phase=Phase.AB, share_bps=3000, step=1, **changes)
    worker.decide(900)
    worker.finish()
    fold.consume(worker.writer.bytes())
    return fold


def test_equal_version_raises_nothing_on_its_way() -> None:
    fold, events = follow(begun(equal), watched(), 3000)
    assert not [event for event in events if isinstance(event, Alarmed)]
    watching = fold.models[0].rollouts[1].watching
    assert [alarm.name for alarm in watching.readings()] == ["share", "latency", "abstentions", "drift", "calibration"]
    assert watching.alarms() == ()


def test_share_served_against_share_routed() -> None:
    assert in_ab(equal).models[0].rollouts[1].watching.alarms() == ()
    (alarm,) = in_ab(equal, lopsided=1).models[0].rollouts[1].watching.alarms()
    assert (alarm.name, alarm.limit) == ("share", 0.3)
    assert 0.1 < (alarm.value or 0) < 0.2


def test_lost_heartbeat_explains_a_missing_share() -> None:
    assert in_ab(equal, lopsided=1, heartbeat_lost=1).models[0].rollouts[1].watching.alarms() == ()


def test_alarm_is_told_once_and_takes_nothing_off() -> None:
    _, events = follow(begun(reserved), watched(), 3000)
    alarmed = [event for event in events if isinstance(event, Alarmed)]
    assert [(event.name, event.raised) for event in alarmed] == [("abstentions", True)]
    assert alarmed[0].text.startswith("abstained alone on ")
    assert not [event for event in events if isinstance(event, Paused)]


def test_alarm_that_pauses_asks_for_a_pause_and_ends_nothing() -> None:
    fold, events = follow(begun(reserved), watched(abstentions=AbstentionWatch(action="pause")), 3000)
    ((at, paused),) = [(at, event) for at, event in enumerate(events) if isinstance(event, Paused)]
    assert paused.reason.startswith("alarm abstentions: abstained alone on ")
    assert isinstance(events[at - 1], Alarmed)
    rollout = fold.models[0].rollouts[1]
    assert (rollout.watching.pauses(), rollout.concluded) == (("abstentions",), None)


def test_what_is_off_is_not_looked_at() -> None:
    off = {name: {"action": "off"} for name in ("share", "latency", "abstentions", "drift", "calibration")}
    policy = msgspec.structs.replace(POLICY, watch=msgspec.convert(off, Watch))
    fold, events = follow(begun(reserved), policy, 2000)
    assert not [event for event in events if isinstance(event, Alarmed)]
    assert fold.models[0].rollouts[1].watching.readings() == ()


def test_everything_is_kept_bit_for_bit_wherever_it_is_cut() -> None:
    policy = watched(drift=DriftWatch(reference_decisions=300, window_decisions=100), share=ShareWatch(action="pause"))
    worker = begun(reserved)
    worker.decide(700)
    worker.adopt(rollout_id=1, champion=1, challenger=2, phase=Phase.AB, share_bps=5000, step=1)
    worker.decide(500)
    records = worker.writer.records
    straight = JournalFold(policy)
    straight.consume(b"".join(records))
    cut = JournalFold(policy)
    for start in range(0, len(records), 611):
        cut.consume(b"".join(records[start : start + 611]))
        for rollout in cut.models[0].rollouts.values():
            saved = json.loads(json.dumps(rollout.watching.save()))
            rollout.watching = Watching(policy, rollout.kind)
            rollout.watching.load(saved)
    kept, whole = (fold.models[0].rollouts[1].watching for fold in (cut, straight))
    assert kept.save() == whole.save()
    assert kept.readings() == whole.readings()


def test_alarm_is_noted_once_however_often_the_journal_is_read() -> None:
    state = DeskState(model="m", index=0, champion=1)
    state.rollout = Rollout(rollout_id=1, kind="challenger", version=2, control=1, stage="ab", step=1)
    desk = Desk(state, POLICY, lambda: 9)
    about = {"model": "m", "rollout_id": 1, "version": 2}
    told = [
        Alarmed(**about, decision=7, name="drift", raised=True, text="far"),
        Alarmed(**about, decision=7, name="share", raised=True, text="few"),
        Alarmed(**about, decision=9, name="drift", raised=False, text="near"),
    ]
    for event in [*told, *told]:
        desk.folded(event)
    noted = [(one.kind, one.text, one.decision) for one in desk.effects if isinstance(one, Noted)]
    assert noted == [("alarm", "drift: far", 7), ("alarm", "share: few", 7), ("alarm_cleared", "drift: near", 9)]


def test_drift_is_read_off_the_judged_versions_outputs() -> None:
    worker = SyntheticWorker(equal)
    worker.adopt(rollout_id=1, champion=1, challenger=2, phase=Phase.SHADOW)
    worker.decide(1200)
    random = np.random.default_rng(1)
    for at, record in enumerate(worker.writer.records):
        if record[4] == RecordType.SHADOW:
            moved = float(random.normal(2.0 if at > 2000 else 0.0))
            worker.writer.records[at] = record[:32] + np.float32(moved).tobytes() + record[36:]
    policy = watched(drift=DriftWatch(reference_decisions=300, window_decisions=100))
    fold = JournalFold(policy)
    events = [event for event in fold.consume(worker.writer.bytes()) if isinstance(event, Alarmed)]
    assert [(event.name, event.raised) for event in events] == [("drift", True)]
