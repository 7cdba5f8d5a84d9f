"""ZeroMQ: PUB at an address, SUB anywhere; frames "TOPIC KEY" with a zero at its end, header, body.

Nothing waits for a subscriber: one that is too slow, or away, misses messages and learns how many from the sequence
numbers; once a second it is told the last ones, so that it learns of a missed end too.
"""

import time
from collections.abc import Sequence
from typing import Any, Final, get_args

from data_contracts.errors import MissingDependencyError, StoreError, UsageError
from data_contracts.messages import TOPICS, Message, Topic
from market_data.buses.codec import Encoding, decode, encode
from market_data.buses.port import BusCounts, Missed, Received
from market_data.buses.sequences import Gaps, Sequences

_END: Final = b"\0"
_HEARTBEAT_S: Final = 1.0
_LINGER_MS: Final = 1_000


class ZeroMqBus:
    """A Bus that listens at an address."""

    def __init__(self, address: str, *, encoding: Encoding = "msgpack", queue_max: int = 100_000) -> None:
        """Listen.

        Args:
            address: tcp://HOST:PORT, port * for any free, or ipc://PATH.
            encoding: of bodies.
            queue_max: messages that wait for one subscriber; it misses what comes after.

        Raises:
            UsageError: the address is none, or taken.
            MissingDependencyError: pyzmq is not installed.
        """
        self._zmq = _pyzmq()
        self.counts = BusCounts()
        self._encoding, self._queue_max = encoding, queue_max
        self._sequences = Sequences()
        self._told_s = 0.0
        self._context = self._zmq.Context()
        self._socket = self._context.socket(self._zmq.XPUB)
        self._socket.setsockopt(self._zmq.SNDHWM, queue_max)
        self._socket.setsockopt(self._zmq.XPUB_VERBOSER, 1)
        self._socket.setsockopt(self._zmq.LINGER, _LINGER_MS)
        try:
            self._socket.bind(address)
        except self._zmq.ZMQError as error:
            self.close()
            raise UsageError(f"{address}: {error.strerror}") from None
        self.address: str = self._socket.getsockopt_string(self._zmq.LAST_ENDPOINT)
        self.subscribed = 0
        """Topics and keys that are followed, as far as publish and flush have heard."""

    def publish(self, topic: Topic, key: str, message: Message) -> None:
        """See Bus; never full: who is slow misses."""
        if not key or "\0" in key:
            raise UsageError(f"key: expected text without zeros, got {key!r}")
        header, body = encode(
            message,
            encoding=self._encoding,
            publisher=self._sequences.publisher,
            sequence=self._sequences.next(topic, key),
        )
        self._socket.send_multipart([_frame(topic, key), header, body], copy=True)
        self.counts.published += 1
        self.counts.delivered += 1
        self._tell_last()

    def flush(self, timeout_s: float) -> None:  # noqa: ARG002  it is handed over at once
        """See Bus; tells the last sequence numbers where that is due."""
        self._tell_last()

    def subscribe(self, topics: Sequence[Topic] = TOPICS, keys: Sequence[str] = ()) -> "ZeroMqSubscription":
        """See Bus."""
        return ZeroMqSubscription(self.address, topics, keys, queue_max=self._queue_max)

    def close(self) -> None:
        """See Bus; what waits for subscribers gets a second."""
        self._socket.close()
        self._context.term()

    def _tell_last(self) -> None:
        while self._socket.poll(0):
            self.subscribed += 1 if self._socket.recv()[:1] == b"\1" else -1
        if time.monotonic() - self._told_s < _HEARTBEAT_S:
            return
        self._told_s = time.monotonic()
        for topic, last in self._sequences.last.items():
            header, body = encode(last, encoding=self._encoding, publisher=self._sequences.publisher, sequence=0)
            self._socket.send_multipart([_frame(topic, ""), header, body])


class ZeroMqSubscription:
    """A Subscription to a ZeroMqBus, in whatever process; it comes back by itself when the bus does."""

    def __init__(
        self, address: str, topics: Sequence[Topic] = TOPICS, keys: Sequence[str] = (), *, queue_max: int = 100_000
    ) -> None:
        """Connect; nobody need listen yet.

        Raises:
            UsageError: the address is none.
            MissingDependencyError: pyzmq is not installed.
        """
        self._zmq = _pyzmq()
        self.missed = Missed()
        self._gaps = Gaps(self.missed)
        self._keys = frozenset(keys)
        self._context = self._zmq.Context()
        self._socket = self._context.socket(self._zmq.SUB)
        self._socket.setsockopt(self._zmq.RCVHWM, queue_max)
        for topic in topics:
            for key in [*keys, ""] if keys else [None]:
                self._socket.setsockopt(
                    self._zmq.SUBSCRIBE, f"{topic} ".encode() if key is None else _frame(topic, key)
                )
        try:
            self._socket.connect(address)
        except self._zmq.ZMQError as error:
            self.close()
            raise UsageError(f"{address}: {error.strerror}") from None

    def poll(self, timeout_s: float, limit: int = 1_000) -> list[Received]:
        """See Subscription."""
        received: list[Received] = []
        wait_ms = int(timeout_s * 1000)
        while len(received) < limit and self._socket.poll(0 if received else wait_ms):
            frames = self._socket.recv_multipart()
            one = self._read(frames)
            received += [one] if one else []
        return received

    def close(self) -> None:
        """See Subscription."""
        self._socket.close(0)
        self._context.term()

    def _read(self, frames: list[bytes]) -> Received | None:
        if len(frames) != 3 or not frames[0].endswith(_END):
            raise StoreError(f"message: expected topic, header and body, got {len(frames)} frames")
        name, _, key = frames[0][:-1].decode().partition(" ")
        header, message = decode(frames[1], frames[2])
        if name not in get_args(Topic):
            raise StoreError(f"message: expected a topic of {', '.join(TOPICS)}, got {name!r}")
        topic: Topic = name  # type: ignore[assignment]  # looked up just above
        if isinstance(message, dict):
            for each, last in message.items():
                if not self._keys or each in self._keys:
                    self._gaps.heard(header.publisher, topic, each, last)
            return None
        if not self._gaps.new(header.publisher, topic, key, header.sequence):
            return None
        return Received(topic=topic, key=key, publisher=header.publisher, sequence=header.sequence, message=message)


def _frame(topic: Topic, key: str) -> bytes:
    return f"{topic} {key}".encode() + _END


def _pyzmq() -> Any:  # noqa: ANN401  a module
    try:
        import zmq
    except ModuleNotFoundError:
        raise MissingDependencyError("ZeroMQ needs pyzmq: pip install 'ringcraft[buses]'") from None
    return zmq
