"""From paired differences to standardised block sums: scale, dependence and overlap are learnt from the past only."""

from math import ceil, exp, isfinite, log, sqrt
from typing import Final

WARM_EVENTS: Final = 200
WARM_BLOCKS: Final = 10
_SCALE_DECAY: Final = 1.0 - exp(-log(2.0) / 500.0)
_BLOCK_DECAY: Final = 1.0 - exp(-log(2.0) / 200.0)
_CAP: Final = 64.0
_FLOOR: Final = 0.04
_SHRINK_BLOCKS: Final = 20.0


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
        "block",
        "blocks",
        "events",
        "margin_sd",
        "skip_zeros",
        "warm_blocks",
        "warm_events",
    )

    def __init__(self, *, overlap: int, margin_sd: float, warm: int | None = None, skip_zeros: bool = True) -> None:
        """Start with nothing learnt.

        Args:
            overlap: how many outcomes share time with one outcome's horizon; a block is max(20, 2 x overlap).
            margin_sd: added to every difference, in standard deviations of the difference.
            warm: events that only teach the scale of a difference; as many again, in blocks, then teach that
                of a block. None: 200, and ten blocks, which is also the least.
            skip_zeros: whether a difference of 0 says nothing; where a margin is per decision, it says "equal".
        """
        self.skip_zeros = skip_zeros
        self.block = max(20, 2 * overlap)
        self.margin_sd = margin_sd
        self.warm_events = max(WARM_EVENTS, warm or 0)
        self.warm_blocks = max(WARM_BLOCKS, ceil((warm or 0) / self.block))
        self.events = self.blocks = self._in_block = 0
        self._variance = self._long = self._sum = 0.0
        self._v_fast = self._v_mean = 0.0
        self._last = self._cross = self._squares = 0.0

    def push(self, difference: float) -> float | None:
        """Fold one difference; return the block's standardised sum when it closes a judged block.

        Zeros are skipped where that was asked for, and always before the first that is none: without any there is no
        scale. NaN and infinity come back as NaN.
        """
        if difference == 0.0 and (self.skip_zeros or self._long == 0.0):
            return None
        if not isfinite(difference):
            return difference - difference
        self.events = n = self.events + 1
        square = difference * difference
        if n <= self.warm_events:
            self._variance = self._long = self._long + (square - self._long) / n
            return None
        variance = self._variance
        floor = _FLOOR * self._long
        used = variance if variance > floor else floor
        # The margin is a share of the long-run sd: a share of the moving one would grow in calm and fade in storm.
        self._sum += (difference + self.margin_sd * sqrt(self._long)) / sqrt(used)
        if square > _CAP * used:
            square = _CAP * used
        self._variance = variance + _SCALE_DECAY * (square - variance)
        self._long += (square - self._long) / n
        self._in_block += 1
        if self._in_block < self.block:
            return None
        return self._close()

    def _close(self) -> float | None:
        total, self._sum, self._in_block = self._sum, 0.0, 0
        z = None
        if self.blocks:
            z = total / sqrt(max(self._v_fast, self._v_mean))
            inflation = 1.0 + 2.0 * max(0.0, self._cross / (self._squares + _SHRINK_BLOCKS))
            self._cross += z * self._last
            self._squares += z * z
            self._last = z
            z /= sqrt(inflation)
        self.blocks = n = self.blocks + 1
        square = total * total
        self._v_mean += (square - self._v_mean) / n
        self._v_fast += max(_BLOCK_DECAY, 1.0 / n) * (square - self._v_fast)
        return z if n > self.warm_blocks else None

    def save(self) -> dict[str, float]:
        """Return everything learnt, as JSON can hold it."""
        return {name: getattr(self, name) for name in self.__slots__}

    def load(self, state: dict[str, float]) -> None:
        """Take up where `save` left off."""
        for name in self.__slots__:
            setattr(self, name, state[name])
