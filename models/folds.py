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


def walk_forward(
    event_ns: Times, *, folds: int, end_ns: Times, embargo_ns: int, starts: Positions | None = None
) -> tuple[Fold, ...]:
    """Return `folds` expanding-window folds over rows in time order.

    Rows are cut into folds + 1 blocks of equal count; fold k tests block k + 1 on what was learnt before it. Training
    rows whose label (event_ns to end_ns) or the embargo after it reaches the first test row are purged.

    Args:
        event_ns: when each decision was taken, (n,), never falling.
        folds: how many.
        end_ns: when each row's label was known, (n,).
        embargo_ns: what has to lie between that and the first test row.
        starts: rows that a test may begin at, ascending: blocks as even as these allow, and no more folds than there
            are of them; None: any row.

    Raises:
        UsageError: a fold would have no rows to learn from or to test on.

    Source:
        López de Prado (2018), Advances in Financial Machine Learning, ch. 7 (purging, embargo).
    """
    edges = np.linspace(0, len(event_ns), folds + 2).astype(np.intp)
    if starts is not None:
        edges = _edges_among(starts, len(event_ns), folds)
    made = tuple(
        Fold(purged(event_ns, int(start), end_ns=end_ns, embargo_ns=embargo_ns), np.arange(start, stop))
        for start, stop in pairwise(edges[1:])
    )
    if not made or not all(fold.train.size and fold.test.size for fold in made):
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


def day_starts(event_ns: Times, session_gap_ns: int) -> Positions:
    """Return where each day but the first begins among rows in time order.

    A session ends at a silence over `session_gap_ns` and belongs, whole, to the UTC day on which it began; one of 24
    hours or more, as where a market never closes, is cut at UTC midnights.
    """
    if not len(event_ns):
        return np.zeros(0, dtype=np.intp)
    begins = np.concatenate([[0], np.flatnonzero(np.diff(event_ns) > session_gap_ns) + 1])
    ends = np.append(begins[1:], len(event_ns))
    long = event_ns[ends - 1] - event_ns[begins] >= DAY_NS
    days = np.where(np.repeat(long, ends - begins), event_ns, np.repeat(event_ns[begins], ends - begins)) // DAY_NS
    return np.flatnonzero(np.diff(days)) + 1


def _edges_among(starts: Positions, rows: int, folds: int) -> Positions:
    folds = min(folds, len(starts))
    edges, first = [0], 0
    for number in range(1, folds + 1):
        left = starts[first : len(starts) - (folds - number)]  # so many have to be left for the folds after this one
        first += int(np.argmin(np.abs(left - rows * number / (folds + 1)))) + 1
        edges.append(int(starts[first - 1]))
    return np.array([*edges, rows], dtype=np.intp)


def purged(event_ns: Times, test_start: int, *, end_ns: Times, embargo_ns: int) -> Positions:
    """Return the rows before `test_start` whose label and embargo end before the test's first event time."""
    if test_start >= len(event_ns):
        return np.arange(len(event_ns))
    return np.flatnonzero(end_ns[:test_start] + embargo_ns < event_ns[test_start])
