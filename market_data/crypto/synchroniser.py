"""Binance's order of messages: which diffs make a sound book of which snapshot. No clock, no network, no book.

Each diff covers the update ids (previous, last] and states quantities, not changes of them. Spot numbers them without
holes, so `previous` is U - 1; futures share their numbers with other instruments and name `pu`. A snapshot stands at
one id. So a diff may follow a snapshot that lies in previous .. last - 1, and a diff with previous = last of the one
before. Binance asks futures for U <= id <= u, which is narrower: between pu and U nothing changed.

Source: Binance, "How to manage a local order book correctly" (spot and USD-M futures).
"""

from collections import deque
from enum import Enum
from typing import Final, Generic, NamedTuple, TypeVar

Payload = TypeVar("Payload")

_MOST_BUFFERED: Final = 20_000
_REMEMBERED: Final = 256


class SyncState(Enum):
    """How far the book is to be trusted."""

    WAITING = "waiting"
    """There is no snapshot that the diffs at hand follow."""
    BRIDGING = "bridging"
    """A snapshot stands, and no diff has shown yet that nothing is missing behind it."""
    SOUND = "sound"


class Diff(NamedTuple, Generic[Payload]):
    """A diff's place in the venue's numbers."""

    previous: int
    last: int
    payload: Payload


class Step(NamedTuple, Generic[Payload]):
    """What to do with the book now: first load, then apply."""

    load: Payload | None = None
    apply: tuple[Payload, ...] = ()
    lost: bool = False
    """The book was sound and is no more: take everything off it."""
    dropped: str = ""
    """Why the message went unused; empty where it did not."""


class Synchroniser(Generic[Payload]):
    """One instrument's diffs and snapshots, in the order that they are heard of."""

    def __init__(self) -> None:
        self.state = SyncState.WAITING
        self.last_id = 0
        """Up to which id the book holds everything; of WAITING nothing."""
        self._waiting: deque[Diff[Payload]] = deque(maxlen=_MOST_BUFFERED)  # each follows the one before
        self._recent: deque[Diff[None]] = deque(maxlen=_REMEMBERED)

    @property
    def wants_snapshot(self) -> bool:
        """Whether diffs wait for a snapshot; one that is asked for now will stand behind the first of them."""
        return self.state is SyncState.WAITING and bool(self._waiting)

    def diff(self, diff: Diff[Payload]) -> Step[Payload]:
        """Take a diff."""
        if self.state is SyncState.WAITING:
            return self._wait(diff)
        sound = self.state is SyncState.SOUND
        follows = diff.previous == self.last_id if sound else diff.previous <= self.last_id < diff.last
        if follows:
            self.state = SyncState.SOUND
            self._applied(diff)
            return Step(apply=(diff.payload,))
        if Diff(diff.previous, diff.last, None) in self._recent:
            return Step(dropped="duplicate_diff")
        if not sound and diff.last <= self.last_id:
            return Step(dropped="diff_before_snapshot")
        self.reset()
        self._waiting.append(diff)
        return Step(lost=sound, dropped="" if sound else "snapshot_too_old")

    def snapshot(self, last_id: int, payload: Payload) -> Step[Payload]:
        """Take a snapshot that stands at `last_id`."""
        if self.state is SyncState.SOUND:
            return Step(dropped="snapshot_not_needed")
        if self.state is SyncState.BRIDGING and last_id <= self.last_id:
            return Step(dropped="snapshot_too_old")
        later = [diff for diff in self._waiting if diff.last > last_id]
        if later and later[0].previous > last_id:
            return Step(dropped="snapshot_too_old")
        self.reset()
        self.last_id = last_id
        self.state = SyncState.SOUND if later else SyncState.BRIDGING
        for diff in later:
            self._applied(diff)
        return Step(load=payload, apply=tuple(diff.payload for diff in later))

    def reset(self) -> None:
        """Trust nothing that was heard before, as after a lost connection."""
        self.state = SyncState.WAITING
        self.last_id = 0
        self._waiting.clear()
        self._recent.clear()

    def _wait(self, diff: Diff[Payload]) -> Step[Payload]:
        if self._waiting and diff.previous != self._waiting[-1].last:
            if any((diff.previous, diff.last) == (each.previous, each.last) for each in self._waiting):
                return Step(dropped="duplicate_diff")
            self._waiting.clear()  # what lies before a hole is of no use to any later snapshot
        self._waiting.append(diff)
        return Step()

    def _applied(self, diff: Diff[Payload]) -> None:
        self.last_id = diff.last
        self._recent.append(Diff(diff.previous, diff.last, None))
