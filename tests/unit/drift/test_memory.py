"""How long rows remember is measured, and blocks are long against it."""

import numpy as np
import pytest

from models.drift import BLOCKS, LEAST_BLOCKS, block_rows, edge_loss, enough_rows, memory_rows


@pytest.mark.parametrize(("memory", "known"), [(0.0, 1.0), (0.5, 3.0), (0.9, 19.0)])
def test_memory_is_the_integrated_autocorrelation_of_the_slowest_column(memory: float, known: float) -> None:
    shocks = np.random.default_rng(1).normal(size=(30_000, 2))
    for row in range(1, len(shocks)):
        shocks[row, 0] += memory * shocks[row - 1, 0]
    assert memory_rows(shocks[:20_000], shocks[20_000:]) == pytest.approx(known, rel=0.2)


def test_change_between_the_windows_is_no_memory() -> None:
    rows = np.random.default_rng(2).normal(size=(4000, 1))
    rows[2000:] += 5.0
    assert memory_rows(rows[:2000], rows[2000:]) < 2.0
    assert memory_rows(np.ones((600, 1)), np.ones((600, 1))) == 1.0


def test_blocks_are_as_long_as_memory_asks_and_rows_allow() -> None:
    assert block_rows(10_000, 2400) == 2400 // BLOCKS
    assert block_rows(10_000, 2400, memory=50.0) == 2400 // 16
    assert block_rows(10_000, 2400, memory=500.0) == 2400 // LEAST_BLOCKS
    assert enough_rows(500.0) == 12_000


def test_slow_part_too_small_to_show_alarms_less_once_it_is_known_how_long_it_remembers():
    alarms = np.zeros(2)
    for run in range(80):
        generator = np.random.default_rng(run)
        slow = generator.normal(size=26_000) * np.sqrt(1 - 0.998**2)
        for i in range(1, len(slow)):
            slow[i] += 0.998 * slow[i - 1]
        earned = generator.normal(size=24_000) + 0.2 * slow[2000:]  # rho 0.04 at most: taken for forgotten
        parts, memory = (earned[:12_000], earned[12_000:]), memory_rows(slow[2000:14_000, None], slow[14_000:, None])
        for way, known in enumerate((1.0, memory)):
            alarms[way] += edge_loss(*parts, name="x", alpha=0.05, seed=run, memory=known).p_value <= 0.05
    assert alarms[0] >= 15
    assert alarms[1] <= 10
