"""Levels beside events: the first is the touch, and each is what the orders of that moment make."""

from pathlib import Path

import numpy as np
import pytest
from support import captures
from support.plain_book import PlainBook

from data_contracts.market_event import DEPTH_LEVELS, BookDepths, MarketEvents
from data_contracts.recording import Recording
from market_data.reading import WITH_DEPTH, read_recordings
from market_data.simulator import simulate

TOUCH = ("bid_ticks", "bid_lots", "ask_ticks", "ask_lots")
SOURCES = {"lobster": ("lobster-aapl-l10-head", None), "sse-l3": ("sse-l3-20230711", "601825.SH")}


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tape") / "01052026.itch"
    simulate(path, seed=11, seconds=120)
    return path


def sound(day: Recording) -> BookDepths:
    """Return the levels, once what any book's levels obey was seen to hold."""
    depth = day.depth
    assert depth is not None
    for position, name in enumerate(TOUCH):
        assert np.array_equal(depth[:, position, 0], day.events[name])
    for ticks, lots, better in ((depth[:, 0], depth[:, 1], -1), (depth[:, 2], depth[:, 3], 1)):
        there = lots > 0
        assert np.array_equal(there, ticks != 0)
        assert np.all(there[:, :-1] | ~there[:, 1:])  # no level behind a missing one
        both = there[:, 1:]
        assert np.all(better * np.diff(ticks, axis=1)[both] > 0)
    return depth


def test_itch_levels_are_those_of_the_orders_one_by_one(tape: Path) -> None:
    (day,) = read_recordings(tape, depth=True)
    depth = sound(day)
    book, row, seen = PlainBook(), 0, 0
    for number, message in enumerate(captures.itch_messages(tape.read_bytes()), start=1):
        kind, reference = chr(message[0]), int.from_bytes(message[11:19], "big")
        if kind == "A":
            ticks = int.from_bytes(message[32:36], "big") // 100
            book.add(reference, chr(message[19]), ticks, int.from_bytes(message[20:24], "big"))
        elif kind in "EX":
            book.reduce(reference, int.from_bytes(message[19:23], "big"))
        elif kind == "D":
            book.reduce(reference, 2**32)
        else:
            assert kind not in "FCU"
        if row < len(day) and day.events["sequence"][row] == number:
            if row % 7 == 0:
                for side, position in (("B", 0), ("S", 2)):
                    expected = [(ticks, lots) for ticks, lots, _ in book.depth(side, DEPTH_LEVELS)]
                    found = depth[row, position : position + 2].T
                    assert [tuple(level) for level in found[: len(expected)]] == expected
                    assert not found[len(expected) :].any()
                seen += 1
            row += 1
    assert row == len(day)
    assert seen > 30


def test_captures_give_the_files_levels(tape: Path, tmp_path: Path) -> None:
    messages = captures.itch_messages(tape.read_bytes())
    packets = [(10**9 + n, captures.ethernet(captures.mold(n + 1, [each]))) for n, each in enumerate(messages)]
    (tmp_path / "01052026.pcap").write_bytes(captures.pcap(packets))
    (packed,) = read_recordings(tmp_path / "01052026.pcap", depth=True)
    assert np.array_equal(sound(packed), sound(read_recordings(tape, depth=True)[0]))


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_real_recordings_levels_are_sound_and_leave_the_events_alone(test_data: Path, name: str) -> None:
    folder, instrument = SOURCES[name]
    (day,) = read_recordings(test_data / folder, instrument=instrument, depth=True)
    depth = sound(day)
    (plain,) = read_recordings(test_data / folder, instrument=instrument)
    assert plain.depth is None
    assert np.array_equal(plain.events, day.events)
    assert np.count_nonzero(depth[:, 1, -1]) > 0.8 * len(day)  # most of the time ten levels are full
    assert plain.fingerprint != day.fingerprint


def test_lobsters_levels_are_its_order_book_row_by_row(test_data: Path) -> None:
    (day,) = read_recordings(test_data / "lobster-aapl-l10-head", depth=True)
    text = next((test_data / "lobster-aapl-l10-head").glob("*orderbook*")).read_text().splitlines()
    rows = np.array([[int(cell) for cell in line.split(",")] for line in text]).reshape(-1, DEPTH_LEVELS, 4)
    assert day.depth is not None
    for position, column, unit in ((2, 0, 100), (3, 1, 1), (0, 2, 100), (1, 3, 1)):
        assert np.array_equal(day.depth[:, position], rows[:, :, column] // unit)


def test_part_of_a_recording_keeps_its_levels(test_data: Path) -> None:
    (day,) = read_recordings(test_data / "lobster-aapl-l10-head", depth=True)
    part = day.part(10, 40)
    assert day.depth is not None
    assert part.depth is not None
    assert np.array_equal(part.depth, day.depth[10:40])


def test_format_without_levels_leaves_none(test_data: Path) -> None:
    (day, _) = read_recordings(test_data / "cffex-if-ticks-202101", depth=True)
    assert day.depth is None
    assert "cffex-ticks" not in WITH_DEPTH


def test_levels_that_are_not_one_set_an_event_are_refused(test_data: Path) -> None:
    (day,) = read_recordings(test_data / "lobster-aapl-l10-head", depth=True)
    events: MarketEvents = day.events[:5]
    with pytest.raises(TypeError, match=r"depth: expected int64 of shape \(5, 4, 10\), got int64, \(999, 4, 10\)"):
        Recording(instrument=day.instrument, events=events, source=day.source, skipped={}, depth=day.depth)
