"""Walk-forward folds: learn from the past, be tested on what came after, with a gap between."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from data_contracts.errors import UsageError

Positions = NDArray[np.intp]
Times = NDArray[np.int64]

DAY_NS = 86_400_000_000_000


class Fold(NamedTuple):
    """Row positions, ascending; every training row's label ends before the first test row."""

    train: Positions
    test: Positions


def walk_forward(event_ns: Times, *, folds: int, end_ns: Times, embargo_ns: int) -> tuple[Fold, ...]:
    """Return `folds` expanding-window folds over rows in time order.

    Rows are cut into folds + 1 blocks of equal count; fold k tests block k + 1 on what was learnt before it. Training
    rows whose label (event_ns to end_ns) or the embargo after it reaches the first test row are purged.

    Args:
        event_ns: when each decision was taken, (n,), never falling.
        folds: how many.
        end_ns: when each row's label was known, (n,).
        embargo_ns: what has to lie between that and the first test row.

    Raises:
        UsageError: a fold would have no rows to learn from or to test on.

    Source:
        López de Prado (2018), Advances in Financial Machine Learning, ch. 7 (purging, embargo).
    """
    edges = np.linspace(0, len(event_ns), folds + 2).astype(np.intp)
    made = tuple(
        Fold(purged(event_ns, int(start), end_ns=end_ns, embargo_ns=embargo_ns), np.arange(start, stop))
        for start, stop in pairwise(edges[1:])
    )
    if not all(fold.train.size and fold.test.size for fold in made):
        raise UsageError(f"walk-forward: {len(event_ns)} rows are too few for {folds} folds with this purge")
    return made


def walk_forward_days(
    event_ns: Times, *, first_days: int, end_ns: Times, embargo_ns: int, min_rows: int = 1
) -> tuple[Fold, ...]:
    """Return a fold for every UTC day after the `first_days` first ones: learn from all days before, test on that day.

    Days with fewer than `min_rows` rows are not tested, but learnt from. Purge and embargo as in `walk_forward`.

    Raises:
        UsageError: there is no day left to test.
    """
    days = event_ns // DAY_NS
    found = np.unique(days)
    made = []
    for day in found[first_days:]:
        start, stop = np.searchsorted(days, [day, day + 1])
        train = purged(event_ns, int(start), end_ns=end_ns, embargo_ns=embargo_ns)
        if stop - start >= min_rows and train.size:
            made.append(Fold(train, np.arange(start, stop)))
    if not made:
        raise UsageError(f"walk-forward by day: expected more than {first_days} days with rows, got {len(found)}")
    return tuple(made)


def purged(event_ns: Times, test_start: int, *, end_ns: Times, embargo_ns: int) -> Positions:
    """Return the rows before `test_start` whose label and embargo end before the test's first event time."""
    if test_start >= len(event_ns):
        return np.arange(len(event_ns))
    return np.flatnonzero(end_ns[:test_start] + embargo_ns < event_ns[test_start])
