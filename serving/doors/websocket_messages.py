"""What goes over the WebSocket door: JSON objects that name what they are in `op`."""

from typing import Annotated, Final, Literal

import msgspec
import numpy as np
from msgspec import Meta, Struct

from data_contracts.instrument import Instrument
from data_contracts.market_event import MARKET_EVENT, MarketEvents
from serving.doors.json_requests import Ask, Id

Int = Annotated[int, Meta(ge=-(2**52), le=2**52)]


class Subscribe(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="op", tag="subscribe"):
    """Decisions from now on, or behind decision `after`; of some instruments and models, or of all."""

    instruments: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    after: Annotated[int, Meta(ge=0, le=2**63 - 1)] | None = None


class AskMessage(Ask, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="op", tag="ask"):
    """A question on rows of features."""


class Key(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="op", tag="key"):
    """Who asks, where the handshake had no Authorization header."""

    secret: Annotated[str, Meta(min_length=1, max_length=1000)]


class OpenFeed(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="op", tag="feed"):
    """Market events will follow; one publisher at a time feeds a worker."""

    instruments: Annotated[tuple[Instrument, ...], Meta(min_length=1, max_length=64)]
    account: Annotated[str, Meta(min_length=1, max_length=200)] | None = None


class Event(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The touch right after an event, and what traded in it; see MarketEvent."""

    event_ns: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    bid_ticks: Int
    ask_ticks: Int
    bid_lots: Int = -1
    ask_lots: Int = -1
    trade_ticks: Int = 0
    trade_lots: Int = 0
    receive_ns: Annotated[int, Meta(ge=0, le=2**63 - 1)] | None = None
    sequence: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 0
    instrument: Annotated[int, Meta(ge=0, lt=64)] = 0
    flags: Annotated[int, Meta(ge=0, lt=2**16)] = 0


class Events(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="op", tag="events"):
    """Market events of the feed, oldest first."""

    events: Annotated[list[Event], Meta(max_length=4096)]


class EndFeed(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="op", tag="end"):
    """No more events; answered once all are decided on."""


class Ping(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="op", tag="ping"):
    """Answered at once."""

    id: Id = None


Message = Key | Subscribe | AskMessage | OpenFeed | Events | EndFeed | Ping
Op = Literal["known", "subscribed", "answer", "fed", "ended", "pong", "missed", "error", "decision"]
DECODER: Final = msgspec.json.Decoder(Message)


def packed_events(events: list[Event]) -> MarketEvents:
    """Return the events as the feed door takes them, shape (n,)."""
    packed = np.zeros(len(events), MARKET_EVENT)
    for name in ("event_ns", "sequence", "bid_ticks", "bid_lots", "ask_ticks", "ask_lots"):
        packed[name] = [getattr(event, name) for event in events]
    for name in ("trade_ticks", "trade_lots", "instrument", "flags"):
        packed[name] = [getattr(event, name) for event in events]
    packed["receive_ns"] = [event.event_ns if event.receive_ns is None else event.receive_ns for event in events]
    return packed
