"""Feed messages a second on one pinned core: decoding against a memory scan, books against another program's.

The bytes are a market's day made by the simulator: STOCKS stocks, MESSAGES messages after the opening ones, about
LIVE_ORDERS orders resting at a time, every type of ITCH 5.0. Times are what the measuring thread computed, so that
what else runs on the machine is left out; memory it shares with others it still shares.

What each keeps: `books by level` a touch, every level's lots and number of orders, each order's lots, and after each
message the order-flow imbalance of its stock and the weighted mid, for all stocks; `books by order` also each order's
place in its queue; itch-book's Session its books per order, without tables, the least that it can be asked for.
Packets are timed on the wall's clock, one by one as they would come, MoldUDP64's arbitration and books by order with
signals in each. The long day is made a piece at a time; what its books hold at its end is set against a tenth of it.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.report import paired, percentile_row, ratio
from data_contracts.errors import MissingDependencyError
from native import _native

STOCKS: Final = 8_000
MESSAGES: Final = 2_000_000
LIVE_ORDERS: Final = 200_000
RUNS: Final = 3
DAY_MESSAGES: Final = 100_000_000
PACKET_P99_US: Final = 3.0
GROWTH_MAX: Final = 1.1
"""Memory at the day's end, in multiples of that after a tenth of it: references go on counting up."""


def run(messages: int = DAY_MESSAGES) -> list[dict[str, Any]]:
    """Measure decoding, both kinds of book, packets, and a day of so many messages."""
    with _one_core():
        return [*_throughput(), *_packets(), *_day(messages)]


@contextmanager
def _one_core() -> Iterator[None]:
    """Keep to one core meanwhile, the last of those allowed."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def _throughput() -> list[dict[str, Any]]:
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
        pairs = paired(partial(ours, what), lambda: _itch_book(tape), RUNS)
        rows.append(ratio(name, pairs, peer_name="itch-book 0.2.1", unit="messages/s", smaller_wins=False))
    return rows


def _packets() -> list[dict[str, Any]]:
    tape = _native.write_market_tape(seed=2, stocks=STOCKS, messages=MESSAGES // 2, live_orders=LIVE_ORDERS)
    times = [_native.bench_packets(tape) for _ in range(RUNS)]
    assert all(each["unapplied"] == 0 for each in times), times
    p99_us = [each["p99_ns"] / 1000 for each in times]
    about = f"packets of 1 to 7 messages, one by one: p99 (p50 {min(each['p50_ns'] for each in times) / 1000:.2f} us)"
    return [percentile_row(about, p99_us, goal=PACKET_P99_US, unit="us")]


def _day(messages: int) -> list[dict[str, Any]]:
    day = _native.bench_feed_day(seed=3, stocks=STOCKS, messages=messages, live_orders=LIVE_ORDERS)
    assert day["unapplied"] == 0, day
    held = day["late_bytes"] / 2**20
    return [
        percentile_row(
            f"memory of books by order after {day['messages']:,} messages ({held:.0f} MiB), of that after a tenth; "
            f"{day['messages'] * 1e3 / day['nanoseconds']:.1f} M messages/s",
            [day["late_bytes"] / day["early_bytes"]],
            goal=GROWTH_MAX,
            unit="x",
        )
    ]


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
