"""Who decides: by decision, instrument or account, and where a feed asks for an arm."""

import time
from pathlib import Path

import msgspec
import numpy as np
import pytest
from worker_kit import IF, SALT, Feed, Tier, ab_route, lineup, tier, touch_events, wait_for

from data_contracts.feed_hello import FeedHello
from data_contracts.instrument import Instrument
from data_contracts.journal import Arm, AssignBy, Phase, RecordType
from native._native import assignment_key, falls_to_challenger
from serving.journal import Journal, read_journal


def hello(running: Tier, said: FeedHello) -> tuple[Feed, dict[str, object]]:
    feed = running.feed(hello=False)
    feed.send(1, msgspec.json.encode(said))
    return feed, feed.receive()


def started(running: Tier, versions: dict[int, Path], **route: object) -> None:
    running.show(lineup(versions))
    running.beat()
    running.routing.publish([ab_route(**route)])
    running.start()


def draw(keys: list[str], share_bps: int) -> list[bool]:
    return falls_to_challenger(np.array([assignment_key(key) for key in keys], np.uint64), SALT, share_bps).tolist()


def test_by_instrument_each_one_keeps_its_arm(tmp_path: Path, versions: dict[int, Path]) -> None:
    symbols = [f"X:S{i}" for i in range(40)]
    instruments = tuple(Instrument(symbol=one, tick_size="1", lot_size="1", currency="USD") for one in symbols)
    events = touch_events(4000)
    events["instrument"] = np.arange(4000) % 40
    with tier(tmp_path) as running:
        started(running, versions, share_bps=3000, assign_by=int(AssignBy.INSTRUMENT))
        feed, answer = hello(running, FeedHello(instruments=instruments))
        assert answer == {"accepted": True}
        feed.events(events)
        feed.end()
        feed.close()
        running.stop()
        journal = read_journal(running.journal)
    decisions = journal.decisions
    assert set(decisions["assigned_by"]) == {AssignBy.INSTRUMENT}
    assert journal.select(RecordType.EPOCH)["assign_by"].tolist() == [AssignBy.INSTRUMENT]
    by_place = [set(decisions["arm"][decisions["instrument"] == place]) for place in range(40)]
    expected = draw([journal.instruments[place] for place in range(40)], 3000)
    assert by_place == [{Arm.CHALLENGER if challenger else Arm.CHAMPION} for challenger in expected]
    assert 3 <= sum(expected) <= 21


def test_by_account_a_feed_keeps_its_arm_and_one_without_goes_by_decision(
    tmp_path: Path, versions: dict[int, Path]
) -> None:
    accounts = [f"fund-{i}" for i in range(6)]
    with tier(tmp_path) as running:
        started(running, versions, share_bps=5000, assign_by=int(AssignBy.ACCOUNT))
        for place, account in enumerate([*accounts, None]):
            feed, answer = hello(running, FeedHello(instruments=(IF,), account=account))
            assert answer == {"accepted": True}
            feed.events(touch_events(400, start=place * 400))
            feed.end()
            feed.close()
        wait_for(lambda: running.status().counters["decisions"] == 2800, "every decision")
        running.stop()
        counters, journal = running.status().counters, read_journal(running.journal)
    decisions = journal.decisions
    arms = [decisions["arm"][place * 400 : (place + 1) * 400] for place in range(7)]
    expected = draw(accounts, 5000)
    assert [set(arm) for arm in arms[:6]] == [{Arm.CHALLENGER if one else Arm.CHAMPION} for one in expected]
    assert len(set(expected)) == 2
    ids = decisions["decision_id"][-400:].astype(np.uint64)
    assert ((arms[6] == Arm.CHALLENGER) == falls_to_challenger(ids, SALT, 5000)).all()
    assert counters["keys_absent"] == 400
    assert set(decisions["assigned_by"][-400:]) == {AssignBy.DECISION}


@pytest.mark.parametrize("arm", ["champion", "challenger"])
def test_arm_that_is_asked_for_is_given_and_marked(tmp_path: Path, versions: dict[int, Path], arm: str) -> None:
    with tier(tmp_path, allow_arm_override="true") as running:
        started(running, versions, share_bps=0, phase=int(Phase.SHADOW))
        feed, answer = hello(running, FeedHello(instruments=(IF,), arm=arm))
        assert answer == {"accepted": True}
        feed.events(touch_events(400))
        feed.end()
        feed.close()
        feed = running.feed()  # the next asks for nothing
        feed.events(touch_events(400, start=400))
        feed.end()
        feed.close()
        running.stop()
        counters, journal = running.status().counters, read_journal(running.journal)
    decisions = journal.decisions
    assert decisions["overridden"].tolist() == [1] * 400 + [0] * 400
    assert set(decisions["arm"][:400]) == {Arm[arm.upper()]}
    assert set(decisions["arm"][400:]) == {Arm.CHAMPION}
    assert counters["overridden"] == 400


def test_arm_may_not_be_asked_for_unless_the_tier_allows_it(tmp_path: Path, versions: dict[int, Path]) -> None:
    with tier(tmp_path) as running:
        started(running, versions)
        _, answer = hello(running, FeedHello(instruments=(IF,), arm="challenger"))
        running.stop()
    assert answer == {
        "error": "hello: arm: expected none, as serving.allow_arm_override is false, got challenger",
    }


def test_arm_that_is_asked_for_never_brings_back_what_nobody_judges(tmp_path: Path, versions: dict[int, Path]) -> None:
    with tier(tmp_path, allow_arm_override="true", heartbeat_timeout_ms=200) as running:
        running.show(lineup(versions))
        running.routing.publish([ab_route()])
        running.start()
        time.sleep(0.3)
        feed, _ = hello(running, FeedHello(instruments=(IF,), arm="challenger"))
        feed.events(touch_events(300))
        feed.end()
        feed.close()
        running.stop()
        journal: Journal = read_journal(running.journal)
    assert set(journal.decisions["arm"]) == {Arm.CHAMPION}
    assert set(journal.decisions["overridden"]) == {1}


def test_share_that_grows_takes_no_instrument_back(tmp_path: Path, versions: dict[int, Path]) -> None:
    symbols = [f"X:S{i}" for i in range(60)]
    instruments = tuple(Instrument(symbol=one, tick_size="1", lot_size="1", currency="USD") for one in symbols)
    with tier(tmp_path) as running:
        started(running, versions, share_bps=1000, assign_by=int(AssignBy.INSTRUMENT))
        feed, _ = hello(running, FeedHello(instruments=instruments))
        arms = []
        for place, share_bps in enumerate((1000, 5000)):
            running.routing.publish([ab_route(share_bps, assign_by=int(AssignBy.INSTRUMENT))])
            events = touch_events(120, start=place * 120)
            events["instrument"] = np.arange(120) % 60
            feed.events(events)
            wait_for(lambda place=place: running.status().counters["decisions"] == 120 * (place + 1), "the decisions")
        feed.end()
        feed.close()
        running.stop()
        decisions = read_journal(running.journal).decisions
    arms = [
        dict(zip(part["instrument"].tolist(), part["arm"].tolist(), strict=True)) for part in np.split(decisions, 2)
    ]
    few, many = ({one for one, arm in chosen.items() if arm == Arm.CHALLENGER} for chosen in arms)
    assert few < many
