"""Figures on the card are read by people: no powers of ten."""

import pytest

from data_contracts.manifest import Estimate, Spread
from models.card import show, show_spread


@pytest.mark.parametrize(
    ("low", "high", "shown"),
    [(1530.2, 1699.6, "1,530 to 1,700"), (-12_345.6, 999.4, "-12,346 to 999"), (0.28649, 0.2915, "0.286 to 0.291")],
)
def test_spread_is_shown_in_plain_numbers(low: float, high: float, shown: str) -> None:
    assert show_spread(Spread(low=low, mean=(low + high) / 2, high=high)) == shown


def test_interval_is_shown_as_its_value_is() -> None:
    assert show(Estimate(value=1695.0, low=1530.2, high=1801.0)) == "1,695 [1,530, 1,801]"
    assert show(Estimate(value=None)) == show_spread(None) == "n/a"
