"""InfluxDB's line protocol: table, tags, fields, nanoseconds.

A point is known by table, tags and time: written again it changes nothing. Events of one nanosecond are told apart by
the tag n, their place among those.
"""

from collections.abc import Iterator
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from data_contracts.errors import UsageError
from data_contracts.messages import DecisionMessage, OutcomeMessage
from data_contracts.recording import Recording
from native._native import crc32c

EVENTS: Final = "events"
RECORDINGS: Final = "recordings"
FIELDS: Final = (
    "receive_ns",
    "bid_ticks",
    "bid_lots",
    "ask_ticks",
    "ask_lots",
    "trade_ticks",
    "trade_lots",
    "flags",
)
"""Whole numbers of an event; beside them `sequence`, unsigned."""
BATCH_LINES: Final = 5_000
_APART: Final = 1_000
"""Decisions of one nanosecond that are told apart: by their number's last three digits."""

_TAG: Final = str.maketrans({",": r"\,", "=": r"\=", " ": r"\ "})
_TEXT: Final = str.maketrans({'"': r"\"", "\\": r"\\"})


def tag(value: str) -> str:
    r"""Return a tag's value as it is written.

    Raises:
        UsageError: it is empty, holds a line break, or ends in a backslash, which the protocol cannot say.
    """
    if not value or "\n" in value or "\r" in value or value.endswith("\\"):
        raise UsageError(f"line protocol: expected a tag of one line that does not end in a backslash, got {value!r}")
    return value.translate(_TAG)


def text(value: str) -> str:
    """Return a string field's value as it is written."""
    return f'"{value.translate(_TEXT)}"'


def ordinals(times_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the place of each event among those of its nanosecond, from 0; times do not go back."""
    places = np.arange(len(times_ns))
    begins = np.r_[True, times_ns[1:] != times_ns[:-1]]
    first: NDArray[np.int64] = np.maximum.accumulate(np.where(begins, places, 0))
    return places - first


def event_batches(recording: Recording, day: str) -> Iterator[bytes]:
    """Return the recording's events as batches of at most BATCH_LINES lines; the book's levels are not among them."""
    events = recording.events
    head = f"{EVENTS},instrument={tag(recording.instrument.symbol)},day={day},n="
    places = ordinals(events["event_ns"])
    for start in range(0, len(events), BATCH_LINES):
        part = events[start : start + BATCH_LINES]
        columns = [part[name].tolist() for name in FIELDS]
        rows = zip(
            places[start : start + BATCH_LINES].tolist(),
            part["sequence"].tolist(),
            *columns,
            part["event_ns"].tolist(),
            strict=True,
        )
        yield "\n".join(
            f"{head}{n} sequence={sequence}u,receive_ns={receive}i,bid_ticks={bid}i,bid_lots={bid_lots}i,"
            f"ask_ticks={ask}i,ask_lots={ask_lots}i,trade_ticks={trade}i,trade_lots={trade_lots}i,flags={flags}i {time}"
            for n, sequence, receive, bid, bid_lots, ask, ask_lots, trade, trade_lots, flags, time in rows
        ).encode()


def recording_line(recording: Recording, day: str, fingerprint: str) -> bytes:
    """Return the line that says what a recording is, and that all its events were written before."""
    times = recording.events["event_ns"]
    about = {
        "about": msgspec.json.encode(recording.instrument).decode(),
        "tick_size": recording.instrument.tick_size,
        "lot_size": recording.instrument.lot_size,
        "source": recording.source.name,
        "skipped": msgspec.json.encode(recording.skipped).decode(),
        "by_type": msgspec.json.encode(recording.by_type).decode(),
        "fingerprint": fingerprint,
    }
    numbers = {
        "events": len(recording),
        "gaps": recording.gaps,
        "first_ns": int(times[0]),
        "last_ns": int(times[-1]),
    }
    fields = [f"{name}={text(value)}" for name, value in about.items()]
    fields += [f"{name}={value}i" for name, value in numbers.items()]
    tags = f"instrument={tag(recording.instrument.symbol)},day={day}"
    return f"{RECORDINGS},{tags} {','.join(fields)} {times[0]}".encode()


def decision_line(message: DecisionMessage) -> bytes:
    """Return a decision's line: table decisions, at event time; n tells those of one nanosecond apart."""
    tags = f"model={tag(message.model)},instrument={tag(message.instrument)},arm={tag(message.arm)}"
    fields = [
        f"{name}={getattr(message, name)}i"
        for name in ("decision_id", "version", "receive_ns", "answer_ns", "bid_ticks", "ask_ticks", "action", "epoch")
    ]
    fields += [f"share_bps={message.share_bps}i", f"late={'t' if message.late else 'f'}"]
    fields += [f"abstain={text(message.abstain)}", f"sequence={message.sequence}u"]
    fields += [f"door={text(message.door)}", f"request_key={text(message.request_key)}"]
    fields += [f"output_{place}={value!r}" for place, value in enumerate(message.outputs) if value is not None]
    return f"decisions,{tags},n={message.decision_id % _APART} {','.join(fields)} {message.event_ns}".encode()


def outcome_line(message: OutcomeMessage) -> bytes:
    """Return an outcome's line: table outcomes; a mark-out at its decision's event time, others when they were."""
    place = message.horizon if message.horizon is not None else crc32c(message.outcome_id.encode()) % _APART
    tags = f"model={tag(message.model)},kind={message.kind},instrument={tag(message.instrument or 'unknown')}"
    tags += f",n={message.decision_id % _APART},m={place}"
    fields = [f"decision_id={message.decision_id}i", f"outcome_id={text(message.outcome_id)}"]
    for name in ("buy_pnl_bps", "sell_pnl_bps", "pnl_bps", "pnl_usd"):
        value = getattr(message, name)
        fields += [] if value is None else [f"{name}={value!r}"]
    for name in ("status", "price", "side"):
        value = getattr(message, name)
        fields += [] if value is None else [f"{name}={text(value)}"]
    fields += [] if message.lots is None else [f"lots={message.lots}i"]
    moment = message.decision_event_ns if message.decision_event_ns is not None else message.time_ns
    return f"outcomes,{tags} {','.join(fields)} {moment}".encode()
