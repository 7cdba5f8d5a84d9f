"""One segment of the journal as columns: decisions with names and mark-outs, and every other record as it is."""

from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from data_contracts.journal import RECORD_BYTES, AbstainReason, Arm, Door, MarkoutStatus, RecordType
from serving.journal import SEGMENT_HEADER_BYTES, read_segment
from serving.journal_records import NameRecord, decode, record_types, select

Columns = dict[str, NDArray[Any]]
"""Equally long columns by name."""
HORIZONS: Final = 4
"""The label's, which is judged, and up to three more of the policy."""
DAY_NS: Final = 86_400_000_000_000


@dataclass
class Names:
    """What indices mean at a place of the journal."""

    models: dict[int, str] = field(default_factory=dict)
    instruments: dict[int, str] = field(default_factory=dict)

    def spell(self, name: NameRecord) -> None:
        """Take in a name; an index may mean another instrument after a worker's restart."""
        (self.models if name.kind == 0 else self.instruments)[name.name_index] = name.name

    def copy(self) -> "Names":
        """Return the same, to go on from."""
        return Names(dict(self.models), dict(self.instruments))


class Segment:
    """A segment's sound records; a tail that is being written is left out."""

    def __init__(self, path: Path, *, closed: bool = False) -> None:
        """Read it.

        Args:
            path: the file.
            closed: whether a later segment says that no record will come; its tail must then be whole.

        Raises:
            JournalError: it is damaged.
        """
        self.path = path
        self.records, _, end = read_segment(path, None, last=not closed)
        self.first_index = end - len(self.records)

    def select(self, kind: RecordType) -> NDArray[Any]:
        """Return the records of a type as a structured array."""
        return select(self.records, kind)

    def spelled(self) -> list[tuple[int, NameRecord]]:
        """Return the names in it, each with its row."""
        rows = np.flatnonzero(record_types(self.records) == RecordType.NAME)
        names = decode(self.records[rows])
        return [(int(row), one) for row, one in zip(rows, names, strict=True) if isinstance(one, NameRecord)]

    def named_decisions(self, names: Names) -> Columns:
        """Return the decisions as columns; `names` holds at the segment's begin and is taken on to its end."""
        places = np.flatnonzero(record_types(self.records) == RecordType.DECISION)
        rows = self.select(RecordType.DECISION)
        models, instruments = np.empty(len(rows), object), np.empty(len(rows), object)
        done = 0
        spelled: list[tuple[int, NameRecord | None]] = [*self.spelled(), (len(self.records), None)]
        for row, name in spelled:
            upto = int(np.searchsorted(places, row))
            models[done:upto] = _spelled(rows["model"][done:upto], names.models, "model")
            instruments[done:upto] = _spelled(rows["instrument"][done:upto], names.instruments, "instrument")
            done = upto
            if name is not None:
                names.spell(name)
        return decision_columns(rows, models, instruments)


def spelled_in(path: Path) -> Names:
    """Return what a segment spells, without reading more of it than the records' types."""
    size = (path.stat().st_size - SEGMENT_HEADER_BYTES) // RECORD_BYTES
    names = Names()
    if size > 0:
        records = np.memmap(path, np.uint8, "r", SEGMENT_HEADER_BYTES, (size, RECORD_BYTES))
        for name in decode(np.asarray(records[record_types(records) == RecordType.NAME])):
            if isinstance(name, NameRecord):
                names.spell(name)
    return names


def decision_columns(rows: NDArray[Any], models: NDArray[Any], instruments: NDArray[Any]) -> Columns:
    """Return what a decision's record says, in words where it has codes."""
    plain = ("event_ns", "receive_ns", "sequence", "version", "action", "output_0", "output_1", "output_2", "output_3",
             "bid_ticks", "ask_ticks", "epoch", "share_bps", "overridden", "assigned_by", "late",
             "expected_shadows", "feature_hash", "request_key")  # fmt: skip
    return {
        "decision_id": rows["decision_id"],
        "model": models,
        "instrument": instruments,
        "arm": words(rows["arm"], Arm),
        "abstain": words(rows["abstain"], AbstainReason),
        "door": words(rows["door"], Door),
        "latency_ns": rows["answer_ns"] - rows["receive_ns"],
        **{name: rows[name] for name in plain},
    }


def join_markouts(decisions: Columns, markouts: NDArray[Any]) -> Columns:
    """Return the decisions with what buying, selling and the action earned at each horizon that there is.

    Args:
        decisions: sorted by decision_id.
        markouts: structured array of MARKOUT, in any order; of others than these decisions too.
    """
    joined = dict(decisions)
    for horizon in range(HORIZONS):
        tail = f"_{horizon}" if horizon else ""
        of_horizon = markouts[markouts["horizon"] == horizon]
        places = np.searchsorted(decisions["decision_id"], of_horizon["decision_id"])
        known = places < len(decisions["decision_id"])
        known[known] = decisions["decision_id"][places[known]] == of_horizon["decision_id"][known]
        places, of_horizon = places[known], of_horizon[known]
        if horizon and not len(places):
            continue
        usable = of_horizon["status"] == int(MarkoutStatus.OK)
        sides = {side: np.full(len(decisions["decision_id"]), np.nan) for side in ("buy", "sell")}
        for side, values in sides.items():
            values[places[usable]] = of_horizon[f"{side}_pnl_bps"][usable]
        action = decisions["action"]
        joined[f"pnl_bps{tail}"] = np.where(action > 0, sides["buy"], np.where(action < 0, sides["sell"], 0.0))
        for side, values in sides.items():
            joined[f"{side}_pnl_bps{tail}"] = values
        if not horizon:
            status = np.full(len(action), "waiting", object)
            status[places] = words(of_horizon["status"], MarkoutStatus)
            joined["markout"] = status
            joined["pnl_bps"] = np.where((action == 0) & (status == "waiting"), np.nan, joined["pnl_bps"])
            resolved = np.zeros(len(action), np.int64)
            resolved[places] = of_horizon["resolved_event_ns"]
            joined["resolved_event_ns"] = resolved
    return joined


def _spelled(indices: NDArray[Any], names: dict[int, str], kind: str) -> NDArray[Any]:
    if not len(indices):
        return np.empty(0, object)
    unique, inverse = np.unique(indices, return_inverse=True)
    return np.array([names.get(one, f"{kind}-{one}") for one in unique.tolist()], object)[inverse]


def words(codes: NDArray[Any], kind: type[IntEnum]) -> NDArray[Any]:
    """Return the codes' names, lower case; a code without one as a number."""
    table = np.array([str(code) for code in range(256)], object)
    for member in kind:
        table[int(member)] = member.name.lower()
    found: NDArray[Any] = table[codes]
    return found
