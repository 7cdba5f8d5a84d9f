"""Journal records as the Python side works with them: batches of raw records, and small tuples of one record each."""

import struct
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from data_contracts.journal import DECISION, EPOCH, MARKOUT, SHADOW, TRIP, RecordType

_INDEX_AT: Final = 8
_TYPE_AT: Final = 4
_NAME_AT: Final = 24

RecordBatch = NDArray[np.uint8]
"""Whole records, shape (n, 128), in index order."""


class NameRecord(NamedTuple):
    """Spells an index that later records use."""

    kind: int
    """0 model, 1 instrument."""
    name_index: int
    name: str


class EpochRecord(NamedTuple):
    """A routing epoch as the worker adopted it."""

    epoch: int
    wall_ns: int
    salt: int
    next_decision_id: int
    rollout_id: int
    champion: int
    challenger: int
    shadow_0: int
    shadow_1: int
    shadow_2: int
    shadow_3: int
    model: int
    share_bps: int
    phase: int
    step: int
    heartbeat_lost: int
    assign_by: int
    horizon_ns: int


class DecisionRecord(NamedTuple):
    """An answer that was acted on."""

    decision_id: int
    receive_ns: int
    answer_ns: int
    event_ns: int
    sequence: int
    feature_hash: int
    bid_ticks: int
    ask_ticks: int
    output_0: float
    output_1: float
    output_2: float
    output_3: float
    epoch: int
    version: int
    instrument: int
    model: int
    share_bps: int
    arm: int
    action: int
    abstain: int
    late: int
    expected_shadows: int
    overridden: int
    assigned_by: int
    door: int
    request_key: int


class ShadowRecord(NamedTuple):
    """What another version would have answered, or that it was dropped."""

    decision_id: int
    latency_ns: int
    output_0: float
    output_1: float
    output_2: float
    output_3: float
    epoch: int
    version: int
    model: int
    arm: int
    action: int
    abstain: int
    dropped: int
    late: int


class MarkoutRecord(NamedTuple):
    """What buying and what selling at a decision earned."""

    decision_id: int
    decision_event_ns: int
    resolved_event_ns: int
    buy_pnl_bps: float
    sell_pnl_bps: float
    entry_bid_ticks: int
    entry_ask_ticks: int
    mark_mid_x2_ticks: int
    instrument: int
    model: int
    status: int
    horizon: int


class TripRecord(NamedTuple):
    """A hard limit tripped inside the worker."""

    decision_id: int
    wall_ns: int
    epoch: int
    value: float
    limit: float
    version: int
    rollout_id: int
    model: int
    kind: int
    arm: int


JournalRecord = NameRecord | EpochRecord | DecisionRecord | ShadowRecord | MarkoutRecord | TripRecord

_TUPLES: Final[dict[RecordType, tuple[np.dtype[np.void], Any]]] = {
    RecordType.EPOCH: (EPOCH, EpochRecord),
    RecordType.DECISION: (DECISION, DecisionRecord),
    RecordType.SHADOW: (SHADOW, ShadowRecord),
    RecordType.MARKOUT: (MARKOUT, MarkoutRecord),
    RecordType.TRIP: (TRIP, TripRecord),
}


def record_types(batch: RecordBatch) -> NDArray[np.uint8]:
    """Return each record's RecordType, shape (n,)."""
    return batch[:, _TYPE_AT]


def record_indices(batch: RecordBatch) -> NDArray[np.uint64]:
    """Return each record's index in its journal, shape (n,)."""
    return np.ascontiguousarray(batch[:, _INDEX_AT : _INDEX_AT + 8]).view("<u8").ravel()


def select(batch: RecordBatch, kind: RecordType) -> NDArray[Any]:
    """Return the batch's records of one type as a structured array of data_contracts.journal's dtype."""
    chosen = np.ascontiguousarray(batch[record_types(batch) == kind])
    return chosen.view(_TUPLES[kind][0]).ravel()


def decode(batch: RecordBatch) -> list[JournalRecord]:
    """Return the batch's records as small tuples of plain Python values, in index order."""
    records: list[JournalRecord | None] = [None] * len(batch)
    types = record_types(batch)
    for kind, (dtype, make) in _TUPLES.items():
        places = np.flatnonzero(types == kind)
        fields = [name for name in dtype.names or () if name in make._fields]
        rows = np.ascontiguousarray(batch[places]).view(dtype).ravel()[fields].tolist()
        for place, row in zip(places.tolist(), rows, strict=True):
            records[place] = make(*row)
    for place in np.flatnonzero(types == RecordType.NAME).tolist():
        records[place] = decode_name(batch[place].tobytes())
    return [record for record in records if record is not None]


def decode_name(raw: bytes) -> NameRecord:
    """Return what a NAME record of 128 bytes spells."""
    kind, index = struct.unpack_from("<II", raw, 16)
    return NameRecord(kind, index, raw[_NAME_AT:].rstrip(b"\0").decode(errors="replace"))
