"""Tick and lot sizes of a feed that sends decimal text."""

from decimal import Decimal
from enum import IntEnum
from typing import Any, Final

from msgspec import Struct

from data_contracts.errors import MarketDataError
from data_contracts.instrument import Instrument
from native import _native

MOST_DECIMALS: Final = 12
"""More than any venue writes; a finer number is garbage."""


class TextFault(IntEnum):
    """What is wrong with a number or with levels; native/market_data/decimal_text.hpp."""

    NOT_DECIMAL = 1
    OFF_GRID = 2
    TOO_BIG = 3
    NOT_LEVELS = 4
    NO_PRICE = 5


class Grid(Struct, frozen=True, kw_only=True):
    """Units of price and quantity, each step / 10^decimals."""

    price_decimals: int = 0
    price_step: int = 1
    lot_decimals: int = 0
    lot_step: int = 1
    exact: bool = False
    """Whether the venue said so; else it is the coarsest power of ten that everything seen so far lies on."""

    @property
    def tick_size(self) -> str:
        """As a decimal, without zeros that say nothing."""
        return _size(self.price_decimals, self.price_step)

    @property
    def lot_size(self) -> str:
        """As a decimal, without zeros that say nothing."""
        return _size(self.lot_decimals, self.lot_step)


class FinerGridError(MarketDataError):
    """A number lies between two units of a grid that was only guessed: start again with `grid`."""

    def __init__(self, grid: Grid) -> None:
        super().__init__(f"expected multiples of a coarser unit than {grid.tick_size} and {grid.lot_size}")
        self.grid = grid


def grid_of(instrument: Instrument) -> Grid:
    """Return the grid that an instrument states."""
    price_decimals, price_step = _units(instrument.tick_size)
    lot_decimals, lot_step = _units(instrument.lot_size)
    return Grid(
        price_decimals=price_decimals, price_step=price_step, lot_decimals=lot_decimals, lot_step=lot_step, exact=True
    )


def level_feed(grid: Grid, *, depth: bool) -> "_native.LevelFeed":
    """Return an empty book on the grid."""
    return _native.LevelFeed(
        price_decimals=grid.price_decimals,
        price_step=grid.price_step,
        lot_decimals=grid.lot_decimals,
        lot_step=grid.lot_step,
        depth=depth,
    )


def refuse_if_guess(grid: Grid, fault: tuple[int, bool, int, int]) -> None:
    """Ask for a finer grid where a guessed one is too coarse for a number.

    Raises:
        FinerGridError: with that grid.
    """
    kind, in_price, _, decimals = fault
    if grid.exact or kind != TextFault.OFF_GRID or decimals > MOST_DECIMALS:
        return
    finer: dict[str, Any] = {"price_decimals" if in_price else "lot_decimals": decimals}
    raise FinerGridError(
        Grid(**{"price_decimals": grid.price_decimals, "lot_decimals": grid.lot_decimals, **finer})
    ) from None


def _units(text: str) -> tuple[int, int]:
    """Return decimals and step of a size: "0.25" is 25 / 10^2."""
    exponent = Decimal(text).normalize().as_tuple().exponent
    decimals = max(0, -int(exponent))
    return decimals, int(Decimal(text).scaleb(decimals))


def _size(decimals: int, step: int) -> str:
    return format(Decimal(step).scaleb(-decimals), "f")
