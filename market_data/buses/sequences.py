"""Sequence numbers: who publishes counts each topic's keys, who follows learns from them what it missed."""

import secrets

from data_contracts.messages import Topic
from market_data.buses.port import Missed


class Sequences:
    """The publisher's side."""

    def __init__(self) -> None:
        self.publisher = secrets.randbits(63)
        self.last: dict[Topic, dict[str, int]] = {}

    def next(self, topic: Topic, key: str) -> int:
        """Return the number of a key's next message, and count it."""
        keys = self.last.setdefault(topic, {})
        keys[key] = keys.get(key, 0) + 1
        return keys[key]

    def take_back(self, topic: Topic, key: str) -> None:
        """Say that the last message was not sent after all."""
        self.last[topic][key] -= 1


class Gaps:
    """The subscriber's side; what came before the first message of a publisher's key is not missed."""

    def __init__(self, missed: Missed) -> None:
        self._missed = missed
        self._next: dict[tuple[int, Topic, str], int] = {}

    def new(self, publisher: int, topic: Topic, key: str, sequence: int) -> bool:
        """Take note of a message; return whether it is not one that came before."""
        place = (publisher, topic, key)
        expected = self._next.get(place, sequence)
        if sequence < expected:
            self._missed.duplicates += 1
            return False
        self._miss(topic, key, sequence - expected)
        self._next[place] = sequence + 1
        return True

    def heard(self, publisher: int, topic: Topic, key: str, last: int) -> None:
        """Take note of what the last message of a key was."""
        place = (publisher, topic, key)
        expected = self._next.get(place, last + 1)
        self._miss(topic, key, last + 1 - expected)
        self._next[place] = max(expected, last + 1)

    def _miss(self, topic: Topic, key: str, count: int) -> None:
        if count > 0:
            name = f"{topic} {key}"
            self._missed.messages += count
            self._missed.by_key = {**self._missed.by_key, name: self._missed.by_key.get(name, 0) + count}
