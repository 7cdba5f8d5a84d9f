"""Stoikov's microprice: the fit finds what is known of a simulated chain, and makes another set."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.testing import assert_allclose
from support.markets import recording_of

from data_contracts.errors import UsageError
from data_contracts.market_event import MARKET_EVENT, NO_LOTS, EventFlag, MarketEvents
from market_data.feature_sets import DEPTH_V1, MICROPRICE, TOUCH_V1, complete, feature_set_of, live_feature_set
from market_data.features import compute_features
from market_data.microprice import estimate, fit, transitions
from market_data.reading import read_recordings
from market_data.simulator import simulate

SPREADS, BINS = 2, 4
STATES = SPREADS * BINS
MIRROR = np.arange(STATES) // BINS * BINS + (BINS - 1 - np.arange(STATES) % BINS)


def chain(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the chance of each next state without and with a move of the mid, and each state's mean move.

    Symmetric: a state's mirror image does the same, the other way round.
    """
    rng = np.random.default_rng(seed)
    stay, go, up = rng.random((STATES, STATES)), rng.random((STATES, STATES)), rng.random((STATES, STATES))
    up += np.linspace(0, 9, BINS)[np.arange(STATES) % BINS][:, None]  # more bids: more often upwards
    stay, go = (0.5 * (each + each[np.ix_(MIRROR, MIRROR)]) for each in (stay, go))
    share = up / (up + up[np.ix_(MIRROR, MIRROR)])
    total = (stay + go).sum(axis=1, keepdims=True)
    return np.stack([stay, go * share, go * (1 - share)]) / total, share


def truth(odds: np.ndarray) -> np.ndarray:
    """Return the microprice less the mid by the paper's own series."""
    stay, up, down = odds
    first = np.linalg.solve(np.eye(STATES) - stay, 0.5 * (up - down).sum(axis=1))
    leads = np.linalg.solve(np.eye(STATES) - stay, up + down)
    assert_allclose(leads.sum(axis=1), 1.0)
    offset, term = np.zeros(STATES), first
    for _ in range(2_000):
        offset, term = offset + term, leads @ term
    assert np.abs(term).max() < 1e-9
    return offset


def walk(odds: np.ndarray, steps: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the states of a walk and the mid's moves between them."""
    rng = np.random.default_rng(seed)
    flat = np.concatenate([*odds], axis=1).cumsum(axis=1)
    draws, states, moves, state = rng.random(steps), [0], [], 0
    for draw in draws:
        kind, state = divmod(min(int(np.searchsorted(flat[state], draw)), 3 * STATES - 1), STATES)
        states.append(state)
        moves.append((0.0, 0.5, -0.5)[kind])
    return np.array(states), np.array(moves)


def test_fit_finds_the_microprice_of_a_known_chain() -> None:
    odds, _ = chain(1)
    expected = truth(odds)
    assert np.abs(expected).max() > 0.1
    states, moves = walk(odds, 150_000, 2)
    found = estimate(states[:-1], states[1:], moves, spreads=SPREADS, bins=BINS)
    assert_allclose(found.ravel(), expected, atol=0.01)
    # And it is what the name says: where the mid is later, on average, from each state.
    later = np.convolve(moves, np.ones(200), mode="valid")
    for state in range(STATES):
        ahead = later[states[: len(later)] == state]
        assert abs(ahead.mean() - expected[state]) < 5 * ahead.std() / np.sqrt(len(ahead) / 200)


def test_table_is_odd_in_the_imbalance_and_unknown_states_are_at_the_mid() -> None:
    rng = np.random.default_rng(3)
    before, after = rng.integers(0, BINS, (2, 5_000))  # the narrow spread alone
    found = estimate(before, after, rng.choice([-0.5, 0.0, 1.0], 5_000), spreads=SPREADS, bins=BINS)
    assert_allclose(found, -found[:, ::-1], atol=1e-12)
    assert not found[1].any()


def made(bids: list[int], asks: list[int], **fields: list[int]) -> MarketEvents:
    events = np.zeros(len(bids), dtype=MARKET_EVENT)
    events["bid_ticks"], events["ask_ticks"] = bids, asks
    events["bid_lots"] = events["ask_lots"] = 1
    for name, values in fields.items():
        events[name] = values
    return events


def test_transitions_are_changes_between_usable_neighbours() -> None:
    crossed = int(EventFlag.CROSSED)
    events = made(
        [10, 10, 11, 11, 11, 11],
        [11, 11, 12, 13, 13, 40],
        bid_lots=[1, 1, 9, 1, 1, 1],
        flags=[0, 0, 0, crossed, 0, 0],
    )
    before, after, move = transitions(events, spreads=SPREADS, bins=BINS)
    # The second event repeats the first; the fourth is none; the sixth is as wide as the table goes.
    assert before.tolist() == [2, BINS + 2]
    assert after.tolist() == [3, BINS + 2]
    assert move.tolist() == [1.0, 13.5]


def test_fitted_set_is_another_set_which_files_carry(tmp_path: Path) -> None:
    simulate(tmp_path / "ring.itch", seed=5, seconds=1_500)
    (day,) = read_recordings(tmp_path / "ring.itch", depth=True)
    half, rest = day.part(0, len(day) // 2), day.part(len(day) // 2, len(day))
    fitted = fit([half], DEPTH_V1)
    assert fitted.hash not in {DEPTH_V1.hash, fit([rest], DEPTH_V1).hash}
    assert fitted.fitted_until_ns == half.events["event_ns"][-1]
    path = tmp_path / "depth.json"

    path.write_bytes(msgspec.json.encode(fitted))
    assert feature_set_of(str(path)) == fitted
    matrix, ready = compute_features(rest, fitted)
    imbalance, micro = (
        matrix[ready][:, fitted.features.index(n)] for n in ("queue_imbalance", "microprice_offset_ticks")
    )
    assert np.corrcoef(imbalance, micro)[0, 1] > 0.9


def test_what_is_not_fitted_or_fitted_otherwise_is_refused() -> None:
    with pytest.raises(UsageError, match="depth_v1: expected microprice_ticks of 50 numbers, got none: ringcraft fit"):
        complete(DEPTH_V1)

    for table in ((0.0,) * 49, (float("nan"),) * 50):
        with pytest.raises(UsageError, match="depth_v1: "):
            live_feature_set("depth_v1", msgspec.structs.replace(DEPTH_V1, tables={MICROPRICE: table}))
    with pytest.raises(UsageError, match="expected no table"):
        live_feature_set("touch_v1", msgspec.structs.replace(TOUCH_V1, tables={MICROPRICE: (0.0,) * 50}))
    other = msgspec.structs.replace(DEPTH_V1, tables={MICROPRICE: (0.0,) * 50}, warm_up_events=1)
    assert live_feature_set("depth_v1", other).hash != other.hash  # another idea of the set: it will not be served
    events = made([10, 10], [11, 11])
    with pytest.raises(UsageError, match="expected at least 1000 changes of the touch, got 0"):
        fit([recording_of(events)], DEPTH_V1)
    with pytest.raises(UsageError, match="expected one with something to fit"):
        fit([recording_of(events)], TOUCH_V1)
    events["bid_lots"] = NO_LOTS
    with pytest.raises(UsageError, match="expected sizes at the touch"):
        fit([recording_of(events)], DEPTH_V1)
