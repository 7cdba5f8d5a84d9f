"""What a venue said of its trading: DBN's status records, in a file's own stream or in `*.status.dbn` beside it."""

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from data_contracts.errors import FormatError
from data_contracts.market_event import EventFlag, MarketEvents
from market_data.formats import packed
from market_data.formats.dbn_instruments import Head, read_head
from native import _native

_RTYPE: Final = 18
_FIELDS: Final = [
    ("length", "u1"), ("rtype", "u1"), ("publisher", "<u2"), ("instrument", "<u4"), ("event_ns", "<u8"),
    ("receive_ns", "<u8"), ("action", "<u2"), ("rest", "V14"),
]  # fmt: skip
_STATES: Final = {
    1: EventFlag.AUCTION,  # pre-open
    2: EventFlag.AUCTION,  # pre-cross
    3: EventFlag.AUCTION,  # quoting
    4: EventFlag.AUCTION,  # cross
    5: EventFlag.AUCTION,  # rotation
    6: EventFlag.AUCTION,  # new price indication
    7: EventFlag(0),  # trading
    8: EventFlag.HALTED,  # halt
    9: EventFlag.HALTED,  # pause
    10: EventFlag.HALTED,  # suspend
    12: EventFlag.HALTED,  # close
    13: EventFlag.HALTED,  # post-close
    15: EventFlag.HALTED,  # not available for trading
}
"""Actions that say how an instrument trades from then on; the others (pre-close, short sales) leave it as it was."""


def select(path: Path, head: Head, body: NDArray[np.uint8]) -> NDArray[Any]:
    """Return the status records of a file's body, in its order.

    Raises:
        FormatError: the bytes are no records; names the byte.
    """
    dtype = np.dtype(_FIELDS + ([("sent_ns", "<u8")] if head.has_sent else []))
    raw, summary = _native.dbn_select(body, rtype=_RTYPE, record_bytes=dtype.itemsize)
    expected, _, got = summary["error"].partition(", got ")
    if expected:
        raise FormatError(path, where=f"byte {head.bytes + summary['offset']}", expected=expected, got=got)
    return np.asarray(raw.view(dtype)[["instrument", "event_ns", "action"]])


def beside(path: Path) -> NDArray[Any]:
    """Return the status records of the files of them that lie in a recording's folder."""
    found = []
    for each in sorted(path.parent.glob("*.status.dbn*")):
        data = packed.read_bytes(each)
        head = read_head(each, data)
        found.append(select(each, head, np.frombuffer(data, dtype=np.uint8, offset=head.bytes)))
    return np.concatenate(found) if found else np.zeros(0, dtype=[("instrument", "<u4"), ("action", "<u2")])


def apply(events: MarketEvents, statuses: NDArray[Any], instrument: int) -> None:
    """Flag the events as the venue's last word at or before each says; what no word precedes is left as it is."""
    said = statuses[(statuses["instrument"] == instrument) & np.isin(statuses["action"], list(_STATES))]
    if not len(said):
        return
    said = said[np.argsort(said["event_ns"], kind="stable")]
    states = np.array([_STATES[int(action)] for action in said["action"]], dtype=np.uint16)
    last = np.searchsorted(said["event_ns"], events["event_ns"].astype(np.uint64), side="right") - 1
    told = last >= 0
    others = events["flags"] & np.uint16(0xFFFF ^ (EventFlag.AUCTION | EventFlag.HALTED))
    events["flags"] = np.where(told, others | states[np.maximum(last, 0)], events["flags"])
