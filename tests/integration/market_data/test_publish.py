"""Publishing over real sockets to a small door that speaks the feed protocol."""

import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from data_contracts.errors import MarketDataError, UsageError
from data_contracts.instrument import Instrument
from data_contracts.market_event import MARKET_EVENT
from data_contracts.recording import Recording
from market_data.publish import publish
from tests.support.feed_door import Door


@pytest.fixture
def door() -> Iterator[Door]:
    door = Door()
    yield door
    door.close()


def recording(symbol: str, times_ns: np.ndarray) -> Recording:
    events = np.zeros(len(times_ns), dtype=MARKET_EVENT)
    events["event_ns"] = times_ns
    events["sequence"] = np.arange(len(events))
    instrument = Instrument(symbol=symbol, tick_size="0.01", lot_size="1", currency="USD")
    return Recording(instrument=instrument, events=events, source=Path("made"), skipped={})


def test_every_event_arrives_once_and_in_order(door: Door) -> None:
    made = recording("A:B", np.arange(10_000) * 10**6)
    summary = publish(made, door.address, speed=0)
    assert (summary.events, summary.decisions, summary.stopped) == (10_000, 5, False)
    assert door.events.tobytes() == made.events.tobytes()
    assert door.instruments[0]["symbol"] == "A:B"


def test_account_and_arm_are_said_at_the_start(door: Door) -> None:
    publish(recording("A:B", np.arange(10)), door.address, speed=0, account="fund-1", arm="challenger")
    assert (door.said.account, door.said.arm) == ("fund-1", "challenger")
    assert [one.symbol for one in door.said.instruments] == ["A:B"]


def test_several_instruments_are_merged_by_event_time_and_named_by_position(door: Door) -> None:
    first = recording("A:B", np.arange(100) * 2)
    second = recording("A:C", np.arange(100) * 2 + 1)
    publish([first, second], door.address, speed=0)
    assert [each["symbol"] for each in door.instruments] == ["A:B", "A:C"]
    assert door.events["event_ns"].tolist() == list(range(200))
    assert door.events["instrument"].tolist() == [0, 1] * 100


def test_events_keep_their_pace(door: Door) -> None:
    made = recording("A:B", np.arange(11) * 10**9)
    summary = publish(made, door.address, speed=20)
    assert 0.5 <= summary.seconds < 1.5  # 10 s of event time, twenty to the second
    assert summary.worst_lag_ms < 300
    assert len(door.frames) > 5


def test_long_silence_is_shortened(door: Door) -> None:
    made = recording("A:B", np.array([0, 3600 * 10**9]))
    assert publish(made, door.address, speed=300).seconds < 2  # a minute of event time, not an hour


def test_feed_that_is_told_to_stop_ends_in_order(door: Door) -> None:
    made = recording("A:B", np.arange(1000) * 10**9)
    asked = iter([False, False, True])
    summary = publish(made, door.address, speed=0, should_stop=lambda: next(asked))
    assert summary.stopped
    assert summary.events == len(door.events) == 128  # two batches
    assert summary.decisions == 5


def test_progress_ends_at_the_whole(door: Door) -> None:
    told: list[tuple[int, int]] = []
    made = recording("A:B", np.arange(500))
    publish(made, door.address, speed=0, on_progress=lambda sent, total: told.append((sent, total)))
    assert told[-1] == (500, 500)


def test_refused_feed_gives_the_reason() -> None:
    door = Door(refusal="no model wants A:B")
    with pytest.raises(MarketDataError, match="the feed was refused: no model wants A:B"):
        publish(recording("A:B", np.arange(5)), door.address, speed=0)
    door.close()


def test_feed_that_is_cut_half_way_gives_the_reason() -> None:
    door = Door(cut_after=2)
    made = recording("A:B", np.arange(200_000))
    with pytest.raises(MarketDataError, match=r"^127\.0\.0\.1:\d+: the feed was (refused|cut)"):
        publish(made, door.address, speed=0)
    door.close()


def test_no_listener_is_one_line_that_names_the_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    with pytest.raises(UsageError, match=f"{address}: no feed door answers: Connection refused"):
        publish(recording("A:B", np.arange(5)), address, speed=0)


@pytest.mark.parametrize("address", ["localhost", "localhost:x", ":80", "localhost:0", "localhost:70000"])
def test_bad_address_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match="address: expected HOST:PORT"):
        publish(recording("A:B", np.arange(5)), address, speed=0)


@pytest.mark.parametrize("speed", [-1.0, float("nan")])
def test_bad_speed_is_refused(speed: float) -> None:
    with pytest.raises(UsageError, match="speed: expected 0 or more"):
        publish(recording("A:B", np.arange(5)), "localhost:1", speed=speed)


def test_nothing_to_publish_is_refused() -> None:
    with pytest.raises(UsageError, match="expected at least one event, got none"):
        publish([], "localhost:1", speed=0)
