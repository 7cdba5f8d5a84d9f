"""What a publisher says of itself when it opens a feed."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from data_contracts.instrument import Instrument


class FeedHello(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The HELLO frame's JSON; a plain array of instruments says the same with nothing else."""

    instruments: tuple[Instrument, ...]
    """By position: what the events' `instrument` counts."""
    account: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    """On whose behalf; decides the arm where the policy assigns by account."""
    arm: Literal["champion", "challenger"] | None = None
    """For tests: asks for every decision to be this arm's; never judged, taken only where the tier allows it."""
    depth: bool = False
    """Whether ten levels of each side follow every event: MarketEvent, then the levels as a recording keeps them."""


def write_hello(hello: FeedHello) -> bytes:
    """Return the frame's JSON: the instruments alone where nothing else is said."""
    plain = hello.account is None and hello.arm is None and not hello.depth
    return msgspec.json.encode(hello.instruments if plain else hello)


def read_hello(payload: bytes) -> FeedHello:
    """Return what a HELLO says.

    Raises:
        msgspec.DecodeError: it is neither an array of instruments nor an object that holds one.
        UsageError: an instrument contradicts itself.
    """
    said = msgspec.json.decode(payload, type=list[Instrument] | FeedHello)
    return said if isinstance(said, FeedHello) else FeedHello(instruments=tuple(said))
