"""Feed messages a second on one core: decoding against a scan of the same bytes, books against another program's.

The bytes are a market's day made by the simulator: STOCKS stocks, MESSAGES messages after the opening ones, about
LIVE_ORDERS orders resting at a time, every type of ITCH 5.0. Times are what the measuring thread computed, so that
what else runs on the machine is left out; memory it shares with others it still shares.

What each keeps: `books by level` a touch, every level's lots and number of orders, each order's lots, and for each
change of a touch the order-flow imbalance of its stock and the weighted mid; `books by order` also each order's place
in its queue; itch-book's Session its books per order, without tables, which is the least that it can be asked for.
"""

import time
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.report import paired, ratio
from data_contracts.errors import MissingDependencyError
from native import _native

STOCKS: Final = 8_000
MESSAGES: Final = 2_000_000
LIVE_ORDERS: Final = 200_000
RUNS: Final = 3


def run() -> list[dict[str, Any]]:
    """Measure decoding and both kinds of book."""
    tape = _native.write_market_tape(seed=1, stocks=STOCKS, messages=MESSAGES, live_orders=LIVE_ORDERS)
    messages = _native.bench_feed(tape, "decode")["messages"]

    def ours(what: str) -> float:
        found = _native.bench_feed(tape, what)
        assert found["unapplied"] == found["crossed"] == 0, found
        return messages * 1e9 / found["nanoseconds"]

    size = f"{messages:,} messages of {STOCKS:,} stocks"
    rows = [
        ratio(
            f"decode, {size}",
            paired(lambda: ours("decode"), lambda: ours("scan"), RUNS),
            peer_name="memory scan of the same bytes",
            unit="messages/s",
            smaller_wins=False,
        )
    ]
    for what, name in (("levels", "books by level, order-flow imbalance, weighted mid"), ("orders", "books by order")):
        pairs = paired(lambda kind=what: ours(kind), lambda: _itch_book(tape), RUNS)
        rows.append(ratio(name, pairs, peer_name="itch-book 0.2.1", unit="messages/s", smaller_wins=False))
    return rows


def _itch_book(tape: NDArray[np.uint8]) -> float:
    try:
        import itch_book
    except ImportError:
        raise MissingDependencyError("the peer of this benchmark is not there: pip install itch-book==0.2.1") from None

    session = itch_book.Session(tables=[], depth=0, symbols=[])
    start = time.thread_time()
    session.feed(tape)
    seconds = time.thread_time() - start
    stats = session.stats()
    assert stats["missing_ref"] == stats["unknown"] == 0, stats
    return float(stats["messages"] / seconds)
