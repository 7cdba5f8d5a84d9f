"""What a bus does, whatever carries it."""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from data_contracts.messages import TOPICS, Message, Topic


class Received(Struct, frozen=True, kw_only=True):
    """A message as a subscriber gets it."""

    topic: Topic
    key: str
    publisher: int
    """A number of its own for each opening of a bus."""
    sequence: int
    """From 1, without holes, for each publisher, topic and key."""
    message: Message


class Missed(Struct, kw_only=True):
    """What a subscription knows that it did not get, and what it got twice and did not hand on."""

    messages: int = 0
    by_key: dict[str, int] = {}
    """TOPIC KEY: how many."""
    duplicates: int = 0


class BusCounts(Struct, kw_only=True):
    """What became of what was published on this bus since it was opened."""

    published: int = 0
    delivered: int = 0
    """Acknowledged, where what carries it acknowledges; else handed over."""
    failed: int = 0


class Subscription(Protocol):
    """Messages from when it was opened on; for one thread."""

    missed: Missed

    def poll(self, timeout_s: float, limit: int = 1_000) -> list[Received]:
        """Return what came, in order for each key; empty where nothing came in time.

        Raises:
            StoreError: a message that cannot be read, of a later version for example.
        """
        ...

    def close(self) -> None:
        """End it."""
        ...


class Bus(Protocol):
    """Topics that anybody may follow; for one publishing thread.

    Raises:
        MissingDependencyError: the driver's library is not installed.
    """

    counts: BusCounts

    def publish(self, topic: Topic, key: str, message: Message) -> None:
        """Send a message; who follows gets a key's messages in this order.

        Raises:
            StoreFullError: as many wait as may, and none went in time; this one was not taken.
        """
        ...

    def flush(self, timeout_s: float) -> None:
        """Return once everything published was delivered, as far as what carries it says so.

        Raises:
            StoreUnavailableError: something was not, in time or at all; publishing it again is safe.
        """
        ...

    def subscribe(self, topics: Sequence[Topic] = TOPICS, keys: Sequence[str] = ()) -> Subscription:
        """Return what is published from now on in the topics, of the keys; of all where none are named."""
        ...

    def close(self) -> None:
        """End it; what is not delivered yet may be lost: flush first."""
        ...
