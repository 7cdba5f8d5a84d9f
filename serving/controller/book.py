"""rollouts.json: what the controller must know again after a restart; the journal holds the rest."""

import os
from pathlib import Path

import msgspec
from msgspec import Struct

from serving.rollout.desk_state import DeskState, Rollout
from serving.rollout.effects import Ended

BOOK_FILE = "rollouts.json"
ENTRIES_MAX = 1000
_AHEAD = 16


class Entry(Struct, frozen=True, kw_only=True):
    """One rollout id and what became of it."""

    rollout_id: int
    model: str
    version: int
    kind: str
    started_ns: int
    """Our clock."""
    ended: Ended | None = None


class Book(Struct, kw_only=True):
    """Everything that is kept."""

    next_rollout_id: int = 1
    """No id from here on was ever used; on disk it stays ahead, since routes are published before this is saved."""
    desks: list[DeskState] = []
    entries: list[Entry] = []

    def desk(self, model: str) -> DeskState:
        """Return the model's state, made with the next index where there is none."""
        for state in self.desks:
            if state.model == model:
                return state
        state = DeskState(model=model, index=len(self.desks))
        self.desks.append(state)
        return state

    def begin(self, model: str, rollout: Rollout, now_ns: int) -> None:
        """Keep that a rollout has begun, once."""
        if not any(entry.rollout_id == rollout.rollout_id for entry in reversed(self.entries)):
            self._keep(model, rollout.rollout_id, rollout.version, rollout.kind, now_ns, None)

    def end(self, model: str, ended: Ended, now_ns: int) -> None:
        """Keep how a rollout ended; one that was never routed has its whole life in this one entry."""
        for place in range(len(self.entries) - 1, -1, -1):
            if ended.rollout_id and self.entries[place].rollout_id == ended.rollout_id:
                self.entries[place] = msgspec.structs.replace(self.entries[place], ended=ended)
                return
        self._keep(model, ended.rollout_id, ended.version, ended.kind, now_ns, ended)

    def _keep(self, model: str, rollout_id: int, version: int, kind: str, now_ns: int, ended: Ended | None) -> None:
        entry = Entry(rollout_id=rollout_id, model=model, version=version, kind=kind, started_ns=now_ns, ended=ended)
        self.entries = [*self.entries[-ENTRIES_MAX + 1 :], entry]


class RolloutIds:
    """Gives rollout ids, never one twice, not even after a crash: `book` on disk is kept ahead of what is given."""

    def __init__(self, book: Book) -> None:
        """Go on where the book says that nothing was used."""
        self._book, self._next = book, book.next_rollout_id
        self.reserve()

    def take(self) -> int:
        """Return a rollout id that was never used."""
        self._next += 1
        return self._next - 1

    def reserve(self) -> None:
        """Keep the book ahead; the caller saves it."""
        if self._book.next_rollout_id - self._next < _AHEAD // 2:
            self._book.next_rollout_id = self._next + _AHEAD


def read_book(path: Path) -> Book:
    """Return what the file says; an empty book where there is none.

    Raises:
        msgspec.DecodeError: it is there and is something else.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Book)
    except FileNotFoundError:
        return Book()


def write_book(path: Path, book: Book) -> None:
    """Replace the file in one step, on the disk before the name points to it."""
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        file.write(msgspec.json.encode(book))
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
