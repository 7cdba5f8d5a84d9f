"""A bus within this process; needs no server."""

import threading
from collections import deque
from collections.abc import Sequence

from data_contracts.messages import TOPICS, Message, Topic
from market_data.buses.port import BusCounts, Missed, Received
from market_data.buses.sequences import Gaps, Sequences


class InProcessBus:
    """A Bus to threads of this process; a slow one misses the oldest, and learns how many."""

    def __init__(self, *, queue_max: int = 100_000) -> None:
        """Begin without subscriptions.

        Args:
            queue_max: messages that wait for one subscription.
        """
        self.counts = BusCounts()
        self._queue_max = queue_max
        self._sequences = Sequences()
        self._subscriptions: list[InProcessSubscription] = []
        self._lock = threading.Lock()

    def publish(self, topic: Topic, key: str, message: Message) -> None:
        """See Bus."""
        with self._lock:
            received = Received(
                topic=topic,
                key=key,
                publisher=self._sequences.publisher,
                sequence=self._sequences.next(topic, key),
                message=message,
            )
            for subscription in self._subscriptions:
                subscription.offer(received)
            self.counts.published += 1
            self.counts.delivered += 1

    def flush(self, timeout_s: float) -> None:
        """See Bus; what was published was handed over."""

    def subscribe(self, topics: Sequence[Topic] = TOPICS, keys: Sequence[str] = ()) -> "InProcessSubscription":
        """See Bus."""
        with self._lock:
            subscription = InProcessSubscription(frozenset(topics), frozenset(keys), self._queue_max)
            last = {(topic, key): n for topic, known in self._sequences.last.items() for key, n in known.items()}
            for (topic, key), sequence in last.items():
                subscription.gaps.heard(self._sequences.publisher, topic, key, sequence)
            self._subscriptions = [one for one in self._subscriptions if not one.closed] + [subscription]
        return subscription

    def close(self) -> None:
        """See Bus."""
        for subscription in self._subscriptions:
            subscription.close()


class InProcessSubscription:
    """A Subscription to an InProcessBus."""

    def __init__(self, topics: frozenset[Topic], keys: frozenset[str], queue_max: int) -> None:
        self.missed = Missed()
        self.gaps = Gaps(self.missed)
        self.closed = False
        self._topics, self._keys = topics, keys
        self._waiting: deque[Received] = deque(maxlen=queue_max)
        self._changed = threading.Condition()

    def offer(self, received: Received) -> None:
        """Take a message where it is asked for; the oldest goes where there is no room."""
        if received.topic in self._topics and (not self._keys or received.key in self._keys):
            with self._changed:
                self._waiting.append(received)
                self._changed.notify()

    def poll(self, timeout_s: float, limit: int = 1_000) -> list[Received]:
        """See Subscription."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting, timeout_s)
            taken = [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]
        return [one for one in taken if self.gaps.new(one.publisher, one.topic, one.key, one.sequence)]

    def close(self) -> None:
        """See Subscription."""
        self.closed = True
