"""Every way in which somebody else's move can fall between our look and our move."""

import time

import pytest

from data_contracts.errors import RegistryUnavailableError
from registry.swap import swap


class Alias:
    """One alias of a registry without compare-and-set; others move it while our write is on its way."""

    def __init__(self, holds: int | None, before: tuple = (), after: tuple = ()) -> None:
        self.holds, self.before, self.after, self.writes = holds, before, after, 0

    def read(self) -> int | None:
        return self.holds

    def write(self, version: int | None) -> None:
        self.writes += 1
        others, self.before = self.before, ()
        self._others(others)
        self.holds = version
        others, self.after = self.after, ()
        self._others(others)

    def _others(self, moves: tuple) -> None:
        time.sleep(0.01)
        for move in moves:
            self.holds = move
            time.sleep(0.01)

    def swap(self, expected: int | None, target: int | None):
        return swap(self.read, self.write, expected=(expected,), target=target)


@pytest.mark.parametrize(("before", "after"), [(1, None), (1, 2), (None, 2)])
def test_undisturbed_it_is_made(before, after) -> None:
    alias = Alias(before)
    done = alias.swap(before, after)
    assert (done.held, done.made, done.between, alias.holds) == (before, True, (), after)


@pytest.mark.parametrize("held", [3, None])
def test_held_by_another_it_is_left_alone(held) -> None:
    alias = Alias(held)
    done = alias.swap(1, 2)
    assert (done.held, done.made, alias.holds, alias.writes) == (held, False, held, 0)


def test_done_already_nothing_is_written() -> None:
    alias = Alias(2)
    assert not alias.swap(1, 2).made
    assert alias.writes == 0


@pytest.mark.parametrize("target", [None, 2])
@pytest.mark.parametrize("others", [(9,), (8, 9)])
def test_what_was_set_between_look_and_move_is_put_back(target, others) -> None:
    alias = Alias(1, before=others)
    done = alias.swap(1, target)
    assert (done.held, done.made, done.between, alias.holds) == (1, True, others, 9)


def test_what_was_taken_away_between_look_and_move_stays_away() -> None:
    alias = Alias(1, before=(None,))
    done = alias.swap(1, 2)
    assert (done.between, alias.holds) == ((None,), None)


def test_there_and_back_again_is_theirs_to_keep() -> None:
    alias = Alias(1, before=(9, 1))
    assert alias.swap(1, None).between == (9, 1)
    assert alias.holds == 1


@pytest.mark.parametrize("others", [(9,), (9, None)])
def test_what_is_set_after_our_move_is_the_later_word(others) -> None:
    alias = Alias(1, after=others)
    done = alias.swap(1, None)
    assert (done.made, done.between, alias.holds) == (True, (), others[-1])


def test_moved_before_and_after_theirs_stands() -> None:
    alias = Alias(1, before=(8,), after=(9,))
    assert alias.swap(1, None).between == ()
    assert alias.holds == 9


def test_a_write_that_fails_is_said_and_the_watch_ends() -> None:
    alias = Alias(1)

    def write(_: int | None) -> None:
        raise RegistryUnavailableError("away")

    with pytest.raises(RegistryUnavailableError):
        swap(alias.read, write, expected=(1,), target=2)
