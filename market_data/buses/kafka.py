"""Kafka: a topic PREFIX.events, PREFIX.decisions, PREFIX.outcomes; the record's key is the instrument.

The producer is idempotent and waits for all replicas; what it was not told to be written is counted and said by
flush, so that whoever publishes can do it again.
"""

import math
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any, Final

from data_contracts.errors import MissingDependencyError, StoreError, StoreFullError, StoreUnavailableError
from data_contracts.messages import TOPICS, Message, Topic
from market_data.buses.codec import Encoding, decode, encode
from market_data.buses.port import BusCounts, Missed, Received
from market_data.buses.sequences import Gaps, Sequences

HEADER: Final = "ringcraft"
"""Name of the record header that holds the message's header."""


class KafkaBus:
    """A Bus over a Kafka cluster."""

    def __init__(
        self,
        servers: str,
        *,
        prefix: str = "ringcraft",
        encoding: Encoding = "msgpack",
        queue_max: int = 100_000,
        full_timeout_s: float = 5.0,
        delivery_timeout_s: float = 30.0,
        options: dict[str, str] | None = None,
    ) -> None:
        """Prepare; the brokers need not be there yet.

        Args:
            servers: HOST:PORT, several with commas.
            prefix: of the topics.
            encoding: of bodies.
            queue_max: messages that wait for the brokers.
            full_timeout_s: how long publishing waits for room.
            delivery_timeout_s: after which a message that the brokers did not take has failed.
            options: librdkafka's own, for security and the like.

        Raises:
            StoreError: an option is wrong.
            MissingDependencyError: confluent-kafka is not installed.
        """
        self._kafka = _confluent_kafka()
        self.counts = BusCounts()
        self._servers, self._prefix, self._encoding = servers, prefix, encoding
        self._full_timeout_s, self._options = full_timeout_s, options or {}
        self._sequences = Sequences()
        self._failed_before = 0
        self._why = ""
        self._producer = self._made(
            self._kafka.Producer,
            {
                "enable.idempotence": True,
                "acks": "all",
                "linger.ms": 5,
                "queue.buffering.max.messages": queue_max,
                "delivery.timeout.ms": int(delivery_timeout_s * 1000),
            },
        )

    def publish(self, topic: Topic, key: str, message: Message) -> None:
        """See Bus."""
        header, body = encode(
            message,
            encoding=self._encoding,
            publisher=self._sequences.publisher,
            sequence=self._sequences.next(topic, key),
        )
        end = time.monotonic() + self._full_timeout_s
        while True:
            try:
                self._producer.produce(
                    f"{self._prefix}.{topic}",
                    key=key.encode(),
                    value=body,
                    headers=[(HEADER, header)],
                    on_delivery=self._delivered,
                )
                break
            except BufferError:
                if time.monotonic() >= end:
                    self._sequences.take_back(topic, key)
                    raise StoreFullError(f"{self._servers}: {len(self._producer):,} messages wait") from None
                self._producer.poll(0.05)
        self.counts.published += 1
        self._producer.poll(0)

    def flush(self, timeout_s: float) -> None:
        """See Bus."""
        waiting = self._producer.flush(timeout_s)
        failed = self.counts.failed - self._failed_before
        self._failed_before = self.counts.failed
        if waiting or failed:
            why = f": {self._why}" if self._why else ""
            raise StoreUnavailableError(f"{self._servers}: {waiting:,} messages wait, {failed:,} failed{why}")

    def subscribe(
        self,
        topics: Sequence[Topic] = TOPICS,
        keys: Sequence[str] = (),
        *,
        group: str | None = None,
        join_timeout_s: float = 10.0,
    ) -> "KafkaSubscription":
        """See Bus.

        Args:
            topics: that are followed.
            keys: of which; empty: all.
            group: consumers of one name share the messages, and go on where it was; None: one of its own, from the
                oldest message that Kafka has.
            join_timeout_s: without `group`: after which a first join that has not come about is begun anew, in
                another group, twice as patient.
        """
        return KafkaSubscription(
            lambda: self._consumer(group),
            self._prefix,
            topics,
            keys,
            commits=group is not None,
            join_timeout_s=join_timeout_s if group is None else math.inf,
        )

    def close(self) -> None:
        """See Bus."""
        self._producer.flush(1.0)
        self._producer.purge()
        self._producer.poll(0)

    def _consumer(self, group: str | None) -> Any:  # noqa: ANN401  a client of the vendor's
        return self._made(
            self._kafka.Consumer,
            {
                "group.id": group or f"{self._prefix}-{uuid.uuid4()}",
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "topic.metadata.refresh.interval.ms": 1_000,
                "allow.auto.create.topics": True,
            },
        )

    def _made(self, kind: Any, given: dict[str, object]) -> Any:  # noqa: ANN401  a client of the vendor's
        try:
            # What it has to say goes into delivery reports; its own log would go to stderr.
            return kind({"bootstrap.servers": self._servers, "log_level": 0, **given, **self._options})
        except self._kafka.KafkaException as error:
            raise StoreError(f"{self._servers}: {error.args[0].str()}") from None

    def _delivered(self, error: Any, _message: object) -> None:  # noqa: ANN401  a KafkaError
        if error is None:
            self.counts.delivered += 1
        else:
            self.counts.failed += 1
            self._why = error.str()


class KafkaSubscription:
    """A Subscription to a KafkaBus; a message may come again after a crash, never not at all.

    A coordinator that was cut off in the middle of a join may go on waiting for the member that it then lost, and
    whoever joins again waits along: for a session or two, where the group is its own for no reason.
    """

    def __init__(
        self,
        make_consumer: Callable[[], Any],
        prefix: str,
        topics: Sequence[Topic],
        keys: Sequence[str],
        *,
        commits: bool,
        join_timeout_s: float,
    ) -> None:
        self.missed = Missed()
        self._gaps = Gaps(self.missed)
        self._kafka = _confluent_kafka()
        self._keys, self._commits = frozenset(keys), commits
        self._names: dict[str, Topic] = {f"{prefix}.{topic}": topic for topic in topics}
        self._uncommitted = False
        self._make_consumer, self._join_timeout_s = make_consumer, join_timeout_s
        self._join()

    def poll(self, timeout_s: float, limit: int = 1_000) -> list[Received]:
        """See Subscription; what the last call returned counts as done with, and is committed."""
        if self._uncommitted:
            self._uncommitted = False
            try:
                self._consumer.commit(asynchronous=True)
            except self._kafka.KafkaException as error:
                raise StoreUnavailableError(f"commit: {error.args[0].str()}") from None
        if not self._joined and time.monotonic() >= self._join_by_s:
            self._consumer.close()
            self._join_timeout_s *= 2  # it may only have been slow
            self._join()
        received: list[Received] = []
        for record in self._consumer.consume(limit, timeout_s):
            if record.error() is not None:
                continue  # brokers away, a topic not made yet: it goes on by itself
            self._uncommitted = self._commits
            one = self._read(record)
            received += [one] if one else []
        return received

    def close(self) -> None:
        """See Subscription."""
        self._consumer.close()

    def _join(self) -> None:
        self._joined = False
        self._join_by_s = time.monotonic() + self._join_timeout_s
        self._consumer = self._make_consumer()
        self._consumer.subscribe(list(self._names), on_assign=self._assigned)

    def _assigned(self, _consumer: object, _partitions: object) -> None:
        self._joined = True

    def _read(self, record: Any) -> Received | None:  # noqa: ANN401  a Message of the vendor's
        headers = dict(record.headers() or [])
        if HEADER not in headers:
            raise StoreError(f"{record.topic()} offset {record.offset()}: expected a header {HEADER}, got none")
        header, message = decode(headers[HEADER], record.value())
        topic, key = self._names[record.topic()], (record.key() or b"").decode()
        if isinstance(message, dict) or (self._keys and key not in self._keys):
            return None
        if not self._gaps.new(header.publisher, topic, key, header.sequence):
            return None
        return Received(topic=topic, key=key, publisher=header.publisher, sequence=header.sequence, message=message)


def _confluent_kafka() -> Any:  # noqa: ANN401  a module
    try:
        import confluent_kafka
    except ModuleNotFoundError:
        raise MissingDependencyError("Kafka needs confluent-kafka: pip install 'ringcraft[buses]'") from None
    return confluent_kafka
