"""US consolidated quotes and trades: `XXX_20180102_quotes.csv` with `XXX_20180102_trades.csv` beside it.

A quote is one exchange's own best, so that the national best is built of all of them. Columns DT (UTC), EX, BID,
BIDSIZ, OFR, OFRSIZ (round lots), SYMBOL, and QU_COND where there is one; trades DT, EX, SYMBOL, COND, SIZE, PRICE,
CORR. The rules are told in docs/formats.md.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from data_contracts.errors import FormatError
from data_contracts.instrument import Instrument
from data_contracts.market_event import MARKET_EVENT, MarketEvents
from data_contracts.recording import Recording
from market_data.formats import packed, tables
from market_data.formats.column_map import Clock
from market_data.formats.column_values import Sheet, on_grid, times_ns
from market_data.formats.national_best import national_best
from market_data.formats.touch import choose, touch_flags

if TYPE_CHECKING:
    import polars as pl

_FILE: Final = re.compile(r"^([A-Z.]+)_(\d{8})_quotes\.csv" + packed.PATTERN + "$")
_ROUND_LOT: Final = 100
_TICK: Final = "0.01"
_UNITS_PER_TICK: Final = 100
"""Trades print in 1/10000, four digits; quotes in whole cents."""

_FIRM_CONDITIONS: Final = ("", "A", "B", "H", "O", "R", "W")
"""Conditions of quotes that may set the national best: regular, opening, and slow ones; as Holden and Jacobsen (2014)
keep them. Others are closed, halted, indicative or non-firm."""

_LATE: Final = "ZLUGP"
"""Sold out of sequence, sold last, extended hours out of sequence, bunched and sold, of a prior reference price."""

_NOT_AT_MARKET: Final = "BWCNRV47QM9"
"""Average price, settled otherwise than regularly (cash, next day, seller), contingent, derivatively priced, qualified
contingent, and the official open, close and corrected close, which repeat what was traded."""

_CROSSES: Final = "O65X"
"""Opening, closing and reopening prints, and crosses: both sides met at once, so that no one was the aggressor."""


def claims(source: Path) -> bool:
    """Whether the path is such a file of quotes, or a folder that holds one."""
    return bool(_files(source))


def read(source: Path, instrument: str | None) -> tuple[Recording, ...]:
    """Return one recording a day, oldest first.

    Raises:
        UsageError: several stocks and no `instrument`, or none of that name.
        FormatError: the files are not what the format says; names row and column.
    """
    files = _files(source)
    symbols = sorted({_symbol(path) for path in files})
    wanted = choose(source, symbols, instrument)
    return tuple(_read_day(path, wanted) for path in files if _symbol(path) == wanted)


def _files(source: Path) -> list[Path]:
    inside = sorted(source.iterdir()) if source.is_dir() else [source]
    found = {packed.bare_name(path): path for path in inside if _FILE.match(path.name)}
    return sorted(found.values(), key=lambda path: path.name.split("_")[1])


def _symbol(path: Path) -> str:
    return f"US:{path.name.partition('_')[0]}"


def _trades_of(quotes: Path) -> Path | None:
    stem = packed.bare_name(quotes).replace("_quotes.csv", "_trades.csv")
    candidates = (quotes.with_name(stem + ending) for ending in ("", *packed.ENDINGS))
    return next((path for path in candidates if path.is_file()), None)


def _read_day(path: Path, symbol: str) -> Recording:
    traded = Instrument(
        symbol=symbol, tick_size=_TICK, lot_size="1", currency="USD", time_zone="America/New_York"
    )  # fees differ by venue and tier: none is assumed
    skipped: dict[str, int] = {}
    quotes, quote_rows = _quotes(path, skipped)
    beside = _trades_of(path)
    trades, trade_rows = _trades(beside, skipped) if beside else (np.zeros(0, dtype=MARKET_EVENT), 0)
    if len(trades):
        _sign(trades, quotes)
    events = np.concatenate([trades, quotes])  # a stable sort leaves trades before the quotes of their time stamp
    events = events[np.argsort(events["event_ns"], kind="stable")]
    _carry_touch(events)
    events["reserved"] = 0
    events["sequence"] = np.arange(1, len(events) + 1)
    events["receive_ns"] = events["event_ns"]
    events["flags"] = touch_flags(events)
    by_type = {"quote": quote_rows, "trade": trade_rows}
    counts = {reason: n for reason, n in skipped.items() if n}
    return Recording(instrument=traded, events=events, source=path, skipped=counts, by_type=by_type)


def _sheet(path: Path, names: tuple[str, ...]) -> Sheet:
    frame = tables.read_text_columns(path, packed.read_bytes(path), header=True)
    for name in (*names, "SYMBOL"):
        if name not in frame.columns:
            shown = ", ".join(frame.columns[:8])
            raise FormatError(path, where="header", expected=f"column {name}", got=shown)
    sheet = Sheet(path, frame, 1 + tables.HEADER_ROWS)
    named = path.name.partition("_")[0]
    sheet.refuse(~np.isin(sheet.texts("SYMBOL"), (named, named.replace(".", " "))), "SYMBOL", expected=named)
    return sheet


def _ordered(sheet: Sheet, skipped: dict[str, int]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    event_ns = times_ns(sheet, Clock(columns="DT", format="iso"))
    backwards = event_ns < np.maximum.accumulate(event_ns)
    skipped["out_of_order"] = skipped.get("out_of_order", 0) + int(backwards.sum())
    return event_ns, ~backwards


def _quotes(path: Path, skipped: dict[str, int]) -> tuple[MarketEvents, int]:
    """Return an event at each change of the national best; trades are none yet."""
    sheet = _sheet(path, ("DT", "EX", "BID", "BIDSIZ", "OFR", "OFRSIZ"))
    event_ns, kept = _ordered(sheet, skipped)
    touch = np.zeros((len(event_ns), 4), dtype=np.int64)
    off = np.zeros(len(event_ns), dtype=bool)
    for position, (price, size) in ((0, ("BID", "BIDSIZ")), (2, ("OFR", "OFRSIZ"))):
        values, sizes = sheet.numbers(price), sheet.numbers(size)
        sheet.refuse(~(values >= 0), price, expected="a price of 0 or more")
        sheet.refuse(~(sizes >= 0) | (sizes % 1 != 0), size, expected="whole round lots")
        ticks, beside = on_grid(values, "1", _TICK)
        off |= beside
        there = (ticks > 0) & (sizes > 0)
        touch[:, position] = np.where(there, ticks, 0)
        touch[:, position + 1] = np.where(there, sizes * _ROUND_LOT, 0).astype(np.int64)
    kept &= _count(skipped, "off_grid_quote", kept & off)
    both = (touch[:, 0] > 0) & (touch[:, 2] > 0)
    # An exchange never quotes against itself; it and what is not firm are withdrawn, so that no older quote stays.
    withdrawn = both & (touch[:, 0] > touch[:, 2])
    _count(skipped, "self_crossed_quote", kept & withdrawn)
    if "QU_COND" in sheet.frame.columns:
        soft = ~np.isin(sheet.texts("QU_COND"), _FIRM_CONDITIONS)
        _count(skipped, "ineligible_quote", kept & soft)
        withdrawn |= soft
    touch[withdrawn] = 0
    venues = sheet.texts("EX")
    sheet.refuse(venues == "", "EX", expected="an exchange")
    best, skipped["crossed_old_quote"] = national_best(event_ns[kept], venues[kept], touch[kept])
    changed = np.ones(len(best), dtype=bool)
    changed[1:] = np.any(best[1:] != best[:-1], axis=1)
    events = np.zeros(int(changed.sum()), dtype=MARKET_EVENT)
    events["event_ns"] = event_ns[kept][changed]
    for position, name in enumerate(("bid_ticks", "bid_lots", "ask_ticks", "ask_lots")):
        events[name] = best[changed, position]
    return events, len(sheet.frame)


def _count(skipped: dict[str, int], reason: str, bad: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Count the bad rows; return the others."""
    skipped[reason] = skipped.get(reason, 0) + int(bad.sum())
    return ~bad


def _trades(path: Path, skipped: dict[str, int]) -> tuple[MarketEvents, int]:
    """Return an event a trade, without touch; trade_lots are unsigned, trade_ticks in 1/10000, reserved 1: a cross."""
    sheet = _sheet(path, ("DT", "COND", "SIZE", "PRICE", "CORR"))
    event_ns, kept = _ordered(sheet, skipped)
    prices, sizes, corrections = (sheet.numbers(name) for name in ("PRICE", "SIZE", "CORR"))
    sheet.refuse(~(prices > 0), "PRICE", expected="a price over 0")
    sheet.refuse(~(sizes > 0) | (sizes % 1 != 0) | (sizes > 2**40), "SIZE", expected="a whole number over 0")
    sheet.refuse(np.isnan(corrections), "CORR", expected="a number")
    ticks, off = on_grid(prices, "1", "0.0001")
    sheet.refuse(off | (ticks == 0), "PRICE", expected="a multiple of 0.0001")
    conditions = _column(sheet, "COND")
    kept &= _count(skipped, "cancelled_trade", kept & (corrections != 0))
    kept &= _count(skipped, "late_trade", kept & _any_of(conditions, _LATE))
    kept &= _count(skipped, "trade_not_at_market", kept & _any_of(conditions, _NOT_AT_MARKET))
    events = np.zeros(int(kept.sum()), dtype=MARKET_EVENT)
    events["event_ns"] = event_ns[kept]
    events["trade_ticks"] = ticks[kept]
    events["trade_lots"] = sizes[kept].astype(np.int64)
    events["reserved"] = _any_of(conditions, _CROSSES)[kept]
    return events, len(sheet.frame)


def _column(sheet: Sheet, name: str) -> "pl.Series":
    return sheet.frame[name].fill_null("")


def _any_of(conditions: "pl.Series", letters: str) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = conditions.str.contains(f"[{letters}]").to_numpy()
    return found


def _sign(trades: MarketEvents, quotes: MarketEvents) -> None:
    """Sign lots by Lee and Ready's rule against the last quote of an earlier time stamp; bring prices to ticks.

    Above the mid bought, below it sold; at the mid, and where that touch is one-sided, locked or crossed, by the last
    trade at another price: above it bought, below it sold; with no such trade, and in a cross, 0.
    """
    price = trades["trade_ticks"].copy()
    before = np.searchsorted(quotes["event_ns"], trades["event_ns"], side="left") - 1
    found = quotes[np.maximum(before, 0)] if len(quotes) else np.zeros(len(trades), dtype=MARKET_EVENT)
    bid, ask = found["bid_ticks"] * _UNITS_PER_TICK, found["ask_ticks"] * _UNITS_PER_TICK
    usable = (before >= 0) & (bid > 0) & (ask > bid)
    sign = np.where(usable, np.sign(2 * price - bid - ask), 0)
    steps = np.sign(np.diff(price, prepend=price[:1]))
    last_step = np.maximum.accumulate(np.where(steps != 0, np.arange(len(price)), 0))
    sign = np.where(sign == 0, steps[last_step], sign)
    trades["trade_lots"] *= np.where(trades["reserved"] == 1, 0, sign)
    trades["trade_ticks"] = (price + _UNITS_PER_TICK // 2) // _UNITS_PER_TICK


def _carry_touch(events: MarketEvents) -> None:
    """Give each trade the touch of the quote before it."""
    quote = events["trade_ticks"] == 0
    last = np.maximum.accumulate(np.where(quote, np.arange(len(events)), -1))
    for name in ("bid_ticks", "bid_lots", "ask_ticks", "ask_lots"):
        events[name] = np.where(last >= 0, events[name][np.maximum(last, 0)], 0)
