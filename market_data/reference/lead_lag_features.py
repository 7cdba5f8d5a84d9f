"""lead_lag_v1 written out plainly: every value from sums over all events of its session up to it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_contracts.market_event import UNUSABLE, MarketEvents
from market_data.reference.sessions import Floats, Run, others_weights, standing_mean

SIGNAL_S, PAIR_S = 1.0, 120.0

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Leader:
    """The leader's states that count: the last of each time, in sessions.

    Attributes:
        clock_ns: their times, rising, shape (m,).
        log_mid_bps: shape (m,).
        first: where the session of each began, shape (m,).
    """

    clock_ns: NDArray[np.int64]
    log_mid_bps: Floats
    first: NDArray[np.int64]


def leader_states(events: MarketEvents, session_gap_s: float) -> Leader:
    """Return the states of a leader's events, which come in order of time."""
    usable = (events["flags"] & UNUSABLE) == 0
    usable &= (events["bid_ticks"] > 0) & (events["ask_ticks"] > 0)
    kept = events[usable]
    last = np.append(np.diff(kept["event_ns"]) > 0, True)[: len(kept)]
    kept = kept[last]
    starts = np.concatenate([[True], np.diff(kept["event_ns"]) * 1e-9 > session_gap_s])[: len(kept)]
    first = np.maximum.accumulate(np.where(starts, np.arange(len(kept)), 0))
    return Leader(kept["event_ns"], _log_bps(0.5 * (kept["bid_ticks"] + kept["ask_ticks"])), first)


def lead_lag_columns(
    run: Run, leader: Leader, followed: Floats, warm_up_events: int
) -> tuple[dict[str, Floats], Bools]:
    """Return every feature at each event of one session by name, and whether the leader is warm there, shape (n,).

    followed: of `followed_bps`.
    """
    mid, own = run.mid, _log_bps(run.mid)
    own_moves = np.diff(own, prepend=own[:1])
    squares = np.diff(mid, prepend=mid[:1]) ** 2
    found = {f"mid_minus_mean_{seconds}s": mid - run.mean(mid, seconds) for seconds in (1, 5, 30)}
    found |= {
        "spread_ticks": (run.events["ask_ticks"] - run.events["bid_ticks"]).astype(float),
        "volatility_30s_ticks": np.sqrt(run.decayed(squares, 30)),
        "log_gap_ms": np.log1p(run.gap_s * 1e3),
    }
    led = np.array([_leader_at(leader, now_ns) for now_ns in run.clock_ns])
    for position, seconds in enumerate((1, 5, 30)):
        found[f"leader_move_{seconds}s_bps"] = led[:, position]
    signal, gap_s, level, seen = led[:, 3], led[:, 4], led[:, 5], led[:, 6]
    there = seen > 0
    found["log_leader_gap_ms"] = np.where(there, np.log1p(gap_s * 1e3), 0.0)
    found["basis_move_30s_bps"] = _basis_moves(run, own - level, there)
    before = np.concatenate([[0.0], signal[:-1]])
    product, signals, moves = (run.decayed(values, PAIR_S) for values in (before * own_moves, before**2, own_moves**2))
    found["lead_correlation_120s"] = np.where(there, _correlation(product, signals, moves), 0.0)
    slope = np.divide(product, signals, out=np.zeros(len(product)), where=signals > 0)
    found["leader_pull_bps"] = np.where(there, slope * signal, 0.0)
    found["lag_correlation_120s"] = _lags(run, leader, followed)
    return found, seen >= warm_up_events


def _leader_at(leader: Leader, now_ns: int) -> tuple[float, ...]:
    """Return moves against the means of 1, 5, 30 s, signal, seconds since, level, and states of the session so far."""
    count = int(np.searchsorted(leader.clock_ns, now_ns, side="left"))  # one at the same time does not count yet
    if not count:
        return (0.0,) * 7
    part = slice(int(leader.first[count - 1]), count)
    ago_s = (now_ns - leader.clock_ns[part]) * 1e-9
    levels = leader.log_mid_bps[part]
    means = [standing_mean(-ago_s, levels, 0.0, seconds) for seconds in (1, 5, 30)]
    signal = float(np.sum(np.exp2(-ago_s / SIGNAL_S) * np.diff(levels, prepend=levels[:1])))
    return (*(levels[-1] - mean for mean in means), signal, float(ago_s[-1]), float(levels[-1]), float(len(levels)))


def _basis_moves(run: Run, basis: Floats, there: Bools) -> Floats:
    moves, first = np.zeros(len(basis)), int(np.argmax(there))
    for row in range(first, len(basis)) if there.any() else ():
        part = slice(first, row + 1)
        moves[row] = basis[row] - standing_mean(run.time_s[part], basis[part], run.time_s[row], 30.0)
    return moves


def followed_bps(leader: Leader, own: Sequence[Run]) -> Floats:
    """Return what had moved here within about a second when each of the leader's states began, shape (m,)."""
    found = np.zeros(len(leader.clock_ns))
    for run in own:
        levels = _log_bps(run.mid)
        since = leader.clock_ns >= run.clock_ns[0]  # a later session writes over
        at_s, own_s = (leader.clock_ns[since] - run.clock_ns[0]) * 1e-9, run.time_s
        found[since] = others_weights(at_s, own_s, SIGNAL_S) @ np.diff(levels, prepend=levels[:1])
    return found


def _lags(run: Run, leader: Leader, followed: Floats) -> Floats:
    """Correlation of what moved here with how the leader moved next, as of the leader's last state that counts."""
    times_s = (leader.clock_ns - run.clock_ns[0]) * 1e-9
    found = np.zeros(len(run.clock_ns))
    for row, now_ns in enumerate(run.clock_ns):
        count = int(np.searchsorted(leader.clock_ns, now_ns, side="left"))
        if count:
            part = slice(int(leader.first[count - 1]), count)
            moves = np.diff(leader.log_mid_bps[part], prepend=leader.log_mid_bps[part][:1])
            before = np.concatenate([[0.0], followed[part][:-1]])
            last = np.exp2(-(times_s[count - 1] - times_s[part]) / PAIR_S)
            sums = [np.array([last @ values]) for values in (before * moves, before**2, moves**2)]
            found[row] = _correlation(*sums)[0]
    return found


def _correlation(product: Floats, signals: Floats, moves: Floats) -> Floats:
    below = np.sqrt(signals) * np.sqrt(moves)
    found: Floats = np.divide(product, below, out=np.zeros(len(product)), where=below > 0)
    return found


def _log_bps(mid: Floats) -> Floats:
    return np.asarray(1e4 * np.log(mid))
