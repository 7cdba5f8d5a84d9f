"""The journal's records, as native code lays them out (native/contracts/journal_record.hpp)."""

from enum import IntEnum
from typing import Final

import numpy as np

RECORD_BYTES: Final = 128


class RecordType(IntEnum):
    """What a record says."""

    NAME = 1
    EPOCH = 2
    DECISION = 3
    SHADOW = 4
    MARKOUT = 5
    TRIP = 6


class Arm(IntEnum):
    """One version's place in a rollout."""

    CHAMPION = 0
    CHALLENGER = 1
    SHADOW = 2
    NONE = 255


class Phase(IntEnum):
    """Where a rollout stands, as far as routing is concerned."""

    IDLE = 0
    SHADOW = 1
    AB = 2
    BAKE = 3
    PAUSED = 4
    BAKE_PAUSED = 5


class AbstainReason(IntEnum):
    """Why no number was given to act on."""

    NONE = 0
    NO_CHAMPION = 1
    NOT_WARM = 2
    STALE = 3
    CROSSED = 4
    ONE_SIDED = 5
    HALTED = 6
    GAP = 7
    AUCTION = 8
    BAD_FEATURE = 9
    BAD_OUTPUT = 10
    MODEL_FAILED = 11
    POSITION_LIMIT = 12
    NOTIONAL_LIMIT = 13
    RATE_LIMIT = 14
    STALE_MODEL = 15
    DEADLINE = 16
    OVERLOAD = 17
    BREAKER_OPEN = 18
    FEATURE_LIMIT = 19
    RESYNC = 20


class MarkoutStatus(IntEnum):
    """Whether a decision's mark-out could be taken."""

    OK = 0
    ENTRY_UNUSABLE = 1
    MARK_UNUSABLE = 2
    STALE = 3
    NEVER = 4


class TripKind(IntEnum):
    """Which hard limit tripped inside the worker."""

    BAD_OUTPUT = 1
    LATE_OR_FAILED = 2
    LOSS_BUDGET = 3
    JOURNAL_DROPS = 4
    DRAWDOWN = 5


class AssignBy(IntEnum):
    """What decides which arm a decision falls to."""

    DECISION = 0
    INSTRUMENT = 1
    ACCOUNT = 2
    REQUEST_KEY = 3


class Door(IntEnum):
    """Where a decision was asked for."""

    FEED = 0
    REST = 1
    WEBSOCKET = 2
    GRPC = 3
    ZEROMQ = 4
    SHARED = 5


NO_INSTRUMENT: Final = 0xFFFF_FFFF
"""Of a decision that was asked for without naming a fed instrument; its mark-out is NEVER from the start."""

_HEADER = [("crc32c", "<u4"), ("type", "u1"), ("worker", "u1"), ("reserved", "<u2"), ("index", "<u8")]


def _record(fields: list[tuple[str, str]]) -> np.dtype[np.void]:
    used = np.dtype(_HEADER + fields).itemsize
    padding = [("pad", f"V{RECORD_BYTES - used}")] if used < RECORD_BYTES else []
    return np.dtype([*_HEADER, *fields, *padding])


NAME: Final = _record([("kind", "<u4"), ("name_index", "<u4")])
"""The name itself is the record's last 104 bytes: UTF-8, zero-padded."""

EPOCH: Final = _record(
    [
        ("epoch", "<u8"),
        ("wall_ns", "<i8"),
        ("salt", "<u8"),
        ("next_decision_id", "<u8"),
        ("rollout_id", "<u4"),
        ("champion", "<u4"),
        ("challenger", "<u4"),
        ("shadow_0", "<u4"),
        ("shadow_1", "<u4"),
        ("shadow_2", "<u4"),
        ("shadow_3", "<u4"),
        ("model", "<u2"),
        ("share_bps", "<u2"),
        ("phase", "u1"),
        ("step", "u1"),
        ("heartbeat_lost", "u1"),
        ("assign_by", "u1"),
        ("gap", "V4"),
        ("horizon_ns", "<i8"),
    ]
)

DECISION: Final = _record(
    [
        ("decision_id", "<u8"),
        ("receive_ns", "<i8"),
        ("answer_ns", "<i8"),
        ("event_ns", "<i8"),
        ("sequence", "<u8"),
        ("feature_hash", "<u8"),
        ("bid_ticks", "<i8"),
        ("ask_ticks", "<i8"),
        ("output_0", "<f4"),
        ("output_1", "<f4"),
        ("output_2", "<f4"),
        ("output_3", "<f4"),
        ("epoch", "<u4"),
        ("version", "<u4"),
        ("instrument", "<u4"),
        ("model", "<u2"),
        ("share_bps", "<u2"),
        ("arm", "u1"),
        ("action", "i1"),
        ("abstain", "u1"),
        ("late", "u1"),
        ("expected_shadows", "u1"),
        ("overridden", "u1"),
        ("assigned_by", "u1"),
        ("door", "u1"),
        ("request_key", "<u8"),
    ]
)

SHADOW: Final = _record(
    [
        ("decision_id", "<u8"),
        ("latency_ns", "<i8"),
        ("output_0", "<f4"),
        ("output_1", "<f4"),
        ("output_2", "<f4"),
        ("output_3", "<f4"),
        ("epoch", "<u4"),
        ("version", "<u4"),
        ("model", "<u2"),
        ("arm", "u1"),
        ("action", "i1"),
        ("abstain", "u1"),
        ("dropped", "u1"),
        ("late", "u1"),
    ]
)

MARKOUT: Final = _record(
    [
        ("decision_id", "<u8"),
        ("decision_event_ns", "<i8"),
        ("resolved_event_ns", "<i8"),
        ("buy_pnl_bps", "<f8"),
        ("sell_pnl_bps", "<f8"),
        ("entry_bid_ticks", "<i8"),
        ("entry_ask_ticks", "<i8"),
        ("mark_mid_x2_ticks", "<i8"),
        ("instrument", "<u4"),
        ("model", "<u2"),
        ("status", "u1"),
        ("horizon", "u1"),
    ]
)

TRIP: Final = _record(
    [
        ("decision_id", "<u8"),
        ("wall_ns", "<i8"),
        ("epoch", "<u8"),
        ("value", "<f8"),
        ("limit", "<f8"),
        ("version", "<u4"),
        ("rollout_id", "<u4"),
        ("model", "<u2"),
        ("kind", "u1"),
        ("arm", "u1"),
    ]
)

DTYPES: Final = {
    RecordType.NAME: NAME,
    RecordType.EPOCH: EPOCH,
    RecordType.DECISION: DECISION,
    RecordType.SHADOW: SHADOW,
    RecordType.MARKOUT: MARKOUT,
    RecordType.TRIP: TRIP,
}
