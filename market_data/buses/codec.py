"""Messages as bytes: a header of 22 bytes, and a body in msgpack or JSON.

Header, little-endian: "RC", u8 encoding, u8 kind, u16 version of the schema, u64 publisher, u64 sequence.
"""

import struct
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from data_contracts.errors import StoreError
from data_contracts.messages import (
    VERSION,
    DecisionMessage,
    EventMessage,
    FeaturesMessage,
    Message,
    OutcomeMessage,
)

Encoding = Literal["msgpack", "json"]
_MAGIC: Final = b"RC"
_HEADER: Final = struct.Struct("<2sBBHQQ")
_ENCODINGS: Final[dict[Encoding, int]] = {"msgpack": 1, "json": 2}
_KINDS: Final[tuple[type[Message], ...]] = (EventMessage, FeaturesMessage, DecisionMessage, OutcomeMessage)
HEARTBEAT: Final = 255
"""Kind of a message whose body is {key: last sequence}: who missed a topic's last messages learns it so."""

_ENCODE: Final[dict[Encoding, Any]] = {"msgpack": msgspec.msgpack.Encoder(), "json": msgspec.json.Encoder()}
_DECODE: Final[dict[tuple[int, int], Any]] = {
    (code, kind): module.Decoder(body)
    for code, module in ((1, msgspec.msgpack), (2, msgspec.json))
    for kind, body in [*enumerate(_KINDS), (HEARTBEAT, dict[str, int])]
}


class Header(Struct, frozen=True):
    """What the header says."""

    encoding: int
    kind: int
    publisher: int
    sequence: int


def encode(
    message: Message | dict[str, int], *, encoding: Encoding, publisher: int, sequence: int
) -> tuple[bytes, bytes]:
    """Return header and body of a message, or of a heartbeat."""
    kind = HEARTBEAT if isinstance(message, dict) else _KINDS.index(type(message))
    header = _HEADER.pack(_MAGIC, _ENCODINGS[encoding], kind, VERSION, publisher, sequence)
    body: bytes = _ENCODE[encoding].encode(message)
    return header, body


def decode(header: bytes, body: bytes) -> tuple[Header, Message | dict[str, int]]:
    """Return what encode was given.

    Raises:
        StoreError: no message of this platform, of a later version, or damaged.
    """
    try:
        magic, encoding, kind, version, publisher, sequence = _HEADER.unpack(header)
    except struct.error:
        raise StoreError(f"message header: expected {_HEADER.size} bytes, got {len(header)}") from None
    if magic != _MAGIC or (encoding, kind) not in _DECODE:
        raise StoreError(f"message header: expected a message of this platform, got {header[:4]!r}")
    if version > VERSION:
        raise StoreError(f"message header: expected version {VERSION} or before, got {version}")
    try:
        return Header(encoding, kind, publisher, sequence), _DECODE[encoding, kind].decode(body)
    except msgspec.DecodeError as error:
        raise StoreError(f"message body: {error}") from None
