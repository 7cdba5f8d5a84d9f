"""Kraken's websocket messages, version 1, as typed values.

Events are objects; data are arrays: channel number, one or two payloads, channel name, pair.
"""

from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

_EMPTY: Final = msgspec.Raw(b"[]")
_ABSENT: Final = msgspec.Raw(b"")


class Book(Struct, frozen=True):
    """Levels as JSON: a whole book (`as`, `bs`) or what changed (`a`, `b`), and the book's checksum after it."""

    as_: msgspec.Raw = msgspec.field(default=_ABSENT, name="as")
    bs: msgspec.Raw = _ABSENT
    a: msgspec.Raw = _EMPTY
    b: msgspec.Raw = _EMPTY
    c: Annotated[str, Meta(pattern="^[0-9]{1,10}$")] | None = None

    @property
    def is_snapshot(self) -> bool:
        """Whether it states the whole book."""
        return bool(bytes(self.as_) or bytes(self.bs))


class Trade(Struct, frozen=True, array_like=True):
    """What traded: price, quantity, time in seconds, side of the aggressor b or s, order type l or m, and more."""

    price: str
    quantity: str
    time: Annotated[str, Meta(pattern="^[0-9]{1,10}(\\.[0-9]{1,9})?$")]
    side: Annotated[str, Meta(pattern="^[bs]$")]


class Data(Struct, frozen=True):
    """A message of a channel."""

    channel: str
    """Such as book-1000 or trade."""
    pair: str
    books: tuple[Book, ...] = ()
    trades: tuple[Trade, ...] = ()


class Event(Struct, frozen=True):
    """A heartbeat, a status, or our recorder's `connected`."""

    event: str = "unknown"


_decode_parts: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_event: Final = msgspec.json.Decoder(Event).decode
_decode_text: Final = msgspec.json.Decoder(str).decode
_decode_book: Final = msgspec.json.Decoder(Book).decode
_decode_trades: Final = msgspec.json.Decoder(tuple[Trade, ...]).decode


def decode(payload: bytes) -> Data | Event:
    """Return the message.

    Raises:
        msgspec.DecodeError: it is not JSON, or not what its channel says; names the field.
    """
    try:
        if not payload.startswith(b"["):
            return _decode_event(payload)
        parts = _decode_parts(payload)
        if len(parts) < 4:
            raise msgspec.DecodeError(f"expected at least 4 parts, got {len(parts)}")
        channel, pair = _decode_text(parts[-2]), _decode_text(parts[-1])
        if channel.startswith("book"):
            return Data(channel=channel, pair=pair, books=tuple(_decode_book(part) for part in parts[1:-2]))
        if channel == "trade":
            return Data(channel=channel, pair=pair, trades=_decode_trades(parts[1]))
        return Data(channel=channel, pair=pair)
    except (UnicodeDecodeError, RecursionError) as error:
        raise msgspec.DecodeError(str(error)) from None
