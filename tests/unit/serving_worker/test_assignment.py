"""Which keys fall to the challenger: exact weights, the same everywhere, and as few moves as can be."""

import subprocess
import sys

import numpy as np
import pytest

from native._native import assignment_key, falls_to_challenger

DRAWS = 1_000_000
CHI_SQUARE_1, CHI_SQUARE_99 = 15.14, 160.06
"""Quantiles 0.9999 of chi-square with 1 and with 99 degrees of freedom."""


@pytest.mark.parametrize("share_bps", [100, 1000, 5000])
def test_million_decision_ids_fall_in_the_share_asked_for(share_bps: int) -> None:
    keys = np.arange(1, DRAWS + 1, dtype=np.uint64)
    for salt in (0, 1, 0x9E3779B97F4A7C15):
        share = share_bps / 10_000
        taken = int(falls_to_challenger(keys, salt, share_bps).sum())
        expected = np.array([share, 1 - share]) * DRAWS
        chi_square = float(((np.array([taken, DRAWS - taken]) - expected) ** 2 / expected).sum())
        assert chi_square < CHI_SQUARE_1, (salt, taken)


def test_every_hundredth_of_the_keys_is_as_likely_as_another() -> None:
    keys = np.arange(1, DRAWS + 1, dtype=np.uint64)
    below = [int(falls_to_challenger(keys, 7, share_bps).sum()) for share_bps in range(0, 10_001, 100)]
    counts, expected = np.diff(below), DRAWS / 100
    assert counts.sum() == DRAWS
    assert ((counts - expected) ** 2 / expected).sum() < CHI_SQUARE_99


def test_hash_is_the_same_in_every_process() -> None:
    code = (
        "import numpy as np; from native._native import assignment_key, falls_to_challenger;"
        "keys = np.arange(10_000, dtype=np.uint64) ^ assignment_key('CFFEX:IF2101');"
        "print(falls_to_challenger(keys, 99, 3000).tobytes().hex())"
    )
    said = {subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout for _ in range(2)}
    keys = np.arange(10_000, dtype=np.uint64) ^ np.uint64(assignment_key("CFFEX:IF2101"))
    assert said == {falls_to_challenger(keys, 99, 3000).tobytes().hex().encode() + b"\n"}


def test_change_of_share_moves_only_the_keys_that_must_move() -> None:
    keys = np.array([assignment_key(f"account-{i}") for i in range(20_000)], dtype=np.uint64)
    few, many = falls_to_challenger(keys, 5, 1000), falls_to_challenger(keys, 5, 5000)
    assert not (few & ~many).any()
    assert (few != many).mean() == pytest.approx(0.4, abs=0.015)
    assert (falls_to_challenger(keys, 6, 1000) & few).mean() == pytest.approx(0.01, abs=0.005)
