"""Known traps: what looks good and is worth nothing has to be called that by the rules themselves."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from planted_data import planted

from data_contracts.manifest import Estimate
from market_data.feature_sets import QUOTES_V1
from market_data.reading import read_recordings
from models import baselines
from models.controls import control, found_something, with_leak
from models.dataset import Dataset, build_dataset
from models.evaluation import evaluate
from models.families import family
from models.findings import findings, finds_anything, worthless_though_right
from models.folds import walk_forward
from models.labels import LabelConfig, LabelReport
from models.study import catches_leak, run_study, walk
from models.trading import NEVER

SECOND = 1_000_000_000


def fit(name):
    kind = family(name)
    return lambda rows: kind.fit(rows.features, rows.classes, kind.default(), 1).scores


def judged(rows: Dataset, learner, *, folds=2):
    made = walk_forward(rows.event_ns, folds=folds, end_ns=rows.end_ns, embargo_ns=rows.horizon_ns)
    walked = walk(rows, made, learner)
    return evaluate(walked.scores, walked.rows, threshold=walked.threshold, seed=1), walked


@pytest.fixture(scope="module")
def gold(test_data: Path) -> tuple[Dataset, LabelReport]:
    day = read_recordings(
        test_data / "fx-gold-ticks-201405/oanda_xauusd/20140505_quote.zip", format=None, instrument="OANDA:XAUUSD"
    )
    next_tick = LabelConfig(horizon_events=1, threshold_bps=0.0)
    when = {"horizon_ns": SECOND, "entry_latency_ns": 1_000_000, "min_interval_ns": 5 * SECOND}
    return build_dataset(day, QUOTES_V1, label=next_tick, **when)


def test_gold_next_tick_looks_excellent_is_worth_nothing_and_is_called_that(gold):
    rows, labels = gold
    found, walked = judged(rows, fit("xgboost"))
    assert found["strong_hit_rate"].low > 0.65
    assert found["strong_net_bps"].high < -0.5
    assert worthless_though_right(found)
    said = findings(found, {}, labels)
    assert said[0].startswith("Looks excellent and is worth nothing after costs")
    assert "Makes no trade: no threshold paid its costs on earlier data." in said
    assert any("moves labelled up or down pay the spread" in sentence for sentence in said)
    assert walked.threshold == NEVER


def test_gold_with_shuffled_labels_gives_nothing(gold):
    found = control(gold[0], lambda dealt: judged(dealt, fit("logistic"))[1][:2], seed=3, draws=500)
    assert found_something([found]) == (False,)


def test_leak_planted_among_golds_features_is_caught(gold):
    assert catches_leak(gold[0])
    assert with_leak(gold[0]).names[-1] == "leaked_future"


def test_telling_when_it_moves_is_not_telling_where_to():
    data = planted(rows=4000)
    volatile = np.abs(data.mid_move_bps) > 0.5
    scores = np.where(volatile[:, None], np.float32([0.44, 0.1, 0.46]), np.float32([0.19, 0.6, 0.21])).astype(
        np.float32
    )
    found = evaluate(scores, data, threshold=NEVER, seed=1)
    assert finds_anything(found)
    assert findings(found, {})[0].startswith("Predicts when the price moves, not where to")


def test_planted_edge_that_pays_is_called_that_and_survives_its_trials():
    found, _ = judged(planted(rows=6000, cost_bps=0.2), fit("logistic"))
    said = findings(found, {"majority": evaluate_majority()})
    assert said[0].startswith("Its surest calls pay")
    assert any("outlives 1 trials" in sentence for sentence in said)


def evaluate_majority():
    data = planted(rows=600)
    scores = np.tile(np.float32([0.3, 0.4, 0.3]), (600, 1))
    return evaluate(scores, data, threshold=NEVER, seed=1)


def test_what_earns_at_mid_and_loses_at_the_touch_is_called_that():
    data = replace(planted(rows=6000, cost_bps=0.2), exit_half_spread_bps=np.full(6000, 5.0))
    found, _ = judged(data, fit("logistic"))
    assert found["round_trip_per_trade_bps"].high < 0 < found["net_pnl_per_trade_bps"].low
    assert any("earns at mid" in sentence for sentence in findings(found, {}))


def test_fee_is_paid_a_second_time_on_the_way_out():
    data = replace(planted(rows=600), fee_bps=0.3, exit_half_spread_bps=np.full(600, 0.7))
    scores = np.tile(np.float32([0.1, 0.1, 0.8]), (600, 1))
    found = evaluate(scores, data, threshold=0.5, seed=1)
    at_mid, left = found["net_pnl_per_trade_bps"].value, found["round_trip_per_trade_bps"].value
    assert at_mid - left == pytest.approx(1.0)


def test_simpler_rule_that_does_as_well_is_named():
    data = planted(rows=3000)
    ridge = baselines.fit_baseline("ridge", data.rows(slice(0, 2000)), seed=1)
    rest = data.rows(slice(2003, None))
    found = evaluate(ridge.scores(rest.features), rest, threshold=0.0, seed=1, cut=ridge.cut)
    assert found["log_loss"] == Estimate(value=None)
    assert any("ridge" in sentence for sentence in findings(evaluate_majority(), {"ridge": found}))
    assert found["information_coefficient"].low > 0.5


def test_rule_is_one_feature_with_its_sign():
    data = replace(planted(rows=200), names=("a", "b", "mid_move_1_ticks", "c", "d"))
    rule = baselines.fit_baseline("rule", data, seed=1)
    np.testing.assert_array_equal(rule.scores(data.features)[:, 0], -data.features[:, 2])
    assert baselines.rule_in_words(data.names) == "bet that the last move is taken back"
    assert baselines.rule_in_words(("a",)).startswith("nothing")


def test_study_holds_families_baselines_and_controls_to_the_same_rows():
    data = planted(rows=3000)
    folds = walk_forward(data.event_ns, folds=2, end_ns=data.end_ns, embargo_ns=data.horizon_ns)
    labels = LabelReport(
        rows=3000, dropped=0, threshold_bps=0.5, share_down=0.4, share_flat=0.2, share_up=0.4,
        share_paying=0.7, share_labels_paying=0.8,
    )  # fmt: skip
    study = run_study(data, labels, folds, families={"logistic": family("logistic").default()}, seeds=(1, 2), trials=10)
    assert study.trials == 12
    assert study.leak_caught
    assert found_something([study.control]) == (False,)
    assert {result.name for result in study.baselines} == set(baselines.BASELINES)
    (logistic,) = study.results
    assert len(study.tested) == len(folds[1].test)
    assert len(logistic.by_seed) == 2
    assert logistic.metrics["mcc"].low <= min(each["mcc"].low for each in logistic.by_seed)
    assert logistic.metrics["trials"].value == 12
