from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from data_contracts.errors import QuarantinedError
from data_contracts.expectations import build_suite, check_recording
from data_contracts.instrument import Instrument
from data_contracts.limits import RecordingLimits, measure, rows_against, rules_of
from data_contracts.market_event import MARKET_EVENT, NO_LOTS, EventFlag
from data_contracts.quarantine import MAX_BAD_ROWS, quarantine
from data_contracts.recording import Recording

INSTRUMENT = Instrument(symbol="TEST:ABC", tick_size="0.01", lot_size="1", currency="USD")


def recording(rows: int = 4000) -> Recording:
    events = np.zeros(rows, dtype=MARKET_EVENT)
    events["event_ns"] = np.arange(rows) * 1_000_000_000
    events["bid_ticks"] = 1000 + np.arange(rows) % 7
    events["ask_ticks"] = events["bid_ticks"] + 2
    events["bid_lots"] = events["ask_lots"] = 5
    return Recording(INSTRUMENT, events, Path("day.csv"), {"auction": 3})


def broken_by(change) -> list[str]:
    made = recording()
    change(made.events)
    return [result.rule.name for result in check_recording(made).broken]


def test_sound_recording_meets_every_rule():
    report = check_recording(recording())
    assert report.met
    assert [result.rule.name for result in report.results] == [rule.name for rule in rules_of(RecordingLimits())]


def fall_back(events):
    events["event_ns"][2000] -= 10_000_000_000


def fall_silent(events):
    events["event_ns"][2000:] += 4 * 3_600_000_000_000


def repeat(events):
    events[1::2] = events[::2]


def cross(events):
    events["ask_ticks"][::3] = events["bid_ticks"][::3] - 1  # a third, and no flag admits it


def lose_a_side(events):
    events["flags"][::3] |= np.uint16(EventFlag.ONE_SIDED)


def halt(events):
    events["flags"][:2500] |= np.uint16(EventFlag.HALTED)


def give_away(events):
    events["bid_ticks"][7] = 0


def owe_lots(events):
    events["ask_lots"][7] = -5


def jump(events):
    events["bid_ticks"][2000::2] *= 2
    events["ask_ticks"][2000::2] *= 2


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (fall_back, "event_time_never_falls"),
        (fall_silent, "silence"),
        (repeat, "duplicates"),
        (cross, "crossed"),
        (lose_a_side, "one_sided"),
        (halt, "usable"),
        (give_away, "bid_positive"),
        (owe_lots, "ask_size"),
        (jump, "mid_jumps"),
    ],
)
def test_each_fault_breaks_its_own_rule(change, rule):
    assert rule in broken_by(change)


@pytest.mark.parametrize("rows", [0, 1, 999])
def test_recording_that_is_too_short_breaks_the_rule_on_events_alone(rows):
    report = check_recording(recording(rows))
    assert [result.rule.name for result in report.broken] == ["enough_events"]


def test_faults_of_single_rows_do_not_quarantine():
    def some_faults(events):
        events["ask_ticks"][::10] = events["bid_ticks"][::10] - 1
        events["flags"][5::10] |= np.uint16(EventFlag.ONE_SIDED)
        events["bid_ticks"][5::10] = 0

    assert broken_by(some_faults) == []


def test_feed_without_sizes_is_no_fault():
    def no_sizes(events):
        events["bid_lots"] = events["ask_lots"] = NO_LOTS

    assert broken_by(no_sizes) == []


def test_counts_of_the_library_and_rows_found_agree():
    made = recording()
    cross(made.events)
    give_away(made.events)
    measured = measure(made)
    for result in check_recording(made).results:
        assert result.bad_rows == len(rows_against(result.rule, measured)), result.rule.name


def test_suite_is_a_great_expectations_suite_with_one_expectation_a_rule():
    suite = build_suite(RecordingLimits())
    assert len(suite.expectations) == len(rules_of(RecordingLimits()))


def test_quarantine_leaves_report_and_rows_and_names_rules_and_folder(tmp_path):
    made = recording()
    cross(made.events)
    with pytest.raises(QuarantinedError) as caught:
        quarantine(made, check_recording(made), tmp_path)
    folder = tmp_path / "quarantine" / "day.csv"
    assert caught.value.folder == folder
    assert "at most 25% bid above ask" in str(caught.value)
    assert "1,334 of 4,000" in (folder / "report.md").read_text()
    assert "<td>crossed</td>" in (folder / "report.html").read_text()
    lines = (folder / "bad_rows.csv").read_text().splitlines()
    assert len(lines) == 1 + MAX_BAD_ROWS
    assert lines[1].startswith("crossed,1.0,0,")
    kept = pl.read_parquet(folder / "bad_rows.parquet")
    assert kept["row"].to_list() == list(range(0, 4000, 3))
    assert kept["ask_ticks"].to_list() == made.events["ask_ticks"][::3].tolist()


def test_quarantine_keeps_the_rows_of_every_broken_rule_however_many_the_first_has(tmp_path):
    made = recording()
    cross(made.events)
    owe_lots(made.events)
    with pytest.raises(QuarantinedError):
        quarantine(made, check_recording(made), tmp_path)
    folder = tmp_path / "quarantine" / "day.csv"
    for kept in (pl.read_parquet(folder / "bad_rows.parquet"), pl.read_csv(folder / "bad_rows.csv")):
        (owed,) = kept.filter(pl.col("rule") == "ask_size").rows(named=True)
        assert (owed["value"], owed["row"], owed["ask_lots"]) == (-5.0, 7, -5)
    with pytest.raises(QuarantinedError, match="at least 1,000 events"):
        quarantine(recording(0), check_recording(recording(0)), tmp_path)
    assert len(pl.read_parquet(folder / "bad_rows.parquet")) == 0


def test_gold_day_meets_its_contract(test_data):
    from market_data.reading import read_recordings

    (made,) = read_recordings(test_data / "fx-gold-ticks-201405" / "oanda_xauusd" / "20140505_quote.zip")
    assert check_recording(made).met


def test_bank_stream_with_a_tenth_crossed_meets_its_contract(test_data):
    from market_data.reading import read_recordings

    (made,) = read_recordings(test_data / "fx-gold-ticks-201405" / "fxcm_eurusd" / "20140502_quote.zip")
    report = check_recording(made)
    crossed = next(result for result in report.results if result.rule.name == "crossed")
    assert report.met
    assert crossed.bad_rows > 0.05 * len(made)


def test_recording_replaced_by_its_reverse_is_refused():
    made = recording()
    assert not check_recording(replace(made, events=made.events[::-1].copy())).met
