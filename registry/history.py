"""Every alias change that was seen or made, and every time nobody looked, kept for good: MLflow keeps none.

One JSON object a line, appended and fsynced; nothing is ever rewritten but a last line that a crash cut short.
"""

import os
import threading
from pathlib import Path
from typing import Final, Literal

import msgspec
from msgspec import Struct

from data_contracts.errors import RegistryError
from registry.changes import AliasChange

HISTORY_FILE: Final = "history.jsonl"
CHAMPION: Final = "champion"


class HistoryEntry(Struct, frozen=True, kw_only=True):
    """One alias change, or a time in which nobody looked, as the file keeps it."""

    wall_ns: int
    """When it was made by us, or noticed by the poll; of a gap: when it ended."""
    model: str
    alias: str
    """Empty: of a gap, which concerns all of the model's aliases."""
    before: int | None = msgspec.field(name="from")
    after: int | None = msgspec.field(name="to")
    why: str = ""
    who: str | None = None
    """None: not known; MLflow does not say who moved an alias."""
    seen: Literal["polled", "made", "gap"] = "polled"
    """made: moved by the platform, or by a person through it; polled: found moved; gap: nobody looked."""
    gap: bool = False
    """Nobody was looking just before (first look, restart, registry away): other moves may be missing."""
    since_ns: int | None = None
    """The look before: a polled change came after it, a gap began with it. None: none before, or made by us."""


class History:
    """The append-only file of alias changes of all models; one process writes it.

    Attributes:
        cut_bytes: what a crash had left of a last line, cut off on opening; 0: nothing.
    """

    def __init__(self, path: Path) -> None:
        """Open `path`, made with its folder where absent, and read what it holds.

        Raises:
            RegistryError: a line other than the last is not an entry; nothing is changed then.
        """
        self._path = path
        self._lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        content = path.read_bytes() if path.exists() else b""
        whole = content[: content.rfind(b"\n") + 1]
        self._entries = _decoded(path, whole)
        self._aliases: dict[str, dict[str, int]] = {}
        for entry in self._entries:
            self._take(entry)
        self.cut_bytes = len(content) - len(whole)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        if self.cut_bytes:
            os.ftruncate(self._file, len(whole))
            os.fsync(self._file)
        _sync_folder(path.parent)

    @property
    def entries(self) -> tuple[HistoryEntry, ...]:
        """Everything kept, oldest first."""
        return tuple(self._entries)

    def append(self, entry: HistoryEntry) -> None:
        """Keep `entry`; on return it is on the disk."""
        with self._lock:
            _write_all(self._file, msgspec.json.encode(entry) + b"\n")
            os.fsync(self._file)
            self._entries.append(entry)
            self._take(entry)

    def record(
        self,
        change: AliasChange,
        *,
        wall_ns: int,
        seen: Literal["polled", "made"],
        why: str = "",
        who: str | None = None,
        gap: bool = False,
        since_ns: int | None = None,
    ) -> HistoryEntry:
        """Keep a change that the poll found or that was made here; return the entry."""
        entry = HistoryEntry(
            wall_ns=wall_ns,
            model=change.model,
            alias=change.alias,
            before=change.before,
            after=change.after,
            why=why,
            who=who,
            seen=seen,
            gap=gap,
            since_ns=since_ns,
        )
        self.append(entry)
        return entry

    def record_gap(self, model: str, *, from_ns: int, to_ns: int, why: str) -> None:
        """Keep that nobody looked at the model between two times, and why."""
        self.append(
            HistoryEntry(
                wall_ns=to_ns, model=model, alias="", before=None, after=None, why=why, seen="gap", since_ns=from_ns
            )
        )

    def between(self, from_ns: int, to_ns: int, model: str | None = None) -> list[HistoryEntry]:
        """Return entries with from_ns <= wall_ns < to_ns, oldest first; of one model where it is named."""
        return [entry for entry in self._entries if from_ns <= entry.wall_ns < to_ns and model in (None, entry.model)]

    def aliases(self, model: str) -> dict[str, int]:
        """Return the alias map as it stood after the last entry: what the next poll is compared with."""
        return dict(self._aliases.get(model, {}))

    def last_move_to(self, model: str, alias: str, version: int) -> HistoryEntry | None:
        """Return the entry of the last time that an alias came to point at a version; None: it never did."""
        for entry in reversed(self._entries):
            if (entry.model, entry.alias, entry.after) == (model, alias, version):
                return entry
        return None

    def last_champion_before(self, model: str, version: int) -> int | None:
        """Return the champion that `version` last took the place of: where a rollback goes.

        None where `version` was never seen to become champion, or took an empty place.
        """
        entry = self.last_move_to(model, CHAMPION, version)
        return None if entry is None else entry.before

    def close(self) -> None:
        """Close the file; everything appended is on the disk already."""
        os.close(self._file)

    def _take(self, entry: HistoryEntry) -> None:
        held = self._aliases.setdefault(entry.model, {})
        if entry.after is not None:
            held[entry.alias] = entry.after
        else:
            held.pop(entry.alias, None)


def read_history(path: Path) -> list[HistoryEntry]:
    """Return what the file holds, oldest first, whoever is writing it; nothing where there is none.

    Raises:
        RegistryError: a line is not an entry.
    """
    content = path.read_bytes() if path.exists() else b""
    return _decoded(path, content[: content.rfind(b"\n") + 1])


def _decoded(path: Path, content: bytes) -> list[HistoryEntry]:
    entries = []
    decoder = msgspec.json.Decoder(HistoryEntry)
    for number, line in enumerate(content.splitlines(), start=1):
        try:
            entries.append(decoder.decode(line))
        except msgspec.DecodeError as error:
            raise RegistryError(f"{path}: line {number}: expected an alias change, got: {error}") from None
    return entries


def _write_all(file: int, content: bytes) -> None:
    while content:
        content = content[os.write(file, content) :]


def _sync_folder(folder: Path) -> None:
    # A new file's name is durable only once its folder is.
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
