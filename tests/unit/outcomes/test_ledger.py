"""The ledger follows the fold, survives restarts, and says what the journal and its outcomes say offline."""

from pathlib import Path

import pytest
from support.journals import SyntheticWorker, equal

from data_contracts.outcome import PostedOutcome
from data_contracts.policy import Reconciliation
from serving.outcomes import ledger as ledger_module
from serving.outcomes.cells import BY, table_by
from serving.outcomes.intake import Intake
from serving.outcomes.ledger import FILE, Ledger, book_of, current_book
from serving.outcomes.sql_store import SqlOutcomeStore, outcome_url
from serving.outcomes.taken import TakenLog

POLICY = Reconciliation(min_outcomes=40)


def outcome(decision: int) -> PostedOutcome:
    return PostedOutcome(
        outcome_id=f"r-{decision}", decision_id=decision, model="m", kind="realised", pnl_bps=decision / 7, time_ns=1
    )


class Bench:
    """A worker that writes a journal, an intake, and a ledger that may be made anew at any time."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir, self.folder = state_dir, state_dir / "journal" / "worker-0"
        self.worker = SyntheticWorker(equal)
        self.worker.adopt()
        self.intake = Intake(SqlOutcomeStore(outcome_url("", state_dir)), TakenLog(self.folder), lambda: 10**9)
        self.ledger = Ledger(state_dir, "worker-0", POLICY)

    def step(self, decisions: int, posted: list[int]) -> None:
        self.worker.decide(decisions)
        self.worker.writer.append_to(self.folder)
        if posted:
            self.intake.post([outcome(number) for number in posted])
        records = len(self.worker.writer.records)
        self.ledger.add(self.intake.take(records))
        self.ledger.turn(records)
        self.ledger.save_if_due()


@pytest.mark.parametrize("kill", ["after a save", "before any save", "with a damaged file"])
def test_after_any_restart_it_says_what_it_would_have_said(kill: str, tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    for step in range(12):
        bench.step(20, list(range(step * 15 + 1, step * 15 + 12)))
        if kill != "before any save" and step == 5:
            bench.ledger.save()
        if kill == "with a damaged file" and step == 8:
            (tmp_path / FILE).write_bytes(b"\x93no such thing")
        if step in (6, 9):
            bench.ledger = Ledger(tmp_path, "worker-0", POLICY)
            bench.ledger.turn(len(bench.worker.writer.records))
    offline, current = book_of(tmp_path / "journal", POLICY), current_book(tmp_path, POLICY)
    whole = table_by(offline.cells.items(), BY)
    assert whole == table_by(bench.ledger.book.cells.items(), BY) == table_by(current.cells.items(), BY)
    assert offline.counts() == bench.ledger.book.counts() == current.counts()
    assert offline.readings() == bench.ledger.book.readings() == current.readings()
    assert offline.counts()["matched"] > 20
    assert sum(row.sums.both for row in whole) > 20


def test_it_never_runs_ahead_of_the_fold(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.worker.decide(50)
    bench.worker.writer.append_to(bench.folder)
    bench.ledger.turn(30)
    assert bench.ledger.book.state.records == 30
    bench.ledger.turn(30)
    assert bench.ledger.book.state.records == 30


def test_it_is_saved_as_the_journal_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "SAVE_RECORDS", 100)
    bench = Bench(tmp_path)
    bench.step(20, [])
    assert not (tmp_path / FILE).exists()
    bench.step(60, [])
    assert (tmp_path / FILE).exists()
