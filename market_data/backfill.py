"""A feature set over a whole archive of recordings, made once and kept beside it.

OUT/set=depth_v1/day=2021-01-04/instrument=CFFEX%3AIF2101/FIRST_NS-FINGERPRINT.parquet has the name of the recording
it was made of, and in its metadata the set's hash. A file gets its name only once it is whole, so that whatever has
one need not be made again unless the set has changed since.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from msgspec import Struct

from data_contracts.errors import MissingDependencyError, UsageError
from data_contracts.feature_set import FeatureSet
from data_contracts.recording import Recording
from market_data.feature_sets import complete, needs_depth
from market_data.reading import read_recordings
from market_data.replay import features_table
from market_data.stores.parquet_archive import files_of, read_files, symbol_of, symbols_in

_HASH_KEY: Final = b"feature_hash"
_LEADER_BEFORE_NS: Final = 3_600_000_000_000
"""Of the leader's events before a recording begins: more than its longest half-life and its warm-up take."""


class Backfilled(Struct, frozen=True, kw_only=True):
    """What became of one recording of the archive."""

    path: str
    """Below OUT."""
    events: int
    """0 where it was there already."""
    made: bool


def backfill(
    archive: Path,
    features: FeatureSet,
    out: Path,
    *,
    instrument: str | None = None,
    leader: Path | None = None,
    on_file: Callable[[Backfilled], None] = lambda _: None,
) -> list[Backfilled]:
    """Compute the set for every recording of the archive that has no file of its hash yet; return all of them.

    Ended at any moment, it goes on where it was when it is run again. Files whose recording the archive no longer
    holds go.

    Args:
        archive: of recordings by day and instrument, or a part of one.
        features: the set, fitted where it has something to fit.
        out: folder of the features.
        instrument: only this one; None: all but the set's leader.
        leader: archive or other source of the set's leader; None: the same archive.
        on_file: told of each.

    Raises:
        UsageError: no archive there, or a set that needs what a recording does not give.
        FormatError: a file of the archive is damaged.
    """
    import pyarrow.parquet as pq

    complete(features)
    root = out / f"set={features.title.replace(':', '%3A')}"
    done = []
    for path in _wanted(archive, features, instrument):
        place = root / path.parent.parent.name / path.parent.name / path.name
        events = 0
        if hash_of(place) != features.hash:
            (recording,) = read_files([path], depth=needs_depth(features))
            events = len(recording)
            table = features_table([recording], features, _leader(archive, leader, features, recording))
            place.parent.mkdir(parents=True, exist_ok=True)
            part = place.with_name(f".{place.name}.part")
            pq.write_table(table, part)
            part.replace(place)
        done.append(Backfilled(path=str(place.relative_to(out)), events=events, made=events > 0))
        on_file(done[-1])
        _drop_orphans(place.parent, path.parent)
    return done


def hash_of(path: Path) -> str | None:
    """Return the hash of the set that a file of features holds; None where there is no such file.

    Raises:
        MissingDependencyError: pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise MissingDependencyError("features need pyarrow: pip install 'ringcraft[training]'") from None
    try:
        said: dict[bytes, bytes] = pq.read_schema(path).metadata or {}
    except (FileNotFoundError, pa.ArrowInvalid):  # what is damaged is made again
        return None
    return said.get(_HASH_KEY, b"").decode()


def _wanted(archive: Path, features: FeatureSet, instrument: str | None) -> Iterator[Path]:
    symbols = symbols_in(archive) if archive.exists() else []
    if not symbols:
        raise UsageError(f"{archive}: expected an archive of recordings, found none: ringcraft ingest makes it")
    if instrument is not None and instrument not in symbols:
        raise UsageError(f"{archive}: expected one of {', '.join(symbols)}, got {instrument}")
    for path in files_of(archive, instrument):
        if instrument is not None or symbol_of(path) != features.leader:
            yield path


def _leader(archive: Path, source: Path | None, features: FeatureSet, recording: Recording) -> tuple[Recording, ...]:
    if not features.leader:
        return ()
    if source is not None and not symbols_in(source):
        return read_recordings(source, instrument=features.leader)
    first_ns, last_ns = (int(recording.events["event_ns"][place]) for place in (0, -1))
    found = read_files(files_of(source or archive, features.leader), first_ns - _LEADER_BEFORE_NS, last_ns)
    if not found:
        where = f"{source or archive}: {features.leader}"
        raise UsageError(f"{where}: expected events beside those of {recording.source}, got none")
    return found


def _drop_orphans(made: Path, kept: Path) -> None:
    """Remove features of recordings that another one has taken the place of."""
    for path in made.glob("*.parquet"):
        if not (kept / path.name).exists():
            path.unlink()
