"""Streams of paired differences between two versions that are equally good, as markets make them and harder.

Each returns shape (rows, events), mean 0; where the variance is constant it is 1. `lrv` is the long-run variance
per event, `overlap` what the guard is told of outcomes that share time.
"""

import math
from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Draw = np.random.Generator
_BURN = 1000
"""Events before the first, so that volatility starts anywhere and not at its mean."""


class Stream(NamedTuple):
    """How to draw one kind of equal versions."""

    draw: Callable[[Draw, int, int], Floats]
    overlap: int = 1
    lrv: float = math.nan
    """Long-run variance; NaN where it changes over the stream."""


def garch(g: Draw, rows: int, events: int, *, shock: float = 0.05, memory: float = 0.94, degrees: int = 3) -> Floats:
    """Heavy-tailed returns whose volatility clusters: GARCH(1, 1) with Student's t.

    Source: Bollerslev (1987), Review of Economics and Statistics 69(3).
    """
    out = np.empty((events, rows))
    variance, unit = np.ones(rows), math.sqrt((degrees - 2) / degrees)
    for t in range(-_BURN, events, _BURN):
        for i, z in enumerate(g.standard_t(degrees, (_BURN, rows)) * unit, t):
            x = np.sqrt(variance) * z
            if 0 <= i < events:
                out[i] = x
            # The fourth moment of a t with 3 degrees is infinite: without a lid one draw in 10^9 lasts for ever.
            variance = np.minimum(1.0 - shock - memory + shock * x * x + memory * variance, 1e6)
    return np.ascontiguousarray(out.T)


def autoregression(shocks: Floats, memory: float) -> Floats:
    """Return x with x[t] = memory x[t-1] + shock, of the shocks' variance."""
    out, last, unit = np.empty(shocks.shape[::-1]), np.zeros(len(shocks)), math.sqrt(1.0 - memory * memory)
    for t, shock in enumerate(np.ascontiguousarray(shocks.T) * unit):
        out[t] = last = memory * last + shock
    return np.ascontiguousarray(out.T)


def reference(g: Draw, rows: int, events: int) -> Floats:
    """Heavy tails, clustered volatility and autocorrelation together."""
    return autoregression(garch(g, rows, events), 0.3)


def overlapping(outcomes: int) -> Callable[[Draw, int, int], Floats]:
    """Outcomes of which `outcomes` share time: moving sums."""

    def draw(g: Draw, rows: int, events: int) -> Floats:
        total = np.cumsum(garch(g, rows, events + outcomes), axis=1)
        return (total[:, outcomes:] - total[:, :-outcomes]) / math.sqrt(outcomes)

    return draw


def rare_jumps(sign: int, chance: float) -> Callable[[Draw, int, int], Floats]:
    """Rare large gains (sign 1) or losses (-1), exponential, that carry 60 % of the variance; the rest offsets them."""

    def draw(g: Draw, rows: int, events: int) -> Floats:
        size = math.sqrt(0.6 / (2.0 * chance))
        jump = np.where(g.random((rows, events)) < chance, g.exponential(size, (rows, events)), 0.0)
        return g.standard_t(5, (rows, events)) * math.sqrt(0.4 * 3 / 5) + sign * (jump - chance * size)

    return draw


def volatility_follows(sign: int) -> Callable[[Draw, int, int], Floats]:
    """Volatility that rises within a few events of a gain (sign 1) or of a loss (-1)."""

    def draw(g: Draw, rows: int, events: int) -> Floats:
        out, variance = np.empty((events, rows)), np.ones(rows)
        for t in range(events):
            x = np.sqrt(variance) * g.standard_normal(rows)
            out[t] = sign * x
            variance = np.minimum(0.05 + 0.85 * variance + 0.2 * np.maximum(x, 0.0) ** 2, 1e6)
        return np.ascontiguousarray(out.T)

    return draw


def long_memory(g: Draw, rows: int, events: int) -> Floats:
    """Log volatility that remembers over seven scales, from three events to two thousand."""
    log_volatility = np.zeros((rows, events))
    for scale in range(1, 8):
        memory = math.exp(-(3.0**-scale))
        log_volatility += 0.35 * autoregression(g.standard_normal((rows, events)), memory)
    return np.exp(log_volatility) * g.standard_normal((rows, events))


def scaled(by: Callable[[int], Floats]) -> Callable[[Draw, int, int], Floats]:
    """The reference with a volatility that is a function of time: `by(events)`."""
    return lambda g, rows, events: reference(g, rows, events) * by(events)


def _regimes(events: int) -> Floats:
    return np.array([1.0, 0.5, 4.0])[np.arange(events) // 10_000 % 3]


def _days(events: int) -> Floats:
    spread: Floats = np.sqrt(0.4 + 1.8 * (2.0 * (np.arange(events) % 5000) / 5000.0 - 1.0) ** 2)
    return spread


def _leap(events: int) -> Floats:
    return np.where(np.arange(events) < 0.3 * events, 1.0, 20.0)


def _growth(events: int) -> Floats:
    return np.geomspace(1.0, 20.0, events)


def _calm_start(events: int) -> Floats:
    return np.where(np.arange(events) < 1000, 0.1, 1.0)


def drifting(amplitude: float, period: int) -> Callable[[Draw, int, int], Floats]:
    """The reference with a mean that swings about 0, from a random phase."""

    def draw(g: Draw, rows: int, events: int) -> Floats:
        phase = np.arange(events) / period + g.random((rows, 1))
        return reference(g, rows, events) + amplitude * np.sin(2.0 * math.pi * phase)

    return draw


def ticks(g: Draw, rows: int, events: int) -> Floats:
    """Differences in whole ticks, half of them 0."""
    rounded: Floats = np.round(garch(g, rows, events))
    return rounded


def agreeing(g: Draw, rows: int, events: int) -> Floats:
    """Two versions that part for thirty decisions in a row, then agree for three hundred."""
    apart, now = np.empty((events, rows), np.bool_), np.zeros(rows, np.bool_)
    for t in range(events):
        u = g.random(rows)
        apart[t] = now = np.where(now, u > 1 / 30, u < 1 / 300)
    return np.where(apart.T, garch(g, rows, events), 0.0)


def one_size(g: Draw, rows: int, events: int) -> Floats:
    """Gains and losses of exactly one size."""
    return np.where(g.random((rows, events)) < 0.5, 1.0, -1.0)


def small_losses(g: Draw, rows: int, events: int) -> Floats:
    """Nine times in ten a loss of one size, once a gain of nine times that."""
    return np.where(g.random((rows, events)) < 0.1, 3.0, -1.0 / 3.0)


def skewed(g: Draw, rows: int, events: int) -> Floats:
    """Lognormal gains, less their mean."""
    return (np.exp(g.standard_normal((rows, events))) - math.exp(0.5)) / math.sqrt((math.e - 1.0) * math.e)


_AR3: Final = 1.3 / 0.7
STREAMS: Final = {
    "reference": Stream(reference, lrv=_AR3),
    "normal": Stream(lambda g, r, n: g.standard_normal((r, n)), lrv=1.0),
    "clustered volatility": Stream(garch, lrv=1.0),
    "slow volatility": Stream(lambda g, r, n: autoregression(garch(g, r, n, shock=0.02, memory=0.978), 0.3)),
    "long-memory volatility": Stream(long_memory),
    "autocorrelation 0.6": Stream(lambda g, r, n: autoregression(garch(g, r, n), 0.6), lrv=4.0),
    "autocorrelation 0.95": Stream(lambda g, r, n: autoregression(garch(g, r, n), 0.95), lrv=39.0),
    "mean reversion -0.5": Stream(lambda g, r, n: autoregression(garch(g, r, n), -0.5), lrv=1 / 3),
    "overlap of 5": Stream(overlapping(5), overlap=5, lrv=5.0),
    "overlap of 20": Stream(overlapping(20), overlap=20, lrv=20.0),
    "overlap of 100": Stream(overlapping(100), overlap=100, lrv=100.0),
    "volatility regimes": Stream(scaled(_regimes)),
    "time of day": Stream(scaled(_days)),
    "volatility leaps x20": Stream(scaled(_leap)),
    "volatility grows x20": Stream(scaled(_growth)),
    "calm warm-up": Stream(scaled(_calm_start)),
    "rare losses": Stream(rare_jumps(-1, 0.005), lrv=1.0),
    "rare gains": Stream(rare_jumps(1, 0.005), lrv=1.0),
    "rarer gains": Stream(rare_jumps(1, 0.001), lrv=1.0),
    "skewed gains": Stream(skewed, lrv=1.0),
    "small losses, large gains": Stream(small_losses, lrv=1.0),
    "volatility follows gains": Stream(volatility_follows(1)),
    "volatility follows losses": Stream(volatility_follows(-1)),
    "swinging mean": Stream(drifting(0.05, 5000)),
    "whole ticks": Stream(ticks),
    "long agreement": Stream(agreeing),
    "one size": Stream(one_size, lrv=1.0),
}
"""Everything that must be left alone, by name."""


def draw(seed: int, name: str, rows: int, events: int) -> Floats:
    """Return the named stream's series: a pure function of seed, name and shape."""
    return STREAMS[name].draw(np.random.default_rng([seed, *name.encode()]), rows, events)


def late_answers(g: Draw, events: int, rate: float, burst: int = 1) -> NDArray[np.int64]:
    """Return which answers are late, shape (events,): isolated, or in stalls of `burst` answers on average.

    In a stall 60 % of the answers are late, outside 40 % of `rate`; on average `rate`, which is below 0.6.
    """
    if burst <= 1:
        return (g.random(events) < rate).astype(np.int64)
    stalled_share = 0.6 * rate / (0.6 - 0.4 * rate)
    enter = stalled_share / (1.0 - stalled_share) / burst
    count = int(4 * events * enter) + 50
    ends = np.cumsum(np.stack([g.geometric(enter, count), g.geometric(1.0 / burst, count)], axis=1).ravel())
    # An event lies in a stall if an odd number of sojourns has ended before it.
    stalled = np.searchsorted(ends, np.arange(events), side="right") % 2 == 1
    return (g.random(events) < np.where(stalled, 0.6, 0.4 * rate)).astype(np.int64)
