"""PnL by model, version, arm, instrument and hour: sums against a plain loop, joins by their rules."""

from collections import defaultdict

import numpy as np
import pytest
from support.journals import JournalWriter

from data_contracts.errors import UsageError
from data_contracts.journal import RecordType
from data_contracts.outcome import PostedOutcome, StoredOutcome
from data_contracts.policy import Reconciliation
from serving.outcomes import cells, trades
from serving.outcomes.cells import BY, Key, columns_of, table_by
from serving.outcomes.pnl import HOUR_NS, PnlBook

HOUR = 472_222  # since 1970


def batch(writer: JournalWriter, start: int = 0, end: int | None = None) -> np.ndarray:
    return np.frombuffer(b"".join(writer.records[start:end]), np.uint8).reshape(-1, 128)


def instrument(writer: JournalWriter, index: int, name: str) -> None:
    writer.add(RecordType.NAME, kind=1, name_index=index)
    writer.records[-1] = writer.records[-1][:24] + name.encode().ljust(104, b"\0")


def decide(writer: JournalWriter, number: int, action: int, *, version: int = 1, arm: int = 0, index: int = 0,
           hour: int = HOUR) -> None:  # fmt: skip
    writer.add(RecordType.DECISION, decision_id=number, event_ns=hour * HOUR_NS + number, version=version, arm=arm,
               action=action, instrument=index)  # fmt: skip


def mark(writer: JournalWriter, number: int, buy: float, sell: float, **change: int) -> None:
    writer.add(RecordType.MARKOUT, decision_id=number, buy_pnl_bps=buy, sell_pnl_bps=sell, **change)


def stored(number: int, decision: int, kind: str = "realised", model: str = "m", **change: object) -> StoredOutcome:
    price = {"price": "1", "lots": 1, "side": "buy"} if kind == "fill" else {"pnl_bps": 1.0}
    whole = {"outcome_id": f"o-{number}", "decision_id": decision, "model": model, "kind": kind, "time_ns": 1}
    outcome = PostedOutcome(**{**whole, **price, **change})
    return StoredOutcome(sequence=number, position=0, wall_ns=1, status="accepted", outcome=outcome)


def random_journal(seed: int, count: int = 400) -> tuple[JournalWriter, list[dict]]:
    """A journal, and the same decisions as plain rows."""
    random, writer, rows = np.random.default_rng(seed), JournalWriter(), []
    instrument(writer, 0, "X:A")
    instrument(writer, 1, "X:B")
    for number in range(1, count + 1):
        row = {"number": number, "version": int(random.integers(1, 3)), "arm": int(random.integers(0, 2)),
               "index": int(random.integers(0, 2)), "hour": HOUR + number // 150,
               "action": int(random.integers(-1, 2)), "buy": float(random.normal()), "sell": float(random.normal()),
               "marked": random.random() < 0.9}  # fmt: skip
        decide(writer, number, row["action"], version=row["version"], arm=row["arm"], index=row["index"],
               hour=row["hour"])  # fmt: skip
        rows.append(row)
        for old in [one for one in rows if one["number"] == number - 5]:
            mark(writer, old["number"], old["buy"], old["sell"], status=0 if old["marked"] else 4)
            mark(writer, old["number"], 99.0, 99.0, horizon=1)
    return writer, rows


def test_the_table_is_what_a_plain_loop_adds_up() -> None:
    writer, rows = random_journal(1)
    book = PnlBook(Reconciliation())
    book.consume(batch(writer))
    expected: dict[Key, list[float]] = defaultdict(lambda: [0, 0, 0, 0.0])
    for row in rows:
        arm = "challenger" if row["arm"] else "champion"
        sums = expected[Key("m", row["version"], arm, f"X:{'AB'[row['index']]}", row["hour"] * HOUR_NS)]
        sums[0] += 1
        if row["action"]:
            sums[1] += 1
            if row["marked"] and row["number"] <= 395:
                sums[2] += 1
                sums[3] += row["buy"] if row["action"] > 0 else row["sell"]
    got = {key: [c.decisions, c.trades, c.paper, c.paper_bps] for key, c in book.cells.items()}
    assert got.keys() == expected.keys()
    for key, sums in expected.items():
        assert got[key] == pytest.approx(sums, abs=1e-9)


@pytest.mark.parametrize("step", [1, 7, 100])
def test_cuts_and_restarts_change_nothing(step: int) -> None:
    writer, rows = random_journal(2)
    outcomes = [stored(n, row["number"], pnl_bps=row["buy"]) for n, row in enumerate(rows) if n % 3 == 0]
    whole, cut = PnlBook(Reconciliation(min_outcomes=40)), PnlBook(Reconciliation(min_outcomes=40))
    whole.consume(batch(writer, 0, 500))
    for one in outcomes:
        whole.take(one)
    whole.consume(batch(writer, 500))
    for start in range(0, 500, step):
        cut.consume(batch(writer, start, min(start + step, 500)))
    for one in outcomes:
        cut.take(one)
    for start in range(500, len(writer.records), step):
        kept, cut = cut.save(), PnlBook(cut.policy)
        cut.load(kept)
        cut.consume(batch(writer, start, start + step))
    assert dict(cut.cells.items()) == dict(whole.cells.items())
    assert (cut.counts(), cut.readings()) == (whole.counts(), whole.readings())
    assert whole.counts()["matched"] > 50
    assert cut.state.records == len(writer.records)


def test_outcomes_are_joined_by_their_rules() -> None:
    writer = JournalWriter()
    instrument(writer, 0, "X:A")
    decide(writer, 1, 1)
    decide(writer, 2, 0)
    decide(writer, 3, -1)
    mark(writer, 1, 2.0, -3.0)
    book = PnlBook(Reconciliation())
    book.take(stored(1, 3, pnl_bps=4.0, pnl_usd=70.0))  # its decision comes later
    assert book.counts()["unknown"] == 1
    book.consume(batch(writer))
    book.take(stored(2, 1, pnl_bps=1.5))
    book.take(stored(3, 1, "fill"))
    book.take(stored(4, 2))
    book.take(stored(5, 3, "fill", model="other"))
    book.take(stored(6, 9))
    assert book.counts() == {"matched": 3, "late": 0, "not_acted": 1, "wrong_model": 1, "unknown": 1}
    ((_, cell),) = book.cells.items()
    assert (cell.paper, cell.paper_bps, cell.realised, cell.realised_bps) == (1, 2.0, 2, 5.5)
    assert (cell.both, cell.both_paper_bps, cell.both_realised_bps) == (1, 2.0, 1.5)
    assert (cell.in_usd, cell.realised_usd, cell.fills) == (1, 70.0, 1)
    writer_size = len(writer.records)
    mark(writer, 3, 8.0, 5.0)
    book.consume(batch(writer, writer_size))
    assert (cell.both, cell.both_paper_bps, cell.both_realised_bps) == (2, 7.0, 5.5)


def test_an_index_that_a_restarted_worker_gives_to_another_instrument_means_the_other_from_then_on() -> None:
    writer = JournalWriter()
    instrument(writer, 0, "X:A")
    decide(writer, 1, 1)
    instrument(writer, 0, "X:B")
    decide(writer, 2, 1)
    mark(writer, 1, 1.0, 0.0)
    mark(writer, 2, 2.0, 0.0)
    book = PnlBook(Reconciliation())
    book.consume(batch(writer))
    assert [(row.instrument, row.sums.paper_bps) for row in table_by(book.cells.items(), ["instrument"])] == [
        ("X:A", 1.0), ("X:B", 2.0)]  # fmt: skip


def test_what_is_held_is_bounded_and_nothing_is_lost_from_the_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cells, "CELLS_MAX", 10)
    monkeypatch.setattr(trades, "TRADES_MAX", 2000)
    writer, book = JournalWriter(), PnlBook(Reconciliation())
    for number in range(1, 6001):
        decide(writer, number, 1, hour=HOUR + number // 100)
        if number > 10:
            mark(writer, number - 10, 1.0, 0.0)
    for start in range(0, len(writer.records), 500):
        book.consume(batch(writer, start, start + 500))
    (total,) = table_by(book.cells.items(), [])
    assert (total.sums.decisions, total.sums.paper, total.sums.paper_bps) == (6000, 5990, 5990.0)
    hours = [row.hour for row in table_by(book.cells.items(), ["hour"])]
    assert hours[0] == 0
    assert len(hours) <= 11
    book.take(stored(1, 5))
    book.take(stored(2, 6000))
    assert (book.counts()["late"], book.counts()["matched"]) == (1, 1)


def test_the_table_is_taken_apart_by_any_columns() -> None:
    writer, rows = random_journal(3)
    book = PnlBook(Reconciliation())
    book.consume(batch(writer))
    for by in ("", "model", "hour,version", "arm, instrument", ",".join(BY)):
        lines = table_by(book.cells.items(), columns_of(by))
        assert sum(row.sums.decisions for row in lines) == len(rows)
    lines = table_by(book.cells.items(), columns_of("hour,version"))
    assert [(row.version, row.hour) for row in lines] == sorted((row.version, row.hour) for row in lines)
    assert lines[0].arm is None
    with pytest.raises(UsageError, match="by: expected some of model, version, arm, instrument, hour, got 'day'"):
        columns_of("model,day")
