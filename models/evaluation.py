"""A model's figures on rows it has not learnt from, each with its confidence interval where it has one."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from data_contracts.manifest import Estimate
from models import metrics
from models.bootstrap import Statistic, block_length, estimates
from models.dataset import Dataset
from models.metrics import Scores
from models.sharpe import bucket_ns, bucketed, deflated_sharpe, sharpe_ratio
from models.trading import actions, max_drawdown_bps, pnl_bps, round_trip_bps, strongest

STRONG_SHARE: Final = 0.1
"""Of the rows, those on which a signal is strongest: what it is worth there does not hang on a threshold."""
_HOUR_NS: Final = 3.6e12
_Asked = dict[str, tuple[NDArray[np.float64], Statistic]]


def evaluate(
    scores: Scores,
    dataset: Dataset,
    *,
    threshold: float,
    seed: int,
    trials: int = 1,
    trial_sharpes: Sequence[float] = (),
    cut: float = 0.0,
) -> dict[str, Estimate]:
    """Return every metric of `scores` on the n rows of `dataset`, for the rule with `threshold`.

    Intervals are 95 %, from a moving-block bootstrap with blocks of several label windows. What depends on the rows'
    order or on bins carries none. What needs probabilities is null for scores of one column, R2 for those of three.

    Args:
        scores: P(down), P(flat), P(up), (n, 3), or expected moves, (n, 1).
        dataset: n rows.
        threshold: of the decision rule.
        seed: of the resampling.
        trials: configurations tried before this one was shown.
        trial_sharpes: their Sharpe ratios a period, as far as they are known.
        cut: of expected moves: beyond it a class is said.
    """
    found = _of_the_label(scores, dataset, seed=seed, cut=cut)
    found |= _of_the_rule(actions(scores, threshold), dataset, seed, trials, trial_sharpes)
    return found | _of_the_strongest(scores, dataset, seed=seed)


def sums_a_period(scores: Scores, dataset: Dataset, threshold: float) -> NDArray[np.float64]:
    """Return what the rule earned a period, the sums that its Sharpe ratio is taken of."""
    width = bucket_ns(dataset.event_ns, dataset.horizon_ns)
    return bucketed(dataset.event_ns, pnl_bps(dataset, actions(scores, threshold)), width)


def _of_the_label(scores: Scores, dataset: Dataset, *, seed: int, cut: float) -> dict[str, Estimate]:
    ones = np.ones(len(dataset))
    cells = metrics.confusion_rows(scores, dataset.classes, cut=cut)
    asked: _Asked = {
        "mcc": (cells, metrics.mcc),
        "f1_macro": (cells, metrics.f1_macro),
        "accuracy": (cells, metrics.accuracy),
        "information_coefficient": (
            metrics.correlation_rows(metrics.signal(scores), dataset.mid_move_bps),
            metrics.correlation,
        ),
    }
    unknown = Estimate(value=None)
    if scores.shape[1] == 1:
        wrong = (scores[:, 0].astype(np.float64) - dataset.mid_move_bps) ** 2
        asked["r2"] = (np.column_stack([wrong, dataset.mid_move_bps**2]), metrics.r_squared)
        nothing = {"log_loss": unknown, "brier": unknown, "calibration_error": unknown}
        return _with_intervals(asked, dataset, seed) | nothing
    losses, squares = metrics.log_losses(scores, dataset.classes), metrics.brier_scores(scores, dataset.classes)
    asked |= {
        "log_loss": (np.column_stack([losses, ones]), metrics.mean),
        "brier": (np.column_stack([squares, ones]), metrics.mean),
    }
    error = Estimate(value=metrics.calibration_error(scores, dataset.classes))
    return _with_intervals(asked, dataset, seed) | {"calibration_error": error, "r2": unknown}


def _of_the_rule(
    taken: NDArray[np.int8], dataset: Dataset, seed: int, trials: int, trial_sharpes: Sequence[float]
) -> dict[str, Estimate]:
    ones = np.ones(len(dataset))
    earned, traded = pnl_bps(dataset, taken), (taken != 0).astype(np.float64)
    left = round_trip_bps(dataset, taken)
    asked: _Asked = {
        "net_pnl_bps": (np.column_stack([earned, ones]), metrics.mean),
        "net_pnl_per_trade_bps": (np.column_stack([earned, traded]), metrics.mean),
        "round_trip_per_trade_bps": (np.column_stack([left, traded]), metrics.mean),
        "turnover": (np.column_stack([traded, ones]), metrics.mean),
    }
    sums = bucketed(dataset.event_ns, earned, bucket_ns(dataset.event_ns, dataset.horizon_ns))
    deflated, bar = deflated_sharpe(sums, trials=trials, trial_sharpes=trial_sharpes)
    hours = float(dataset.event_ns[-1] - dataset.event_ns[0]) / _HOUR_NS if len(dataset) > 1 else 0.0
    return _with_intervals(asked, dataset, seed) | {
        "total_pnl_bps": Estimate(value=float(earned.sum())),
        "max_drawdown_bps": Estimate(value=max_drawdown_bps(earned)),
        "trades": Estimate(value=float(traded.sum())),
        "trades_per_hour": Estimate(value=float(traded.sum()) / hours if hours > 0 else None),
        "sharpe": Estimate(value=sharpe_ratio(sums)),
        "sharpe_bar": Estimate(value=bar),
        "deflated_sharpe": Estimate(value=deflated),
        "trials": Estimate(value=float(trials)),
    }


def _of_the_strongest(scores: Scores, dataset: Dataset, *, seed: int) -> dict[str, Estimate]:
    side = strongest(scores, STRONG_SHARE)
    said = (side != 0).astype(np.float64)
    moved = side * dataset.mid_move_bps
    decided = said * (dataset.mid_move_bps != 0)
    earned = pnl_bps(dataset, side)
    asked: _Asked = {
        "strong_hit_rate": (np.column_stack([decided * (moved > 0), decided]), metrics.mean),
        "strong_move_bps": (np.column_stack([moved, said]), metrics.mean),
        "strong_cost_bps": (np.column_stack([moved - earned, said]), metrics.mean),
        "strong_net_bps": (np.column_stack([earned, said]), metrics.mean),
    }
    return _with_intervals(asked, dataset, seed)


def _with_intervals(asked: _Asked, dataset: Dataset, seed: int) -> dict[str, Estimate]:
    return estimates(asked, block=block_length(dataset.event_ns, dataset.horizon_ns), seed=seed)
