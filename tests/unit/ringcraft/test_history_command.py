import json
from pathlib import Path

from support.cli import ringcraft

from registry.changes import AliasChange
from registry.history import History

AT_NS = 1_800_000_000_000_000_000


def write(state: Path) -> None:
    history = History(state / "history.jsonl")
    first = AliasChange(model="tilt", alias="champion", before=None, after=1)
    history.record(first, wall_ns=AT_NS, seen="polled", gap=True)
    history.record_gap("tilt", from_ns=AT_NS + 10**9, to_ns=AT_NS + 5 * 10**9, why="MLflow did not answer")
    moved = AliasChange(model="tilt", alias="challenger", before=2, after=None)
    history.record(moved, wall_ns=AT_NS + 6 * 10**9, seen="made", why="taken off by hand: news", who="ana")
    history.close()


def test_history_is_told_for_people_and_for_programs(tmp_path: Path) -> None:
    (tmp_path / "ringcraft.toml").write_text('state_dir = "state"\n')
    write(tmp_path / "state")
    shown = ringcraft("history", "tilt", cwd=tmp_path)
    assert shown.returncode == 0
    for words in (
        "champion",
        "unknown (moved in MLflow)",
        "nobody looked until 2027-01-15 08:00:05.000",
        "ana",
        "news",
    ):
        assert words in shown.stdout
    told = json.loads(ringcraft("history", "tilt", "--json", "--last", "2", cwd=tmp_path).stdout)
    assert [(e["seen"], e["alias"], e["from"], e["to"], e["who"]) for e in told["entries"]] == [
        ("gap", "", None, None, None),
        ("made", "challenger", 2, None, "ana"),
    ]
    assert told["entries"][0]["since_ns"] == AT_NS + 10**9


def test_an_unknown_model_has_none(tmp_path: Path) -> None:
    shown = ringcraft("history", "nobody", cwd=tmp_path)
    assert shown.returncode == 1
    assert "nothing is known" in shown.stdout
