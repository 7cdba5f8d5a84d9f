"""What rollouts must show on a live tier, over fewer seeds than `ringcraft bench rollouts` is asked for."""

from pathlib import Path

import pytest

from benchmarks.rollouts.experiments import EXPERIMENTS

SEEDS = {
    "harmful-shadow": 15,
    "harmful-ab": 15,
    "slow": 15,
    "equal": 10,
    "registry-away": 3,
    "kills": 20,
    "hard-limit": 5,
}


@pytest.mark.long
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_live_tier_shows(name: str, tmp_path: Path) -> None:
    measured = EXPERIMENTS[name](tmp_path, SEEDS[name], lambda seed: None)
    assert measured["met"], measured
