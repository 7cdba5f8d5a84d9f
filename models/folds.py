"""Walk-forward folds: learn from the past, be tested on what came after, with a gap between."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from data_contracts.errors import UsageError

Positions = NDArray[np.intp]


class Fold(NamedTuple):
    """Row positions, ascending; every training row's label ends before the first test row."""

    train: Positions
    test: Positions


def walk_forward(event_ns: NDArray[np.int64], *, folds: int, horizon_ns: int, embargo_ns: int) -> tuple[Fold, ...]:
    """Return `folds` expanding-window folds over rows in time order.

    Rows are cut into folds + 1 blocks of equal count; fold k tests block k + 1 on what was learnt before it. Training
    rows whose label window (event_ns to event_ns + horizon_ns) or the embargo after it reaches the first test row are
    purged.

    Raises:
        UsageError: a fold would have no rows to learn from or to test on.

    Source:
        López de Prado (2018), Advances in Financial Machine Learning, ch. 7 (purging, embargo).
    """
    edges = np.linspace(0, len(event_ns), folds + 2).astype(np.intp)
    made = tuple(
        Fold(purged(event_ns, int(start), horizon_ns=horizon_ns, embargo_ns=embargo_ns), np.arange(start, stop))
        for start, stop in pairwise(edges[1:])
    )
    if not all(fold.train.size and fold.test.size for fold in made):
        raise UsageError(f"walk-forward: {len(event_ns)} rows are too few for {folds} folds with this purge")
    return made


def purged(event_ns: NDArray[np.int64], test_start: int, *, horizon_ns: int, embargo_ns: int) -> Positions:
    """Return the rows before `test_start` whose label and embargo end before the test's first event time."""
    if test_start >= len(event_ns):
        return np.arange(len(event_ns))
    before = np.searchsorted(event_ns, event_ns[test_start] - horizon_ns - embargo_ns, side="left")
    return np.arange(min(int(before), test_start))
