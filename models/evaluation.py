"""A model's figures on rows it has not learnt from, each with its confidence interval where it has one."""

import numpy as np
from numpy.typing import NDArray

from data_contracts.manifest import Estimate
from models import metrics
from models.bootstrap import Statistic, block_length, estimate
from models.dataset import Dataset
from models.metrics import Scores
from models.trading import actions, max_drawdown_bps, pnl_bps


def evaluate(scores: Scores, dataset: Dataset, *, threshold: float, seed: int) -> dict[str, Estimate]:
    """Return every metric of `scores` (n, 3) on the n rows of `dataset`, for the rule with `threshold`.

    Intervals are 95 %, from a moving-block bootstrap with blocks of several label windows. Drawdown and calibration
    depend on the rows' order or on bins, and carry no interval.
    """
    block = block_length(dataset.event_ns, dataset.horizon_ns)

    def with_interval(rows: NDArray[np.float64], statistic: Statistic) -> Estimate:
        return estimate(rows, statistic, block=block, seed=seed)

    cells = metrics.confusion_rows(scores, dataset.classes)
    taken = actions(scores, threshold)
    earned = pnl_bps(dataset, taken)
    ones, traded = np.ones(len(dataset)), (taken != 0).astype(np.float64)
    ic_rows = metrics.correlation_rows(metrics.signal(scores), dataset.mid_move_bps)
    losses = metrics.log_losses(scores, dataset.classes)
    return {
        "mcc": with_interval(cells, metrics.mcc),
        "f1_macro": with_interval(cells, metrics.f1_macro),
        "accuracy": with_interval(cells, metrics.accuracy),
        "information_coefficient": with_interval(ic_rows, metrics.correlation),
        "log_loss": with_interval(np.column_stack([losses, ones]), metrics.mean),
        "calibration_error": Estimate(value=metrics.calibration_error(scores, dataset.classes)),
        "net_pnl_bps": with_interval(np.column_stack([earned, ones]), metrics.mean),
        "net_pnl_per_trade_bps": with_interval(np.column_stack([earned, traded]), _ratio),
        "total_pnl_bps": Estimate(value=float(earned.sum())),
        "max_drawdown_bps": Estimate(value=max_drawdown_bps(earned)),
        "trades": Estimate(value=float(traded.sum())),
        "turnover": with_interval(np.column_stack([traded, ones]), metrics.mean),
    }


def _ratio(parts: NDArray[np.float64]) -> NDArray[np.float64]:
    ratio: NDArray[np.float64] = np.divide(
        parts[:, 0], parts[:, 1], out=np.full(len(parts), np.nan), where=parts[:, 1] > 0
    )
    return ratio
