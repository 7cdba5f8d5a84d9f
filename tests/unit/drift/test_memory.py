"""How long rows remember is measured, and blocks are long against it."""

import numpy as np
import pytest

from models.drift import BLOCKS, LEAST_BLOCKS, block_rows, enough_rows, memory_rows


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
