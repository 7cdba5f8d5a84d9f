"""Whatever is lost, repeated, late or out of order: a book that is called sound is the venue's own."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market_data.crypto.backoff import Backoff
from market_data.crypto.synchroniser import Diff, Step, Synchroniser, SyncState

Book = dict[int, int]
ACTIONS = ["tell"] * 8 + ["lose", "repeat", "swap", "snapshot", "old_snapshot", "late_snapshot", "reset"]


class Truth:
    """A venue's book of twenty prices, its diffs, and its book at each id."""

    def __init__(self, seed: int, *, futures: bool) -> None:
        self.random = random.Random(seed)
        self.futures = futures
        self.book: Book = dict.fromkeys(range(20), 1)
        self.told_id = self.last_id = 100
        self.at: dict[int, Book] = {100: dict(self.book)}
        self.changed: set[int] = set()

    def change(self) -> None:
        price = self.random.randrange(20)
        self.book[price] = self.random.randrange(3)
        self.last_id += self.random.randint(1, 4) if self.futures else 1
        self.changed.add(price)
        self.at[self.last_id] = dict(self.book)

    def diff(self) -> Diff[Book]:
        self.change()
        made = Diff(self.told_id, self.last_id, {price: self.book[price] for price in self.changed})
        self.told_id = self.last_id
        self.changed.clear()
        return made

    def snapshot(self) -> tuple[int, Book]:
        self.change()  # so that snapshots stand in the middle of a diff as well
        return self.last_id, dict(self.book)


class Follower:
    """What a client does with the steps."""

    def __init__(self) -> None:
        self.sync: Synchroniser[Book] = Synchroniser()
        self.book: Book = {}
        self.sound_once = 0
        self.lost = 0

    def take(self, step: Step[Book]) -> None:
        self.lost += step.lost
        if step.load is not None:
            self.book = dict(step.load)
        for change in step.apply:
            self.book.update(change)
        self.sound_once += self.sync.state is SyncState.SOUND


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 10**6), futures=st.booleans(), actions=st.lists(st.sampled_from(ACTIONS), max_size=120))
def test_a_sound_book_is_the_venues_at_its_id(seed: int, futures: bool, actions: list[str]) -> None:
    truth, follower = Truth(seed, futures=futures), Follower()
    late: tuple[int, Book] | None = None
    last: Diff[Book] | None = None
    for action in actions:
        if action in ("tell", "lose", "repeat", "swap"):
            first = truth.diff()
            told = {"tell": [first], "lose": [], "repeat": [first, first], "swap": [truth.diff(), first]}[action]
            if action == "repeat" and last is not None:
                told.append(last)
            for diff in told:
                follower.take(follower.sync.diff(diff))
                last = diff
        elif action == "snapshot":
            follower.take(follower.sync.snapshot(*truth.snapshot()))
        elif action == "late_snapshot":
            if late is not None:
                follower.take(follower.sync.snapshot(*late))
            late = truth.snapshot()
        elif action == "old_snapshot":
            old = min(truth.at)
            follower.take(follower.sync.snapshot(old, dict(truth.at[old])))
        else:
            follower.sync.reset()
        if follower.sync.state is SyncState.SOUND:
            assert follower.book == truth.at[follower.sync.last_id]


@pytest.mark.parametrize("futures", [False, True])
def test_a_snapshot_and_two_diffs_always_mend_it(futures: bool) -> None:
    truth, follower = Truth(3, futures=futures), Follower()
    for round_ in range(50):
        truth.diff()  # lost
        follower.take(follower.sync.diff(truth.diff()))
        assert follower.sync.wants_snapshot
        snapshot = truth.snapshot()
        if round_ % 2:
            follower.take(follower.sync.snapshot(*snapshot))
            assert follower.sync.state is SyncState.BRIDGING
            follower.take(follower.sync.diff(truth.diff()))
        else:
            follower.take(follower.sync.diff(truth.diff()))
            follower.take(follower.sync.snapshot(*snapshot))
        assert follower.sync.state is SyncState.SOUND
        assert follower.book == truth.at[truth.told_id]
    assert follower.lost == 49


def test_an_update_id_out_of_the_blue_freezes_nothing() -> None:
    truth, follower = Truth(4, futures=False), Follower()
    follower.take(follower.sync.snapshot(*truth.snapshot()))
    follower.take(follower.sync.diff(truth.diff()))
    garbled = truth.diff()
    follower.take(follower.sync.diff(garbled._replace(last=garbled.last + 10**9)))
    follower.take(follower.sync.diff(truth.diff()))
    assert follower.lost == 1
    assert follower.sync.state is SyncState.WAITING


def test_waits_double_up_to_the_most_with_a_random_part() -> None:
    backoff, chance = Backoff(first_s=1.0, most_s=8.0), random.Random(1)
    waits = [backoff.next_s(chance) for _ in range(6)]
    for wait, full in zip(waits, [1, 2, 4, 8, 8, 8], strict=True):
        assert full / 2 <= wait <= full
    assert len(set(waits)) == 6
    backoff.reset()
    assert backoff.next_s(chance) <= 1.0
