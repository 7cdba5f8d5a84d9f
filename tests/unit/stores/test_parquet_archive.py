"""The archive of recordings: what only files in a folder do."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from support.events import DAY_NS, START_NS, recording

from data_contracts.errors import FormatError, UsageError
from market_data.reading import read_recordings
from market_data.stores.parquet_archive import ParquetArchive, files_of


def test_a_recording_comes_back_whole(tmp_path: Path) -> None:
    written = recording()
    assert ParquetArchive(tmp_path).write(written)
    (read,) = ParquetArchive(tmp_path).read(written.instrument.symbol)
    assert read.events.tobytes() == written.events.tobytes()
    assert (read.instrument, read.skipped, read.by_type, read.gaps) == (
        written.instrument, written.skipped, written.by_type, written.gaps)  # fmt: skip
    (file,) = files_of(tmp_path)
    assert file.parent.parent.name == "day=2023-11-14"
    metadata = pq.read_metadata(file).metadata
    assert (metadata[b"tick_size"], metadata[b"lot_size"]) == (b"0.01", b"100")


def test_the_archive_is_a_source_like_any_other_and_so_is_a_part_of_it(tmp_path: Path) -> None:
    days = [recording(50, seed=day, start_ns=START_NS + day * DAY_NS) for day in range(3)]
    other = recording(20, symbol="TEST:OTHER")
    for one in [*reversed(days), other]:
        ParquetArchive(tmp_path).write(one)
    read = read_recordings(tmp_path, instrument=days[0].instrument.symbol)
    assert [one.fingerprint for one in read] == [one.fingerprint for one in days]
    (second,) = read_recordings(tmp_path / "day=2023-11-15")
    assert second.fingerprint == days[1].fingerprint
    (file,) = read_recordings(files_of(tmp_path, "TEST:OTHER")[0])
    assert file.fingerprint == other.fingerprint
    with pytest.raises(UsageError, match="expected one of TEST:OTHER, TEST:ab c,d=e; none was named"):
        read_recordings(tmp_path)


def test_the_levels_come_back_where_they_are_asked_for(tmp_path: Path) -> None:
    written = recording(depth=True)
    archive = ParquetArchive(tmp_path)
    assert [archive.write(written), archive.write(recording(depth=True))] == [True, False]
    (deep,) = read_recordings(tmp_path, depth=True)
    assert deep.fingerprint == written.fingerprint
    assert np.array_equal(deep.depth, written.depth)
    (flat,) = read_recordings(tmp_path)
    assert flat.depth is None
    assert flat.events.tobytes() == written.events.tobytes()
    ParquetArchive(tmp_path / "flat").write(recording())
    assert read_recordings(tmp_path / "flat", depth=True)[0].depth is None


def test_ingesting_again_changes_nothing_and_other_events_of_the_same_time_are_refused(tmp_path: Path) -> None:
    archive = ParquetArchive(tmp_path)
    assert [archive.write(recording()), archive.write(recording())] == [True, False]
    with pytest.raises(UsageError, match="other events of that time"):
        archive.write(recording(seed=2))
    assert len(files_of(tmp_path)) == 1
    assert ParquetArchive(tmp_path, replace=True).write(recording(seed=2))
    (read,) = archive.read(recording().instrument.symbol)
    assert read.fingerprint == recording(seed=2).fingerprint


def test_overlaps_are_found_across_midnight_and_sessions_of_a_day_lie_side_by_side(tmp_path: Path) -> None:
    archive = ParquetArchive(tmp_path)
    midnight = START_NS // DAY_NS * DAY_NS + DAY_NS
    archive.write(recording(100, start_ns=midnight - 30_000))
    with pytest.raises(UsageError, match="overlaps"):
        archive.write(recording(100, seed=2, start_ns=midnight + 1_000))
    assert archive.write(recording(100, seed=2, start_ns=midnight + DAY_NS // 4))
    assert archive.write(recording(100, seed=3, start_ns=midnight + DAY_NS // 2))
    assert archive.days(recording().instrument.symbol) == ["2023-11-14", "2023-11-15"]


def test_polars_queries_it_by_day_and_instrument(tmp_path: Path) -> None:
    archive = ParquetArchive(tmp_path)
    days = [recording(50, seed=day, start_ns=START_NS + day * DAY_NS) for day in range(3)]
    for one in [*days, recording(20, symbol="TEST:OTHER")]:
        archive.write(one)
    rows = archive.scan().filter(pl.col("instrument") == "TEST:ab c,d=e", pl.col("day") == pl.date(2023, 11, 15))
    assert rows.collect()["bid_ticks"].to_list() == days[1].events["bid_ticks"].tolist()
    assert archive.scan().group_by("instrument").len().sort("instrument").collect()["len"].to_list() == [20, 150]
    with pytest.raises(UsageError, match="found none"):
        ParquetArchive(tmp_path / "nothing").scan()


def test_damage_is_found_and_named(tmp_path: Path) -> None:
    ParquetArchive(tmp_path).write(recording())
    (file,) = files_of(tmp_path)
    table = pq.read_table(file, partitioning=None)
    changed = table.set_column(3, "bid_ticks", pl.Series([1] * len(table)).to_arrow())
    pq.write_table(changed, file)
    with pytest.raises(FormatError, match="events: expected fingerprint"):
        read_recordings(tmp_path)
    pq.write_table(table.replace_schema_metadata({}), file)
    with pytest.raises(FormatError, match="metadata: expected a recording that this archive wrote"):
        read_recordings(tmp_path)
    file.write_bytes(b"PAR1 and so on")
    with pytest.raises(FormatError, match="file: expected a recording that this archive wrote"):
        read_recordings(tmp_path)


def test_a_kill_leaves_only_whole_recordings(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from support.events import recording, START_NS, DAY_NS;"
        "from market_data.stores.parquet_archive import ParquetArchive; store = ParquetArchive(Path(sys.argv[1]));"
        "[store.write(recording(5000, seed=n, start_ns=START_NS + n * DAY_NS)) for n in range(1000)]"
    )
    root = Path(__file__).resolve().parents[3]
    child = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], cwd=root, env={"PYTHONPATH": "tests:."})
    while len(files_of(tmp_path)) < 5:
        time.sleep(0.01)
        assert child.poll() is None
    child.kill()
    child.wait()
    days = len(files_of(tmp_path))
    read = ParquetArchive(tmp_path).read(recording().instrument.symbol)
    assert [len(one) for one in read] == [5_000] * days
    again = [recording(5_000, seed=n, start_ns=START_NS + n * DAY_NS) for n in range(days + 1)]
    assert [ParquetArchive(tmp_path).write(one) for one in again] == [False] * days + [True]
