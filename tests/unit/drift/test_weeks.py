"""The breaks that everyone knows of are found in years of hourly bars, and quiet years stay quiet."""

from pathlib import Path

import numpy as np
import pytest
from support.real_recordings import bars

from benchmarks.drift_weeks import quiet, weeks
from models.drift_weeks import WEEKS, week_drift

ALIKE_ALPHA = 0.05


@pytest.fixture(scope="module")
def alarms(test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, float]]:
    found = {each.instrument.symbol: weeks(each) for each in bars(test_data, tmp_path_factory.mktemp("map"))}
    told = {symbol: {each.column: each.p_value for each in made if each.drifted} for symbol, made in found.items()}
    assert {symbol: quiet(made) for symbol, made in found.items()} == {
        "FXCM:EURUSD": (3, 285),
        "OANDA:XAUUSD": (2, 363),
    }
    return told


def test_known_breaks_are_found_in_gold(alarms: dict[str, dict[str, float]]) -> None:
    assert {"2008-09-15", "2008-10-06", "2013-04-15", "2016-06-20"} <= set(alarms["OANDA:XAUUSD"])


def test_euro_knows_2008_and_2016_and_not_the_week_of_the_franc(alarms: dict[str, dict[str, float]]) -> None:
    found = set(alarms["FXCM:EURUSD"])
    assert {"2008-09-15", "2008-10-06", "2016-06-20"} <= found
    assert not any(week.startswith("2015") for week in found)  # p 0.014 that week


def test_weeks_that_are_alike_alarm_as_often_as_stated() -> None:
    generator = np.random.default_rng(1)
    mondays = np.datetime64("2000-01-03") + 7 * np.arange(400)
    found = [each for _ in range(5) for each in week_drift(mondays, generator.normal(size=400), alpha=ALIKE_ALPHA)]
    assert len(found) == 5 * (400 - WEEKS)
    assert np.mean([each.drifted for each in found]) == pytest.approx(ALIKE_ALPHA, abs=0.02)
