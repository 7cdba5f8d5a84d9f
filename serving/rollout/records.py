"""Journal records as small tuples, in journal order."""

from collections.abc import Iterator
from math import nan
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from data_contracts.errors import JournalError
from data_contracts.journal import DTYPES, RECORD_BYTES, RecordType


class NameRow(NamedTuple):
    """Spells a model's or an instrument's index."""

    kind: int
    name_index: int
    name: str


class EpochRow(NamedTuple):
    """A routing epoch as the worker adopted it."""

    epoch: int
    wall_ns: int
    rollout_id: int
    champion: int
    challenger: int
    model: int
    share_bps: int
    phase: int
    step: int
    heartbeat_lost: int
    assign_by: int
    horizon_ns: int = 0
    """After which outcomes are due; 0: the worker did not know it yet."""


class DecisionRow(NamedTuple):
    """An answer that was acted on; `outputs` counts what the model gave, `score` is what its rule reads of that."""

    decision_id: int
    receive_ns: int
    answer_ns: int
    event_ns: int
    version: int
    model: int
    share_bps: int
    arm: int
    action: int
    abstain: int
    expected_shadows: int
    overridden: int
    assigned_by: int
    instrument: int = 0
    score: float = nan
    outputs: int = 0


class ShadowRow(NamedTuple):
    """What another version would have answered; outputs and score as a decision's."""

    decision_id: int
    latency_ns: int
    version: int
    model: int
    arm: int
    action: int
    abstain: int
    dropped: int
    score: float = nan
    outputs: int = 0


class MarkoutRow(NamedTuple):
    """What buying and selling at a decision earned."""

    decision_id: int
    decision_event_ns: int
    resolved_event_ns: int
    buy_pnl_bps: float
    sell_pnl_bps: float
    model: int
    status: int
    horizon: int
    entry_bid_ticks: int = 0
    entry_ask_ticks: int = 0
    mark_mid_x2_ticks: int = 0


class TripRow(NamedTuple):
    """A hard limit that tripped inside the worker."""

    decision_id: int
    wall_ns: int
    value: float
    limit: float
    version: int
    rollout_id: int
    model: int
    kind: int
    arm: int


Row = NameRow | EpochRow | DecisionRow | ShadowRow | MarkoutRow | TripRow

_ROWS: dict[RecordType, Any] = {
    RecordType.EPOCH: EpochRow,
    RecordType.DECISION: DecisionRow,
    RecordType.SHADOW: ShadowRow,
    RecordType.MARKOUT: MarkoutRow,
    RecordType.TRIP: TripRow,
}


def rows(records: bytes | memoryview | NDArray[Any]) -> list[Row | None]:
    """Return the records in journal order, one for each; None for a type that this version does not know.

    Args:
        records: whole 128-byte records, end to end, as bytes or as a contiguous array.

    Raises:
        JournalError: not a whole number of records.
    """
    data = np.frombuffer(np.ascontiguousarray(records) if isinstance(records, np.ndarray) else records, np.uint8)
    if data.size % RECORD_BYTES:
        raise JournalError(f"records: expected a multiple of {RECORD_BYTES} bytes, got {data.size}")
    table = data.reshape(-1, RECORD_BYTES)
    types = table[:, 4]
    found: list[Row | None] = [None] * len(table)
    for kind in RecordType:
        places = np.flatnonzero(types == kind)
        if len(places):
            for place, row in zip(places.tolist(), _decode(table[places], kind), strict=True):
                found[place] = row
    return found


def _decode(table: NDArray[np.uint8], kind: RecordType) -> Iterator[Row]:
    typed = np.ascontiguousarray(table).reshape(-1).view(DTYPES[kind])
    if kind is RecordType.NAME:
        texts = (bytes(row).rstrip(b"\0").decode("utf-8", "replace") for row in table[:, 24:])
        return map(NameRow, typed["kind"].tolist(), typed["name_index"].tolist(), texts)
    row = _ROWS[kind]
    derived = _outputs(typed) if "score" in row._fields else {}
    columns = [(derived[name] if name in derived else typed[name]).tolist() for name in row._fields]
    return map(row, *columns)


def _outputs(typed: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Return score and number of outputs: P(up) - P(down) of three, else the first; NaN stands where there is none.

    See data_contracts.manifest.DecisionRule.
    """
    outputs = np.stack([typed[f"output_{i}"] for i in range(4)], axis=1).astype(np.float64)
    count = (~np.isnan(outputs)).sum(axis=1)
    return {"outputs": count, "score": np.where(count == 3, outputs[:, 2] - outputs[:, 0], outputs[:, 0])}
