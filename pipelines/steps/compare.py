"""Whether a retrained version beats the one it would follow, on rows neither has learnt from."""

from pathlib import Path

import numpy as np
from msgspec import Struct

from data_contracts.manifest import MODEL_FILE, Estimate, Manifest, verify_files
from models.bootstrap import block_length, estimate
from models.dataset import Dataset
from models.fitting import losses
from models.metrics import Scores, mean
from models.parity import run_onnx
from models.trading import actions, pnl_bps

MIN_ROWS = 500


class Comparison(Struct, frozen=True, kw_only=True):
    """Paired differences, new less stale, a row, with their 95 % intervals."""

    rows: int
    loss: Estimate
    """Log loss; squared error in bps^2 where moves are expected."""
    net_pnl_bps: Estimate
    better: bool
    reason: str


def compare_versions(new: Path, stale: Path, held_out: Dataset, *, seed: int) -> Comparison:
    """Compare two versions' folders on those of the held-out rows that came after all the stale one's data.

    Each reads the same decisions through its own window. The new one is better if its loss (log loss, squared error of
    moves) is lower by more than chance, and its PnL after costs is not lower by more than chance: 95 % intervals of the
    paired moving-block bootstrap.

    Args:
        new: folder of the version that was just made.
        stale: of the one that it would follow.
        held_out: rows as far back as the longest of their windows.
        seed: of the bootstrap.
    """
    mine, theirs = verify_files(new), verify_files(stale)
    if mine.feature_hash != theirs.feature_hash or mine.rule.kind != theirs.rule.kind:
        return _not_compared(0, "they read other features, or answer otherwise")
    seen = max((one.last_event_ns for one in theirs.data), default=0)
    rows = held_out.rows(held_out.event_ns > seen)
    if len(rows) < MIN_ROWS:
        return _not_compared(len(rows), f"expected {MIN_ROWS} rows newer than the stale one's data, got {len(rows)}")
    says, said_before = (_scores(folder, one, rows) for folder, one in ((new, mine), (stale, theirs)))
    loss = losses(says, rows) - losses(said_before, rows)
    earned = _earned(mine, says, rows) - _earned(theirs, said_before, rows)
    block = block_length(rows.event_ns, rows.horizon_ns)
    ones = np.ones(len(rows))
    less, pnl = (estimate(np.column_stack([values, ones]), mean, block=block, seed=seed) for values in (loss, earned))
    lower = less.high is not None and less.high < 0
    earns = pnl.high is not None and pnl.high >= 0
    kind = "squared error" if mine.rule.kind == "expected_bps" else "log loss"
    said = f"{kind} {_said(less)}, PnL {_said(pnl)} bps a decision against the stale one, on {len(rows):,} rows"
    return Comparison(rows=len(rows), loss=less, net_pnl_bps=pnl, better=lower and earns, reason=said)


def _scores(folder: Path, manifest: Manifest, rows: Dataset) -> Scores:
    return run_onnx((folder / MODEL_FILE).read_bytes(), rows.seen_through(manifest.window).features)


def _earned(manifest: Manifest, scores: Scores, rows: Dataset) -> np.ndarray:
    return pnl_bps(rows, actions(scores, manifest.rule.threshold))


def _not_compared(rows: int, why: str) -> Comparison:
    unknown = Estimate(value=None)
    return Comparison(rows=rows, loss=unknown, net_pnl_bps=unknown, better=False, reason=f"not compared: {why}")


def _said(difference: Estimate) -> str:
    if difference.value is None or difference.low is None or difference.high is None:
        return "unknown"
    return f"{difference.value:+.4f} ({difference.low:+.4f} to {difference.high:+.4f})"
