"""Decisions of the live journal and of the archive, newest first; as much is read as the question needs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from data_contracts.journal import RecordType
from serving import shared_memory
from serving.archive.manifest import ARCHIVE, ArchivedSegment, read_manifest
from serving.archive.parquet import read_columns
from serving.archive.segment import Columns, Names, Segment, join_markouts, spelled_in
from serving.outcomes.port import OutcomeStore

_SLIM: Final = ["decision_id", "horizon", "status", "buy_pnl_bps", "sell_pnl_bps", "resolved_event_ns"]
_CHUNK: Final = 100_000


class Question(Struct, frozen=True, kw_only=True):
    """Which decisions; None: all."""

    model: str | None = None
    version: int | None = None
    arm: str | None = None
    instrument: str | None = None
    door: str | None = None
    """By which it was asked for; feed: by none."""
    request_key: int | None = None
    """As assignment_key gives it."""
    from_ns: int | None = None
    """Event time, inclusive."""
    to_ns: int | None = None
    """Event time, exclusive."""
    limit: int | None = None


def find_decisions(state_dir: Path, question: Question, worker: str = "worker-0") -> Columns:
    """Return the newest decisions that are asked for, newest first, joined with their mark-outs.

    Raises:
        JournalError: a segment is damaged.
        MissingDependencyError: the answer is in the archive, and pyarrow is not installed.
    """
    found: list[Columns] = []
    left = question.limit
    for part in _parts(state_dir, worker, question):
        chosen = np.flatnonzero(_fits(part, question))[::-1]
        chosen = chosen if left is None else chosen[:left]
        if len(chosen):
            found.append({name: values[chosen] for name, values in part.items()})
        if left is not None:
            left -= len(chosen)
            if not left:
                break
    return _stacked(found)


def join_outcomes(decisions: Columns, store: OutcomeStore) -> Columns:
    """Return the decisions with what the trading system posted of them.

    Raises:
        OutcomeStoreUnavailableError: the store cannot be reached.
    """
    count = len(decisions["decision_id"])
    ids = decisions["decision_id"].astype(np.int64)
    order = np.argsort(ids)
    ascending = ids[order]
    realised = {name: np.full(count, np.nan) for name in ("realised_bps", "realised_usd")}
    fills = {name: np.zeros(count, np.int64) for name in ("fills", "filled_lots")}
    first, last = (int(ascending[0]), int(ascending[-1])) if count else (1, 0)
    for outcome in _outcomes(store, first, last):
        place = int(np.searchsorted(ascending, outcome.decision_id))
        if place >= count or ascending[place] != outcome.decision_id:
            continue
        row = order[place]
        if outcome.kind == "fill":
            fills["fills"][row] += 1
            fills["filled_lots"][row] += outcome.lots or 0
            continue
        for name, value in (("realised_bps", outcome.pnl_bps), ("realised_usd", outcome.pnl_usd)):
            if value is not None:
                realised[name][row] = value
    return {**decisions, **realised, **fills}


def _outcomes(store: OutcomeStore, first: int, last: int) -> Iterator[Any]:
    for begin in range(first, last + 1, _CHUNK):
        sequence = 0
        while kept := store.of_decisions(begin, min(begin + _CHUNK - 1, last), after=sequence, limit=_CHUNK):
            yield from (one.outcome for one in kept)
            sequence = kept[-1].sequence


def _parts(state_dir: Path, worker: str, question: Question) -> Iterator[Columns]:
    """Yield decisions segment by segment, the newest first; within each, the oldest first."""
    lines = read_manifest(state_dir / ARCHIVE, worker)
    paths = sorted(shared_memory.journal_folder(state_dir, worker).glob("*.rcj"))
    by_name = {line.segment: line for line in lines}
    naming = _Naming(paths, lines)
    newer: NDArray[Any] | None = None
    for place in range(len(paths) - 1, -1, -1):
        line = by_name.get(paths[place].name)
        if line is not None and _outside(line, question):
            continue
        segment = Segment(paths[place])
        decisions = segment.named_decisions(naming.before(place))
        markouts = segment.select(RecordType.MARKOUT)[_SLIM]
        markouts = markouts if newer is None else np.concatenate([markouts, newer])
        ids = decisions["decision_id"]
        if len(ids):
            yield join_markouts(decisions, markouts)
            # Of the segments before this one.
            newer = markouts[markouts["decision_id"] < ids[0]]
        else:
            newer = markouts
    here = {path.name for path in paths}
    for line in reversed([line for line in lines if line.segment not in here]):
        if not _outside(line, question):
            files = [state_dir / ARCHIVE / one.path for one in line.files if one.kind == "decisions"]
            yield from (_with_door(part) for part in reversed(read_columns(files)))


def _with_door(part: Columns) -> Columns:
    """Return archived decisions with door and key, empty and 0 where they were written before those were kept."""
    count = len(part["decision_id"])
    unknown = {"door": np.full(count, "", object), "request_key": np.zeros(count, np.uint64)}
    return part | {name: values for name, values in unknown.items() if name not in part}


class _Naming:
    """What indices mean where a segment begins: as the segments before it spelled them last."""

    def __init__(self, paths: list[Path], lines: list[ArchivedSegment]) -> None:
        self._paths, self._lines = paths, {line.segment: line for line in lines}
        before = [line for line in lines if paths and line.segment < paths[0].name]
        self._removed = before[-1] if before else None
        self._spelled: dict[Path, Names] = {}

    def before(self, place: int) -> Names:
        names = Names()
        for path in reversed(self._paths[:place]):
            line = self._lines.get(path.name)
            if line is not None:
                return _under(names, line)
            if path not in self._spelled:
                self._spelled[path] = spelled_in(path)
            earlier = self._spelled[path]
            names = Names({**earlier.models, **names.models}, {**earlier.instruments, **names.instruments})
        return _under(names, self._removed) if self._removed else names


def _under(names: Names, line: ArchivedSegment) -> Names:
    return Names({**line.models, **names.models}, {**line.instruments, **names.instruments})


def _outside(line: ArchivedSegment, question: Question) -> bool:
    """Whether nothing of an archived segment is asked for."""
    if question.from_ns is not None and line.last_event_ns < question.from_ns:
        return True
    return question.to_ns is not None and line.first_event_ns >= question.to_ns


def _fits(part: Columns, question: Question) -> NDArray[Any]:
    fits = np.ones(len(part["decision_id"]), bool)
    for name in ("model", "version", "arm", "instrument", "door", "request_key"):
        wanted = getattr(question, name)
        if wanted is not None:
            fits &= part[name] == wanted
    if question.from_ns is not None:
        fits &= part["event_ns"] >= question.from_ns
    if question.to_ns is not None:
        fits &= part["event_ns"] < question.to_ns
    return fits


def _stacked(parts: list[Columns]) -> Columns:
    """Return parts one after the other; a horizon that only some have is NaN in the others."""
    if not parts:
        return {"decision_id": np.zeros(0, np.uint64)}
    names = list(dict.fromkeys(name for part in parts for name in part))
    return {
        name: np.concatenate([part.get(name, np.full(len(part["decision_id"]), np.nan)) for part in parts])
        for name in names
    }
