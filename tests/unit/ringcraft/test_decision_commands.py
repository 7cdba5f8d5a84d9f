"""ringcraft decisions, pnl and compact on a journal in several segments, as a person and as a program ask."""

import csv
import io
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from support.cli import ringcraft
from support.journals import SyntheticWorker, equal
from support.segments import spell_instrument, write_segments

from data_contracts.outcome import PostedOutcome
from serving.outcomes.intake import Intake
from serving.outcomes.sql_store import SqlOutcomeStore, outcome_url
from serving.outcomes.taken import TakenLog


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "ringcraft.toml").write_text('state_dir = "state"\n')
    worker = SyntheticWorker(equal)
    spell_instrument(worker.writer, 0, "X:A")
    worker.adopt(rollout_id=1, challenger=2, share_bps=5000, phase=2, step=1)
    worker.decide(300)
    folder = tmp_path / "state" / "journal" / "worker-0"
    write_segments(worker.writer, folder, 250)
    traded = next(n for n in range(290, 0, -1) if worker_action(folder, n))
    intake = Intake(SqlOutcomeStore(outcome_url("", tmp_path / "state")), TakenLog(folder), lambda: 300)
    intake.post([PostedOutcome(outcome_id="r", decision_id=traded, model="m", kind="realised", pnl_bps=4.5, time_ns=1)])
    intake.take(len(worker.writer.records))
    intake.stop()
    (tmp_path / "traded").write_text(str(traded))
    return tmp_path


def worker_action(folder: Path, decision: int) -> int:
    from serving.journal import read_journal

    rows = read_journal(folder).decisions
    return int(rows["action"][rows["decision_id"] == decision][0])


def test_decisions_are_told_in_every_form_with_what_was_posted(home: Path) -> None:
    traded = int((home / "traded").read_text())
    told = json.loads(ringcraft("decisions", "--limit", "0", "--json", cwd=home).stdout)["decisions"]
    assert [row["decision_id"] for row in told] == list(range(300, 0, -1))
    assert {row["decision_id"]: row["realised_bps"] for row in told if row["realised_bps"] is not None} == {traded: 4.5}
    rows = list(
        csv.DictReader(
            io.StringIO(ringcraft("decisions", "--version", "2", "--door", "feed", "--csv", cwd=home).stdout)
        )
    )
    assert len(rows) == 20
    assert {row["arm"] for row in rows} == {"challenger"}
    of_nobody = ringcraft("decisions", "--key", "order-7", "--json", cwd=home)
    assert json.loads(of_nobody.stdout)["decisions"] == []
    shown = ringcraft("decisions", "--limit", "0", cwd=home)
    assert shown.returncode == 0
    assert "+4.500" in shown.stdout
    wrote = ringcraft("decisions", "--limit", "0", "--parquet", "out.parquet", cwd=home)
    assert "wrote 300 decisions" in wrote.stdout
    assert pq.read_table(home / "out.parquet")["decision_id"].to_pylist() == list(range(300, 0, -1))


def test_compacted_and_not_the_answer_is_one(home: Path) -> None:
    before = ringcraft("decisions", "--limit", "0", "--json", cwd=home).stdout
    done = json.loads(ringcraft("compact", "--json", cwd=home).stdout)
    assert [line["segment"] for line in done["archived"]][:2] == ["00000001.rcj", "00000002.rcj"]
    assert done["removed"] == []
    assert ringcraft("decisions", "--limit", "0", "--json", cwd=home).stdout == before
    assert "nothing to do" in ringcraft("compact", cwd=home).stdout


def test_pnl_is_told_of_the_tier_and_of_a_journal(home: Path) -> None:
    told = json.loads(ringcraft("pnl", "--json", "--by", "version", cwd=home).stdout)
    assert [row["version"] for row in told["rows"]] == [1, 2]
    assert sum(row["sums"]["decisions"] for row in told["rows"]) == 300
    assert sum(row["sums"]["realised_bps"] for row in told["rows"]) == 4.5
    assert told["outcomes"]["matched"] == 1
    assert json.loads(ringcraft("pnl", "state/journal", "--json", "--by", "version", cwd=home).stdout) == told
    shown = ringcraft("pnl", "--by", "hour,instrument", cwd=home)
    assert "X:A" in shown.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("decisions", "--from", "yesterday"), "--from: expected a time like 2026-11-22T09:30:00, got 'yesterday'"),
        (("pnl", "--by", "day"), "by: expected some of model, version, arm, instrument, hour, got 'day'"),
        (("pnl", "nowhere"), "nowhere: expected a journal folder or segment, found no such path"),
        (("decisions", "--parquet", "no/such/out.parquet"), "--parquet: no/such: expected a folder, found none"),
    ],
)
def test_what_cannot_be_is_one_line(home: Path, arguments: tuple[str, ...], said: str) -> None:
    result = ringcraft(*arguments, cwd=home)
    assert result.returncode in (2, 3)
    assert said in result.stderr
    assert "Traceback" not in result.stderr
