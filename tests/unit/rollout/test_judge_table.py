"""A table of decisions is judged as the journal that it was taken from."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.cli import ringcraft
from support.journals import HORIZON_NS, Answer, SyntheticWorker, World, equal, harmful, slow

from data_contracts.errors import FormatError
from data_contracts.journal import AbstainReason, Phase
from data_contracts.policy import HardLimits, Policy, Rollout, Step
from serving.decision_table import COLUMNS, OPTIONAL, TableRow, read_decision_table
from serving.judge import verdicts
from serving.judge_table import LOSS, TableVerdict, judge_table
from serving.rollout.fold import JournalFold
from serving.rollout.records import DecisionRow, MarkoutRow, ShadowRow, rows
from serving.rollout.rollout_fold import FAILURES, pnl_of

ENDLESS = Policy(
    rollout=Rollout(steps=(Step(share=0.0, min_decisions=10**9),), max_decisions=10**9),
    limits=HardLimits(loss_budget_bps=1e12),
)


def failing(random: np.random.Generator, id_: int) -> World:
    """The challenger fails now and then, and its score is dropped now and then."""
    world = equal(random, id_)
    if random.random() < 0.01:
        world.challenger = Answer(abstain=int(AbstainReason.MODEL_FAILED))
    world.challenger.dropped = bool(random.random() < 0.1)
    return world


def exported(journal: bytes) -> list[dict[str, Any]]:
    """The journal's decisions as rows of a table."""
    table: dict[int, dict[str, Any]] = {}
    decisions: dict[int, DecisionRow] = {}
    shadows: dict[int, ShadowRow] = {}
    for row in rows(journal):
        if isinstance(row, DecisionRow):
            decisions[row.decision_id] = row
            cells = dict.fromkeys(COLUMNS + OPTIONAL)
            arm = "challenger" if row.arm else "champion"
            table[row.decision_id] = cells | {"decision_ns": row.event_ns, "arm": arm, "share": row.share_bps / 10_000}
            answer = (row.answer_ns - row.receive_ns, row.abstain in FAILURES)
            table[row.decision_id] |= {f"latency_{arm}_ns": answer[0], f"failed_{arm}": answer[1]}
        elif isinstance(row, ShadowRow):
            shadows[row.decision_id] = row
            if not row.dropped:
                arm = "challenger" if row.arm else "champion"
                answer = (row.latency_ns, row.abstain in FAILURES)
                table[row.decision_id] |= {f"latency_{arm}_ns": answer[0], f"failed_{arm}": answer[1]}
        elif isinstance(row, MarkoutRow):
            decision, shadow = decisions[row.decision_id], shadows[row.decision_id]
            papers = {decision.arm: pnl_of(decision.action, row)}
            if not shadow.dropped:
                papers[shadow.arm] = pnl_of(shadow.action, row)
            earned = {"pnl_champion_bps": papers.get(0), "pnl_challenger_bps": papers.get(1)}
            table[row.decision_id] |= {"resolved_ns": row.resolved_event_ns, **earned}
    return list(table.values())


def written(table: list[dict[str, Any]], path: Path) -> Path:
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(table), path)
        return path
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(table[0]))
        writer.writeheader()
        writer.writerows(table)
    return path


def judged(table: list[dict[str, Any]], path: Path, policy: Policy = ENDLESS) -> TableVerdict:
    return judge_table(read_decision_table(written(table, path)), policy)


def both_verdicts(worker: SyntheticWorker, path: Path) -> tuple[tuple[str, int | None], tuple[str, int | None]]:
    """The guardrail and the decision that end it: by the journal, and by the table of it."""
    fold = JournalFold(ENDLESS)
    fold.consume(worker.writer.bytes())
    (verdict,) = verdicts(fold)
    first = judged(exported(worker.writer.bytes()), path).first
    return (verdict.guardrail, verdict.decision), (first.name, first.row) if first else ("", None)


@settings(max_examples=8, deadline=None)
@given(
    draw=st.sampled_from([harmful, slow, failing, equal]),
    seed=st.integers(0, 10_000),
    shadow=st.integers(0, 800),
    share_bps=st.sampled_from([1000, 5000, 9000]),
    suffix=st.sampled_from([".csv", ".parquet"]),
)
def test_journal_and_the_table_of_it_have_one_verdict_at_one_decision(
    tmp_path_factory: pytest.TempPathFactory, draw: Any, seed: int, shadow: int, share_bps: int, suffix: str
) -> None:
    worker = SyntheticWorker(draw, seed=seed)
    worker.adopt(rollout_id=1, champion=1, challenger=2, phase=Phase.SHADOW)
    worker.decide(shadow)
    worker.adopt(rollout_id=1, champion=1, challenger=2, share_bps=share_bps, phase=Phase.AB, step=1)
    worker.decide(1200 - shadow)
    worker.finish()
    journal, table = both_verdicts(worker, tmp_path_factory.mktemp("table") / f"t{suffix}")
    assert journal == table


@pytest.mark.parametrize(("draw", "guardrail"), [(harmful, "pnl"), (slow, "latency"), (failing, "errors")])
def test_journal_and_the_table_of_it_take_off_a_bad_version_at_one_decision(
    tmp_path: Path, draw: Any, guardrail: str
) -> None:
    worker = SyntheticWorker(draw, seed=3)
    worker.adopt(rollout_id=1, champion=1, challenger=2, phase=Phase.SHADOW)
    worker.decide(2500)
    worker.finish()
    journal, table = both_verdicts(worker, tmp_path / "t.csv")
    assert journal == table
    assert journal[0] == guardrail


def decided(count: int, *, loss: float = 0.0, share: float = 0.0, seed: int = 1, **cells: Any) -> list[dict[str, Any]]:
    """Rows of versions whose PnL is noise; the challenger loses `loss` more."""
    g = np.random.default_rng(seed)
    table = []
    for i in range(count):
        champion, challenger = g.standard_normal(2).tolist()
        arm = "challenger" if g.random() < share else "champion"
        row = {"decision_ns": i * 10**9, "resolved_ns": i * 10**9 + HORIZON_NS, "key": f"k{i % 7}", "arm": arm}
        row |= {"share": share, "latency_ns": 1000, "failed": False}
        row |= {"pnl_champion_bps": champion, "pnl_challenger_bps": challenger - loss}
        table.append(row | cells)
    return table


def named(verdict: TableVerdict) -> dict[str, int | None]:
    return {guardrail.name: guardrail.row for guardrail in verdict.guardrails}


def test_each_guardrail_has_a_verdict_of_its_own(tmp_path: Path) -> None:
    table = decided(4000, loss=0.5)
    for row in table[1000:]:
        row["latency_ns"] = 10**9 if row["decision_ns"] // 10**9 % 5 == 0 else 1000
    found = named(judged(table, tmp_path / "t.csv"))
    assert found["pnl"] is not None
    assert 1000 < (found["latency"] or 0) < 1100
    assert found["errors"] is found[LOSS] is None


def test_only_the_challengers_own_answers_count_in_ab(tmp_path: Path) -> None:
    table = decided(3000, share=0.5)
    for row in table:
        row["failed"] = row["arm"] == "champion"
    assert named(judged(table, tmp_path / "a.csv"))["errors"] is None
    for row in table:
        row["failed"] = row["arm"] == "challenger"
    assert named(judged(table, tmp_path / "b.csv"))["errors"] is not None


def test_one_pnl_a_row_is_enough_in_ab(tmp_path: Path) -> None:
    table = decided(3000, loss=0.5, share=0.5)
    for row in table:
        row["pnl_champion_bps" if row["arm"] == "challenger" else "pnl_challenger_bps"] = None
    assert named(judged(table, tmp_path / "t.csv"))["pnl"] is not None
    equal_table = decided(3000, share=0.5)
    for row in equal_table:
        row["pnl_champion_bps" if row["arm"] == "challenger" else "pnl_challenger_bps"] = None
    assert named(judged(equal_table, tmp_path / "e.csv"))["pnl"] is None


def test_losses_beyond_the_budget_trip_on_the_row_that_passes_it(tmp_path: Path) -> None:
    policy = Policy(limits=HardLimits(loss_budget_bps=10.0))
    table = decided(30, share=0.5, arm="challenger", pnl_challenger_bps=-3.0)
    assert named(judged(table, tmp_path / "t.csv", policy))[LOSS] == 4


def test_row_without_an_outcome_says_nothing_about_pnl(tmp_path: Path) -> None:
    table = decided(2000)
    gone = dict.fromkeys(("resolved_ns", "pnl_champion_bps", "pnl_challenger_bps"))
    assert judged([row | gone for row in table], tmp_path / "t.csv").folded == 0
    kept = [row | gone if i % 2 else row for i, row in enumerate(table)]
    assert judged(kept, tmp_path / "k.csv").folded == 1000


def test_overlap_is_read_off_the_times(tmp_path: Path) -> None:
    table = decided(1000)
    for row in table:
        row["resolved_ns"] = row["decision_ns"] + 30 * 10**9
    assert judged(table, tmp_path / "t.csv").overlap == 30


def test_sticky_keys_with_one_pnl_are_pointed_out(tmp_path: Path) -> None:
    table = decided(600, share=0.5)
    for row in table:
        row["arm"] = "challenger" if row["key"] in ("k1", "k3") else "champion"
        row["pnl_champion_bps" if row["arm"] == "challenger" else "pnl_challenger_bps"] = None
    assert any("no key ever changed its arm" in note for note in judged(table, tmp_path / "t.csv").notes)


def stuck_to_keys(seed: int, *, key: bool, epoch: int) -> list[TableRow]:
    """Equal versions on four keys that differ by 1 sd; arms are drawn by key anew every `epoch` decisions."""
    g = np.random.default_rng([5, seed])
    level, rows_ = g.standard_normal(4), []
    for i in range(5_000):
        if i % epoch == 0:
            arms = g.permutation([False, False, True, True])
        k = int(g.integers(4))
        earned = float(level[k] + g.standard_normal())
        money = {"champion_bps": None, "challenger_bps": earned} if arms[k] else {"champion_bps": earned}
        rows_.append(
            TableRow(
                row=i + 1,
                decision_ns=i,
                resolved_ns=i,
                key=f"k{k}" if key else "",
                by_challenger=bool(arms[k]),
                share=0.5,
                champion=None,
                challenger=None,
                both_asked=False,
                **({"challenger_bps": None} | money),
            )
        )
    return rows_


def test_arms_that_stick_to_unequal_keys_seldom_take_a_version_off_where_the_keys_are_told() -> None:
    def taken(**how: Any) -> int:
        return sum(judge_table(stuck_to_keys(seed, **how), ENDLESS).first is not None for seed in range(10))

    assert taken(key=False, epoch=10**9) >= 4
    assert taken(key=True, epoch=10**9) <= 1
    assert taken(key=True, epoch=500) == 0


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("decision_ns", "soon", "row 3, column decision_ns: expected whole nanoseconds, got soon"),
        ("decision_ns", "", "row 3, column decision_ns: expected whole nanoseconds, got nothing"),
        ("decision_ns", "5", "row 3, column decision_ns: expected 1000000000 or later"),
        ("resolved_ns", "7", "row 3, column resolved_ns: expected 2000000000 (decision_ns) or later, got 7"),
        ("arm", "red", "row 3, column arm: expected champion, challenger, or nothing in shadow, got red"),
        ("arm", "", "row 3, column arm: expected champion, challenger, or nothing in shadow, got nothing"),
        ("share", "10", "row 3, column share: expected a share from 0 to 1, or nothing in shadow, got 10"),
        ("latency_ns", "-1", "row 3, column latency_ns: expected whole nanoseconds from 0, or nothing, got -1"),
        ("latency_ns", "1.5", "row 3, column latency_ns: expected whole nanoseconds from 0, or nothing, got 1.5"),
        ("failed", "maybe", "row 3, column failed: expected true, false, 1, 0, or nothing, got maybe"),
        ("pnl_champion_bps", "nan", "row 3, column pnl_champion_bps: expected a finite number of bps"),
        ("pnl_challenger_bps", "x", "row 3, column pnl_challenger_bps: expected a finite number of bps"),
    ],
)
def test_wrong_cell_is_named(tmp_path: Path, column: str, value: str, message: str) -> None:
    table = decided(5, share=0.5)
    table[2][column] = value
    with pytest.raises(FormatError) as error:
        list(read_decision_table(written(table, tmp_path / "t.csv")))
    assert message in str(error.value)


def test_missing_column_is_named(tmp_path: Path) -> None:
    table = [{name: cell for name, cell in row.items() if name != "share"} for row in decided(2)]
    for suffix in (".csv", ".parquet"):
        with pytest.raises(FormatError, match="column share: expected one of that name, got decision_ns"):
            list(read_decision_table(written(table, tmp_path / f"t{suffix}")))


def test_file_that_is_neither_is_refused(tmp_path: Path) -> None:
    for name in ("t.csv", "t.parquet"):
        (tmp_path / name).write_bytes(b"\x00\xff\xfe\x93not a table")
        with pytest.raises(FormatError):
            list(read_decision_table(tmp_path / name))


def test_timestamps_of_parquet_are_nanoseconds_too(tmp_path: Path) -> None:
    table = pa.Table.from_pylist(decided(5))
    for column in ("decision_ns", "resolved_ns"):
        stamps = table.column(column).cast(pa.timestamp("ns", "UTC")).cast(pa.timestamp("us", "UTC"))
        table = table.set_column(table.schema.get_field_index(column), column, stamps)
    pq.write_table(table, tmp_path / "t.parquet")
    assert [row.decision_ns for row in read_decision_table(tmp_path / "t.parquet")] == [i * 10**9 for i in range(5)]


def test_command_says_which_row_and_exits_with_one(tmp_path: Path) -> None:
    path = written(decided(3000, loss=0.5), tmp_path / "t.csv")
    done = ringcraft("judge", path, "--json")
    assert done.returncode == 1, done.stderr
    document = json.loads(done.stdout)
    (pnl,) = (g for g in document["guardrails"] if g["name"] == "pnl")
    assert document["verdict"] == "rolled_back"
    assert pnl["tripped"]
    assert pnl["decision_ns"] == (pnl["row"] - 1) * 10**9
    shown = ringcraft("judge", path)
    assert shown.returncode == 1
    assert str(pnl["row"]) in shown.stdout


def test_command_keeps_an_equal_version_and_refuses_a_bad_cell_in_one_line(tmp_path: Path) -> None:
    table = decided(1500)
    assert ringcraft("judge", written(table, tmp_path / "t.csv"), "--json").returncode == 0
    table[7]["share"] = "half"
    done = ringcraft("judge", written(table, tmp_path / "bad.csv"))
    assert done.returncode == 2
    assert "row 8, column share" in done.stderr
    assert len(done.stderr.splitlines()) == 1
