"""The worker as a process: real models, real sockets, real kills."""

import contextlib
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from worker_kit import (
    HORIZON_NS,
    IF,
    MODEL,
    SALT,
    Feed,
    Tier,
    ab_route,
    assert_whole,
    linear_graph,
    lineup,
    nan_graph,
    serve_all,
    slow_graph,
    tier,
    touch_events,
    wait_for,
    write_version,
)

from data_contracts.journal import AbstainReason, Arm, MarkoutStatus, Phase, RecordType, TripKind
from data_contracts.market_event import EventFlag
from market_data.feature_sets import TOUCH_V1
from native._native import drain_ring, kernel_isa
from serving.journal import read_journal


def test_every_decision_gets_its_markout_its_shadow_and_its_arm(tmp_path: Path, versions: dict[int, Path]) -> None:
    with tier(tmp_path) as running:
        running.show(lineup(versions))
        running.beat()
        epoch = running.routing.publish([ab_route(3000)])
        running.start()
        assert serve_all(running, touch_events(8000)) == {"events": 8000, "decisions": 8000}
        assert running.stop() == 0
        journal = read_journal(running.journal)
        counters = running.status().counters
    assert_whole(journal)
    assert (journal.models, journal.instruments) == ({0: MODEL}, {0: IF.symbol})
    decisions = journal.decisions
    assert set(decisions["epoch"]) == {epoch}
    assert (decisions["abstain"] == AbstainReason.NOT_WARM).sum() == TOUCH_V1.warm_up_events - 1
    challenger = decisions["arm"] == Arm.CHALLENGER
    assert challenger.mean() == pytest.approx(0.3, abs=0.02)
    assert set(decisions["version"][challenger]) == {2}
    assert challenger.tolist() == [_falls_to_challenger(one, 3000) for one in decisions["decision_id"].tolist()]
    shadows = journal.select(RecordType.SHADOW)
    assert {(3 - version) for version in shadows["version"][shadows["arm"] == Arm.CHAMPION]} == {2}
    ok = journal.markouts["status"] == MarkoutStatus.OK
    assert ok.mean() > 0.99
    assert set(journal.markouts["resolved_event_ns"][ok] - journal.markouts["decision_event_ns"][ok]) == {HORIZON_NS}
    assert counters["journal_dropped"] == 0
    assert counters["shadows_dropped"] == 0  # fewer than the queue takes
    assert counters["journal_synced"] == len(journal)


def _falls_to_challenger(decision_id: int, share_bps: int) -> bool:
    mask = 2**64 - 1
    value = ((decision_id ^ SALT) + 0x9E3779B97F4A7C15) & mask
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & mask
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & mask
    return (value ^ (value >> 31)) % 10_000 < share_bps


def test_acted_and_shadow_answers_of_one_version_agree_with_the_graph(
    tmp_path: Path, versions: dict[int, Path]
) -> None:
    with tier(tmp_path) as running:
        running.show(lineup({1: versions[1], 2: versions[1]}))  # the same graph twice
        running.beat()
        running.routing.publish([ab_route()])
        running.start()
        serve_all(running, touch_events(1500))
        running.stop()
        journal = read_journal(running.journal)
    decisions, shadows = journal.decisions, journal.select(RecordType.SHADOW)
    shadows = shadows[np.argsort(shadows["decision_id"])]
    for column in ("output_0", "output_1", "output_2", "action", "abstain"):
        np.testing.assert_array_equal(decisions[column], shadows[column])


def test_unusable_touch_abstains_with_its_reason(tmp_path: Path, versions: dict[int, Path]) -> None:
    events = touch_events(600)
    events["flags"][300:303] = (EventFlag.CROSSED, EventFlag.HALTED, EventFlag.GAP)
    events["flags"][303:305] = (EventFlag.ONE_SIDED, EventFlag.AUCTION)
    events["flags"][305:307] = (EventFlag.RESYNC | EventFlag.GAP, EventFlag.STALE)
    with tier(tmp_path) as running:
        running.show(lineup(versions))
        running.beat()
        running.routing.publish([ab_route()])
        running.start()
        serve_all(running, events)
        running.stop()
        journal = read_journal(running.journal)
    assert_whole(journal)
    reasons = journal.decisions["abstain"][300:308].tolist()
    wanted = ["CROSSED", "HALTED", "GAP", "ONE_SIDED", "AUCTION", "RESYNC", "STALE", "NONE"]
    assert [AbstainReason(reason).name for reason in reasons] == wanted
    assert not journal.decisions["action"][300:307].any()


def test_killed_worker_loses_nothing_and_goes_on(tmp_path: Path, versions: dict[int, Path]) -> None:
    with tier(tmp_path, heartbeat_timeout_ms=200) as running:
        running.show(lineup(versions))
        running.beat()
        running.routing.publish([ab_route()])
        running.start()
        port = running.status().feed_port
        feed = running.feed()
        feed.events(touch_events(3000))
        assert feed.end()["decisions"] == 3000  # acknowledged
        _kill_in_mid_stream(running, feed, touch_events(300_000, start=3000))
        written = read_journal(running.journal)
        waiting = drain_ring(str(running.rings_path), str(running.journal))
        drained = read_journal(running.journal)
        assert len(drained) == len(written) + waiting
        assert drain_ring(str(running.rings_path), str(running.journal)) == 0
        running.still()  # and no controller: the line-up and the routes are enough
        time.sleep(0.2)
        running.start()
        assert running.status().feed_port == port
        serve_all(running, touch_events(1000, start=400_000))
        assert running.stop() == 0
        journal = read_journal(running.journal)
    assert 3000 < len(drained.decisions) < 303_000
    assert_whole(journal)
    assert len(journal.decisions) == len(drained.decisions) + 1000
    assert journal.records[: len(drained)].tobytes() == drained.records.tobytes()
    assert set(journal.decisions["version"][-1000:]) == {1}  # nothing unjudged trades


def _kill_in_mid_stream(running: Tier, feed: Feed, events: np.ndarray) -> None:
    def stream() -> None:
        with contextlib.suppress(OSError):
            feed.events(events)

    sender = threading.Thread(target=stream)
    size = _journal_bytes(running)
    sender.start()
    wait_for(lambda: _journal_bytes(running) > size + 1_000_000, "the journal to grow")
    running.kill()
    sender.join()
    feed.close()


def _journal_bytes(running: Tier) -> int:
    return sum(path.stat().st_size for path in running.journal.glob("*.rcj"))


def test_challenger_that_answers_nan_is_taken_off_at_once(tmp_path: Path, versions: dict[int, Path]) -> None:
    bad = write_version(tmp_path / "nan", nan_graph)
    with tier(tmp_path) as running:
        running.show(lineup({1: versions[1], 2: bad}))
        running.beat()
        running.routing.publish([ab_route()])
        running.start()
        serve_all(running, touch_events(1000))
        running.stop()
        journal = read_journal(running.journal)
    (trip,) = journal.select(RecordType.TRIP)
    assert (trip["kind"], trip["version"], trip["rollout_id"]) == (TripKind.BAD_OUTPUT, 2, 1)
    decisions = journal.decisions
    after = decisions["decision_id"] > trip["decision_id"]
    assert not (decisions["arm"][after] == Arm.CHALLENGER).any()
    assert set(decisions["share_bps"][after]) == {0}
    bad_ones = decisions[decisions["abstain"] == AbstainReason.BAD_OUTPUT]
    assert 1 <= len(bad_ones) <= 3
    assert not bad_ones["action"].any()
    assert_whole(journal)


def test_challenger_that_answers_nan_in_shadow_never_gets_a_share(tmp_path: Path, versions: dict[int, Path]) -> None:
    bad = write_version(tmp_path / "nan", nan_graph)
    with tier(tmp_path) as running:
        running.show(lineup({1: versions[1], 2: bad}))
        running.beat()
        running.routing.publish([ab_route(0, phase=int(Phase.SHADOW))])
        running.start()
        feed = running.feed()
        feed.events(touch_events(600))
        wait_for(lambda: running.status().counters["shadows_scored"] >= 400, "the shadow to be scored")
        feed.events(touch_events(1, start=600))
        wait_for(lambda: running.status().counters["trips"] == 1, "the trip")
        feed.close()
        running.stop()
        assert read_journal(running.journal).select(RecordType.TRIP)["kind"].tolist() == [TripKind.BAD_OUTPUT]


def test_slow_challenger_is_taken_off_for_being_late(tmp_path: Path, versions: dict[int, Path]) -> None:
    slow = write_version(tmp_path / "slow", lambda path: slow_graph(path), parity_tolerance=1e-3)
    with tier(tmp_path) as running:
        running.show(lineup({1: versions[1], 2: slow}, budget_us=1000, late_or_failed_of_64=20))
        running.beat()
        running.routing.publish([ab_route()])
        running.start()
        serve_all(running, touch_events(500))
        running.stop()
        journal = read_journal(running.journal)
    (trip,) = journal.select(RecordType.TRIP)
    assert (trip["kind"], trip["limit"]) == (TripKind.LATE_OR_FAILED, 20)
    after = journal.decisions["decision_id"] > trip["decision_id"]
    assert after.sum() > 0
    assert not (journal.decisions["arm"][after] == Arm.CHALLENGER).any()
    assert_whole(journal)


def test_challenger_that_loses_its_budget_is_taken_off(tmp_path: Path, versions: dict[int, Path]) -> None:
    always_buys = write_version(tmp_path / "buys", lambda path: linear_graph(path, bias=(0.0, 0.0, 90.0)))
    with tier(tmp_path) as running:
        running.show(lineup({1: versions[1], 2: always_buys}, loss_budget_bps=20.0))
        running.beat()
        running.routing.publish([ab_route()])
        running.start()
        serve_all(running, touch_events(2000))
        running.stop()
        journal = read_journal(running.journal)
    (trip,) = journal.select(RecordType.TRIP)
    assert trip["kind"] == TripKind.LOSS_BUDGET
    assert trip["value"] < trip["limit"] == -20.0
    own = journal.decisions[(journal.decisions["arm"] == Arm.CHALLENGER) & (journal.decisions["action"] != 0)]
    paid = {one["decision_id"]: one for one in journal.markouts if one["index"] < trip["index"]}
    earned = sum(
        paid[one["decision_id"]]["buy_pnl_bps" if one["action"] > 0 else "sell_pnl_bps"]
        for one in own
        if one["decision_id"] in paid and paid[one["decision_id"]]["status"] == MarkoutStatus.OK
    )
    assert earned == pytest.approx(trip["value"])


def test_lost_heartbeat_returns_every_share_to_the_champion(tmp_path: Path, versions: dict[int, Path]) -> None:
    with tier(tmp_path, heartbeat_timeout_ms=300) as running:
        running.show(lineup(versions))
        running.beat()
        running.routing.publish([ab_route()])
        running.start()
        feed = running.feed()
        feed.events(touch_events(500))
        wait_for(lambda: running.status().counters["decisions"] == 500, "500 decisions")
        running.still()
        time.sleep(0.5)
        feed.events(touch_events(500, start=500))
        wait_for(lambda: running.status().counters["decisions"] == 1000, "1000 decisions")
        running.beat()
        wait_for(lambda: running.status().counters["heartbeat_lost"] == 0, "the heartbeat to be seen")
        feed.events(touch_events(500, start=1000))
        feed.end()
        running.stop()
        journal = read_journal(running.journal)
    arms = journal.decisions["arm"]
    assert (arms[:500] == Arm.CHALLENGER).mean() == pytest.approx(0.5, abs=0.1)
    assert not (arms[500:1000] == Arm.CHALLENGER).any()
    assert (arms[1000:] == Arm.CHALLENGER).any()
    assert journal.select(RecordType.EPOCH)["heartbeat_lost"].tolist() == [0, 1, 0]


def test_new_lineup_is_taken_up_while_events_flow(tmp_path: Path, versions: dict[int, Path]) -> None:
    third = write_version(tmp_path / "3", lambda path: linear_graph(path, seed=9))
    with tier(tmp_path) as running:
        running.show(lineup(versions))
        running.beat()
        running.routing.publish([ab_route()])
        running.start()
        feed = running.feed()
        feed.events(touch_events(2000))
        status = running.show(lineup(versions | {3: third}, generation=2))
        assert [(one.version, one.state, one.tier) for one in status.slots] == [
            (1, "ready", f"dense-{kernel_isa()}"),
            (2, "ready", f"dense-{kernel_isa()}"),
            (3, "ready", f"dense-{kernel_isa()}"),
        ]
        running.routing.publish([ab_route(champion_slot=2, champion_version=3)])
        feed.events(touch_events(2000, start=2000))
        feed.end()
        running.show(lineup({3: third}, generation=3))  # the others are freed while a feed is open
        feed.close()
        running.stop()
        journal = read_journal(running.journal)
    assert_whole(journal)
    decisions = journal.decisions
    assert set(decisions["version"][decisions["epoch"] == 2]) == {2, 3}
    second = journal.select(RecordType.EPOCH)[-1]
    assert (decisions["epoch"] == 2).argmax() + 1 == second["next_decision_id"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"feature_hash": "0" * 16}, "live hash"),
        ({"model": "another"}, "expected touch-net, got another"),
        ({"parity_tolerance": -1.0}, "golden vector 0"),
        ({"inputs": 3}, "inputs: expected 16"),
        ({"files": {"model.onnx": "0" * 64, "golden.json": "0" * 64}}, "expected SHA-256"),
    ],
)
def test_version_that_cannot_be_verified_is_refused_with_its_reason(
    tmp_path: Path, versions: dict[int, Path], changes: dict[str, object], reason: str
) -> None:
    from data_contracts.settings import Settings
    from serving.worker import PreparedWorker

    bad = write_version(tmp_path / "bad", linear_graph, **changes)
    with tier(tmp_path) as running:
        running.show(lineup({1: versions[1], 2: bad}))
        settings = Settings(state_dir=running.state, serving={"feed_port": 0, "rest_port": 0})
        worker = PreparedWorker(settings, number=0)
        worker.adopt_lineup()
        worker.start()
        worker.stop()
        good, refused = running.status().slots
    assert good.state == "ready"
    assert refused.state == "failed"
    assert reason in refused.reason
