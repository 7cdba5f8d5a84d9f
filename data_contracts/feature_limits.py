"""What a version's features must lie in, live as in training: the contract's limits, as a manifest says them."""

import math

from msgspec import Struct


class FeatureLimits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Each feature's least and greatest value, both allowed, in the order of its set.

    A float32 is held against them as the number that it is: serving rounds the limits inwards to float32, which asks
    the same of every one.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]

    def __post_init__(self) -> None:
        """Refuse limits that nothing can meet.

        Raises:
            ValueError: not one low for every high, not finite, or a low above its high.
        """
        if len(self.low) != len(self.high):
            raise ValueError(f"limits: expected as many low as high, got {len(self.low)} and {len(self.high)}")
        for place, (low, high) in enumerate(zip(self.low, self.high, strict=True)):
            if not (math.isfinite(low) and math.isfinite(high) and low <= high):
                raise ValueError(f"limits: feature {place}: expected finite low <= high, got {low:g} and {high:g}")
