"""How the demonstration cuts a recording into what teaches and what is live."""

from pathlib import Path

import pytest

from data_contracts.errors import InstrumentChoiceError, UsageError
from ringcraft.demo.plan import FAST, make_plan


def test_folder_of_several_instruments_takes_one_and_says_so(test_data: Path, tmp_path: Path) -> None:
    plan = make_plan(test_data / "fx-gold-ticks-201405", None, None, FAST, tmp_path)
    assert plan.live.instrument.symbol == "OANDA:XAUUSD"
    assert "--instrument names another (FXCM:EURUSD, OANDA:EURUSD)" in plan.notes[0]


def test_instrument_that_is_not_there_is_refused_with_the_choices(test_data: Path, tmp_path: Path) -> None:
    with pytest.raises(InstrumentChoiceError, match="FXCM:EURUSD, OANDA:EURUSD, OANDA:XAUUSD; got 'BTC'"):
        make_plan(test_data / "fx-gold-ticks-201405", None, "BTC", FAST, tmp_path)


def test_first_day_teaches_and_the_second_is_live(test_data: Path, tmp_path: Path) -> None:
    plan = make_plan(test_data / "cffex-if-ticks-202101", None, None, FAST, tmp_path)
    assert plan.train.events["event_ns"].max() < plan.live.events["event_ns"].min()


def test_recording_too_thin_for_three_rollouts_is_refused(test_data: Path, tmp_path: Path) -> None:
    thin = test_data / "fx-gold-ticks-201405" / "oanda_eurusd" / "20140504_quote.zip"
    with pytest.raises(UsageError, match="at least 8,000 events"):
        make_plan(thin, None, None, FAST, tmp_path)


def test_simulated_market_is_the_same_every_time(tmp_path: Path) -> None:
    first, second = (make_plan(None, None, None, FAST, tmp_path / name) for name in ("a", "b"))
    assert first.train.fingerprint == second.train.fingerprint
    assert first.live.fingerprint == second.live.fingerprint
