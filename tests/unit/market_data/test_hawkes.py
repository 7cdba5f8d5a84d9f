"""The Hawkes process alone: its intensities, clustering and branching ratio are those that were asked for."""

import numpy as np
import pytest
from scipy.optimize import minimize

from market_data.tapes.named import TAPES
from market_data.tapes.write import branching_matrix
from native import _native

BASELINE = (0.5, 0.5, 2.0, 2.0, 1.5, 1.5)
DECAY = 5.0


def events(ratio: float, *, seconds: float = 4_000.0, seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Times, kinds, and the matrix of a process with this branching ratio."""
    matrix = np.array(branching_matrix(TAPES["calm"])) / 0.6 * ratio
    found = _native.hawkes_events(
        baseline=BASELINE, branching=matrix.tolist(), decay_per_s=DECAY, seconds=seconds, seed=seed
    ).reshape(-1, 2)
    return found[:, 0], found[:, 1].astype(int), matrix


@pytest.mark.parametrize("ratio", [0.0, 0.3, 0.8])
def test_intensity_of_each_kind_is_the_stationary_one(ratio: float) -> None:
    times, kinds, matrix = events(ratio)
    rates = np.bincount(kinds, minlength=6) / 4_000
    expected = np.linalg.solve(np.eye(6) - matrix, BASELINE)  # Hawkes (1971), equation 10
    error = np.sqrt(expected / 4_000) / (1 - ratio)  # counts are overdispersed by at most this
    assert (np.abs(rates - expected) < 4 * error).all()
    assert (np.diff(times) > 0).all()


@pytest.mark.parametrize("ratio", [0.3, 0.6])
def test_counts_are_overdispersed_as_the_branching_ratio_says(ratio: float) -> None:
    times, _, _ = events(ratio, seconds=60_000)
    counts = np.bincount((times // 20).astype(int), minlength=3_000)
    # Over windows long against the decay, variance / mean -> 1 / (1 - n)^2: Hardiman & Bouchaud (2014).
    estimated = 1 - np.sqrt(counts.mean() / counts.var())
    assert estimated == pytest.approx(ratio, abs=0.05)


def test_maximum_likelihood_finds_ratio_and_decay_again() -> None:
    seconds = 600.0
    times, _, _ = events(0.6, seconds=seconds, seed=3)
    # Columns of the matrix have one sum, so that all kinds together are a Hawkes process of one kind.

    def loss(logs: np.ndarray) -> float:
        baseline, ratio, decay = np.exp(logs)
        state, total, last = 0.0, 0.0, times[0]
        gaps = np.diff(times, prepend=last)
        keep = np.exp(-decay * gaps)
        states = np.empty(len(times))
        for i, each in enumerate(keep.tolist()):
            state = each * (state + (i > 0))
            states[i] = state
        total = np.log(baseline + ratio * decay * states).sum()
        compensator = baseline * seconds + ratio * (1 - np.exp(-decay * (seconds - times))).sum()
        return compensator - total

    found = np.exp(minimize(loss, np.log([5.0, 0.3, 2.0]), method="Nelder-Mead", options={"maxiter": 70}).x)
    assert found[0] == pytest.approx(sum(BASELINE), rel=0.1)
    assert found[1] == pytest.approx(0.6, abs=0.05)
    assert found[2] == pytest.approx(DECAY, rel=0.15)


def test_same_seed_same_events() -> None:
    first, again, other = (events(0.5, seconds=100, seed=seed)[0].tolist() for seed in (1, 1, 2))
    assert first == again != other


def test_branching_ratio_is_the_spectral_radius() -> None:
    random = np.random.default_rng(0)
    for _ in range(20):
        matrix = random.uniform(0, 0.4, (6, 6)) * (random.uniform(size=(6, 6)) < 0.6)
        expected = np.abs(np.linalg.eigvals(matrix)).max()
        assert _native.branching_ratio(matrix.tolist()) == pytest.approx(expected, rel=0.02, abs=1e-3)
