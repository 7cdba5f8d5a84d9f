"""From paired differences to standardised block sums: scale, dependence and overlap are learnt from the past only."""

from math import ceil, exp, isfinite, log, nan, sqrt
from typing import Any, Final, NamedTuple

WARM_EVENTS: Final = 200
WARM_BLOCKS: Final = 10
_SCALE_DECAY: Final = 1.0 - exp(-log(2.0) / 500.0)
_BLOCK_DECAY: Final = 1.0 - exp(-log(2.0) / 200.0)
_CAP: Final = 64.0
_FLOOR: Final = 0.04
_SHRINK_BLOCKS: Final = 20.0
_CORRELATION_MAX: Final = 0.9
_TINY: Final = 1e-200
"""A difference whose square is less is 0: nothing can be measured by it."""


class Block(NamedTuple):
    """A closed block, in standard deviations of such a block."""

    z: float
    """The sum of its differences."""
    of_one_sd: float
    """What the sum would have been had every difference been one long-run standard deviation: for margins."""


class BlockSums:
    """Standardised sums over blocks of differences, for an e-process to bet on.

    Nothing is clipped: an unequal tail is the very thing a mean is made of. Only the *scale* moves slowly
    (half-life 500 events, one update worth at most 64 variances), so that it cannot follow the sign of PnL.
    """

    __slots__ = (
        "_cross",
        "_in_block",
        "_last",
        "_long",
        "_squares",
        "_sum",
        "_v_fast",
        "_v_mean",
        "_variance",
        "_weights",
        "_zs",
        "block",
        "blocks",
        "events",
        "skip_zeros",
        "warm_blocks",
        "warm_events",
    )

    def __init__(self, *, overlap: int, warm: int | None = None, skip_zeros: bool = True) -> None:
        """Start with nothing learnt.

        Args:
            overlap: how many outcomes share time with one outcome's horizon; a block is max(20, 2 x overlap).
            warm: events that only teach the scale of a difference; as many again, in blocks, then teach that
                of a block. None: 200, and ten blocks, which is also the least.
            skip_zeros: whether a difference of 0 says nothing; where a margin is per decision, it says "equal".
        """
        self.skip_zeros = skip_zeros
        self.block = max(20, 2 * overlap)
        self.warm_events = max(WARM_EVENTS, warm or 0)
        self.warm_blocks = max(WARM_BLOCKS, ceil((warm or 0) / self.block))
        self.events = self.blocks = self._in_block = 0
        self._variance = self._long = self._sum = self._weights = 0.0
        self._v_fast = self._v_mean = 0.0
        self._last = self._zs = self._cross = self._squares = 0.0

    def push(self, difference: float) -> Block | None:
        """Fold one difference; return the block that it closes, once blocks are judged.

        Zeros are skipped where that was asked for, and always before the first that is none: without any there is no
        scale. NaN and infinity come back as a block of NaN.
        """
        square = difference * difference
        if square < _TINY and (self.skip_zeros or self._long == 0.0):
            return None
        if not isfinite(square):
            return Block(nan, nan)
        self.events = n = self.events + 1
        long = self._long
        if n <= self.warm_events:
            self._variance = self._long = long + (square - long) / n
            return None
        variance = self._variance
        floor = _FLOOR * long
        if variance < floor:
            variance = floor
        weight = 1.0 / sqrt(variance)
        self._sum += difference * weight
        self._weights += weight
        cap = _CAP * variance
        self._variance += _SCALE_DECAY * ((square if square < cap else cap) - self._variance)
        self._long = long + (square - long) / n
        self._in_block += 1
        return self._close() if self._in_block >= self.block else None

    def _close(self) -> Block | None:
        total, of_one_sd = self._sum, self._weights * sqrt(self._long)
        self._sum, self._weights, self._in_block = 0.0, 0.0, 0
        closed = None
        if self.blocks:
            # A floor, since the few block sums seen at first may all be 0: steps of one size cancel exactly.
            spread = sqrt(max(self._v_fast, self._v_mean, _FLOOR * self.block))
            z = total / spread
            # Block sums that follow one another with correlation r spread (1 + r)/(1 - r) times as far in the long
            # run, where dependence fades as an autoregression's does; for small r that is 1 + 2r.
            # About their mean: what is lost steadily is a loss and no dependence.
            common = self._zs * self._zs / max(1, self.blocks - 1)
            r = (self._cross - common) / (self._squares - common + _SHRINK_BLOCKS)
            r = min(_CORRELATION_MAX, max(0.0, r))
            self._zs += z
            self._cross += z * self._last
            self._squares += z * z
            self._last = z
            spread *= sqrt((1.0 + r) / (1.0 - r))
            closed = Block(total / spread, of_one_sd / spread)
        self.blocks = n = self.blocks + 1
        square = total * total
        self._v_mean += (square - self._v_mean) / n
        self._v_fast += max(_BLOCK_DECAY, 1.0 / n) * (square - self._v_fast)
        return closed if n > self.warm_blocks else None

    def save(self) -> dict[str, Any]:
        """Return everything learnt, as JSON can hold it."""
        return {name: getattr(self, name) for name in self.__slots__}

    def load(self, state: dict[str, Any]) -> None:
        """Take up where `save` left off."""
        for name in self.__slots__:
            setattr(self, name, state[name])
