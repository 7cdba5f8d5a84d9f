"""Whether rows now are distributed as they were, with a false-alarm rate that dependence does not raise.

Both windows are cut into blocks of successive rows, long against what the rows remember. If nothing has changed, blocks
may change places between the windows, so a statistic is held against what it becomes when they do, drawn at random
(block permutation). Of many features the smallest p-value is held against the smallest of every draw (Westfall & Young
1993), so the rate is that of any alarm at all, whatever the features have to do with each other.

Formulae: population stability index sum (p - q) ln(p / q) over tenths (Yurdakul & Naranjo 2020, Journal of Risk Model
Validation 14(4)); Kolmogorov-Smirnov's largest distance of the distribution functions, on a grid of 64 quantiles.
"""

from typing import Any, Final, Literal

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from data_contracts.errors import UsageError

Floats = NDArray[np.float64]

BLOCKS: Final = 24
"""Of the shorter window, at most: of two days, an hour each."""
LEAST_BLOCKS: Final = 8
"""Fewer leave too few ways to change places."""
MEMORIES: Final = 3.0
"""Times what rows remember, that a block has to be long: less, and its neighbours tell it from strangers."""
FORGOTTEN: Final = 0.05
"""An autocorrelation under which a row is forgotten."""
PERMUTATIONS: Final = 4000
GRID: Final = 64
BINS: Final = 10
MIN_PSI: Final = 0.1
"""Under it a difference, however certain, is too small to act on; the usual word for 0.1 to 0.25 is moderate."""
MIN_DISTANCE: Final = 0.1
"""The same for Kolmogorov-Smirnov."""


class DriftResult(Struct, frozen=True, kw_only=True):
    """One statistic of one column."""

    column: str
    test: Literal["psi", "ks", "edge", "bounce", "session"]
    value: float
    p_value: float
    """Adjusted for the columns tested together."""
    limit: float
    """Below it nothing is said, however small the p-value."""
    drifted: bool


def column_drift(
    reference: NDArray[np.floating],
    current: NDArray[np.floating],
    names: tuple[str, ...],
    *,
    alpha: float,
    seed: int,
    memory: float = 1.0,
) -> tuple[DriftResult, ...]:
    """Return both statistics of every column; the chance of any false alarm among them is `alpha`.

    Args:
        reference: (n, d), finite, oldest first.
        current: (m, d), likewise, after it.
        names: of the d columns.
        alpha: half of it for each statistic.
        seed: of the permutations.
        memory: rows that they are known to remember at least; what is made of slow columns may remember as long, in a
            part too small for its own autocorrelation to show.

    Raises:
        UsageError: a window is too short to be cut into blocks.
    """
    block = block_rows(len(reference), len(current), max(memory, memory_rows(reference, current)))
    counts = np.concatenate(
        [_counts(part, block, grid) for grid in [_grid(reference, current)] for part in (reference, current)]
    )
    first = len(reference) // block
    chosen = draw_blocks(len(counts), first, seed)
    flat = counts.reshape(len(counts), -1)
    before = (chosen @ flat).reshape(len(chosen), *counts.shape[1:])
    after = flat.sum(axis=0).reshape(1, *counts.shape[1:]) - before
    results: list[DriftResult] = []
    for test, statistic, least in (("psi", _psi, MIN_PSI), ("ks", _ks, MIN_DISTANCE)):
        values = statistic(before, after)
        p_values = _adjusted(values)
        results += [
            DriftResult(
                column=name,
                test=test,  # type: ignore[arg-type]  # one of the two
                value=float(values[0, j]),
                p_value=float(p_values[j]),
                limit=least,
                drifted=bool(p_values[j] <= alpha / 2 and values[0, j] >= least),
            )
            for j, name in enumerate(names)
        ]
    return tuple(results)


def edge_loss(
    reference: Floats, current: Floats, *, name: str, alpha: float, seed: int, memory: float = 1.0
) -> DriftResult:
    """Return whether decisions earn less than they did; the chance of a false alarm is `alpha`.

    Args:
        reference: (n,) earned by each decision then, in bps, oldest first.
        current: (m,) likewise, now.
        name: what was earned.
        alpha: of this one-sided test.
        seed: of the permutations.
        memory: as of column_drift.
    """
    memory = max(memory, memory_rows(reference[:, None], current[:, None]))
    block = block_rows(len(reference), len(current), memory)
    sums = np.concatenate([_blocks(part[:, None], block).sum(axis=1)[:, 0] for part in (reference, current)])
    first = len(reference) // block
    chosen = draw_blocks(len(sums), first, seed)
    before = (chosen @ sums) / (first * block)
    after = (sums.sum() - chosen @ sums) / ((len(sums) - first) * block)
    lost = before - after
    p_value = float(np.mean(lost >= lost[0] - 1e-12))
    return DriftResult(
        column=name,
        test="edge",
        value=float(lost[0]),
        p_value=p_value,
        limit=0.0,
        drifted=p_value <= alpha and lost[0] > 0,
    )


def block_rows(reference: int, current: int, memory: float = 1.0) -> int:
    """Return the rows of a block: MEMORIES times `memory`, as far as the shorter window's rows allow.

    Raises:
        UsageError: the shorter window has fewer than 20 rows for each of BLOCKS blocks.
    """
    shorter = min(reference, current)
    if shorter < 20 * BLOCKS:
        raise UsageError(f"drift: expected at least {20 * BLOCKS} rows in both windows, got {reference} and {current}")
    return shorter // int(np.clip(shorter / (MEMORIES * memory), LEAST_BLOCKS, BLOCKS))


def enough_rows(memory: float) -> int:
    """Return the rows that the shorter window needs for the stated rate of false alarms to hold."""
    return int(np.ceil(MEMORIES * memory * LEAST_BLOCKS))


def memory_rows(reference: NDArray[np.floating], current: NDArray[np.floating]) -> float:
    """Return how many rows say as much as one that knew nothing of the row before, of the column where it is most.

    The integrated autocorrelation time 1 + 2 sum rho(k) of the ranks, up to the first lag at which the two windows'
    mean rho is under FORGOTTEN. Each window is centred by itself, so a change between them is not taken for memory.

    Args:
        reference: (n, d).
        current: (m, d).
    """
    most = 1.0
    for column in range(reference.shape[1]):
        found = [_autocorrelation(part[:, column]) for part in (reference, current)]
        lags = min(map(len, found))
        rho = (found[0][:lags] + found[1][:lags]) / 2
        end = int(np.argmax(rho < FORGOTTEN)) if (rho < FORGOTTEN).any() else lags
        most = max(most, 1.0 + 2.0 * float(rho[1:end].sum()))
    return most


def _autocorrelation(values: NDArray[np.floating]) -> Floats:
    """Return that of the ranks at lags 0 to half the rows; 1, then 0, where all are the same."""
    ranks = np.unique(values, return_inverse=True)[1].astype(np.float64)
    ranks -= ranks.mean()
    count = len(ranks)
    spectrum = np.fft.rfft(ranks, 2 * count)
    found: Floats = np.fft.irfft(np.abs(spectrum) ** 2)[: max(count // 2, 2)]
    if found[0] <= 0:
        found[0] = 1.0
    found /= found[0]
    return found


def _grid(reference: NDArray[np.floating], current: NDArray[np.floating]) -> Floats:
    # Of both windows together, each with half the weight: a permutation must not see which one a row is from.
    levels = np.arange(1, GRID) / GRID
    return np.stack([_quantiles(reference[:, j], current[:, j], levels) for j in range(reference.shape[1])])


def _quantiles(left: NDArray[np.floating], right: NDArray[np.floating], levels: Floats) -> Floats:
    values, weights = (
        np.concatenate([left, right]),
        np.repeat([0.5 / len(left), 0.5 / len(right)], [len(left), len(right)]),
    )
    order = np.argsort(values, kind="stable")
    place = np.searchsorted(np.cumsum(weights[order]), levels)
    found: Floats = values[order][np.minimum(place, len(values) - 1)].astype(np.float64)
    return found


def _counts(rows: NDArray[np.floating], block: int, grid: Floats) -> Floats:
    """Return rows in each cell of the grid by block, shape (blocks, d, GRID); values on an edge lie below it."""
    cells = np.stack([np.searchsorted(edges, rows[:, j], "left") for j, edges in enumerate(grid)], axis=1)
    blocks = _blocks(cells, block)
    places = (np.arange(len(blocks))[:, None] * len(grid) + np.arange(len(grid)))[:, None, :] * GRID + blocks
    counts: Floats = np.bincount(places.ravel(), minlength=len(blocks) * len(grid) * GRID).astype(np.float64)
    return counts.reshape(len(blocks), len(grid), GRID)


def _blocks(rows: NDArray[Any], block: int) -> NDArray[Any]:
    # What is left over is dropped from the old end: the newest rows are what is asked about.
    whole = len(rows) // block
    return rows[len(rows) - whole * block :].reshape(whole, block, rows.shape[1])


def draw_blocks(blocks: int, first: int, seed: int) -> Floats:
    """Return which blocks make up the reference, (1 + PERMUTATIONS, blocks): first as they are, then at random."""
    generator = np.random.default_rng(seed)
    draws = np.zeros((1 + PERMUTATIONS, blocks))
    draws[0, :first] = 1.0
    order = generator.random((PERMUTATIONS, blocks)).argsort(axis=1)[:, :first]
    np.put_along_axis(draws[1:], order, 1.0, axis=1)
    return draws


def _psi(before: Floats, after: Floats) -> Floats:
    p, q = (_tenths(part) for part in (before, after))
    index: Floats = ((p - q) * np.log(p / q)).sum(axis=-1)
    return index


def _tenths(counts: Floats) -> Floats:
    starts = np.linspace(0, GRID, BINS + 1).astype(int)[:-1]
    tenths = np.add.reduceat(counts, starts, axis=-1) + 0.5  # half a count keeps an empty bin finite
    shares: Floats = tenths / tenths.sum(axis=-1, keepdims=True)
    return shares


def _ks(before: Floats, after: Floats) -> Floats:
    left, right = (np.cumsum(part, axis=-1) / part.sum(axis=-1, keepdims=True) for part in (before, after))
    distance: Floats = np.abs(left - right).max(axis=-1)
    return distance


def _adjusted(values: Floats) -> Floats:
    """Return p-values of the first row, adjusted over the columns by the smallest p-value of every row."""
    rows = len(values)
    ranks = np.stack([np.searchsorted(np.sort(column), column - 1e-12, "left") for column in values.T], axis=1)
    p_values = (rows - ranks) / rows
    smallest = np.sort(p_values.min(axis=1))
    adjusted: Floats = np.searchsorted(smallest, p_values[0] + 1e-12, "right") / rows
    return adjusted
