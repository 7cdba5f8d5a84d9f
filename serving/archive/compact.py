"""Closed segments of the journal to Parquet, by day of event time; a segment goes only once it is verified there.

decisions: one row a decision, joined with its mark-outs; shadows: one a shadow score; epochs and trips: one a record.
Posted outcomes stay in their store, because they may come at any time; `ringcraft decisions` joins them.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from data_contracts.errors import UsageError
from data_contracts.journal import AbstainReason, Arm, RecordType
from serving import shared_memory
from serving.archive.manifest import ARCHIVE, ArchivedFile, ArchivedSegment, append_manifest, read_manifest
from serving.archive.parquet import pyarrow, sha256_of, table_of, write_verified
from serving.archive.segment import DAY_NS, Columns, Names, Segment, join_markouts, words

PATIENCE_NS: Final = DAY_NS
"""Event time after which what is still missing of a decision will not come."""
_HEADER: Final = ("crc32c", "type", "worker", "reserved", "index")


def compact(state_dir: Path, worker: str = "worker-0") -> list[ArchivedSegment]:
    """Bring into the archive every closed segment whose decisions are complete; return those that it brought.

    Raises:
        JournalError: a segment is damaged.
        MissingDependencyError: pyarrow is not installed.
        UsageError: another process is at it.
    """
    pyarrow()
    archive = state_dir / ARCHIVE
    done: list[ArchivedSegment] = []
    with alone(archive):
        lines = read_manifest(archive, worker)
        paths = sorted(shared_memory.journal_folder(state_dir, worker).glob("*.rcj"))
        archived = {line.segment for line in lines}
        last = lines[-1] if lines else None
        names = Names(dict(last.models), dict(last.instruments)) if last else Names()
        for place, path in enumerate(paths[:-1]):  # the last is being written
            if path.name in archived:
                continue
            segment = Segment(path, closed=True)
            later = _later(segment, paths[place + 1 :])
            if later is None:
                break
            line = _archive(archive, worker, segment, names, *later)
            append_manifest(archive, line)
            done.append(line)
    return done


@contextmanager
def alone(archive: Path) -> Iterator[None]:
    """Hold the archive for this process.

    Raises:
        UsageError: another has it.
    """
    archive.mkdir(parents=True, exist_ok=True)
    with (archive / "lock").open("wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"{archive}: another process is at the archive") from None
        yield


def _later(segment: Segment, after: list[Path]) -> tuple[NDArray[Any], NDArray[Any]] | None:
    """Return every mark-out and shadow score of the segment's decisions; None where some may still come."""
    decisions = segment.select(RecordType.DECISION)
    markouts, shadows = [segment.select(RecordType.MARKOUT)], [segment.select(RecordType.SHADOW)]
    newest_ns = 0
    for path in [None, *after]:
        if path is not None:
            other = Segment(path)
            markouts.append(other.select(RecordType.MARKOUT))
            shadows.append(other.select(RecordType.SHADOW))
            times = other.select(RecordType.DECISION)["event_ns"]
            newest_ns = max(newest_ns, int(times.max()) if len(times) else 0)
        all_markouts, all_shadows = np.concatenate(markouts), np.concatenate(shadows)
        given_up = len(decisions) and newest_ns > int(decisions["event_ns"].max()) + PATIENCE_NS
        if given_up or _complete(decisions, all_markouts, all_shadows):
            low, high = (decisions["decision_id"][0], decisions["decision_id"][-1]) if len(decisions) else (1, 0)
            return _between(all_markouts, low, high), _between(all_shadows, low, high)
    return None


def _complete(decisions: NDArray[Any], markouts: NDArray[Any], shadows: NDArray[Any]) -> bool:
    """Whether each decision has a mark-out at every horizon its model has, and every shadow score it announced."""
    for model in np.unique(decisions["model"]):
        ours = decisions[decisions["model"] == model]
        of_model = markouts[markouts["model"] == model]
        for horizon in {0, *of_model["horizon"].tolist()}:
            marked = of_model["decision_id"][of_model["horizon"] == horizon]
            if not np.isin(ours["decision_id"], marked).all():
                return False
    scored, counts = np.unique(shadows["decision_id"], return_counts=True)
    expecting = decisions[decisions["expected_shadows"] > 0]
    places = np.searchsorted(scored, expecting["decision_id"])
    known = places < len(scored)
    if not known.all() or not (scored[places] == expecting["decision_id"]).all():
        return False
    return bool((counts[places] >= expecting["expected_shadows"]).all())


def _between(rows: NDArray[Any], low: int, high: int) -> NDArray[Any]:
    return rows[(rows["decision_id"] >= low) & (rows["decision_id"] <= high)]


def _archive(
    archive: Path, worker: str, segment: Segment, names: Names, markouts: NDArray[Any], shadows: NDArray[Any]
) -> ArchivedSegment:
    decisions = join_markouts(segment.named_decisions(names), markouts)
    ids, events = decisions["decision_id"], decisions["event_ns"]
    epochs, trips = segment.select(RecordType.EPOCH), segment.select(RecordType.TRIP)
    files = []
    first_ns = int(events[0]) if len(events) else int(epochs["wall_ns"][0]) if len(epochs) else 0
    for day in np.unique(events // DAY_NS):
        of_day = events // DAY_NS == day
        scores = shadows[np.isin(shadows["decision_id"], ids[of_day])]
        part = {name: values[of_day] for name, values in decisions.items()}
        files += _write(archive, worker, segment, int(day), "decisions", part)
        files += _write(archive, worker, segment, int(day), "shadows", _plain(scores, names))
    for kind, rows in (("epochs", epochs), ("trips", trips)):
        files += _write(archive, worker, segment, first_ns // DAY_NS, kind, _plain(rows, names))
    return ArchivedSegment(
        worker=worker,
        segment=segment.path.name,
        first_index=segment.first_index,
        records=len(segment.records),
        sha256=sha256_of(segment.path),
        first_decision=int(ids[0]) if len(ids) else 0,
        last_decision=int(ids[-1]) if len(ids) else 0,
        first_event_ns=int(events.min()) if len(events) else 0,
        last_event_ns=int(events.max()) if len(events) else 0,
        rollouts=tuple(sorted({int(one) for one in epochs["rollout_id"] if one})),
        models=dict(names.models),
        instruments=dict(names.instruments),
        files=tuple(files),
    )


def _write(archive: Path, worker: str, segment: Segment, day: int, kind: str, columns: Columns) -> list[ArchivedFile]:
    rows = len(next(iter(columns.values())))
    if not rows:
        return []
    date = datetime.fromtimestamp(day * DAY_NS / 1e9, UTC).date().isoformat()
    name = f"{date}/{kind}-{worker}-{segment.path.stem}.parquet"
    digest = write_verified(archive / name, table_of(columns))
    return [ArchivedFile(path=name, kind=kind, rows=rows, sha256=digest)]


def _plain(rows: NDArray[Any], names: Names) -> Columns:
    """Return a record type's own fields, its model and codes in words."""
    own = [name for name in rows.dtype.names or () if name not in _HEADER and rows.dtype[name].kind != "V"]
    columns: Columns = {name: rows[name] for name in own}  # what only fills room is no column
    models = {**{int(one): f"model-{one}" for one in np.unique(rows["model"])}, **names.models}
    columns["model"] = np.array([models[int(one)] for one in rows["model"]], object)
    for name, kind in (("arm", Arm), ("abstain", AbstainReason)):
        if name in columns:
            columns[name] = words(columns[name], kind)
    return columns
