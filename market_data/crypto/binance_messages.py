"""Binance's websocket messages and REST snapshots, spot and futures, as typed values.

Alone or in the envelope of combined streams, {"stream": ..., "data": ...}. Numbers in text stay text: they become
ticks and lots exactly, later.
"""

from functools import lru_cache
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

UpdateId = Annotated[int, Meta(ge=0, le=2**63 - 2)]
Milliseconds = Annotated[int, Meta(ge=0, lt=2**53)]


class Depth(Struct, frozen=True):
    """A diff of the book; `b` and `a` are levels as JSON."""

    U: UpdateId
    u: UpdateId
    E: Milliseconds
    b: msgspec.Raw
    a: msgspec.Raw
    s: str = ""
    pu: UpdateId | None = None
    T: Milliseconds = 0


class Ticker(Struct, frozen=True):
    """The touch as of an update id; spot says no time."""

    u: UpdateId
    b: str
    B: str
    a: str
    A: str
    s: str = ""
    T: Milliseconds = 0
    E: Milliseconds = 0


class Trade(Struct, frozen=True):
    """A trade, or all that one aggressor traded at one price."""

    p: str
    q: str
    m: bool
    """Whether the buyer's order rested, so that the seller was the aggressor."""
    T: Milliseconds
    E: Milliseconds = 0
    s: str = ""


class Snapshot(Struct, frozen=True):
    """The book as of an update id; `bids` and `asks` are levels as JSON. Spot says no time."""

    lastUpdateId: UpdateId  # noqa: N815  the venue's name
    bids: msgspec.Raw
    asks: msgspec.Raw
    symbol: str = ""
    T: Milliseconds = 0
    E: Milliseconds = 0


class Note(Struct, frozen=True):
    """What our own recorder has to say between the venue's messages."""

    e: str
    """connected, disconnected, resync (the book is fetched anew) or silent."""


class Other(Struct, frozen=True):
    """A message that is none of these: a reply, or a stream that no book needs."""

    kind: str


Message = Depth | Ticker | Trade | Snapshot | Note | Other

NOTES: Final = "ringcraft"
"""The name of our recorder's own stream."""


class _Envelope(Struct, frozen=True):
    stream: str = ""
    data: msgspec.Raw = msgspec.Raw(b"")
    e: str = ""
    lastUpdateId: Any = None  # noqa: N815  the venue's name
    B: Any = None
    u: Any = None


_KINDS: Final[dict[str, str]] = {
    "depth": "depthUpdate",
    "bookTicker": "bookTicker",
    "trade": "trade",
    "aggTrade": "aggTrade",
    "depthSnapshot": "snapshot",
}
_DECODERS: Final[dict[str, Any]] = {
    "depthUpdate": msgspec.json.Decoder(Depth),
    "bookTicker": msgspec.json.Decoder(Ticker),
    "trade": msgspec.json.Decoder(Trade),
    "aggTrade": msgspec.json.Decoder(Trade),
    "snapshot": msgspec.json.Decoder(Snapshot),
    NOTES: msgspec.json.Decoder(Note),
}
_decode_envelope: Final = msgspec.json.Decoder(_Envelope).decode
_MOST_BYTES: Final = 1 << 24


def decode(payload: bytes) -> tuple[str, Message]:
    """Return a message's kind and the message.

    Kinds are depthUpdate, bookTicker, trade, aggTrade, snapshot, ringcraft and other.

    Raises:
        msgspec.DecodeError: it is not JSON, or not what its kind says; names the field.
    """
    if len(payload) > _MOST_BYTES:
        raise msgspec.DecodeError(f"expected at most {_MOST_BYTES} bytes, got {len(payload)}")
    try:
        envelope = _decode_envelope(payload)
        kind = _kind(envelope)
        decoder = _DECODERS.get(kind)
        if decoder is None:
            return "other", Other(kind)
        return kind, decoder.decode(envelope.data if envelope.stream else payload)
    except (UnicodeDecodeError, RecursionError) as error:
        raise msgspec.DecodeError(str(error)) from None


def _kind(envelope: _Envelope) -> str:
    if envelope.stream:
        return _stream_kind(envelope.stream)
    if envelope.e:
        return envelope.e if envelope.e in _DECODERS and envelope.e != NOTES else "other"
    if envelope.lastUpdateId is not None:
        return "snapshot"
    return "bookTicker" if envelope.B is not None and envelope.u is not None else "other"


@lru_cache(maxsize=1024)
def _stream_kind(stream: str) -> str:
    """Return the kind that a stream's messages are: `btcusdt@depth@100ms` holds depthUpdate."""
    if stream == NOTES:
        return NOTES
    return _KINDS.get(stream.split("@")[1] if "@" in stream else "", "other")
