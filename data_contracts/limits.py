"""Limits a whole recording must keep to, as plain data; Great Expectations asks them in expectations.py.

Rules on rows abstain or drop and count; only these rules, on the whole recording, set it aside.
"""

from typing import Annotated

import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from data_contracts.market_event import NO_LOTS, UNUSABLE, EventFlag
from data_contracts.recording import Recording

_Share = Annotated[float, Meta(ge=0, le=1)]


class RecordingLimits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a recording must look like to be learnt from; shares are of all its events."""

    min_events: Annotated[int, Meta(ge=1)] = 1000
    max_duplicate_share: _Share = 0.10
    """Events equal to the one before in time, touch and trade: a replayed file, not a quiet market."""
    max_crossed_share: _Share = 0.25
    """Aggregated bank streams cross in one quote of ten and are usable all the same."""
    max_one_sided_share: _Share = 0.25
    min_usable_share: _Share = 0.5
    """Events without any flag on which the platform abstains."""
    max_mid_jump: Annotated[float, Meta(gt=0)] = 0.05
    """Largest relative move of mid between two successive two-sided events."""
    max_jump_share: _Share = 1e-4
    """A single bad print is a row's fault, not the recording's."""
    max_silence_ns: Annotated[int, Meta(gt=0)] = 3 * 3_600_000_000_000
    """Between successive events; longer than an exchange's lunch, shorter than a lost half day."""


class Rule(Struct, frozen=True, kw_only=True):
    """One limit on one measured column; `column` None: on the number of events."""

    name: str
    column: str | None
    low: float | None
    high: float | None
    mostly: float
    """Share of the events that have the value at all and must keep to low..high."""
    says: str
    """What is expected, for a person."""


def rules_of(limits: RecordingLimits) -> tuple[Rule, ...]:
    """Return the rules that `limits` stand for, in the order a report shows them."""
    jump, hours = limits.max_mid_jump, limits.max_silence_ns / 3.6e12
    return (
        _rule("enough_events", None, limits.min_events, None, 1.0, f"at least {limits.min_events:,} events"),
        _rule("event_time_never_falls", "event_step_ns", 0, None, 1.0, "event time never falls"),
        _rule("silence", "event_step_ns", None, limits.max_silence_ns, 1.0, f"no silence over {hours:g} h"),
        _share("duplicates", "duplicate", limits.max_duplicate_share, "exact duplicates of the event before"),
        _share("crossed", "crossed", limits.max_crossed_share, "bid above ask"),
        _share("one_sided", "one_sided", limits.max_one_sided_share, "one side of the touch missing"),
        _share("usable", "unusable", 1 - limits.min_usable_share, "events the platform would abstain on"),
        _rule("bid_positive", "bid_ticks", 1, None, 1.0, "two-sided bids above zero"),
        _rule("ask_positive", "ask_ticks", 1, None, 1.0, "two-sided asks above zero"),
        _rule("bid_size", "bid_lots", 0, None, 1.0, "bid sizes, where given, not negative"),
        _rule("ask_size", "ask_lots", 0, None, 1.0, "ask sizes, where given, not negative"),
        _rule(
            "mid_jumps",
            "mid_move",
            -jump,
            jump,
            1 - limits.max_jump_share,
            f"mid moves within {jump:.0%} between events, in all but {limits.max_jump_share:.2%}",
        ),
    )


def measure(recording: Recording) -> dict[str, NDArray[np.float64]]:
    """Return the columns that the rules ask about, each shape (n,), NaN where the feed gives no value."""
    events = recording.events
    flags = events["flags"]
    one_sided = (flags & EventFlag.ONE_SIDED) != 0
    # Flags are the reader's word; prices are looked at as well.
    crossed = ((flags & EventFlag.CROSSED) != 0) | (~one_sided & (events["bid_ticks"] > events["ask_ticks"]))
    return {
        "event_step_ns": _after_first(np.diff(events["event_ns"])),
        "duplicate": _after_first(_repeats(events)),
        "crossed": crossed.astype(np.float64),
        "one_sided": one_sided.astype(np.float64),
        "unusable": ((flags & UNUSABLE) != 0).astype(np.float64),
        "bid_ticks": np.where(one_sided, np.nan, events["bid_ticks"]),
        "ask_ticks": np.where(one_sided, np.nan, events["ask_ticks"]),
        "bid_lots": np.where(events["bid_lots"] == NO_LOTS, np.nan, events["bid_lots"]),
        "ask_lots": np.where(events["ask_lots"] == NO_LOTS, np.nan, events["ask_lots"]),
        "mid_move": _mid_moves(recording, ~one_sided),
    }


def rows_against(rule: Rule, measured: dict[str, NDArray[np.float64]]) -> NDArray[np.int64]:
    """Return the rows that break `rule`, ascending; none for a rule on the number of events."""
    if rule.column is None:
        return np.zeros(0, dtype=np.int64)
    values = measured[rule.column]
    low = -np.inf if rule.low is None else rule.low
    high = np.inf if rule.high is None else rule.high
    return np.flatnonzero(~np.isnan(values) & ~((values >= low) & (values <= high)))


def _rule(name: str, column: str | None, low: float | None, high: float | None, mostly: float, says: str) -> Rule:
    return Rule(name=name, column=column, low=low, high=high, mostly=mostly, says=says)


def _share(name: str, column: str, limit: float, what: str) -> Rule:
    # The column is 1 where the event has the fault, so "0 in most rows" states the share.
    return _rule(name, column, 0, 0, 1 - limit, f"at most {limit:.0%} {what}")


def _after_first(values: NDArray[np.generic]) -> NDArray[np.float64]:
    return np.concatenate([[np.nan], values.astype(np.float64)]) if values.size else np.full(1, np.nan)


def _repeats(events: NDArray[np.void]) -> NDArray[np.bool_]:
    fields = ("event_ns", "bid_ticks", "bid_lots", "ask_ticks", "ask_lots", "trade_ticks", "trade_lots", "flags")
    same: NDArray[np.bool_] = np.logical_and.reduce([events[field][1:] == events[field][:-1] for field in fields])
    return same


def _mid_moves(recording: Recording, two_sided: NDArray[np.bool_]) -> NDArray[np.float64]:
    moves = np.full(len(recording), np.nan)
    rows = np.flatnonzero(two_sided)
    mid = (recording.events["bid_ticks"][rows] + recording.events["ask_ticks"][rows]) / 2.0
    with np.errstate(divide="ignore", invalid="ignore"):
        step = mid[1:] / mid[:-1] - 1.0
    # A mid of zero gives no number: an infinite move breaks the rule, where NaN would pass as "not given".
    moves[rows[1:]] = np.where(np.isfinite(step), step, np.inf)
    return moves
