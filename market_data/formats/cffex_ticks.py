"""CFFEX index-future ticks: `IF2101_20210104.csv`, packed or not: a snapshot of touch and volume every 500 ms."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from data_contracts.errors import FormatError, UsageError
from data_contracts.instrument import Instrument
from data_contracts.market_event import MARKET_EVENT, EventFlag, MarketEvents
from data_contracts.recording import Recording
from market_data.formats import packed, tables
from market_data.formats.column_values import on_grid
from market_data.formats.touch import choose, drop_backwards, touch_flags

_FILE: Final = re.compile(r"^([A-Z]{1,2}\d{4})_(\d{8})\.csv" + packed.PATTERN + "$")
_TICK: Final = 0.2
_MULTIPLIERS: Final = {"IF": 300.0, "IH": 300.0, "IC": 200.0, "IM": 200.0}
_UTC_OFFSET_NS: Final = 8 * 3_600_000_000_000  # China keeps one time all year
_OPEN_MS: Final = (9 * 60 + 30) * 60_000
_CLOSE_MS: Final = 15 * 3_600_000
_FEE_BPS: Final = 0.23  # the exchange's 0.000023 of the value


def claims(source: Path) -> bool:
    """Whether the path is such a file, or a folder that holds one; a .dsb twin beside it is not read."""
    return bool(_files(source))


def read(source: Path, instrument: str | None) -> tuple[Recording, ...]:
    """Return one recording a day, oldest first.

    Raises:
        UsageError: several contracts and no `instrument`, or none of that name.
        FormatError: the file is not what the format says.
    """
    files = _files(source)
    codes = sorted({_code(path) for path in files})
    wanted = choose(source, [f"CFFEX:{code}" for code in codes], instrument).removeprefix("CFFEX:")
    return tuple(_read_day(path, wanted) for path in files if _code(path) == wanted)


def _files(source: Path) -> list[Path]:
    candidates = sorted(source.iterdir()) if source.is_dir() else [source]
    matching = [path for path in candidates if _FILE.match(path.name)]
    by_day = {path.name.split(".")[0]: path for path in matching}  # a day as .csv and .csv.gz is one day
    return sorted(by_day.values(), key=lambda path: path.name.partition("_")[2])


def _code(path: Path) -> str:
    return path.name.partition("_")[0]


def _read_day(path: Path, code: str) -> Recording:
    pl = tables.polars()
    prices = ("bid_price_1", "ask_price_1", "turn_over")
    whole = ("action_date", "action_time", "bid_qty_1", "ask_qty_1", "volume")
    columns = {**dict.fromkeys(whole, pl.Int64), **dict.fromkeys(prices, pl.Float64)}
    table = tables.read_table(path, tables.read_bytes(path), columns=columns, header=True)
    columns_of = {name: table[name].to_numpy() for name in table.columns}
    instrument = _instrument(code)
    events, local_ms = _events(path, columns_of, instrument.multiplier)
    events, skipped = _drop(events, columns_of, local_ms)
    return Recording(instrument=instrument, events=events, source=path, skipped=skipped)


def _instrument(code: str) -> Instrument:
    product = code.rstrip("0123456789")
    if product not in _MULTIPLIERS:
        raise UsageError(f"CFFEX:{code}: expected a contract of {', '.join(_MULTIPLIERS)}, got {product}")
    return Instrument(
        symbol=f"CFFEX:{code}",
        tick_size=str(_TICK),
        lot_size="1",
        currency="CNY",
        multiplier=_MULTIPLIERS[product],
        fee_bps=_FEE_BPS,
        time_zone="Asia/Shanghai",
    )


def _events(path: Path, columns: dict[str, NDArray[Any]], multiplier: float) -> tuple[MarketEvents, NDArray[Any]]:
    events = np.zeros(len(columns["volume"]), dtype=MARKET_EVENT)
    local_ms = _milliseconds(path, columns["action_time"])
    events["event_ns"] = _midnights_ns(path, columns["action_date"]) + local_ms * 1_000_000 - _UTC_OFFSET_NS
    events["receive_ns"] = events["event_ns"]
    events["sequence"] = np.arange(1, len(events) + 1)
    for side in ("bid", "ask"):
        prices, sizes = columns[f"{side}_price_1"], columns[f"{side}_qty_1"]
        ticks, off = on_grid(prices, "1", str(_TICK))
        _refuse(path, off | (prices < 0), prices, f"{side}_price_1", f"0 or a price over it, a multiple of {_TICK}")
        _refuse(path, sizes < 0, sizes, f"{side}_qty_1", "lots, 0 or more")
        events[f"{side}_ticks"] = np.where(sizes > 0, ticks, 0)
        events[f"{side}_lots"] = np.where(ticks > 0, sizes, 0)
    for name, most in (("volume", 2**31), ("turn_over", 2.0**52)):
        _refuse(path, (columns[name] < 0) | (columns[name] > most), columns[name], name, f"0 to {most:.0f}")
    events["flags"] = touch_flags(events)
    events["flags"][local_ms < _OPEN_MS] |= np.uint16(EventFlag.AUCTION)
    _sign_trades(events, columns["volume"], columns["turn_over"], multiplier)
    return events, local_ms


def _refuse(path: Path, bad: NDArray[np.bool_], cells: NDArray[Any], column: str, expected: str) -> None:
    tables.refuse_rows(path, bad, cells, column, expected=expected, first_row=1 + tables.HEADER_ROWS)


def _sign_trades(events: MarketEvents, volume: NDArray[Any], turnover: NDArray[Any], multiplier: float) -> None:
    """Split each row's volume by where its average price lies between the bid and the ask before it.

    At the ask before, all of it was bought; at the bid, all sold; between, in proportion, rounded to lots. The lots
    kept are those bought less those sold. An auction has no aggressor.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        average = np.where(volume > 0, turnover / (volume * multiplier), 0.0) / _TICK
        bid, ask = (np.roll(events[f"{side}_ticks"], 1) for side in ("bid", "ask"))
        bought = np.rint(volume * np.clip((average - bid) / (ask - bid), 0.0, 1.0))
    usable = (volume > 0) & (ask > bid) & (bid > 0) & (events["flags"] & np.uint16(EventFlag.AUCTION) == 0)
    usable[:1] = False
    events["trade_ticks"] = np.rint(average)
    events["trade_lots"] = np.where(usable, 2 * np.nan_to_num(bought) - volume, 0)


def _drop(
    events: MarketEvents, columns: dict[str, NDArray[Any]], local_ms: NDArray[Any]
) -> tuple[MarketEvents, dict[str, int]]:
    """Drop rows that only repeat the last one after the close, and rows that go back in time; count both."""
    stale = (local_ms > _CLOSE_MS) & (columns["volume"] == 0)
    kept, backwards = drop_backwards(events[~stale])
    counts = {"after_close": int(stale.sum()), "out_of_order": backwards}
    return kept, {reason: n for reason, n in counts.items() if n}


def _milliseconds(path: Path, hhmmssmmm: NDArray[Any]) -> NDArray[Any]:
    """Return ms since local midnight of times written HHMMSSmmm."""
    hours, minutes, rest = hhmmssmmm // 10_000_000, hhmmssmmm // 100_000 % 100, hhmmssmmm % 100_000
    bad = np.flatnonzero((hhmmssmmm < 0) | (hours > 23) | (minutes > 59) | (rest > 59_999))
    if bad.size:
        row = int(bad[0])
        where = f"row {row + 1 + tables.HEADER_ROWS}, column action_time"
        raise FormatError(path, where=where, expected="HHMMSSmmm", got=str(hhmmssmmm[row]))
    return np.asarray((hours * 60 + minutes) * 60_000 + rest)


def _midnights_ns(path: Path, dates: NDArray[Any]) -> NDArray[Any]:
    """Return ns since the epoch of each YYYYMMDD's start, as if it were UTC."""
    days, inverse = np.unique(dates, return_inverse=True)
    starts = np.empty(len(days), dtype=np.int64)
    for position, day in enumerate(days):
        try:
            start = datetime.strptime(str(day), "%Y%m%d").replace(tzinfo=UTC)
        except ValueError:
            row = int(np.flatnonzero(dates == day)[0])
            where = f"row {row + 1 + tables.HEADER_ROWS}, column action_date"
            raise FormatError(path, where=where, expected="YYYYMMDD", got=str(day)) from None
        starts[position] = int(start.timestamp()) * 1_000_000_000
    return np.asarray(starts[inverse])
