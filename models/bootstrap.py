"""Confidence intervals that respect dependence: the moving-block bootstrap over additive statistics."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from data_contracts.manifest import Estimate

Sums = NDArray[np.float64]
Statistic = Callable[[Sums], NDArray[np.float64]]

SAMPLES = 1000


def block_length(event_ns: NDArray[np.int64], horizon_ns: int) -> int:
    """Return rows a block must hold: five label windows, at least the cube root of n, at most a tenth of n.

    Outcomes overlap for one horizon; a block much longer than that keeps their dependence inside it.
    """
    rows = len(event_ns)
    span = int(event_ns[-1] - event_ns[0]) if rows > 1 else 0
    overlap = rows * horizon_ns / span if span > 0 else 1.0
    return int(np.clip(5 * overlap, max(rows ** (1 / 3), 1), max(rows // 10, 1)))


def estimate(rows: NDArray[np.float64], statistic: Statistic, *, block: int, seed: int) -> Estimate:
    """Return the statistic of the column sums with its 95 % percentile interval.

    Args:
        rows: (n, k) per-row parts whose sums the statistic needs, in time order.
        statistic: from sums (b, k) to values (b,); it is asked once with the whole data's sums as well.
        block: rows kept together when resampling, 1 <= block <= n.
        seed: of the resampling.

    Source:
        Künsch (1989), Annals of Statistics 17(3).
    """
    return estimates({"": (rows, statistic)}, block=block, seed=seed)[""]


def estimates(
    asked: Mapping[str, tuple[NDArray[np.float64], Statistic]], *, block: int, seed: int
) -> dict[str, Estimate]:
    """Return what `estimate` does for each of several statistics, by name, all from the same resampled series."""
    parts = {id(rows): rows for rows, _ in asked.values()}  # several statistics may share their rows
    count = len(next(iter(parts.values())))
    if not count:
        return {name: Estimate(value=None) for name in asked}
    ends = dict(zip(parts, np.cumsum([part.shape[1] for part in parts.values()]).tolist(), strict=True))
    drawn = resampled_sums(np.hstack(list(parts.values())), block=block, seed=seed)
    return {
        name: _estimate(rows, drawn[:, ends[id(rows)] - rows.shape[1] : ends[id(rows)]], statistic)
        for name, (rows, statistic) in asked.items()
    }


def _estimate(rows: NDArray[np.float64], drawn: Sums, statistic: Statistic) -> Estimate:
    value = float(statistic(rows.sum(axis=0, keepdims=True))[0])
    draws = statistic(drawn)
    draws = draws[np.isfinite(draws)]
    if not np.isfinite(value) or not draws.size:
        return Estimate(value=None)
    low, high = np.percentile(draws, [2.5, 97.5])
    return Estimate(value=value, low=float(low), high=float(high))


def resampled_sums(rows: NDArray[np.float64], *, block: int, seed: int, samples: int = SAMPLES) -> Sums:
    """Return the column sums of `samples` resampled series of n rows each (the last block is cut), (samples, k)."""
    count = len(rows)
    running = np.vstack([np.zeros((1, rows.shape[1])), np.cumsum(rows, axis=0)])
    whole, rest = divmod(count, block)
    generator = np.random.default_rng(seed)
    starts = generator.integers(0, count - block + 1, size=(samples, whole))
    blocks = running[block:] - running[:-block]
    sums: Sums = np.array([blocks[chosen].sum(axis=0) for chosen in starts])  # one series at a time fits the cache
    if rest:
        tail = generator.integers(0, count - rest + 1, size=samples)
        sums += running[tail + rest] - running[tail]
    return sums
