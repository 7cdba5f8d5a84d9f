"""Each named tape through the real decoder and book: what was injected is what is reported, at its message."""

import numpy as np
import pytest
from support.tapes import Replayed, assert_same_book, replay_tape

from data_contracts.market_event import EventFlag
from market_data.tapes.named import TAPES
from market_data.tapes.truth import Injected

ON_PACKETS = [name for name, tape in TAPES.items() if tape.needs_packets]
STATES = EventFlag.HALTED | EventFlag.AUCTION | EventFlag.CROSSED | EventFlag.LOCKED | EventFlag.STALE | EventFlag.GAP


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Replayed]:
    folder = tmp_path_factory.mktemp("tapes")
    return {name: replay_tape(folder, tape) for name, tape in TAPES.items()}


@pytest.mark.parametrize("name", [name for name in TAPES if name != "feed-gap"])
def test_book_is_the_simulators_own_at_every_change(replayed: dict[str, Replayed], name: str) -> None:
    tape = replayed[name]
    assert assert_same_book(tape) == len(tape.touches)
    assert sum(tape.day.by_type.values()) == tape.truth.messages
    assert tape.day.by_type == tape.truth.by_type
    assert set(tape.day.skipped) <= {"duplicate_message"}


@pytest.mark.parametrize("name", ["calm", "trending", "flash-crash", "ten-fold-burst", "regime-change", "thin-night"])
def test_ordinary_trading_has_no_state_that_forbids_it(replayed: dict[str, Replayed], name: str) -> None:
    events = replayed[name].events
    assert not (events["flags"][1:] & int(STATES)).any()  # the first order stands alone
    assert np.all(np.diff(events["event_ns"]) >= 0)


def _mid(tape: Replayed, at_s: float) -> float:
    last = tape.between(0, at_s)[-1]
    return (last["bid_ticks"] + last["ask_ticks"]) / 2


def test_trend_carries_the_mid_with_it(replayed: dict[str, Replayed]) -> None:
    tape = replayed["trending"]
    assert abs(_mid(tape, 300) - _mid(tape, 0.5) - 0.5 * 300) < 60  # noise of 0.8 ticks a root second, and the edge's


def test_flash_crash_falls_on_sellers_and_comes_back(replayed: dict[str, Replayed]) -> None:
    tape = replayed["flash-crash"]
    before, low, after = _mid(tape, 120), _mid(tape, 131), _mid(tape, 200)
    assert -330 < low - before < -250
    assert -60 < after - before < 10
    falling = tape.between(120, 130)
    sold, bought = ((sign * falling["trade_lots"] > 0).sum() for sign in (-1, 1))
    assert sold > 3 * bought
    assert falling["bid_lots"].mean() < 0.8 * tape.between(0, 120)["bid_lots"].mean()


def test_halt_auction_and_cross_come_at_their_messages(replayed: dict[str, Replayed]) -> None:
    tape = replayed["halt-and-reopen"]
    halt = tape.truth.injected[1]
    halted, gathering = tape.flagged(EventFlag.HALTED), tape.flagged(EventFlag.AUCTION)
    assert halted["sequence"][0] == halt.first_message
    assert halted["event_ns"][0] == halt.start_ns
    assert gathering["event_ns"][0] - halt.start_ns == 60 * 10**9
    crossing = gathering[gathering["trade_ticks"] != 0]
    assert len(crossing) == 1  # the cross; its single executions are not printable
    reopened = tape.events[tape.events["sequence"] > crossing["sequence"][0]][0]
    assert reopened["event_ns"] == halt.end_ns
    assert not reopened["flags"]
    assert tape.truth.by_type["C"] >= 2
    assert tape.truth.by_type["I"] == tape.truth.by_type["Q"] == 1
    # Between the cross and trading again both sides are what is left of it: not crossed, around its price.
    assert reopened["bid_ticks"] <= crossing["trade_ticks"][0] <= reopened["ask_ticks"]
    assert (gathering["flags"] & int(EventFlag.CROSSED)).any()
    outside = (tape.events["sequence"] < halt.first_message) | (tape.events["event_ns"] > halt.end_ns)
    assert not (tape.events["flags"][outside][1:] & int(EventFlag.HALTED | EventFlag.AUCTION)).any()


def test_burst_has_ten_times_the_messages(replayed: dict[str, Replayed]) -> None:
    tape = replayed["ten-fold-burst"]
    (burst,) = tape.truth.injected
    during = burst.messages / 30
    around = (tape.truth.messages - burst.messages) / 270
    assert 8 < during / around < 12


def test_gaps_are_counted_and_the_book_after_the_last_is_marked(replayed: dict[str, Replayed]) -> None:
    tape = replayed["feed-gap"]
    on_one_line, answered, for_good = tape.truth.injected
    for each, wanted in zip(tape.truth.injected, (40, 50, 60), strict=True):
        assert wanted <= each.messages < wanted + 8
    assert tape.truth.packets.lost == (
        (answered.first_message, answered.messages),
        (for_good.first_message, for_good.messages),
    )
    assert tape.day.gaps == 1
    assert tape.day.skipped["missed_message"] == for_good.messages
    assert assert_same_book(tape, before=for_good.first_message)
    marked = tape.flagged(EventFlag.GAP)
    assert len(marked) == (tape.events["sequence"] >= for_good.first_message).sum() > 100
    assert on_one_line.last_message < answered.first_message


def test_duplicated_and_reordered_packets_change_nothing(replayed: dict[str, Replayed]) -> None:
    tape = replayed["duplicated-and-reordered"]
    packets = tape.truth.packets
    assert tape.day.skipped == {"duplicate_message": packets.recorded_messages - tape.truth.messages}
    assert packets.recorded_messages > 2 * tape.truth.messages  # both lines, and copies
    assert min(packets.overtaken) > 100
    assert tape.day.gaps == 0
    twice, late = tape.truth.injected
    assert 0.15 < twice.packets / (0.6 * sum(packets.recorded) / 1.12) < 0.25
    assert late.packets > 100


def test_crossed_and_locked_stretches_come_at_their_messages(replayed: dict[str, Replayed]) -> None:
    tape = replayed["crossed-and-locked"]
    states = {}
    for each in tape.truth.injected:
        (event,) = tape.events[tape.events["sequence"] == each.first_message]
        assert event["event_ns"] == each.start_ns
        states[each.what.start_s] = int(event["flags"])
        assert not tape.events["flags"][tape.events["event_ns"] >= each.end_ns][0]
    assert states == {20.0 * i: int(EventFlag.CROSSED if i % 2 else EventFlag.LOCKED) for i in range(1, 15)}


def test_stale_feed_comes_late_and_a_silent_venue_says_nothing(replayed: dict[str, Replayed]) -> None:
    tape = replayed["stale-feed"]
    held = tape.between(90, 120)
    assert len(held) > 100
    assert held["receive_ns"].min() >= tape.truth.injected[0].end_ns
    lag_ns = held["receive_ns"] - held["event_ns"]
    assert 25e9 < lag_ns.max() <= 30.001e9
    assert (np.diff(held["receive_ns"]) >= 0).all()
    others = np.concatenate([tape.between(0, 90), tape.between(121, 300)])
    assert (others["receive_ns"] - others["event_ns"]).max() < 10**6
    silent = tape.between(200, 230)
    assert len(silent) < 5  # children of what came just before
    assert len(tape.between(231, 300)) > 50


def test_clock_skew_shows_in_receive_times(replayed: dict[str, Replayed]) -> None:
    tape = replayed["clock-skew"]
    lag_us = (tape.events["receive_ns"] - tape.events["event_ns"]) / 1e3
    since_s = (tape.events["event_ns"] - tape.truth.injected[0].start_ns) / 1e9
    assert (lag_us[since_s < 0] > 0).all()
    slope, offset = np.polyfit(since_s[since_s > 0], lag_us[since_s > 0], 1)
    assert slope == pytest.approx(50, abs=0.5)  # ppm
    assert offset == pytest.approx(-2_500 + 20, abs=10)  # the recorder is 20 µs away
    assert lag_us.min() < 0 < lag_us.max()  # received before it was sent, says a clock that is behind


def test_regime_changes_at_the_known_event(replayed: dict[str, Replayed]) -> None:
    tape = replayed["regime-change"]
    (change,) = tape.truth.change_points
    notice: Injected = tape.truth.injected[0]
    assert change.first_message == notice.first_message
    assert change.event_ns == notice.start_ns == tape.truth.start_ns + 150 * 10**9
    assert tape.truth.by_type["Y"] == 1
    mids = np.array([_mid(tape, at) for at in range(1, 300)])
    calm, wild = np.diff(mids[:149]), np.diff(mids[150:])
    assert np.std(wild) > 2 * np.std(calm)
    trades = [np.count_nonzero(tape.between(*span)["trade_lots"]) for span in ((0, 150), (150, 300))]
    assert trades[1] > 1.4 * trades[0]


def test_night_is_thin(replayed: dict[str, Replayed]) -> None:
    night, day = replayed["thin-night"], replayed["calm"]
    assert night.truth.messages / night.truth.seconds < 2 < 20 < day.truth.messages / day.truth.seconds
    spread = [np.mean(each.events["ask_ticks"][1:] - each.events["bid_ticks"][1:]) for each in (night, day)]
    assert spread[0] > 1.5 * spread[1]
    assert np.datetime64(int(night.events["event_ns"][0]), "ns") == np.datetime64(
        "2026-01-06T00:00"
    )  # 19:00 in New York
