"""Databento's DBN: `esh4.mbo.dbn.zst`, or a folder of such files, one recording each.

Schemas mbo (the book from its orders), mbp-1 and mbp-10 (from its levels), tbbo and trades (a trade with the touch
before it, or with none). Prices are in 1e-9; which tick they are multiples of is found out by dbn_instruments. What
the venue said of its trading is read by dbn_status.
"""

from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from data_contracts.errors import FormatError
from data_contracts.instrument import Instrument
from data_contracts.market_event import DEPTH_LEVELS, MARKET_EVENT, BookDepths, EventFlag, MarketEvents
from data_contracts.recording import Recording
from market_data.formats import dbn_status, packed
from market_data.formats.dbn_instruments import Head, describe, names_of, no_price, read_head
from market_data.formats.touch import choose, drop_backwards_with_depth, touch_flags
from native import _native

_MAGIC: Final = b"DBN"
_LAST: Final = 128
_MAYBE_BAD: Final = 4
_ACTIONS: Final = {
    b"A": "add",
    b"C": "cancel",
    b"M": "modify",
    b"R": "clear",
    b"T": "trade",
    b"F": "fill",
    b"": "none",
    b"N": "none",
}
_COUNTS: Final = {
    "unknown_order": "unknown_orders",
    "duplicate_order": "duplicate_orders",
    "off_grid_order": "off_grid_orders",
    "over_executed": "over_executed",
    "other_publisher": "other_publisher",
    "unfinished_event": "unfinished_events",
}
_HEADER: Final = [("length", "u1"), ("rtype", "u1"), ("publisher", "<u2"), ("instrument", "<u4"), ("event_ns", "<u8")]
_MBO: Final = [
    ("order", "<u8"), ("price", "<i8"), ("size", "<u4"), ("flags", "u1"), ("channel", "u1"), ("action", "S1"),
    ("side", "S1"), ("receive_ns", "<u8"), ("sent_after", "<i4"), ("sequence", "<u4"),
]  # fmt: skip
_TRADE: Final = [
    ("price", "<i8"), ("size", "<u4"), ("action", "S1"), ("side", "S1"), ("flags", "u1"), ("depth", "u1"),
    ("receive_ns", "<u8"), ("sent_after", "<i4"), ("sequence", "<u4"),
]  # fmt: skip
_LEVEL: Final = np.dtype(
    [("bid", "<i8"), ("ask", "<i8"), ("bid_size", "<u4"), ("ask_size", "<u4"), ("bids", "<u4"), ("asks", "<u4")]
)


class _Kind(NamedTuple):
    rtype: int
    levels: int
    fields: list[Any]

    def dtype(self, head: Head) -> np.dtype[Any]:
        levels = [("levels", _LEVEL, (self.levels,))] if self.levels else []
        return np.dtype(_HEADER + self.fields + levels + ([("sent_ns", "<u8")] if head.has_sent else []))


_KINDS: Final = {
    "mbo": _Kind(160, 0, _MBO),
    "mbp-10": _Kind(10, 10, _TRADE),
    "mbp-1": _Kind(1, 1, _TRADE),
    "tbbo": _Kind(1, 1, _TRADE),
    "trades": _Kind(0, 0, _TRADE),
}


def claims(source: Path) -> bool:
    """Whether the path is such a file of market data, or a folder that holds one."""
    return bool(_files(source))


def read(source: Path, instrument: str | None, *, depth: bool = False) -> tuple[Recording, ...]:
    """Return one recording a file of one instrument, oldest first.

    Raises:
        UsageError: several instruments and no `instrument`, or none of that name.
        FormatError: bytes that are not DBN, or of another schema; names the byte or the record.
        MissingDependencyError: databento-dbn is not there.
    """
    files = [_open(path) for path in _files(source)]
    symbols = sorted({symbol for file in files for symbol in file.ids})
    wanted = choose(source, symbols, instrument)
    holding = sorted((file for file in files if wanted in file.ids), key=lambda file: file.head.start_ns)
    prices = [file.prices(wanted) for file in holding]
    traded, per_tick = describe(holding[0].path, wanted, {file.ids[wanted] for file in holding}, prices)
    return tuple(file.read(traded, per_tick, depth=depth) for file in holding)


def _files(source: Path) -> list[Path]:
    inside = sorted(source.iterdir()) if source.is_dir() else [source]
    found = [path for path in inside if path.is_file() and packed.bare_name(path).endswith(".dbn")]
    if not found and source.is_file() and packed.peek(source, len(_MAGIC)) == _MAGIC:
        found = [source]
    return packed.once(path for path in found if not any(f".{kind}." in path.name for kind in ("definition", "status")))


class _File:
    """One file's records of the kind that its head says."""

    def __init__(
        self,
        path: Path,
        head: Head,
        kind: str,
        records: NDArray[Any],
        by_type: dict[str, int],
        statuses: NDArray[Any],
    ) -> None:
        self.path, self.head, self.kind, self.records, self.by_type = path, head, kind, records, by_type
        self.statuses = statuses
        found = [int(each) for each in np.unique(records["instrument"])]
        self.ids = {f"{head.venue}:{name}": each for each, name in names_of(head, found).items()}

    def prices(self, symbol: str) -> NDArray[np.int64]:
        """Return every price of the instrument that there is, in 1e-9."""
        mine = self.records[self.records["instrument"] == self.ids[symbol]]
        found = [mine["price"][~np.isin(mine["action"], (b"R", b"N", b""))]]
        if "levels" in (mine.dtype.names or ()):
            found += [mine["levels"][side].ravel() for side in ("bid", "ask")]
        prices = np.concatenate(found)
        return prices[~no_price(prices)]

    def read(self, traded: Instrument, per_tick: int, *, depth: bool) -> Recording:
        mine = self.ids[traded.symbol]
        if self.kind == "mbo":
            events, levels, skipped, gaps = self._orders(mine, per_tick, depth=depth)
        else:
            events, levels, skipped, gaps = self._levels(mine, per_tick, depth=depth)
        dbn_status.apply(events, self.statuses, mine)
        events, levels, backwards = drop_backwards_with_depth(events, levels)
        skipped |= {"out_of_order": backwards} if backwards else {}
        return Recording(
            instrument=traded,
            events=events,
            source=self.path,
            skipped=skipped,
            by_type=self.by_type,
            gaps=gaps,
            depth=levels,
        )

    def _orders(
        self, wanted: int, per_tick: int, *, depth: bool
    ) -> tuple[MarketEvents, BookDepths | None, dict[str, int], int]:
        raw, summary, levels = _native.dbn_mbo_decode(
            self.records.view(np.uint8),
            record_bytes=self.records.dtype.itemsize,
            instrument=wanted,
            price_per_tick=per_tick,
            depth=depth,
        )
        expected, _, got = summary["error"].partition(", got ")
        if expected:
            raise FormatError(self.path, where=f"mbo record {summary['record'] + 1}", expected=expected, got=got)
        counts: dict[str, Any] = dict(summary)
        skipped = {reason: int(counts[key]) for reason, key in _COUNTS.items() if counts[key]}
        shaped = None if levels is None else levels.reshape(-1, 4, DEPTH_LEVELS)
        return raw.view(MARKET_EVENT), shaped, skipped, summary["gaps"]

    def _levels(
        self, wanted: int, per_tick: int, *, depth: bool
    ) -> tuple[MarketEvents, BookDepths | None, dict[str, int], int]:
        """Return an event where a venue's event ends and for each trade, with the touch as it ends there.

        Of tbbo, the touch is the one before the trade; of trades, there is none. Where no record says that it is an
        event's last, each is.
        """
        at = np.flatnonzero(self.records["instrument"] == wanted)
        publishers = self.records["publisher"][at]
        skipped = {"other_publisher": int(np.count_nonzero(publishers != publishers[0]))}
        at = at[publishers == publishers[0]]
        rows = self.records[at]
        self._refuse_bad(rows, at, per_tick)
        last = np.flatnonzero((rows["flags"] & _LAST) != 0)
        if self.kind in ("tbbo", "trades") or not len(last):
            last = np.arange(len(rows))
        skipped["unfinished_event"] = int(last[-1] + 1 < len(rows))
        rows = rows[: last[-1] + 1]
        trades = rows["action"] == b"T"
        after = rows[last[np.searchsorted(last, np.arange(len(rows)))]]
        found = _depths(after, per_tick)
        events = np.zeros(len(rows), dtype=MARKET_EVENT)
        events["event_ns"], events["receive_ns"] = after["event_ns"], after["receive_ns"]
        events["sequence"] = rows["sequence"]
        for position, name in enumerate(("bid_ticks", "bid_lots", "ask_ticks", "ask_lots")):
            events[name] = found[:, position, 0]
        sign = np.where(rows["side"] == b"B", 1, np.where(rows["side"] == b"A", -1, 0))
        events["trade_ticks"] = np.where(trades, (rows["price"] + per_tick // 2) // per_tick, 0)
        events["trade_lots"] = np.where(trades, sign * rows["size"].astype(np.int64), 0)
        bad = (after["flags"] & _MAYBE_BAD) != 0
        events["flags"] = touch_flags(events) | np.where(bad, np.uint16(EventFlag.GAP), np.uint16(0))
        kept = trades.copy()
        kept[last] = True
        gaps = int(np.count_nonzero(bad[1:] & ~bad[:-1])) + int(bad[:1].sum())
        levels = found[kept] if depth and "levels" in (rows.dtype.names or ()) else None
        return events[kept], levels, {reason: n for reason, n in skipped.items() if n}, gaps

    def _refuse_bad(self, rows: NDArray[Any], at: NDArray[Any], per_tick: int) -> None:
        checks = [("time", (rows["event_ns"] >= 2**63) | (rows["receive_ns"] >= 2**63), "a time before the year 2262")]
        traded = rows["action"] == b"T"
        checks.append(("price", traded & ((rows["price"] <= 0) | no_price(rows["price"])), "a price over 0"))
        if "levels" in (rows.dtype.names or ()):
            for side in ("bid", "ask"):
                prices = rows["levels"][side]
                bad = ~no_price(prices) & ((prices <= 0) | (prices % per_tick != 0))
                checks.append((f"{side} price", bad.any(axis=1), f"over 0 and a multiple of {per_tick} in 1e-9"))
        for what, bad, expected in checks:
            if bad.any():
                record = int(at[bad.argmax()]) + 1
                raise FormatError(
                    self.path, where=f"{self.kind} record {record}, {what}", expected=expected, got="another"
                )


def _depths(rows: NDArray[Any], per_tick: int) -> BookDepths:
    found = np.zeros((len(rows), 4, DEPTH_LEVELS), dtype=np.int64)
    if "levels" not in (rows.dtype.names or ()):
        return found
    levels = rows["levels"]
    for position, side in ((0, "bid"), (2, "ask")):
        there = ~no_price(levels[side]) & (levels[f"{side}_size"] > 0)
        found[:, position, : levels.shape[1]] = np.where(there, levels[side] // per_tick, 0)
        found[:, position + 1, : levels.shape[1]] = np.where(there, levels[f"{side}_size"], 0)
    return found


def _open(path: Path) -> _File:
    data = packed.read_bytes(path)
    head = read_head(path, data)
    body = np.frombuffer(data, dtype=np.uint8, offset=head.bytes)
    if head.schema is not None and head.schema not in _KINDS:
        raise FormatError(path, where="head", expected=f"schema {', '.join(_KINDS)}", got=head.schema)
    for kind in [head.schema] if head.schema else list(_KINDS):  # live captures name none: the fullest that is there
        dtype = _KINDS[kind].dtype(head)
        raw, summary = _native.dbn_select(body, rtype=_KINDS[kind].rtype, record_bytes=dtype.itemsize)
        expected, _, got = summary["error"].partition(", got ")
        if expected:
            raise FormatError(path, where=f"byte {head.bytes + summary['offset']}", expected=expected, got=got)
        if len(raw):
            break
    records = raw.view(dtype)
    if not len(records):
        raise FormatError(path, where="records", expected=f"records of {head.schema or ', '.join(_KINDS)}", got="none")
    actions, counts = np.unique(records["action"], return_counts=True)
    by_type: dict[str, int] = {}
    for action, count in zip(actions, counts, strict=True):
        name = _ACTIONS.get(bytes(action), "other")
        by_type[name] = by_type.get(name, 0) + int(count)
    others = sum(count for rtype, count in summary["by_rtype"].items() if rtype != _KINDS[kind].rtype)
    statuses = dbn_status.beside(path) if head.schema else dbn_status.select(path, head, body)
    return _File(path, head, kind, records, by_type | ({"other_record": others} if others else {}), statuses)
