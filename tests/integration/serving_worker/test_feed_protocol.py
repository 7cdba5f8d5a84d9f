"""The worker's feed port: what publishers may send, and what becomes of those that break off."""

from pathlib import Path

import numpy as np
from worker_kit import HORIZON_NS, IF, Feed, ab_route, assert_whole, lineup, tier, touch_events, wait_for

from data_contracts.instrument import Instrument
from data_contracts.journal import AbstainReason, MarkoutStatus
from data_contracts.recording import Recording
from market_data.feature_sets import TOUCH_V1
from market_data.features import compute_features
from market_data.markouts import compute_markouts
from market_data.publish import publish
from serving.journal import read_journal


def test_bad_frames_are_answered_with_what_is_wrong(tmp_path: Path) -> None:
    with tier(tmp_path) as running:
        running.start()
        for kind, payload, message in [
            (2, b"", "expected HELLO first"),
            (9, b"", "kind: expected 1, 2 or 3, got 9"),
            (1, b"[]", "hello: expected different instruments"),
            (1, b'[{"symbol": "nothing"}]', "hello:"),
        ]:
            feed = running.feed(hello=False)
            feed.send(kind, payload)
            assert message in feed.receive()["error"]
            feed.close()
        feed = running.feed()
        feed.send(2, b"x" * 81)
        assert "multiple of 80" in feed.receive()["error"]
        feed.close()
        feed = running.feed()
        events = touch_events(3)
        events["instrument"][2] = 1
        feed.events(events)
        assert "event 2" in feed.receive()["error"]
        feed.close()
        assert running.feed().end() == {"events": 0, "decisions": 0}
        assert running.stop() == 0


def test_second_publisher_is_served_when_the_first_has_gone(tmp_path: Path) -> None:
    with tier(tmp_path) as running:
        running.start()
        first = running.feed()
        second = running.feed(hello=False)
        second.send(1, b'[{"symbol": "A:B", "tick_size": "1", "lot_size": "1", "currency": "EUR"}]')
        first.events(touch_events(10))
        assert first.end() == {"events": 10, "decisions": 0}
        first.close()
        assert second.receive() == {"accepted": True}
        second.close()
        wait_for(lambda: len(running.status().instruments) == 2, "both instruments")
        assert isinstance(running.status().instruments[1], Instrument)
        running.stop()


def test_feed_that_breaks_off_leaves_no_decision_without_markout(tmp_path: Path, versions: dict[int, Path]) -> None:
    with tier(tmp_path) as running:
        running.show(lineup(versions))
        running.routing.publish([ab_route()])
        running.start()
        feed: Feed = running.feed()
        feed.events(touch_events(500))
        feed.close()
        wait_for(lambda: running.status().counters["markouts"] == 500, "every mark-out")
        running.stop()
        assert_whole(read_journal(running.journal))


def test_publisher_of_recordings_is_understood(tmp_path: Path, versions: dict[int, Path]) -> None:
    recording = Recording(instrument=IF, events=touch_events(1000), source=tmp_path, skipped={})
    with tier(tmp_path) as running:
        running.show(lineup(versions))
        running.beat()
        running.routing.publish([ab_route()])
        running.start()
        summary = publish(recording, f"127.0.0.1:{running.status().feed_port}", speed=0)
        running.stop()
        journal = read_journal(running.journal)
    assert (summary.events, summary.decisions) == (1000, 1000)
    features, ready = compute_features(recording, TOUCH_V1)
    decisions = journal.decisions
    assert (decisions["abstain"] == AbstainReason.NONE).tolist() == ready.tolist()
    # What the live engine computed is, bit for bit, what training would have.
    hashes = [_fnv1a(row.tobytes()) if is_ready else 0 for row, is_ready in zip(features, ready, strict=True)]
    assert decisions["feature_hash"].tolist() == hashes
    paid = compute_markouts(recording, entry_latency_ns=1_000_000, horizon_ns=HORIZON_NS)
    live = journal.markouts[np.argsort(journal.markouts["decision_id"])]
    ok = live["status"] == MarkoutStatus.OK
    for column in ("buy_pnl_bps", "sell_pnl_bps"):
        np.testing.assert_array_equal(live[column][ok], paid[column][ok])


def _fnv1a(data: bytes) -> int:
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 & (2**64 - 1)
    return value
