"""Instruments, feature sets, policy and settings: what loads, and the one line that says why something does not."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from data_contracts.errors import PolicyError, UsageError
from data_contracts.feature_set import FeatureSet
from data_contracts.instrument import Instrument
from data_contracts.market_event import MARKET_EVENT
from data_contracts.policy import Policy, read_policy
from data_contracts.recording import Recording
from data_contracts.settings import load_settings

SET = FeatureSet(name="s", features=("a", "b"), parameters={"x": 1.0, "y": 2.0}, warm_up_events=5)


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No ringcraft.toml of whoever runs the tests."""
    monkeypatch.chdir(tmp_path)


def test_instrument_travels_through_json_unchanged() -> None:
    instrument = Instrument(symbol="CFFEX:IF2101", tick_size="0.2", lot_size="1", currency="CNY", multiplier=300.0)
    assert msgspec.json.decode(msgspec.json.encode(instrument), type=Instrument) == instrument


@pytest.mark.parametrize("symbol", ["IF2101", ":IF2101", "CFFEX:", ""])
def test_instrument_without_venue_or_symbol_is_refused(symbol: str) -> None:
    with pytest.raises(UsageError, match="expected VENUE:SYMBOL"):
        Instrument(symbol=symbol, tick_size="0.2", lot_size="1", currency="CNY")


@pytest.mark.parametrize("size", ["0", "-1", "x", "NaN", ""])
def test_instrument_whose_tick_is_no_positive_decimal_is_refused(size: str) -> None:
    with pytest.raises(UsageError, match="tick_size: expected a positive decimal"):
        Instrument(symbol="A:B", tick_size=size, lot_size="1", currency="CNY")


def test_feature_hash_is_stable_from_one_release_to_the_next() -> None:
    assert SET.hash == "6c0788c309262436"


@pytest.mark.parametrize(
    "other",
    [
        msgspec.structs.replace(SET, name="t"),
        msgspec.structs.replace(SET, features=("b", "a")),
        msgspec.structs.replace(SET, parameters={"x": 1.0, "y": 2.5}),
        msgspec.structs.replace(SET, warm_up_events=6),
        msgspec.structs.replace(SET, dtype="float64"),
    ],
)
def test_any_change_of_a_set_changes_its_hash(other: FeatureSet) -> None:
    assert other.hash != SET.hash


def test_order_of_parameters_does_not_change_the_hash() -> None:
    assert msgspec.structs.replace(SET, parameters={"y": 2.0, "x": 1.0}).hash == SET.hash


def test_fingerprint_follows_instrument_and_events() -> None:
    def made(symbol: str, bid: int) -> Recording:
        events = np.zeros(2, dtype=MARKET_EVENT)
        events["bid_ticks"] = bid
        instrument = Instrument(symbol=symbol, tick_size="1", lot_size="1", currency="USD")
        return Recording(instrument=instrument, events=events, source=Path("x"), skipped={})

    prints = {made(*each).fingerprint for each in (("A:B", 1), ("A:B", 1), ("A:B", 2), ("A:C", 1))}
    assert len(prints) == 3


def test_empty_policy_file_gives_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text("")
    assert read_policy(tmp_path / "policy.toml") == Policy()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[guardrails.pnl]\nerror_rate = 0.04", "error_rate: expected a sum of at most 0.05, got 0.06"),
        ("[guardrails.pnl]\nerror_rate = nan", "guardrails"),
        ("[guardrails.pnl]\nerror_rates = 0.01", "unknown field `error_rates`"),
        ("[rollout]\nmax_decisions = '9'", r"Expected `int`, got `str` - at `\$.rollout.max_decisions`"),
        ("[rollout]\nsteps = []", "expected the first step to be shadow"),
        ("[[rollout.steps]]\nshare = 0.1\nmin_decisions = 1", "expected the first step to be shadow"),
        ("[rollout", "not TOML"),
    ],
)
def test_policy_that_cannot_be_followed_is_refused_with_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(text)
    with pytest.raises(PolicyError, match=message) as caught:
        read_policy(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_shares_that_fall_are_refused(tmp_path: Path) -> None:
    steps = "".join(f"[[rollout.steps]]\nshare = {share}\nmin_decisions = 1\n" for share in (0.0, 0.5, 0.1))
    (tmp_path / "policy.toml").write_text(steps)
    with pytest.raises(PolicyError, match="expected shares that never fall"):
        read_policy(tmp_path / "policy.toml")


def test_missing_policy_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="No such file"):
        read_policy(tmp_path / "absent.toml")


def test_arguments_beat_environment_beats_file_beats_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ringcraft.toml").write_text("log_level = 'error'\n[serving]\nconsole_port = 1\nfeed_port = 2\n")
    monkeypatch.setenv("RINGCRAFT_SERVING__CONSOLE_PORT", "3")
    settings = load_settings(state_dir=tmp_path)
    assert settings.log_level == "error"
    assert (settings.serving.console_port, settings.serving.feed_port) == (3, 2)
    assert settings.state_dir == tmp_path
    assert settings.mlflow.uri == "http://127.0.0.1:5000"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[serving]\nconsole_port = 70000", "settings: serving.console_port: .*less than or equal to 65535.*70000"),
        ("[serving]\nconsol_port = 1", "settings: serving.consol_port"),
        ("log_level = 'loud'", "settings: log_level: "),
        ("[serving", "settings: .*named.toml"),
    ],
)
def test_bad_setting_is_refused_with_one_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "named.toml").write_text(text)
    with pytest.raises(UsageError, match=message) as caught:
        load_settings(tmp_path / "named.toml")
    assert "\n" not in str(caught.value)


def test_named_settings_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        load_settings(tmp_path / "absent.toml")
