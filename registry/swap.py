"""Moving an alias only if it still points where it did, in a registry that cannot do that in one step.

Look, act, and watch meanwhile: a second reader goes on looking while the move is under way. What somebody else set
between our look and our move would be lost without a trace, since MLflow neither compares nor says what it overwrote;
the reader sees it, and it is put back. What stood for less than one read (some milliseconds) can still be missed.
"""

import threading
from collections.abc import Callable, Collection
from typing import Final

from msgspec import Struct

from data_contracts.errors import RegistryError

_JOIN_S: Final = 10.0


class Swap(Struct, frozen=True, kw_only=True):
    """What came of a move."""

    held: int | None
    """What the alias held when it was looked at; None: it was not set."""
    made: bool
    """False: it held something else than was expected, or the target already."""
    between: tuple[int | None, ...] = ()
    """What others set after that look and before our move; the last of them is in force again."""


def swap(
    read: Callable[[], int | None],
    write: Callable[[int | None], None],
    *,
    expected: Collection[int | None],
    target: int | None,
) -> Swap:
    """Make the alias hold `target` if it holds one of `expected`.

    Args:
        read: returns what it holds; called from a second thread too.
        write: makes it hold a version, or none.
        expected: what it may hold now.
        target: what it shall hold; None: nothing.

    Raises:
        RegistryError: whatever `read` and `write` raise; it may have been moved all the same.
    """
    held = read()
    if held == target or held not in expected:
        return Swap(held=held, made=False)
    watch = _Watch(read)
    try:
        write(target)
    finally:
        seen = watch.stop()
    between = _before_ours(seen, held, target)
    if between and read() == target:
        write(between[-1])
        return Swap(held=held, made=True, between=between)
    return Swap(held=held, made=True)


def _before_ours(seen: list[int | None], held: int | None, target: int | None) -> tuple[int | None, ...]:
    """Return what was seen to be set by others before our move came into force."""
    others: list[int | None] = []
    for value in seen:
        if value == target:
            break
        if value != (others[-1] if others else held):
            others.append(value)
    return tuple(others)


class _Watch:
    """Reads over and over in a thread, until stopped."""

    def __init__(self, read: Callable[[], int | None]) -> None:
        self._read, self._seen = read, list[int | None]()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="alias-watch", daemon=True)
        self._thread.start()

    def stop(self) -> list[int | None]:
        """Return what was read, in order."""
        self._stop.set()
        self._thread.join(_JOIN_S)
        return self._seen

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._seen.append(self._read())
            except RegistryError:
                return  # whoever moves learns of it by itself
