"""Stoikov's microprice, fitted on a recording.

S. Stoikov, "The micro-price: a high-frequency estimator of future prices", Quantitative Finance 18 (2018). The state
of the touch is a bin of its imbalance and its spread; the microprice is where the mid is expected to end up, given
the state alone. With Q the transitions that leave the mid where it is, T those that move it and r the mean move that
a state's next transition makes, the mean first move is G1 = (I - Q)^-1 r, where it leads is B = (I - Q)^-1 T, and the
microprice less the mid is G1 + B G1 + B^2 G1 + .. = (I - Q - T)^-1 r. Every transition is counted with its mirror
image, bids for asks, as in the paper, so that what a rising recording would teach does not enter.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from data_contracts.errors import UsageError
from data_contracts.feature_set import FeatureSet
from data_contracts.market_event import UNUSABLE, MarketEvents
from data_contracts.recording import Recording
from market_data.feature_sets import MICROPRICE, complete, needs_depth

MIN_TRANSITIONS: Final = 1_000
"""Fewer changes of state say too little of fifty states."""

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def fit(recordings: Sequence[Recording], features: FeatureSet) -> FeatureSet:
    """Return the set with its microprice fitted on the recordings: another hash.

    Raises:
        UsageError: the set has nothing to fit, or the recordings say too little, or give no sizes.
    """
    if not needs_depth(features):
        raise UsageError(f"feature set {features.name}: expected one with something to fit, such as depth_v1")
    if not all(recording.has_sizes for recording in recordings):
        raise UsageError(f"feature set {features.name}: expected sizes at the touch to fit it on")
    spreads, bins = (int(features.parameters[f"microprice_{name}"]) for name in ("spreads", "bins"))
    steps = [transitions(recording.events, spreads=spreads, bins=bins) for recording in recordings]
    before, after, move = (np.concatenate(column) for column in zip(*steps, strict=True))
    if len(before) < MIN_TRANSITIONS:
        raise UsageError(f"microprice: expected at least {MIN_TRANSITIONS} changes of the touch, got {len(before)}")
    table = estimate(before, after, move, spreads=spreads, bins=bins)
    until_ns = max(int(recording.events["event_ns"][-1]) for recording in recordings if len(recording))
    fitted = {MICROPRICE: tuple(table.ravel().tolist())}
    return complete(msgspec.structs.replace(features, tables=fitted, fitted_until_ns=until_ns))


def transitions(events: MarketEvents, *, spreads: int, bins: int) -> tuple[Ints, Ints, Floats]:
    """Return the state before and after each change of the state or the mid, and the mid's move in ticks.

    A state counts bins fastest. Events that are unusable, or whose sides hold nothing, break the chain.
    """
    both = events["bid_lots"] + events["ask_lots"]
    usable = ((events["flags"] & UNUSABLE) == 0) & (both > 0)
    share = events["bid_lots"] / np.where(both > 0, both, 1)
    spread = np.clip(events["ask_ticks"] - events["bid_ticks"], 1, spreads) - 1
    state = spread * bins + np.minimum((share * bins).astype(np.int64), bins - 1)
    mid = 0.5 * (events["bid_ticks"] + events["ask_ticks"])
    move = np.diff(mid)
    counted = usable[1:] & usable[:-1] & ((np.diff(state) != 0) | (move != 0))
    return state[:-1][counted], state[1:][counted], move[counted]


def estimate(before: Ints, after: Ints, move: Floats, *, spreads: int, bins: int) -> Floats:
    """Return the microprice less the mid in ticks of each state, shape (spreads, bins); odd in the imbalance.

    A state that was never left is at the mid. One imagined transition a state that ends there, without a move, keeps
    rarely seen states near the mid and the equations solvable.
    """
    size = spreads * bins
    states = np.arange(size)
    mirror = states // bins * bins + (bins - 1 - states % bins)
    counts = np.zeros((size, size))
    np.add.at(counts, (before, after), 1.0)
    np.add.at(counts, (mirror[before], mirror[after]), 1.0)
    moves = np.bincount(before, weights=move, minlength=size) - np.bincount(
        mirror[before], weights=move, minlength=size
    )
    left = counts.sum(axis=1) + 1.0
    offset = np.linalg.solve(np.eye(size) - counts / left[:, None], moves / left)
    odd: Floats = 0.5 * (offset - offset[mirror]).reshape(spreads, bins)
    return odd
