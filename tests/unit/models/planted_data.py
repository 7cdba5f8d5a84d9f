"""Small datasets for tests."""

import numpy as np

from models.dataset import Dataset
from models.labels import classify


def planted(*, rows: int = 3000, width: int = 5, edge: float = 1.0, cost_bps: float = 0.5, seed: int = 0) -> Dataset:
    """A row a second; feature 0 moves mid by `edge` bps on average, one horizon (2 s) on; `cost_bps` either way."""
    generator = np.random.default_rng(seed)
    features = generator.normal(size=(rows, width)).astype(np.float32)
    move = edge * features[:, 0] + generator.normal(size=rows)
    return Dataset(
        features=features,
        classes=classify(move, 0.5),
        event_ns=np.arange(rows) * 1_000_000_000,
        buy_pnl_bps=move - cost_bps,
        sell_pnl_bps=-move - cost_bps,
        mid_move_bps=move,
        exit_half_spread_bps=np.full(rows, cost_bps),
        end_ns=np.arange(rows) * 1_000_000_000 + 2_000_000_000,
        places=np.arange(rows),
        vectors=features,
        names=tuple(f"feature_{index}" for index in range(width)),
        horizon_ns=2_000_000_000,
    )
