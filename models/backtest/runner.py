"""Runs inside hftbacktest's own environment: decisions and events from files, trades into files.

python runner.py REQUEST.json: the request names the files; see models.backtest.bridge.Request. Nothing of the platform
is imported here.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from hftbacktest import (
    GTC,
    GTX,
    LIMIT,
    MARKET,
    BacktestAsset,
    HashMapMarketDepthBacktest,
    __version__,
)
from numba import njit

TAKEN, MISSED, BUSY, NO_BOOK, UNFINISHED = 0, 1, 2, 3, 4
"""What became of a decision: traded and left; not filled in time; one was open; no book; data ended first."""


def _act(
    hbt: Any, at_ns: Any, sides: Any, qty: float, hold_ns: int, patience_ns: int, passive: bool,
    status: Any, pnl: Any, waited: Any,
) -> None:  # fmt: skip
    order_id = 0
    hbt.elapse(0)  # before it the clock does not stand at the first event
    for row in range(len(at_ns)):
        gap = at_ns[row] - hbt.current_timestamp
        if gap < 0:
            status[row] = BUSY
            continue
        if gap > 0 and hbt.elapse(gap) != 0:
            status[row:] = UNFINISHED
            return
        hbt.clear_inactive_orders(0)
        depth = hbt.depth(0)
        bid, ask = depth.best_bid, depth.best_ask
        if not (bid > 0 and ask > bid):
            status[row] = NO_BOOK
            continue
        mid = (bid + ask) / 2
        before = hbt.state_values(0)
        cash, fees = before.balance, before.fee
        order_id += 1
        buys = sides[row] > 0
        price = bid if buys else ask
        kind, force = (LIMIT, GTX) if passive else (MARKET, GTC)
        if buys:
            hbt.submit_buy_order(0, order_id, price, qty, force, kind, True)
        else:
            hbt.submit_sell_order(0, order_id, price, qty, force, kind, True)
        if passive:
            deadline = at_ns[row] + patience_ns
            while hbt.position(0) == 0 and hbt.current_timestamp < deadline:
                if hbt.elapse(min(1_000_000, deadline - hbt.current_timestamp)) != 0:
                    status[row:] = UNFINISHED
                    return
            if hbt.position(0) == 0:
                orders = hbt.orders(0)
                if order_id in orders and orders.get(order_id).cancellable:
                    hbt.cancel(0, order_id, True)
            if hbt.position(0) == 0:
                status[row] = MISSED
                continue
        position = hbt.position(0)
        if position == 0:
            status[row] = MISSED
            continue
        waited[row] = hbt.current_timestamp - at_ns[row]
        rest = at_ns[row] + hold_ns - hbt.current_timestamp
        if rest > 0 and hbt.elapse(rest) != 0:
            status[row:] = UNFINISHED
            return
        order_id += 1
        if position > 0:
            hbt.submit_sell_order(0, order_id, hbt.depth(0).best_bid, abs(position), GTC, MARKET, True)
        else:
            hbt.submit_buy_order(0, order_id, hbt.depth(0).best_ask, abs(position), GTC, MARKET, True)
        if hbt.position(0) != 0:
            status[row:] = UNFINISHED
            return
        after = hbt.state_values(0)
        pnl[row] = 1e4 * ((after.balance - cash) - (after.fee - fees)) / (qty * mid)
        status[row] = TAKEN


def main(path: str) -> None:
    """Replay the events, act on the decisions, write what became of each."""
    asked = json.loads(Path(path).read_text())
    given = np.load(asked["decisions"])
    asset = (
        BacktestAsset()
        .data([asked["events"]])
        .linear_asset(1.0)
        .constant_order_latency(asked["order_latency_ns"], asked["response_latency_ns"])
        .no_partial_fill_exchange()
        .trading_value_fee_model(asked["maker_fee_bps"] / 1e4, asked["taker_fee_bps"] / 1e4)
        .tick_size(asked["tick_size"])
        .lot_size(asked["lot_size"])
    )
    careful = asked["queue"] == "risk_averse"
    asset = asset.risk_adverse_queue_model() if careful else asset.power_prob_queue_model(2.0)
    hbt = HashMapMarketDepthBacktest([asset])
    count = len(given["at_ns"])
    status = np.full(count, UNFINISHED, np.int64)
    pnl, waited = np.full(count, np.nan), np.zeros(count, np.int64)
    njit(_act, cache=True)(
        hbt, given["at_ns"], given["sides"], asked["quantity"], asked["hold_ns"], asked["patience_ns"],
        asked["passive"], status, pnl, waited,
    )  # fmt: skip
    hbt.close()
    np.savez(asked["trades"], status=status, pnl_bps=pnl, waited_ns=waited)
    said = {"hftbacktest": __version__, "numpy": np.__version__, "decisions": count}
    Path(asked["answer"]).write_text(json.dumps(said))


if __name__ == "__main__":
    main(sys.argv[1])
