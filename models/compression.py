"""Choosing the smallest file that is shown not to be worse: paired tests against the original on held-out rows.

The held-out rows are cut in two by time. On the first part candidates are compared and put in order; on the second the
order is followed, safest first, and each candidate must be confirmed before the next, smaller one is looked at. The
first that is not ends it. So the best of many is never picked on the rows that prove it: a fixed sequence of tests,
each at 5 %, keeps the chance of publishing any inferior version at 5 %.

Source:
    Maurer, Hothorn, Lehmacher (1995), Biometrie in der chemisch-pharmazeutischen Industrie 6 (fixed sequences).
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from data_contracts.manifest import Estimate
from models.bootstrap import block_length, estimate
from models.dataset import Dataset
from models.fitting import losses
from models.metrics import mean
from models.parity import FLOAT_TOLERANCE, run_onnx

METRIC: Final = "log_loss"
MOVE_METRIC: Final = "squared_error"
MARGIN: Final = 0.005
"""Nats a row, stated before anything is measured; guessing three classes blindly costs 1.1."""
MOVE_MARGIN_SHARE: Final = 0.005
"""Of the mean square of the moves learnt from, where moves are what is said: that is what expecting none costs."""
TARGET_SHARE: Final = 0.25
"""Of the original's bytes, at most: what is not 75 % smaller does not qualify."""
CHOOSING_SHARE: Final = 0.4
"""First part of the held-out rows, on which candidates are put in order; the rest confirms."""


class Margin(NamedTuple):
    """How much worse a smaller form may be, a row: in nats, or in squared bps."""

    metric: str
    value: float


def margin_of(learnt_from: Dataset, outputs: int) -> Margin:
    """Return the margin for models of three outputs, or of one; of the rows, only those learnt from are looked at."""
    if outputs == 3:
        return Margin(METRIC, MARGIN)
    return Margin(MOVE_METRIC, MOVE_MARGIN_SHARE * float(np.mean(learnt_from.mid_move_bps**2)))


class Candidate(NamedTuple):
    """A smaller graph and how it was made."""

    steps: tuple[str, ...]
    model: ModelProto
    tolerance: float = FLOAT_TOLERANCE
    """Parity tolerance its engines are held to."""


class Trial(NamedTuple):
    """A candidate and its paired loss differences to the original, candidate minus original."""

    candidate: Candidate
    size_bytes: int
    compared: Estimate
    """On the choosing rows."""
    confirmed: Estimate | None = None
    """On the confirming rows; None: its turn did not come."""


class Choice(NamedTuple):
    """Every trial in the order given, and which one was chosen."""

    trials: tuple[Trial, ...]
    best: Trial | None
    """None: nothing qualified."""
    nearest: Trial | None
    """The best, or the first that failed; None: nothing was small and close enough to be asked."""
    confirmed_from_ns: int
    """Event time of the first confirming row."""


def choose(
    original: ModelProto,
    candidates: Sequence[Candidate],
    held_out: Dataset,
    *,
    seed: int,
    margin: float = MARGIN,
    target_share: float = TARGET_SHARE,
) -> Choice:
    """Return the smallest candidate that qualifies, and what was measured of all.

    One qualifies if it has at most `target_share` of the original's bytes and the 95 % interval of its mean paired
    difference of loss (log loss, or squared error of moves) on the confirming rows lies at or under `margin`.
    """
    choosing, confirming = cut(held_out)
    compared = _differences(original, candidates, choosing, seed)
    trials = [Trial(c, c.model.ByteSize(), difference) for c, difference in zip(candidates, compared, strict=True)]
    best, nearest = None, None
    for index in in_order(trials, most_bytes=target_share * original.ByteSize(), margin=margin):
        candidate = trials[index].candidate
        (difference,) = _differences(original, [candidate], confirming, seed)
        trials[index] = trials[index]._replace(confirmed=difference)
        if difference.high is None or not difference.high <= margin:
            nearest = nearest or trials[index]
            break
        best = nearest = trials[index]
    return Choice(tuple(trials), best, nearest, int(confirming.event_ns[0]))


def cut(held_out: Dataset) -> tuple[Dataset, Dataset]:
    """Return the choosing and the confirming rows, two horizons apart so that no outcome is in both."""
    end = max(1, round(CHOOSING_SHARE * len(held_out)))
    start = int(np.searchsorted(held_out.event_ns, held_out.event_ns[end - 1] + 2 * held_out.horizon_ns, side="right"))
    return held_out.rows(slice(0, end)), held_out.rows(slice(min(start, len(held_out) - 1), None))


def in_order(trials: Sequence[Trial], *, most_bytes: float, margin: float) -> list[int]:
    """Return which trials are worth confirming, safest first, each smaller than the one before.

    They are small enough, their difference on the choosing rows is within the margin, and no other is both smaller and
    safer. The safest has the lowest upper end of its interval, once a gain is taken for none: what looks better than
    the original by chance will not be so again, but what hardly differs from it will not differ later either.
    """
    worth = []
    for index, trial in enumerate(trials):
        value, high = trial.compared.value, trial.compared.high
        if trial.size_bytes <= most_bytes and value is not None and high is not None and value <= margin:
            worth.append((max(value, 0.0) + high - value, trial.size_bytes, index))
    order: list[int] = []
    for _, size, index in sorted(worth):
        if not order or size < trials[order[-1]].size_bytes:
            order.append(index)
    return order


def _differences(original: ModelProto, candidates: Sequence[Candidate], rows: Dataset, seed: int) -> Iterator[Estimate]:
    lost = _losses(original, rows)
    block = block_length(rows.event_ns, rows.horizon_ns)
    for candidate in candidates:
        change = _losses(candidate.model, rows) - lost
        yield estimate(np.column_stack([change, np.ones(len(change))]), mean, block=block, seed=seed)


def _losses(model: ModelProto, rows: Dataset) -> NDArray[np.float64]:
    return losses(run_onnx(model, rows.features), rows)
