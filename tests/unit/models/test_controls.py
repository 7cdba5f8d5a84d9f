"""The control by shuffled labels: it must not cry wolf, and what has seen the tested outcomes must not pass."""

from functools import partial

import numpy as np
import pytest
from planted_data import planted

from models.baselines import fit_baseline
from models.controls import FALSE_ALARMS, Control, control, found_something, shuffled
from models.dataset import Dataset
from models.families import family
from models.folds import walk_forward
from models.metrics import Scores
from models.study import walk

ROWS = planted(rows=400, width=8)
FOLDS = walk_forward(ROWS.event_ns, folds=3, end_ns=ROWS.end_ns, embargo_ns=ROWS.horizon_ns)
MANY = planted(rows=2000, width=24)


def honest(rows: Dataset) -> tuple[Scores, Dataset]:
    return walk(rows, FOLDS, lambda learnt: fit_baseline("ridge", learnt, seed=1).scores)[:2]


def leaking(rows: Dataset) -> tuple[Scores, Dataset]:
    """Learn from the tested rows too."""
    kind = family("logistic")
    model = kind.fit(rows.features, rows.classes, kind.default(), 1)
    tested = slice(len(rows) // 2, None)
    return model.scores(rows.features[tested]), rows.rows(tested)


def test_outcomes_are_drawn_together_and_untied_from_the_features() -> None:
    dealt = shuffled(ROWS, seed=1)
    assert set(dealt.mid_move_bps) < set(ROWS.mid_move_bps)
    np.testing.assert_allclose(dealt.buy_pnl_bps, dealt.mid_move_bps - 0.5)
    np.testing.assert_array_equal(dealt.features, ROWS.features)
    assert abs(np.corrcoef(dealt.features[:, 0], dealt.mid_move_bps)[0, 1]) < 0.15


def test_honest_walk_cries_wolf_no_more_often_than_stated() -> None:
    found = [control(ROWS, honest, seed=10 * run, shuffles=2, draws=99) for run in range(200)]
    alarms = sum(found_something([each])[0] for each in found)
    # 200 runs at a rate of 5 %: 10 are expected, 19 are passed by less than three in a thousand.
    assert alarms <= 19
    p_values = np.array([list(each.p_values.values()) for each in found])
    assert 0.4 < p_values.mean() < 0.6


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_walk_that_has_seen_the_tested_rows_is_caught_among_many_cases(seed: int) -> None:
    found = control(MANY, leaking, seed=seed)
    quiet = control(ROWS, honest, seed=seed)
    assert found_something([found, *[quiet] * 11]) == (True, *[False] * 11)


def test_one_level_holds_for_the_whole_report() -> None:
    made = partial(Control, shuffles=3, values={"mcc": 0.1, "information_coefficient": 0.1})
    alone = made(p_values={"mcc": FALSE_ALARMS / 2, "information_coefficient": 1.0})
    assert found_something([alone]) == (True,)
    assert found_something([alone, made(p_values={"mcc": 1.0, "information_coefficient": 1.0})]) == (False, False)
