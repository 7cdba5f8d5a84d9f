"""The best bid and offer over all exchanges, out of each exchange's own."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

STALE_NS: Final = 1_000_000_000
"""An exchange's quote that another crosses is given up once it has stood for so long."""

_PER_CENT: Final = 100


def national_best(
    event_ns: NDArray[np.int64], venues: NDArray[Any], touches: NDArray[np.int64]
) -> tuple[NDArray[np.int64], int]:
    """Return the best of all exchanges after each quote, shape (n, 4), and how many quotes were given up.

    Bid ticks and lots, ask ticks and lots; a side that no exchange quotes is 0 and 0. Lots are the sum over the
    exchanges at the best price. An exchange's quote stands until its next. US rules forbid crossing another exchange's
    quote, so one that is crossed by at most a hundredth of its price, and has stood longer than STALE_NS, is taken to
    be of the past: that side of it counts no more. What crosses all the same stays crossed.

    Args:
        event_ns: of each quote, never falling, shape (n,).
        venues: whose quote each is, shape (n,).
        touches: the quote, shape (n, 4) as above; ticks of 0: no quote on that side.
    """
    names, which = np.unique(venues, return_inverse=True)
    standing = [[0, 0, 0, 0, 0] for _ in names]  # time, bid ticks and lots, ask ticks and lots
    best: list[tuple[int, int, int, int]] = []
    given_up = 0
    for now_ns, venue, touch in zip(event_ns.tolist(), which.tolist(), touches.tolist(), strict=True):
        standing[venue] = [now_ns, *touch]
        given_up += _give_up(standing, touch[0], touch[2], now_ns - STALE_NS)
        best.append(_best_of(standing))
    return np.array(best, dtype=np.int64).reshape(-1, 4), given_up


def _give_up(standing: list[list[int]], bid: int, ask: int, before_ns: int) -> int:
    """Take away the sides of old quotes that a new bid and ask cross; return how many."""
    count = 0
    for quote in standing:
        if quote[0] >= before_ns:
            continue
        if 0 < ask < quote[1] <= ask + ask // _PER_CENT:
            quote[1] = quote[2] = 0
            count += 1
        if 0 < quote[3] < bid <= quote[3] + quote[3] // _PER_CENT:
            quote[3] = quote[4] = 0
            count += 1
    return count


def _best_of(standing: list[list[int]]) -> tuple[int, int, int, int]:
    bid = bid_lots = ask = ask_lots = 0
    for _, each_bid, each_bid_lots, each_ask, each_ask_lots in standing:
        if each_bid > bid:
            bid, bid_lots = each_bid, each_bid_lots
        elif each_bid == bid:
            bid_lots += each_bid_lots
        if each_ask > 0 and (ask == 0 or each_ask < ask):
            ask, ask_lots = each_ask, each_ask_lots
        elif each_ask == ask:
            ask_lots += each_ask_lots
    return bid, bid_lots, ask, ask_lots
