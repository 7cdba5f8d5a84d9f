"""Tables and summaries of recordings."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest
from support.cli import ringcraft

from data_contracts.errors import FormatError
from market_data.feature_sets import QUOTES_V1
from market_data.reading import read_recordings
from market_data.replay import book_table, features_table, read_times, summarise
from market_data.simulator import simulate


def test_book_has_one_row_a_change_of_the_touch(test_data: Path) -> None:
    days = read_recordings(test_data / "cffex-if-ticks-202101")
    table = book_table(days)
    assert table.column_names == [
        "event_ns", "receive_ns", "sequence", "bid_ticks", "bid_lots", "ask_ticks", "ask_lots",
    ]  # fmt: skip
    assert table.schema.metadata[b"tick_size"] == b"0.2"
    assert table.schema.metadata[b"lot_size"] == b"1"
    touch = np.column_stack([table[name].to_numpy() for name in table.column_names[3:]])
    first_of_day = np.flatnonzero(np.diff(table["event_ns"].to_numpy()) > 10**13)
    same = np.flatnonzero(~np.any(np.diff(touch, axis=0), axis=1))
    assert set(same) <= set(first_of_day)
    assert 0 < len(table) < sum(len(day) for day in days)


def test_book_at_given_times_is_the_last_state_before_each(tmp_path: Path) -> None:
    simulate(tmp_path / "ring.itch", seed=2, seconds=60)
    (day,) = read_recordings(tmp_path / "ring.itch")
    events = day.events
    rng = np.random.default_rng(1)
    times = rng.integers(events["event_ns"][0] - 10**9, events["event_ns"][-1] + 10**9, 200)
    times[:3] = events["event_ns"][0] - 1, events["event_ns"][40], events["event_ns"][-1]
    table = book_table([day], times)
    assert table["at_ns"].to_pylist() == times.tolist()
    for at, row in zip(times, table.to_pylist(), strict=True):
        before = [event for event in events if event["event_ns"] <= at]
        if not before:
            assert {row[name] for name in table.column_names if name != "at_ns"} == {None}
            continue
        assert (row["sequence"], row["bid_ticks"]) == (before[-1]["sequence"], before[-1]["bid_ticks"])
        assert row["ask_lots"] == (before[-1]["ask_lots"] if before[-1]["ask_ticks"] else None)


@pytest.mark.parametrize(
    "text", ["at_ns\n5\n\n-7,x\n", "5\n-7\n", '"at_ns","x"\n"5",1\n"-7",1\n', "\ufeffat_ns\n5\n-7\n", "\ufeff5\n-7\n"]
)
def test_times_are_read_with_and_without_a_header(tmp_path: Path, text: str) -> None:
    (tmp_path / "times.csv").write_text(text, encoding="utf-8")
    assert read_times(tmp_path / "times.csv").tolist() == [5, -7]


@pytest.mark.parametrize("cell", ["12.5", "tomorrow", "99999999999999999999", "--5", "²", "1e18"])
def test_time_that_is_none_is_refused_with_its_row(tmp_path: Path, cell: str) -> None:
    (tmp_path / "times.csv").write_text(f"at_ns\n5\n{cell}\n")
    with pytest.raises(FormatError, match=f"row 3: expected a time in ns, got '{cell}'"):
        read_times(tmp_path / "times.csv")


@pytest.mark.parametrize("cell", ["12.5", "1e18", "5;7", "-", "99999999999999999999"])
def test_first_time_that_is_none_is_not_taken_for_a_header(tmp_path: Path, cell: str) -> None:
    (tmp_path / "times.csv").write_text(f"{cell}\n5\n")
    with pytest.raises(FormatError, match=f"row 1: expected a time in ns, got '{cell}'"):
        read_times(tmp_path / "times.csv")


def test_sizes_a_feed_does_not_give_are_null(test_data: Path) -> None:
    table = book_table(read_recordings(test_data / "fx-gold-ticks-201405" / "oanda_xauusd" / "20140504_quote.zip"))
    assert table["bid_lots"].null_count == table["ask_lots"].null_count == len(table)
    assert table["bid_ticks"].null_count == 0


def test_features_table_names_the_set_and_its_hash(test_data: Path) -> None:
    (day,) = read_recordings(test_data / "fx-gold-ticks-201405" / "oanda_eurusd" / "20140504_quote.zip")
    table = features_table([day], QUOTES_V1)
    assert table.column_names == ["event_ns", "sequence", "ready", *QUOTES_V1.features]
    assert table.schema.metadata[b"feature_hash"] == QUOTES_V1.hash.encode()
    assert len(table) == len(day)


def test_summary_counts_messages_by_type_and_states(tmp_path: Path) -> None:
    simulate(tmp_path / "ring.itch", seed=2, seconds=60)
    days = read_recordings(tmp_path / "ring.itch")
    summary = summarise(days, seconds=0.5)
    assert summary["messages"] == sum(summary["by_type"].values())
    assert {"S", "R", "A", "E", "X", "D"} <= set(summary["by_type"])
    assert summary["skipped"] == {}
    assert summary["gaps"] == 0
    assert summary["states"]["one_sided"] == 1  # the first order stands alone
    assert summary["states"]["usable"] == len(days[0]) - 1
    assert summary["events_per_second"] == len(days[0]) / 0.5


def test_summary_of_rows_counts_those_left_out(test_data: Path) -> None:
    summary = summarise(read_recordings(test_data / "cffex-if-ticks-202101"), seconds=1.0)
    assert summary["messages"] == 27_955 + 28_254
    assert summary["skipped"] == {"after_close": 5}
    assert summary["states"]["auction"] == 2


def test_features_of_two_instruments_are_each_ones_own_by_time_then_symbol(test_data: Path) -> None:
    names = ("oanda_eurusd", "fxcm_eurusd")
    two = [
        read_recordings(test_data / "fx-gold-ticks-201405" / name / "20140504_quote.zip")[0].part(0, 500)
        for name in names
    ]
    both = features_table(two, QUOTES_V1)
    assert both.column_names == ["event_ns", "sequence", "ready", *QUOTES_V1.features, "instrument"]
    assert both.schema.metadata[b"feature_hash"] == QUOTES_V1.hash.encode()
    keys = list(zip(both["event_ns"].to_pylist(), both["instrument"].to_pylist(), strict=True))
    assert keys == sorted(keys)
    for recording in two:
        own = features_table([recording], QUOTES_V1)
        of_it = both.filter(pc.equal(both["instrument"], recording.instrument.symbol)).drop_columns("instrument")
        assert of_it.equals(own)
    assert both.equals(features_table(two[::-1], QUOTES_V1))


def test_market_data_imports_without_the_training_stack() -> None:
    modules = ("reading", "replay", "publish", "simulator", "features", "markouts", "feature_sets")
    heavy = ("torch", "sklearn", "xgboost", "polars", "pyarrow", "pandas", "mlflow", "great_expectations")
    script = (
        "import sys\n"
        + "".join(f"import market_data.{module}\n" for module in modules)
        + f"print([name for name in {heavy} if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize("option", ["--book", "--features"])
def test_what_is_read_is_never_written_over(tmp_path: Path, option: str) -> None:
    path = tmp_path / "ring.itch"
    simulate(path, seed=1, seconds=10)
    before = path.read_bytes()
    for source in (path, tmp_path):
        done = ringcraft("replay", source, option, path)
        assert done.returncode == 2, done.stderr
    assert path.read_bytes() == before
    assert "expected another file than what is read" in ringcraft("replay", path, option, path).stderr
