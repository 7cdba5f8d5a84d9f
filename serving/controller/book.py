"""rollouts.json: what the controller must know again after a restart; the journal holds the rest."""

import os
from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec import Struct

from serving.rollout.desk_state import DeskState, Rollout
from serving.rollout.effects import Ended

BOOK_FILE = "rollouts.json"
ENTRIES_MAX = 1000
_AHEAD = 16


class Arrival(Struct, frozen=True, kw_only=True):
    """How a challenger came to be judged, by our clock; None where it is not known."""

    alias_not_before_ns: int | None = None
    """The look before the one that found its alias moved: MLflow does not say when that was. None: moved by us."""
    alias_seen_ns: int | None = None
    verified_ns: int | None = None
    """Files fetched and verified."""
    warmed_ns: int | None = None
    """The worker said that it has it loaded and warm."""


class Entry(Struct, frozen=True, kw_only=True):
    """One rollout id and what became of it."""

    rollout_id: int
    model: str
    version: int
    kind: str
    started_ns: int
    """Our clock."""
    ended: Ended | None = None
    arrival: Arrival | None = None
    """None: of a bake, whose version was there already."""
    told_reaction: bool = False
    """The evidence beside the version says how soon routing left it, or was never going to."""


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

    def entry(self, rollout_id: int) -> Entry | None:
        """Return what is kept of a rollout; None: nothing, or nothing any more."""
        return next((entry for entry in reversed(self.entries) if entry.rollout_id == rollout_id), None)

    def begin(self, model: str, rollout: Rollout, now_ns: int, arrival: Callable[[], Arrival | None]) -> None:
        """Keep that a rollout has begun, once, and how it came to that."""
        if self.entry(rollout.rollout_id) is None:
            begun = Entry(
                rollout_id=rollout.rollout_id,
                model=model,
                version=rollout.version,
                kind=rollout.kind,
                started_ns=now_ns,
                arrival=arrival(),
            )
            self._keep(begun)

    def end(self, model: str, ended: Ended, now_ns: int) -> None:
        """Keep how a rollout ended; one that was never routed has its whole life in this one entry."""
        if ended.rollout_id and self._change(ended.rollout_id, ended=ended):
            return
        whole = Entry(
            rollout_id=ended.rollout_id,
            model=model,
            version=ended.version,
            kind=ended.kind,
            started_ns=now_ns,
            ended=ended,
        )
        self._keep(whole)

    def tell_reaction(self, rollout_id: int, *, told: bool) -> None:
        """Keep whether the evidence says how soon routing left the version."""
        self._change(rollout_id, told_reaction=told)

    def _keep(self, entry: Entry) -> None:
        self.entries = [*self.entries[-ENTRIES_MAX + 1 :], entry]

    def _change(self, rollout_id: int, **fields: object) -> bool:
        """Replace fields of a rollout's entry; return whether there is one."""
        for place in range(len(self.entries) - 1, -1, -1):
            if self.entries[place].rollout_id == rollout_id:
                self.entries[place] = msgspec.structs.replace(self.entries[place], **fields)
                return True
        return False


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
