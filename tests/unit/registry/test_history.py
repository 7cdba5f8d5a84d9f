import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_contracts.errors import RegistryError
from registry.changes import AliasChange
from registry.history import History, read_history


def move(history: History, wall_ns: int, before: int | None, after: int | None, alias: str = "champion") -> None:
    change = AliasChange(model="tilt", alias=alias, before=before, after=after)
    history.record(change, wall_ns=wall_ns, seen="polled", why="", gap=False)


def test_entry_is_one_line_of_json_with_every_field(tmp_path: Path) -> None:
    history = History(tmp_path / "state" / "history.jsonl")
    change = AliasChange(model="tilt", alias="champion", before=None, after=1)
    history.record(change, wall_ns=5, seen="made", why="first champion", who="ana", gap=True)
    assert json.loads((tmp_path / "state" / "history.jsonl").read_text()) == {
        "wall_ns": 5,
        "model": "tilt",
        "alias": "champion",
        "from": None,
        "to": 1,
        "why": "first champion",
        "who": "ana",
        "seen": "made",
        "gap": True,
        "since_ns": None,
    }


def test_reopened_history_holds_what_was_appended(tmp_path: Path) -> None:
    history = History(tmp_path / "h.jsonl")
    move(history, 1, None, 1)
    move(history, 2, 1, 2)
    history.close()
    again = History(tmp_path / "h.jsonl")
    assert again.entries == history.entries
    assert again.cut_bytes == 0


@given(cut=st.integers(1, 60))
def test_last_line_cut_by_a_crash_is_dropped_and_reported(cut: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "h.jsonl"
        history = History(path)
        move(history, 1, None, 1)
        kept = path.stat().st_size
        move(history, 2, 1, 2)
        history.close()
        whole = path.read_bytes()
        path.write_bytes(whole[:-cut])
        again = History(path)
        assert [entry.wall_ns for entry in again.entries] == [1]
        assert again.cut_bytes == len(whole) - cut - kept
        move(again, 3, 1, 3)
        again.close()
        assert [entry.wall_ns for entry in History(path).entries] == [1, 3]


def test_broken_line_in_the_middle_is_refused_by_number(tmp_path: Path) -> None:
    path = tmp_path / "h.jsonl"
    history = History(path)
    move(history, 1, None, 1)
    path.write_bytes(path.read_bytes() + b'{"wall_ns": "noon"}\n')
    with pytest.raises(RegistryError, match="line 2"):
        History(path)


def test_between_takes_its_start_and_not_its_end(tmp_path: Path) -> None:
    history = History(tmp_path / "h.jsonl")
    for wall_ns in (1, 2, 3):
        move(history, wall_ns, wall_ns - 1 or None, wall_ns)
    assert [entry.wall_ns for entry in history.between(2, 3)] == [2]
    assert history.between(0, 9, model="other") == []
    assert len(history.between(0, 9, model="tilt")) == 3


def test_rollback_target_is_the_champion_last_replaced(tmp_path: Path) -> None:
    history = History(tmp_path / "h.jsonl")
    move(history, 1, None, 1)
    move(history, 2, 1, 3)
    move(history, 3, 3, 2)
    move(history, 4, None, 3, alias="challenger")
    move(history, 5, 2, 3)
    assert history.last_champion_before("tilt", 3) == 2
    assert history.last_champion_before("tilt", 2) == 3
    assert history.last_champion_before("tilt", 1) is None
    assert history.last_champion_before("tilt", 9) is None
    assert history.last_champion_before("other", 3) is None


def test_alias_map_is_what_the_entries_leave(tmp_path: Path) -> None:
    history = History(tmp_path / "h.jsonl")
    move(history, 1, None, 1)
    move(history, 2, None, 2, alias="challenger")
    move(history, 3, 1, 2)
    move(history, 4, 2, None, alias="challenger")
    assert history.aliases("tilt") == {"champion": 2}


def test_a_gap_says_from_when_to_when_and_leaves_the_alias_map_alone(tmp_path: Path) -> None:
    history = History(tmp_path / "h.jsonl")
    move(history, 1, None, 1)
    history.record_gap("tilt", from_ns=2, to_ns=9, why="MLflow did not answer")
    gap = History(tmp_path / "h.jsonl").entries[-1]
    assert (gap.seen, gap.since_ns, gap.wall_ns, gap.alias, gap.why) == ("gap", 2, 9, "", "MLflow did not answer")
    assert history.aliases("tilt") == {"champion": 1}


def test_history_can_be_read_while_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "h.jsonl"
    assert read_history(path) == []
    history = History(path)
    move(history, 1, None, 1)
    path.write_bytes(path.read_bytes() + b'{"wall_ns": 2, "mod')
    assert read_history(path) == list(history.entries)
    assert path.read_bytes().endswith(b'"mod')
