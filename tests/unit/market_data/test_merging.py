"""Many recordings as one stream: by time, the same bytes whatever the order, the threads and the cores."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from data_contracts.errors import UsageError
from market_data.merging import digest, merged, read_many
from market_data.replay import book_table

MAP = """
[instrument]
symbol = "VENUE:{}"
tick_size = "0.01"
lot_size = "1"
currency = "EUR"
[time]
columns = "time"
[columns]
bid = "bid"
ask = "ask"
bid_size = "size"
ask_size = "size"
symbol = "symbol"
"""


def write(folder: Path, name: str, rows: list[str]) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "columns.toml").write_text(MAP)
    path = folder / name
    path.write_text("\n".join(["symbol,time,bid,ask,size", *rows]) + "\n")
    return path


def two(folder: Path) -> tuple[Path, Path]:
    first = write(folder, "a.csv", [f"{'XY'[i % 2]},{i // 2 * 10},1.0{i % 9},1.2,{i}" for i in range(200)])
    second = write(folder, "b.csv", [f"Z,{i * 7},2.0{i % 8},2.2,{i + 1}" for i in range(150)])
    return first, second


def test_sources_are_merged_by_time_whatever_their_order(tmp_path: Path) -> None:
    first, second = two(tmp_path)
    found = read_many([first, second], instruments=("all",))
    instruments, events = merged(found)
    assert [each.symbol for each in instruments] == ["VENUE:X", "VENUE:Y", "VENUE:Z"]
    assert len(events) == 350
    assert np.all(np.diff(events["event_ns"]) >= 0)
    assert events["instrument"][:3].tolist() == [0, 1, 2]  # of one time: by symbol
    assert digest(found) == digest(read_many([second, first], instruments=("Z", "VENUE:Y", "X")))
    assert digest(found) != digest(found[:2])


def test_instrument_that_is_named_twice_is_read_once(tmp_path: Path) -> None:
    first, _ = two(tmp_path)
    once = digest(read_many([first], instruments=("X",)))
    assert digest(read_many([first], instruments=("X", "VENUE:X", "X"))) == once
    assert digest(read_many([first], instruments=("all", "X"))) == digest(read_many([first], instruments=("X", "Y")))


def test_book_of_several_names_each_rows_instrument(tmp_path: Path) -> None:
    found = read_many(two(tmp_path), instruments=("all",))
    table = book_table(found)
    assert table.column_names[-1] == "instrument"
    assert json.loads(table.schema.metadata[b"tick_size"]) == {f"VENUE:{each}": "0.01" for each in "XYZ"}
    assert np.all(np.diff(table["event_ns"].to_numpy()) >= 0)
    alone = book_table(found[2:])
    mine = table.filter(np.array(table["instrument"].to_pylist()) == "VENUE:Z")
    assert mine.select(alone.column_names).equals(alone)
    states = book_table(found, np.array([500, 0]))
    assert states["at_ns"].to_pylist() == [0, 0, 0, 500, 500, 500]
    assert states["event_ns"].to_pylist() == [0, 0, 0, 500, 500, 497]


def test_which_instruments_are_meant_must_be_clear(tmp_path: Path) -> None:
    first, second = two(tmp_path)
    with pytest.raises(UsageError, match="expected one of VENUE:X, VENUE:Y; none was named"):
        read_many([first, second])
    with pytest.raises(UsageError, match="no source holds W"):
        read_many([first, second], instruments=("X", "Z", "W"))
    with pytest.raises(UsageError, match="expected one of VENUE:Z; got 'X'"):
        read_many([first, second], instruments=("X",))
    with pytest.raises(UsageError, match="both hold VENUE:Z at the same time"):
        read_many([second, second])


def replay(folder: Path, name: str, *sources: Path, threads: int, core: str) -> tuple[dict[str, object], bytes]:
    out = folder / name
    command = [sys.executable, "-m", "ringcraft.cli", "replay", *map(str, sources), "--instrument", "all"]
    done = subprocess.run(
        ["taskset", "-c", core, *command, "--book", str(out), "--json"],
        check=True,
        capture_output=True,
        env={**os.environ, "POLARS_MAX_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)},
    )
    answer: dict[str, object] = json.loads(done.stdout)
    answer.pop("events_per_second")
    return answer, out.read_bytes()


def test_same_bytes_come_out_whatever_the_number_of_cores(tmp_path: Path) -> None:
    first, second = two(tmp_path / "in")
    cores = sorted(os.sched_getaffinity(0))
    one = replay(tmp_path, "one.parquet", first, second, threads=1, core=str(cores[0]))
    many = replay(tmp_path, "many.parquet", second, first, threads=4, core=",".join(map(str, cores)))
    assert one == many
    assert len(str(one[0]["digest"])) == 64
    assert pq.read_table(tmp_path / "one.parquet").num_rows > 300


def test_files_of_one_folder_that_hold_the_same_time_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "a.csv", ["X,1,1,2,1", "X,5,1,2,1"])
    write(tmp_path, "b.csv", ["X,5,1,2,1", "X,9,1,2,1"])
    assert [len(each) for each in read_many([tmp_path])] == [2, 2]
    write(tmp_path, "c.csv", ["X,3,1,2,1", "X,4,1,2,1"])
    with pytest.raises(UsageError, match=r"a\.csv and .*c\.csv: both hold VENUE:X at the same time: name one"):
        read_many([tmp_path])
