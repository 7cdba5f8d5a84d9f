"""A study of several days from recordings to the page."""

from pathlib import Path

import numpy as np
import pytest
from planted_data import planted

from data_contracts.errors import UsageError
from data_contracts.instrument import Instrument
from data_contracts.market_event import MARKET_EVENT
from data_contracts.recording import Recording
from models.choice import choose
from models.folds import DAY_NS
from models.labels import LabelConfig
from models.studies import Setting, make_sections
from models.study_report import write_report

INSTRUMENT = Instrument(symbol="TEST:ABC", tick_size="0.01", lot_size="1", currency="USD", fee_bps=0.1)
SETTING = Setting(
    command="ringcraft evaluate DATA",
    families=("logistic",),
    seeds=(1, 2),
    first_days=1,
    latency_ms=1.0,
    interval_s=0.0,
    tuning_trials=1,
    min_day_rows=100,
)


def day(number: int) -> Recording:
    generator = np.random.default_rng(number)
    events = np.zeros(700, dtype=MARKET_EVENT)
    events["event_ns"] = (19_000 + number) * DAY_NS + np.cumsum(generator.integers(1, 10**9, 700))
    heavy = generator.integers(1, 50, 700)
    # Where the bid's queue was heavier the mid goes up next, by less than the spread.
    step = np.where(np.roll(heavy, 1) > 25, 1, -1) * (generator.random(700) < 0.95)
    events["bid_ticks"] = 10_000 + np.cumsum(step - np.sign(np.cumsum(step)) * (np.abs(np.cumsum(step)) > 50))
    events["ask_ticks"] = events["bid_ticks"] + 6
    events["bid_lots"], events["ask_lots"] = heavy, 50 - heavy + 1
    return Recording(INSTRUMENT, events, Path(f"day{number}"), {})


@pytest.fixture(scope="module")
def sections():
    labels = [(LabelConfig(horizon_events=1, threshold_bps=0.0), 0.0), (LabelConfig(), 2.0)]
    return list(make_sections([day(number) for number in range(4)], labels, SETTING, lambda _: None))


def test_days_before_are_learnt_from_and_the_first_tested_day_is_not_reported(sections):
    tested = sections[0].study.tested.event_ns // DAY_NS
    assert sorted(set(tested.tolist())) == [19_002, 19_003]


def test_trials_of_all_labels_are_counted_together(sections):
    # two labels with one configuration each, and two seeds of each
    assert [section.study.trials for section in sections] == [6, 6]


def test_page_says_that_a_move_within_the_spread_is_worth_nothing(sections):
    page = write_report("Title", SETTING, sections)
    assert "Looks excellent and is worth nothing after costs" in page
    assert "in 0 of 2 one earns more than nothing after costs" in page
    assert "logistic regression finds nothing" in page
    assert "a column made from the future is refused" in page
    assert "ringcraft evaluate DATA" in page
    assert "pays a fee of 0.1 bps beside the spread" in page
    assert all(f"baseline: {name}" in page for name in ("majority", "logistic", "ridge", "rule"))
    assert "nan" not in page.lower().replace("finance", "")


def test_families_of_moves_and_of_classes_stand_on_one_page():
    import msgspec

    asked = msgspec.structs.replace(SETTING, families=("logistic", "ridge"), seeds=(1,), target="move")
    days = [day(number) for number in range(3)]
    (section,) = make_sections(days, [(LabelConfig(horizon_events=1, threshold_bps=0.0), 0.0)], asked, lambda _: None)
    logistic, ridge = section.study.results
    assert 0 < ridge.metrics["r2"].low < ridge.metrics["r2"].high < 1
    assert (logistic.metrics["r2"].value, ridge.metrics["log_loss"].value) == (None, None)
    assert "Taught the move of mid in bps: ridge; the class: logistic." in write_report("Title", asked, [section])


def test_too_few_days_are_refused():
    with pytest.raises(UsageError, match="more than 1 days with rows, got 1"):
        list(make_sections([day(0)], [(LabelConfig(), 2.0)], SETTING, lambda _: None))


def test_choice_counts_its_trials_and_does_no_worse_than_the_default():
    rows = planted(rows=900)
    chosen = choose("logistic", rows, trials=3, seed=1)
    assert chosen.trials == 3
    assert choose("majority", rows, trials=3, seed=1).trials == 1
    assert choose("logistic", rows, trials=3, seed=1) == chosen


@pytest.mark.long
def test_family_that_reads_windows_is_held_to_the_same_rows_as_the_others():
    import msgspec

    asked = msgspec.structs.replace(SETTING, families=("logistic", "binctabl"), seeds=(1,))
    (section,) = make_sections([day(number) for number in range(3)], [(LabelConfig(), 2.0)], asked, lambda _: None)
    logistic, windowed = section.study.results
    assert windowed.name == "binctabl"
    assert windowed.metrics["mcc"].value is not None
    assert len(section.study.tested) > 300
    assert logistic.metrics["trials"] == windowed.metrics["trials"]
