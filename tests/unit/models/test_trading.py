from dataclasses import replace

import numpy as np
import pytest
from planted_data import planted

from data_contracts.errors import ModelError
from models.evaluation import evaluate
from models.families import family
from models.leakage import refuse_leaks, single_feature_ics
from models.trading import NEVER, NO_TRADE_NOTE, actions, carried_over, choose_threshold, max_drawdown_bps, pnl_bps


def scores_of(lead):
    lead = np.asarray(lead, dtype=np.float32)
    return np.column_stack([(0.5 - lead) / 2, np.full_like(lead, 0.5), (0.5 + lead) / 2]).astype(np.float32)


def test_actions_follow_the_sign_beyond_the_threshold_only():
    assert actions(scores_of([0.3, 0.1, -0.1, -0.3]), 0.2).tolist() == [1, 0, 0, -1]


def test_mirrored_scores_mirror_the_actions():
    lead = np.random.default_rng(0).uniform(-0.5, 0.5, 100)
    np.testing.assert_array_equal(actions(scores_of(-lead), 0.1), -actions(scores_of(lead), 0.1))


def test_pnl_is_the_chosen_sides_and_nothing_where_nothing_is_done():
    data = planted(rows=3)
    earned = pnl_bps(data, np.int8([1, 0, -1]))
    assert earned.tolist() == [data.buy_pnl_bps[0], 0.0, data.sell_pnl_bps[2]]


def test_drawdown_worked_by_hand():
    # 0, 2, -1, 1, -2: highest so far 2, deepest below it 4
    assert max_drawdown_bps(np.array([2.0, -3.0, 2.0, -3.0])) == 4.0


def test_paying_signal_gets_a_threshold_that_pays():
    data = planted(edge=1.0)
    threshold, note = choose_threshold(scores_of(np.clip(data.features[:, 0] / 8, -0.5, 0.5)), data)
    assert note is None
    assert pnl_bps(data, actions(scores_of(np.clip(data.features[:, 0] / 8, -0.5, 0.5)), threshold)).mean() > 0.1


def test_signal_below_its_costs_does_not_trade_and_says_so():
    data = planted(edge=0.2, cost_bps=20.0)
    assert choose_threshold(scores_of(np.clip(data.features[:, 0] / 8, -0.5, 0.5)), data) == (NEVER, NO_TRADE_NOTE)


def test_threshold_carried_over_acts_on_the_same_share_of_rows():
    lead = np.random.default_rng(0).uniform(-0.5, 0.5, 10_000)
    carried = carried_over(0.4, scores_of(lead), scores_of(lead / 2))
    assert carried == pytest.approx(0.2, abs=1e-3)
    assert carried_over(NEVER, scores_of(lead), scores_of(lead / 2)) == NEVER


def test_threshold_needs_one_trade_in_a_hundred():
    data = planted(rows=1000, cost_bps=20.0)
    data.buy_pnl_bps[:9] = 1000.0  # nine winners in a thousand are no evidence
    lead = np.full(1000, 0.0)
    lead[:9] = 0.4
    assert choose_threshold(scores_of(lead), data)[0] == NEVER


@pytest.mark.parametrize("name", ["logistic", "xgboost"])
def test_shuffled_labels_teach_nothing(name):
    honest = planted(rows=4000)
    data = replace(honest, features=np.random.default_rng(1).permutation(honest.features))
    kind = family(name)
    model = kind.fit(data.features[:3000], data.classes[:3000], kind.default(), 1)
    test = data.rows(slice(3000, None))
    found = evaluate(model.scores(test.features), test, threshold=0.0, seed=1)
    assert abs(found["mcc"].value) < 0.08
    assert found["net_pnl_bps"].high < 0  # it pays the spread for nothing


def test_planted_signal_is_found_and_its_interval_excludes_nothing():
    data = planted(rows=4000)
    kind = family("logistic")
    model = kind.fit(data.features[:3000], data.classes[:3000], kind.default(), 1)
    test = data.rows(slice(3000, None))
    found = evaluate(model.scores(test.features), test, threshold=0.1, seed=1)
    assert found["mcc"].low > 0.2
    assert found["net_pnl_bps"].low > 0.0
    assert found["trades"].value == found["turnover"].value * 1000


def test_model_that_never_trades_has_no_pnl_per_trade():
    data = planted()
    found = evaluate(scores_of(np.zeros(3000)), data, threshold=NEVER, seed=1)
    assert found["net_pnl_bps"].value == 0
    assert found["net_pnl_per_trade_bps"].value is None


@pytest.mark.parametrize("disguise", [lambda move: move, lambda move: -np.exp(move), lambda move: move**3])
def test_column_made_from_the_future_is_refused(disguise):
    data = planted()
    features = data.features.copy()
    features[:, 3] = disguise(data.mid_move_bps)
    with pytest.raises(ModelError, match=r"feature_3.*looks ahead"):
        refuse_leaks(features, data.mid_move_bps, data.names)


def test_honest_columns_pass_and_their_coefficients_are_told():
    data = planted()
    ics = refuse_leaks(data.features, data.mid_move_bps, data.names)
    assert ics[0] == pytest.approx(0.7, abs=0.05)
    assert single_feature_ics(np.zeros((3000, 1), np.float32), data.mid_move_bps).tolist() == [0.0]
