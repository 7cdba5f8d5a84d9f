"""Recordings as tables: the book's touch, the features, and a summary of what was read."""

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data_contracts.errors import FormatError, MissingDependencyError, UsageError
from data_contracts.feature_set import FeatureSet
from data_contracts.instrument import Instrument
from data_contracts.market_event import UNUSABLE, EventFlag, MarketEvents
from data_contracts.recording import Recording
from market_data.features import compute_features

if TYPE_CHECKING:
    import pyarrow as pa

_TOUCH = ("bid_ticks", "bid_lots", "ask_ticks", "ask_lots")


def book_table(recordings: Sequence[Recording], times_ns: NDArray[np.int64] | None = None) -> "pa.Table":
    """Return one row a change of the touch, or one row an instrument for each of `times_ns`.

    Columns event_ns, receive_ns, sequence, bid_ticks, bid_lots, ask_ticks, ask_lots; null where a side is empty or
    the feed gives no sizes. Metadata tick_size, lot_size and instrument. Of several instruments there is a column
    `instrument` too, rows go by time, then by symbol, and the metadata are objects in JSON by symbol.

    Args:
        recordings: of one instrument or several.
        times_ns: event times, UTC, in any order. A row is then the state after the last event at or before its time,
            as that event left it, all null where there is none; one more column, at_ns, is the time.

    Raises:
        UsageError: no recording.
        MissingDependencyError: pyarrow is not there.
    """
    by_symbol = _by_symbol(recordings)
    if len(by_symbol) < 2:
        return _one_book(recordings, times_ns)
    books = {symbol: _one_book(each, times_ns) for symbol, each in by_symbol.items()}
    metadata = {
        field: json.dumps({symbol: getattr(each[0].instrument, field) for symbol, each in by_symbol.items()})
        for field in ("tick_size", "lot_size")
    }
    return _merged_rows(books, "event_ns" if times_ns is None else "at_ns").replace_schema_metadata(metadata)


def _by_symbol(recordings: Sequence[Recording]) -> dict[str, list[Recording]]:
    found: dict[str, list[Recording]] = {}
    for recording in sorted(recordings, key=lambda each: each.instrument.symbol):
        found.setdefault(recording.instrument.symbol, []).append(recording)
    return found


def _merged_rows(tables: "dict[str, pa.Table]", order: str) -> "pa.Table":
    """Return the rows of all tables with a column `instrument` more, by a column of times, then by symbol."""
    pa = _pyarrow()
    names = pa.array(np.repeat(list(tables), [len(table) for table in tables.values()]))
    joined = pa.concat_tables([table.replace_schema_metadata(None) for table in tables.values()])
    positions = np.argsort(joined[order].to_numpy(), kind="stable")
    return joined.append_column("instrument", names).take(pa.array(positions))


def _one_book(recordings: Sequence[Recording], times_ns: NDArray[np.int64] | None) -> "pa.Table":
    pa = _pyarrow()
    instrument = _one_instrument(recordings)
    if times_ns is None:
        events = np.concatenate([recording.events[_touch_changes(recording.events)] for recording in recordings])
        unknown = np.zeros(len(events), dtype=bool)
    else:
        events, unknown = _states_at(np.concatenate([recording.events for recording in recordings]), times_ns)
    columns = {name: pa.array(events[name], mask=unknown) for name in ("event_ns", "receive_ns", "sequence")}
    for name in _TOUCH:
        side = name.partition("_")[0]
        missing = unknown | (events[f"{side}_ticks"] <= 0)
        if name.endswith("lots"):
            missing |= events[name] < 0
        columns[name] = pa.array(events[name], mask=missing)
    if times_ns is not None:
        columns["at_ns"] = pa.array(times_ns)
    metadata = {"tick_size": instrument.tick_size, "lot_size": instrument.lot_size, "instrument": instrument.symbol}
    return pa.table(columns, metadata=metadata)


def read_times(path: Path) -> NDArray[np.int64]:
    """Return the times of a CSV file: its first column, int64 ns UTC, with or without a header.

    A header begins with neither a digit nor a sign: a first time that is none is not taken for one.

    Raises:
        UsageError: there is no such file.
        FormatError: a cell is no such number; names the row.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise FormatError(path, where="file", expected="text", got="other bytes") from None
    cells = [(row, line.split(",")[0].strip().strip('"')) for row, line in enumerate(lines, start=1) if line.strip()]
    if cells and not re.match(r"[-+.\d]", cells[0][1]):
        cells = cells[1:]  # the header
    for row, cell in cells:
        if not (re.fullmatch("-?[0-9]{1,19}", cell) and abs(int(cell)) < 2**63):
            raise FormatError(path, where=f"row {row}", expected="a time in ns", got=repr(cell))
    return np.array([int(cell) for _, cell in cells], dtype=np.int64)


def features_table(
    recordings: Sequence[Recording], feature_set: FeatureSet, leader: Sequence[Recording] = ()
) -> "pa.Table":
    """Return one row an event: event_ns, sequence, ready, and each feature as float32.

    Each recording starts afresh. Metadata feature_set, feature_hash and instrument. Of several instruments there is a
    column `instrument` instead, and rows go by time, then by symbol.

    Args:
        recordings: of one instrument or several.
        feature_set: what to compute.
        leader: of the set's leader, where it reads one.

    Raises:
        UsageError: no recording, or a set that needs what they do not give.
        MissingDependencyError: pyarrow is not there.
    """
    by_symbol = _by_symbol(recordings)
    if len(by_symbol) < 2:
        return _one_features(recordings, feature_set, leader)
    tables = {symbol: _one_features(each, feature_set, leader) for symbol, each in by_symbol.items()}
    metadata = {"feature_set": feature_set.name, "feature_hash": feature_set.hash}
    return _merged_rows(tables, "event_ns").replace_schema_metadata(metadata)


def _one_features(recordings: Sequence[Recording], feature_set: FeatureSet, leader: Sequence[Recording]) -> "pa.Table":
    pa = _pyarrow()
    instrument = _one_instrument(recordings)
    computed = [compute_features(recording, feature_set, leader) for recording in recordings]
    matrix = np.concatenate([matrix for matrix, _ in computed])
    columns = {
        name: pa.array(np.concatenate([recording.events[name] for recording in recordings]))
        for name in ("event_ns", "sequence")
    }
    columns["ready"] = pa.array(np.concatenate([ready for _, ready in computed]))
    columns |= {name: pa.array(matrix[:, position]) for position, name in enumerate(feature_set.features)}
    metadata = {"feature_set": feature_set.name, "feature_hash": feature_set.hash, "instrument": instrument.symbol}
    return pa.table(columns, metadata=metadata)


def summarise(recordings: Sequence[Recording], *, seconds: float) -> dict[str, Any]:
    """Return what was read: messages, by_type, skipped, gaps, states and events_per_second.

    Args:
        recordings: what was read.
        seconds: how long reading took.
    """
    events = sum(len(recording) for recording in recordings)
    by_type = _total(_message_counts(recording) for recording in recordings)
    flags = np.concatenate([recording.events["flags"] for recording in recordings]) if recordings else np.empty(0, "u2")
    states = {flag.name.lower(): int(np.count_nonzero(flags & int(flag))) for flag in EventFlag if flag.name}
    states["usable"] = int(np.count_nonzero((flags & int(UNUSABLE)) == 0))
    return {
        "messages": sum(by_type.values()),
        "by_type": by_type,
        "skipped": _total(recording.skipped for recording in recordings),
        "gaps": sum(recording.gaps for recording in recordings),
        "states": states,
        "events_per_second": events / max(seconds, 1e-9),
    }


def _message_counts(recording: Recording) -> dict[str, int]:
    return recording.by_type or {"row": len(recording) + sum(recording.skipped.values())}


def _total(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for each in counts:
        for name, count in each.items():
            total[name] = total.get(name, 0) + count
    return total


def _states_at(events: MarketEvents, times_ns: NDArray[np.int64]) -> tuple[MarketEvents, NDArray[np.bool_]]:
    """Return the event that each time finds, and where it finds none; days follow each other, oldest first."""
    last = np.searchsorted(events["event_ns"], times_ns, side="right") - 1
    if not len(events):
        return np.zeros(len(times_ns), dtype=events.dtype), np.ones(len(times_ns), dtype=bool)
    return events[np.maximum(last, 0)], last < 0


def _touch_changes(events: MarketEvents) -> NDArray[np.bool_]:
    changed = np.ones(len(events), dtype=bool)
    if len(events):
        changed[1:] = np.logical_or.reduce([events[name][1:] != events[name][:-1] for name in _TOUCH])
    return changed


def _one_instrument(recordings: Sequence[Recording]) -> Instrument:
    symbols = {recording.instrument.symbol for recording in recordings}
    if len(symbols) != 1:
        raise UsageError(f"expected recordings of one instrument, got {', '.join(sorted(symbols)) or 'none'}")
    return recordings[0].instrument


def _pyarrow() -> Any:  # noqa: ANN401  a module
    try:
        import pyarrow as pa
    except ImportError:
        raise MissingDependencyError("tables need pyarrow: pip install 'ringcraft[training]'") from None
    return pa
