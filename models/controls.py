"""Controls: what must come to nothing, and what must be caught, before a figure is believed."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from models import metrics
from models.dataset import Dataset
from models.metrics import Scores

FALSE_ALARMS: Final = 0.05
"""Chance that any control of a whole report of honest studies says it found something."""
SHUFFLES: Final = 3
DRAWS: Final = 2000
"""Of the tested outcomes' order: the least p-value they can give is low enough for fifty studies in one report."""
_DEALT: Final = ("classes", "buy_pnl_bps", "sell_pnl_bps", "mid_move_bps", "exit_half_spread_bps")


class Control(Struct, frozen=True, kw_only=True):
    """What was found where there is nothing to find, by quantity: MCC and information coefficient."""

    shuffles: int
    values: dict[str, float]
    """Means over the shuffles."""
    p_values: dict[str, float]
    """Chance of a value as high, one-sided, of this quantity alone."""


def shuffled(rows: Dataset, *, seed: int) -> Dataset:
    """Return `rows` with what came of them drawn anew, with replacement, from the outcomes of all of them.

    Classes and earnings stay together; only their tie to the features is cut, in what is learnt from and in what is
    tested, so that whatever is still found was never there. Drawn from all days: within days a wild day would keep both
    its features and its few flat labels, which is true and may be found. With replacement: dealt out without, a test
    would lack what its training had too much of.
    """
    order = np.random.default_rng(seed).integers(0, len(rows), len(rows))
    return replace(rows, **{name: getattr(rows, name)[order] for name in _DEALT})


def control(
    rows: Dataset,
    walked: Callable[[Dataset], tuple[Scores, Dataset]],
    *,
    seed: int,
    shuffles: int = SHUFFLES,
    draws: int = DRAWS,
) -> Control:
    """Return what an evaluation finds on shuffled rows, against what the tested outcomes say in any other order.

    Outcomes that were drawn independently may stand in any order before scores that have not seen them; the means over
    the shuffles are held against those of `draws` random orders. Scores that have seen them stand out.

    Args:
        rows: all of a study.
        walked: the evaluation: from rows to scores, (n, 3), of n tested rows, and those rows.
        seed: of the first shuffle, and of the orders.
        shuffles: how often all of it is done.
        draws: random orders.
    """
    found = [
        _against_any_order(*walked(shuffled(rows, seed=seed + k)), seed=seed + k, draws=draws) for k in range(shuffles)
    ]
    values = np.mean(found, axis=0)
    p_values = (1 + (values[1:] >= values[0] - 1e-12).sum(axis=0)) / (1 + draws)
    names = ("mcc", "information_coefficient")
    return Control(
        shuffles=shuffles,
        values=dict(zip(names, values[0].tolist(), strict=True)),
        p_values=dict(zip(names, p_values.tolist(), strict=True)),
    )


def found_something(controls: Sequence[Control], *, level: float = FALSE_ALARMS) -> tuple[bool, ...]:
    """Return of each control of one report whether it found anything; the chance of any, by luck alone, is `level`.

    Bonferroni over all quantities of all controls.
    """
    tests = sum(len(each.p_values) for each in controls)
    return tuple(any(p <= level / tests for p in each.p_values.values()) for each in controls)


def with_leak(rows: Dataset) -> Dataset:
    """Return `rows` with a column added that is made from the future: models.leakage has to refuse it."""
    leaked = rows.mid_move_bps.astype(np.float32)[:, None]
    return replace(rows, features=np.hstack([rows.features, leaked]), names=(*rows.names, "leaked_future"))


def _against_any_order(scores: Scores, tested: Dataset, *, seed: int, draws: int) -> NDArray[np.float64]:
    """Return MCC and IC as they stand, then of each random order, (1 + draws, 2)."""
    generator = np.random.default_rng(seed)
    said = metrics.predicted(scores).astype(np.intp)
    cells = np.empty((1 + draws, 9))
    left, right = (_standard(values) for values in (metrics.signal(scores), tested.mid_move_bps))
    products = np.empty(1 + draws)
    order = np.arange(len(tested))
    for draw in range(1 + draws):
        cells[draw] = np.bincount(3 * tested.classes[order].astype(np.intp) + said, minlength=9)
        products[draw] = left @ right[order]
        order = generator.permutation(len(tested))
    return np.column_stack([metrics.mcc(cells), products])


def _standard(values: NDArray[np.float64]) -> NDArray[np.float64]:
    centred = values - values.mean()
    size = float(np.sqrt(centred @ centred))
    scaled: NDArray[np.float64] = centred / size if size > 1e-12 else np.zeros_like(centred)
    return scaled
