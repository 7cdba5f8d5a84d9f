"""Controls: what must come to nothing, and what must be caught, before a figure is believed."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from models.dataset import Dataset


def shuffled(rows: Dataset, *, seed: int, starts: Sequence[int] = ()) -> Dataset:
    """Return `rows` with what came of them dealt out anew among the features, within each block that `starts` begins.

    Classes and earnings stay together and blocks keep their balance; only the tie to the features is cut, in what is
    learnt from and in what is tested, so that whatever is still found was never there. Shuffling what is learnt from
    alone would leave random weights on features that do predict; dealing across folds would make a test lack what its
    training had too much of.
    """
    generator = np.random.default_rng(seed)
    blocks = np.split(np.arange(len(rows)), sorted({int(start) for start in starts if start > 0}))
    order = np.concatenate([generator.permutation(block) for block in blocks])
    dealt = ("classes", "buy_pnl_bps", "sell_pnl_bps", "mid_move_bps", "exit_half_spread_bps")
    return replace(rows, **{name: getattr(rows, name)[order] for name in dealt})


def with_leak(rows: Dataset) -> Dataset:
    """Return `rows` with a column added that is made from the future: models.leakage has to refuse it."""
    leaked = rows.mid_move_bps.astype(np.float32)[:, None]
    return replace(rows, features=np.hstack([rows.features, leaked]), names=(*rows.names, "leaked_future"))
