"""Tables between events and a model: every rule catches its fault, in a million rows within seconds."""

import time
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from data_contracts.errors import QuarantinedError
from data_contracts.table_expectations import check_table, table_suite
from data_contracts.table_limits import KINDS, feature_limits, rules_of_table, suite_name
from market_data.feature_sets import feature_set
from market_data.reading import read_recordings
from market_data.simulator import simulate
from pipelines.request import TrainRequest
from pipelines.steps.dataset import prepare
from pipelines.steps.table_contract import hold_rows_to_contract

FEATURES = feature_set("touch_v1")


def frame(rows: int = 3000) -> pl.DataFrame:
    generator = np.random.default_rng(1)
    columns = {}
    limits = feature_limits(FEATURES)
    for name, low, high in zip(FEATURES.features, limits.low, limits.high, strict=True):
        columns[name] = generator.uniform(max(low, -50), min(high, 50), rows).astype(np.float32)
    classes = generator.integers(0, 3, rows).astype(np.int8)
    columns |= {
        "class": classes,
        "buy_pnl_bps": generator.normal(size=rows),
        "sell_pnl_bps": generator.normal(size=rows),
    }
    columns |= {"event_step_ns": np.full(rows, 5), "reach_ns": np.full(rows, 9)}
    return pl.DataFrame(columns).with_columns(pl.lit(1 / 3).alias(f"share_{one}") for one in range(3))


def broken(kind, table) -> set[str]:
    report = check_table(kind, table, FEATURES, source="t", instrument="V:S")
    assert report.met == (not report.broken)
    return {result.rule.name for result in report.broken}


def put(table: pl.DataFrame, column: str, value: float | None) -> pl.DataFrame:
    row = pl.int_range(pl.len()) == 7
    return table.with_columns(pl.when(row).then(value).otherwise(pl.col(column)).alias(column))


@pytest.mark.parametrize("kind", KINDS)
def test_sound_table_meets_all(kind):
    assert broken(kind, frame()) == set()


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("queue_imbalance", 1.5, "queue_imbalance"),
        ("queue_imbalance", float("nan"), "queue_imbalance"),
        ("spread_ticks", -1.0, "spread_ticks"),
        ("log_gap_ms", 65.0, "log_gap_ms"),
        ("order_flow_5s", float("inf"), "order_flow_5s"),
        ("order_flow_5s", None, "order_flow_5s"),
        ("class", 3, "class"),
        ("buy_pnl_bps", float("nan"), "buy_pnl"),
        ("event_step_ns", -1, "time_never_falls"),
        ("reach_ns", -1, "known_after_the_event"),
        ("share_1", 0.0001, "share_of_class_1"),
    ],
)
def test_one_bad_row_breaks_its_own_rule(column, value, rule):
    assert broken("training_set", put(frame(), column, value)) == {rule}


def test_too_few_rows_are_told():
    assert broken("features", frame(100)) == {"enough_rows"}


def test_suite_carries_the_sets_hash_and_one_expectation_a_rule():
    suite = table_suite("features", FEATURES)
    assert suite.name == suite_name("features", FEATURES) == f"features.touch_v1.{FEATURES.hash}"
    assert len(suite.expectations) == len(rules_of_table("features", FEATURES)) == 1 + len(FEATURES.features)


def test_every_set_has_bounds_that_hold_its_own_features(test_data):
    from market_data.features import compute_features
    from market_data.reading import read_recordings

    (made,) = read_recordings(test_data / "fx-gold-ticks-201405" / "oanda_eurusd" / "20140505_quote.zip")
    quotes = feature_set("quotes_v1")
    values, ready = compute_features(made, quotes)
    limits = feature_limits(quotes)
    assert ((values[ready] >= limits.low) & (values[ready] <= limits.high)).all()


@pytest.mark.long
def test_a_million_rows_take_seconds():
    table = frame(1_000_000)
    start = time.perf_counter()
    assert check_table("training_set", table, FEATURES, source="t", instrument="V:S").met
    assert time.perf_counter() - start < 10


def test_rows_that_are_set_aside_stand_under_the_rule_they_broke_all_of_them(tmp_path):
    path = tmp_path / "day.itch"
    simulate(path, seed=3, events=4000)
    prepared = prepare(read_recordings(path), TrainRequest(model="m", folds=2))
    features, earned = prepared.learn.features.copy(), prepared.learn.buy_pnl_bps.copy()
    at = prepared.learn.names.index("queue_imbalance")
    features[:1500, at] = 1.5
    earned[3] = np.nan
    broken = replace(prepared, learn=replace(prepared.learn, features=features, buy_pnl_bps=earned))
    with pytest.raises(QuarantinedError) as caught:
        hold_rows_to_contract(broken, tmp_path)
    kept = pl.read_parquet(caught.value.folder / "bad_rows.parquet")
    assert kept.group_by("rule").len().rows() == [("queue_imbalance", 1500)]
    assert kept["row"].to_list() == list(range(1500))
    assert kept["value"].unique().to_list() == [1.5]
    assert "1,500 of" in (caught.value.folder / "report.md").read_text()
    sound = replace(prepared, learn=replace(prepared.learn, buy_pnl_bps=earned))
    with pytest.raises(QuarantinedError) as caught:
        hold_rows_to_contract(sound, tmp_path)
    (row,) = pl.read_csv(caught.value.folder / "bad_rows.csv").rows(named=True)
    assert (row["rule"], row["row"]) == ("buy_pnl", 3)
