"""Recordings as tables: the book's touch, the features, and a summary of what was read."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data_contracts.errors import MissingDependencyError, UsageError
from data_contracts.feature_set import FeatureSet
from data_contracts.instrument import Instrument
from data_contracts.market_event import UNUSABLE, EventFlag, MarketEvents
from data_contracts.recording import Recording
from market_data.features import compute_features

if TYPE_CHECKING:
    import pyarrow as pa

_TOUCH = ("bid_ticks", "bid_lots", "ask_ticks", "ask_lots")


def book_table(recordings: Sequence[Recording]) -> "pa.Table":
    """Return one row a change of the touch.

    Columns event_ns, receive_ns, sequence, bid_ticks, bid_lots, ask_ticks, ask_lots; null where a side is empty or
    the feed gives no sizes. Metadata tick_size and lot_size.

    Raises:
        UsageError: no recording, or recordings of several instruments.
        MissingDependencyError: pyarrow is not there.
    """
    pa = _pyarrow()
    instrument = _one_instrument(recordings)
    events = np.concatenate([recording.events[_touch_changes(recording.events)] for recording in recordings])
    columns = {name: pa.array(events[name]) for name in ("event_ns", "receive_ns", "sequence")}
    for name in _TOUCH:
        side = name.partition("_")[0]
        missing = events[f"{side}_ticks"] <= 0
        if name.endswith("lots"):
            missing |= events[name] < 0
        columns[name] = pa.array(events[name], mask=missing)
    metadata = {"tick_size": instrument.tick_size, "lot_size": instrument.lot_size, "instrument": instrument.symbol}
    return pa.table(columns, metadata=metadata)


def features_table(recordings: Sequence[Recording], feature_set: FeatureSet) -> "pa.Table":
    """Return one row an event: event_ns, sequence, ready, and each feature as float32.

    Each recording starts afresh. Metadata feature_set and feature_hash.

    Raises:
        UsageError: no recording, recordings of several instruments, or a set that needs sizes they do not give.
        MissingDependencyError: pyarrow is not there.
    """
    pa = _pyarrow()
    instrument = _one_instrument(recordings)
    computed = [compute_features(recording, feature_set) for recording in recordings]
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
