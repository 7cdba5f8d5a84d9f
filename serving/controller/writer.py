"""Writes back to the registry what has already taken effect here, however long the registry is away.

Every job is a line in outbox.jsonl before it is tried and a line when it is done; a restart goes on where it was.
"""

import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

import structlog
from msgspec import Struct
from msgspec import json as mjson

from data_contracts.errors import ModelNotFoundError, RegistryError, RegistryUnavailableError
from registry.changes import AliasChange
from registry.history import History
from registry.port import ModelRegistry
from registry.swap import Swap
from serving.controller.follower import Follower, OwnMove
from serving.rollout.effects import DeleteAlias, MoveAlias, SetTags

log = structlog.get_logger()

STATUS_TAG: Final = "ringcraft.status"
REASON_TAG: Final = "ringcraft.reason"
CHECKING: Final = "checking"
QUARANTINED: Final = "quarantined"
REFUSED: Final = "refused"
BARRED: Final = ("rolled_back", QUARANTINED)
"""Statuses that keep a version out until a person clears the tag."""
_RETRY_S: Final = 0.5
_SPENT_BYTES: Final = 1 << 20
"""An outbox of which everything is done is emptied at this size."""
_OWN: Final = "ringcraft"


class Evidence(Struct, frozen=True, kw_only=True, tag=True):
    """Keep a document beside the version."""

    version: int
    name: str
    content: str
    tagged: bool = True
    """Say in a tag of the version where it lies."""


class SetModelTag(Struct, frozen=True, kw_only=True, tag=True):
    """Answer in the registry's UI, on the registered model."""

    key: str
    value: str
    """Empty: the tag is taken off."""


Job = SetModelTag | SetTags | MoveAlias | DeleteAlias | Evidence


class Line(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of the outbox: a job, that one is begun, or that one is done."""

    number: int
    model: str = ""
    since: str = ""
    job: Job | None = None
    begun: bool = False
    """From here on the registry may have been changed, whatever became of this process."""


class Writer:
    """The outbox and the thread that empties it, oldest first."""

    def __init__(self, path: Path, registry: ModelRegistry, follower: Follower, history: History) -> None:
        """Read what an earlier process left to be done."""
        self._path, self._registry, self._follower, self._history = path, registry, follower, history
        self._lock = threading.Lock()
        self._wake, self._stop = threading.Event(), threading.Event()
        self._begun: set[int] = set()
        self._waiting = self._load()
        self._next = max((line.number for line in self._waiting), default=0) + 1
        self._rewrite()
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._thread = threading.Thread(target=self._run, name="registry-writer", daemon=True)
        follower.own = self.began

    def start(self) -> None:
        """Begin to write in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Stop; what is not done stays in the file."""
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(10.0)
        os.close(self._file)

    def add(self, model: str, job: Job, *, since: str) -> None:
        """Keep a job; on return it is on the disk."""
        with self._lock:
            line = Line(number=self._next, model=model, since=since, job=job)
            self._next += 1
            self._append(line)
            self._waiting.append(line)
        self._wake.set()

    @property
    def waiting(self) -> int:
        """Jobs not yet done."""
        return len(self._waiting)

    def overlay(self, model: str, aliases: dict[str, int]) -> dict[str, int]:
        """Return the alias map as it will stand once this model's waiting moves are made."""
        result = dict(aliases)
        with self._lock:
            jobs = [line.job for line in self._waiting if line.model == model]
        for job in jobs:
            if isinstance(job, MoveAlias) and result.get(job.alias) in (job.expected, job.version):
                result[job.alias] = job.version
            elif isinstance(job, DeleteAlias) and result.get(job.alias) == job.version:
                del result[job.alias]
        return result

    def began(self, change: AliasChange) -> OwnMove | None:
        """Return why a change that was found was made, where it is what a move begun here does."""
        with self._lock:
            lines = [line for line in self._waiting if line.number in self._begun and line.model == change.model]
        for line in lines:
            job = line.job
            if isinstance(job, MoveAlias | DeleteAlias) and job.alias == change.alias:
                expected, target = _ends(job)
                if change.before in expected and change.after == target:
                    return OwnMove(why=job.why, who=job.who or _OWN)
        return None

    def waiting_status(self, model: str, version: int) -> str | None:
        """Return the status tag that waits to be written on the version, checking apart; None where none does."""
        with self._lock:
            jobs = [line.job for line in self._waiting if line.model == model]
        ours = [job for job in jobs if isinstance(job, SetTags) and job.version == version]
        found = [job.status for job in ours if job.status not in ("", CHECKING)]
        return found[-1] if found else None

    def flush(self) -> bool:
        """Do what waits, oldest first; return whether all of it is done."""
        while True:
            with self._lock:
                line = self._waiting[0] if self._waiting else None
                overtaken = line is not None and _overtaken(line, self._waiting)
            if line is None:
                return True
            try:
                if not overtaken:
                    self._do(line)
            except RegistryUnavailableError:
                return False
            except RegistryError as error:
                # The registry answered and refuses: trying again would hold up everything behind it.
                log.error("write_back_refused", model=line.model, job=repr(line.job), error=str(error))
            with self._lock:
                self._waiting.pop(0)
                self._begun.discard(line.number)
                self._append(Line(number=line.number))
                if not self._waiting and os.fstat(self._file).st_size > _SPENT_BYTES:
                    os.ftruncate(self._file, 0)

    def _do(self, line: Line) -> None:
        job, model = line.job, line.model
        if isinstance(job, SetTags):
            if job.status == CHECKING and self._registry.version(model, job.version).tags.get(STATUS_TAG) in BARRED:
                return  # the bar is the version's own tag: being looked at must not lift it
            # The status comes last: whoever sees it finds its reason.
            status = {"ringcraft.since": line.since, STATUS_TAG: job.status} if job.status else {}
            self._registry.set_version_tags(model, job.version, {REASON_TAG: job.reason[:4000], **status})
        elif isinstance(job, SetModelTag):
            if job.value:
                self._registry.set_model_tags(model, {job.key: job.value[:4000]})
            else:
                self._registry.delete_model_tag(model, job.key)
        elif isinstance(job, Evidence):
            where = self._registry.log_evidence(model, job.version, job.name, job.content.encode())
            if job.tagged:
                self._registry.set_version_tags(model, job.version, {"ringcraft.evidence": where})
        elif job is not None:
            with self._follower.lock:
                self._move(line, job)

    def _move(self, line: Line, job: MoveAlias | DeleteAlias) -> None:
        model, again = line.model, line.number in self._begun
        if not again:
            with self._lock:
                self._append(Line(number=line.number, begun=True))
                self._begun.add(line.number)
        expected, target = _ends(job)
        since_ns = time.time_ns()
        try:
            swap = self._registry.swap_alias(model, job.alias, expected=expected, target=target)
        except ModelNotFoundError:
            return
        if swap.made:
            self._made(model, job, swap, since_ns)
            return
        known = self._history.aliases(model).get(job.alias)
        if again and swap.held == target and known in expected and known != target:
            self._record(model, job.alias, known, target, job.why, job.who or _OWN)  # made before this process began
        elif swap.held != target:
            # Somebody has moved it since: theirs is the later word.
            log.info("alias_left_alone", model=model, alias=job.alias, held=swap.held, expected=expected[0])

    def _made(self, model: str, job: MoveAlias | DeleteAlias, swap: Swap, since_ns: int) -> None:
        _, target = _ends(job)
        held = swap.held
        for other in swap.between:
            self._record(model, job.alias, held, other, "seen while a move of our own was under way", since_ns=since_ns)
            held = other
        self._record(model, job.alias, held, target, job.why, job.who or _OWN)
        if swap.between:
            why = "put back: it was moved while a move of our own was under way"
            self._record(model, job.alias, target, swap.between[-1], why, _OWN)
            log.warning("alias_put_back", model=model, alias=job.alias, version=swap.between[-1])
        self._follower.moved(model, job.alias, swap.between[-1] if swap.between else target)

    def _record(
        self,
        model: str,
        alias: str,
        before: int | None,
        after: int | None,
        why: str,
        who: str | None = None,
        since_ns: int | None = None,
    ) -> None:
        """Keep a move of `who`, or, without one, somebody else's that came after `since_ns`."""
        change = AliasChange(model=model, alias=alias, before=before, after=after)
        seen: Literal["made", "polled"] = "made" if who else "polled"
        self._history.record(change, wall_ns=time.time_ns(), seen=seen, why=why, who=who, since_ns=since_ns)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                done = self.flush()
            except OSError as error:
                log.error("outbox_failed", path=str(self._path), error=str(error))
                done = False
            self._wake.wait(None if done else _RETRY_S)
            self._wake.clear()

    def _load(self) -> list[Line]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        text = self._path.read_bytes() if self._path.exists() else b""
        waiting: dict[int, Line] = {}
        for raw in text[: text.rfind(b"\n") + 1].splitlines():  # a crash may have cut the last line short
            line = mjson.decode(raw, type=Line)
            if line.begun:
                self._begun.add(line.number)
            elif line.job is None:
                waiting.pop(line.number, None)
            else:
                waiting[line.number] = line
        self._begun &= waiting.keys()
        return list(waiting.values())

    def _rewrite(self) -> None:
        part = self._path.with_suffix(".part")
        begun = [Line(number=number, begun=True) for number in sorted(self._begun)]
        with part.open("wb") as file:
            file.write(b"".join(mjson.encode(line) + b"\n" for line in [*self._waiting, *begun]))
            file.flush()
            os.fsync(file.fileno())
        part.replace(self._path)

    def _append(self, line: Line) -> None:
        os.write(self._file, mjson.encode(line) + b"\n")
        os.fsync(self._file)


def _ends(job: MoveAlias | DeleteAlias) -> tuple[tuple[int | None, ...], int | None]:
    """Return what the alias may hold for the job to be done, what was expected first, and what it shall hold then."""
    if isinstance(job, MoveAlias):
        return (job.expected, job.version), job.version
    return (job.version,), None


def _overtaken(line: Line, waiting: Sequence[Line]) -> bool:
    """Whether a later job will overwrite all that this one would write: a storm of moves is answered once.

    One that only says `checking` overwrites nothing where the version is barred.
    """
    job = line.job
    later = [other.job for other in waiting if other.model == line.model and other.number > line.number]
    if isinstance(job, Evidence):
        return any(isinstance(o, Evidence) and (o.version, o.name) == (job.version, job.name) for o in later)
    if not isinstance(job, SetTags):
        return False
    ours = [other for other in later if isinstance(other, SetTags) and other.version == job.version]
    return any(other.status not in ("", CHECKING) for other in ours)
