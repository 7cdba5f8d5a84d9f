"""The archive holds what the journal held, verified; a question gets the same answer from either."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from support.journals import HORIZON_NS, SyntheticWorker, equal, slow
from support.segments import spell_instrument, write_segments

from data_contracts.errors import JournalError, RingcraftError, UsageError
from data_contracts.journal import RecordType
from data_contracts.outcome import PostedOutcome
from data_contracts.policy import Policy, Reconciliation, Rollout, Step
from serving.archive import parquet
from serving.archive.compact import alone, compact
from serving.archive.manifest import MANIFEST_FILE, read_manifest
from serving.archive.query import Question, find_decisions, join_outcomes
from serving.archive.retention import KEEP_SEGMENTS, removable, remove_old
from serving.archive.segment import DAY_NS, Columns
from serving.journal import read_journal
from serving.judge import NOT_JUDGED, judge_journal, removed_rollouts
from serving.outcomes.cells import BY, table_by
from serving.outcomes.ledger import Ledger, book_of, current_book
from serving.outcomes.sql_store import SqlOutcomeStore, outcome_url

SIZE = 400
WHOLE_DAY_NS = 1_699_920_000_000_000_000  # a midnight, UTC


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Two instruments, an A/B that begins half-way, a day that ends, an index that changes its meaning."""
    worker = SyntheticWorker(equal, event_ns=WHOLE_DAY_NS + DAY_NS - 100 * HORIZON_NS)
    spell_instrument(worker.writer, 0, "X:A")
    worker.adopt()
    worker.decide(400)
    worker.adopt(rollout_id=7, challenger=2, share_bps=5000, phase=2, step=1)
    worker.decide(200)
    spell_instrument(worker.writer, 0, "X:B")
    worker.decide(500)
    write_segments(worker.writer, tmp_path / "journal" / "worker-0", SIZE)
    return tmp_path


def same(one: Columns, other: Columns) -> bool:
    assert one.keys() == other.keys()
    for name, values in one.items():
        a, b = values.tolist(), other[name].tolist()
        both = [(x, y) for x, y in zip(a, b, strict=True) if x != y and not (x != x and y != y)]
        assert not both, (name, both[:3])
    return len(one["decision_id"]) == len(other["decision_id"])


def test_every_decision_is_answered_with_its_mark_out_and_names_newest_first(state: Path) -> None:
    journal = read_journal(state / "journal")
    found = find_decisions(state, Question())
    ids = found["decision_id"].tolist()
    assert ids == journal.decisions["decision_id"].tolist()[::-1]
    by_id = {row["decision_id"].item(): row for row in journal.markouts}
    for place, decision in enumerate(journal.decisions[::-1]):
        mark, action = by_id.get(decision["decision_id"].item()), int(decision["action"])
        earned = found["pnl_bps"][place]
        if mark is None:
            assert np.isnan(earned)
            assert found["markout"][place] == "waiting"
        else:
            assert earned == (0.0 if not action else mark["buy_pnl_bps" if action > 0 else "sell_pnl_bps"])
            assert (found["buy_pnl_bps"][place], found["resolved_event_ns"][place]) == (
                mark["buy_pnl_bps"], mark["resolved_event_ns"])  # fmt: skip
    assert found["instrument"].tolist() == ["X:B"] * 500 + ["X:A"] * 600
    assert set(found["model"]) == {"m"}
    assert set(found["arm"][:700]) == {"champion", "challenger"}


QUESTIONS = [
    Question(),
    Question(limit=3),
    Question(version=2, limit=50),
    Question(arm="challenger", instrument="X:A"),
    Question(instrument="X:B", limit=501),
    Question(model="nobody"),
    Question(door="feed", limit=7),
    Question(door="rest"),
    Question(from_ns=WHOLE_DAY_NS + DAY_NS, limit=700),
    Question(from_ns=WHOLE_DAY_NS + DAY_NS - 5 * HORIZON_NS, to_ns=WHOLE_DAY_NS + DAY_NS),
]


@pytest.mark.parametrize("question", QUESTIONS, ids=str)
def test_the_archive_answers_as_the_journal_did(state: Path, question: Question) -> None:
    before = find_decisions(state, question)
    done = compact(state)
    paths = sorted((state / "journal" / "worker-0").glob("*.rcj"))
    # The last is being written, and the one before it may wait for outcomes in it.
    assert len(done) >= len(paths) - 2 >= 4
    assert same(find_decisions(state, question), before)
    for line in done[: len(done) - 1]:
        (state / "journal" / "worker-0" / line.segment).unlink()
    assert same(find_decisions(state, question), before)


def test_an_archive_from_before_doors_were_kept_is_still_read(state: Path) -> None:
    done = compact(state)
    assert set(find_decisions(state, Question())["door"]) == {"feed"}
    for line in done[:2]:
        (state / "journal" / "worker-0" / line.segment).unlink()
    for one in (one for one in done[0].files if one.kind == "decisions"):
        path = state / "archive" / one.path
        pq.write_table(pq.read_table(path).drop_columns(["door", "request_key"]), path)
    found = find_decisions(state, Question())
    old = found["decision_id"] <= done[0].last_decision
    assert set(found["door"][old]) == {""}
    assert set(found["door"][~old]) == {"feed"}
    assert found["request_key"].dtype == np.uint64
    assert len(find_decisions(state, Question(door="feed"))["decision_id"]) == int((~old).sum())


def test_a_quant_reads_days_with_any_parquet_reader(state: Path) -> None:
    done = compact(state)
    days = sorted(path.name for path in (state / "archive").iterdir() if path.is_dir())
    assert days == ["2023-11-14", "2023-11-15"]
    journal = read_journal(state / "journal")
    records = sum(line.records for line in done)
    shadows = pq.ParquetDataset(sorted((state / "archive").glob("*/shadows-*.parquet"))).read()
    decisions = pq.ParquetDataset(sorted((state / "archive").glob("*/decisions-*.parquet"))).read()
    epochs = pq.ParquetDataset(sorted((state / "archive").glob("*/epochs-*.parquet"))).read()
    assert decisions.num_rows == (journal.decisions["index"] < records).sum()
    assert sorted(shadows["decision_id"].to_pylist()) == [
        one for one in decisions["decision_id"].to_pylist() if one > 400
    ]
    assert epochs["rollout_id"].to_pylist() == [0, 7]
    assert epochs["model"].to_pylist() == ["m", "m"]
    assert [line.rollouts for line in done if line.rollouts] == [(7,)]


def test_compacting_again_does_nothing_and_a_crash_half_way_is_made_good(state: Path) -> None:
    done = compact(state)
    assert compact(state) == []
    manifest = state / "archive" / MANIFEST_FILE
    lines = manifest.read_bytes().splitlines(keepends=True)
    manifest.write_bytes(b"".join(lines[:2]) + lines[2][:50])  # it died while it wrote the third line
    assert compact(state) == done[2:]
    assert read_manifest(state / "archive", "worker-0") == done


def test_a_segment_waits_until_its_outcomes_are_there(tmp_path: Path) -> None:
    worker = SyntheticWorker(equal)
    worker.adopt(rollout_id=1, challenger=2, phase=1)
    worker.decide(300)
    late = [place for place, record in enumerate(worker.writer.records) if record[4] == RecordType.MARKOUT][10]
    kept = worker.writer.records.pop(late)
    folder = tmp_path / "journal" / "worker-0"
    renumber(worker)
    write_segments(worker.writer, folder, SIZE)
    assert compact(tmp_path) == []
    worker.writer.records.append(kept)
    renumber(worker)
    write_segments(worker.writer, folder, SIZE)
    assert next(line.segment for line in compact(tmp_path)) == "00000001.rcj"


def renumber(worker: SyntheticWorker) -> None:
    records = worker.writer.records
    records[:] = [one[:8] + place.to_bytes(8, "little") + one[16:] for place, one in enumerate(records)]


def test_what_cannot_be_read_back_is_not_archived(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = pq.write_table

    def lossy(table, where, **options) -> None:  # a disk that loses a row
        real(table.slice(0, table.num_rows - 1), where, **options)

    monkeypatch.setattr(pq, "write_table", lossy)
    with pytest.raises(RingcraftError, match="expected what was written, read something else back"):
        compact(state)
    assert read_manifest(state / "archive", "worker-0") == []


def test_a_damaged_segment_is_an_error_and_stays(state: Path) -> None:
    path = state / "journal" / "worker-0" / "00000004.rcj"
    raw = bytearray(path.read_bytes())
    raw[5000] ^= 1
    path.write_bytes(raw)
    with pytest.raises(JournalError, match=r"00000004\.rcj: byte"):
        compact(state)
    archived = [line.segment for line in read_manifest(state / "archive", "worker-0")]
    assert archived[0] == "00000001.rcj"
    assert "00000004.rcj" not in archived
    assert path.exists()


def test_only_one_process_is_at_the_archive(state: Path) -> None:
    with alone(state / "archive"), pytest.raises(UsageError, match="another process is at the archive"):
        compact(state)


def test_a_segment_goes_only_when_it_is_old_verified_and_needed_by_nobody(state: Path) -> None:
    lines = compact(state)
    present = [f"{number:08d}.rcj" for number in range(1, len(lines) + 3)]
    everything = {"live_rollouts": set(), "folded": 10**9, "older_than_ns": 2**62}

    def going(**change: object) -> list[str]:
        return [line.segment for line in removable(lines, present, **{**everything, **change})]  # type: ignore[arg-type]

    assert going() == present[: len(present) - KEEP_SEGMENTS]
    assert going(older_than_ns=0) == []
    assert going(folded=SIZE) == present[:1]
    assert going(folded=SIZE - 1) == []
    begun = next(place for place, line in enumerate(lines) if line.rollouts)
    assert going(live_rollouts={7}) == present[: min(begun, len(present) - KEEP_SEGMENTS)]
    assert [line.segment for line in removable(lines[1:], present, **everything)] == []  # the first is not archived


def test_removal_checks_the_archive_once_more(state: Path) -> None:
    lines = compact(state)
    ledger = Ledger(state, "worker-0", Reconciliation())
    assert remove_old(state, 1e-6) == []  # nothing says that it was folded
    read_on(ledger)
    ledger.save()
    assert remove_old(state, None) == []
    assert remove_old(state, 100.0) == []
    first = state / "archive" / lines[0].files[0].path
    whole = first.read_bytes()
    first.write_bytes(whole[:-1])
    with pytest.raises(JournalError, match="nothing is removed"):
        remove_old(state, 1e-6)
    first.write_bytes(whole)
    before = find_decisions(state, Question())
    removed = remove_old(state, 1e-6)
    assert removed
    assert not (state / "journal" / "worker-0" / removed[0]).exists()
    assert same(find_decisions(state, Question()), before)
    (state / "pnl.bin").unlink()
    again = Ledger(state, "worker-0", Reconciliation())
    read_on(again)
    assert again.book.state.records == ledger.book.state.records
    assert {key.instrument for key, _ in again.book.cells.items()} <= {"X:A", "X:B"}
    assert {key.model for key, _ in again.book.cells.items()} == {"m"}


def test_after_removal_judge_and_pnl_say_what_is_missing(tmp_path: Path) -> None:
    worker = SyntheticWorker(slow, event_ns=WHOLE_DAY_NS)
    spell_instrument(worker.writer, 0, "X:A")
    policy = Policy(rollout=Rollout(steps=(Step(share=0.0, min_decisions=100), Step(share=0.5, min_decisions=100))))
    begun = {}
    for rollout in (1, 2, 3):
        worker.adopt()
        worker.decide(200)
        begun[rollout] = len(worker.writer.records)
        worker.adopt(rollout_id=rollout, challenger=rollout + 1, share_bps=5000, phase=2, step=1)
        worker.decide(400)
        worker.adopt(rollout_id=rollout, challenger=rollout + 1, share_bps=5000, phase=2, step=1)
        worker.decide(400)
    worker.finish()
    folder = tmp_path / "journal" / "worker-0"
    write_segments(worker.writer, folder, SIZE)
    whole = {one.rollout_id: one for one in judge_journal(tmp_path / "journal", policy)}
    assert [one.verdict for one in whole.values()] == ["rolled_back"] * 3
    sums = book_of(tmp_path / "journal", Reconciliation())
    ledger = Ledger(tmp_path, "worker-0", Reconciliation())
    read_on(ledger)
    ledger.save()
    lines = compact(tmp_path)
    # As retention does it, up to a segment that begins in the middle of rollout 2.
    gone = [line for line in lines if line.first_index + line.records <= begun[2] + 2 * SIZE]
    for line in gone:
        (folder / line.segment).unlink()
    oldest = gone[-1].first_index + gone[-1].records
    assert begun[2] < oldest < begun[3]
    judged = {one.rollout_id: one for one in judge_journal(tmp_path / "journal", policy)}
    assert (judged[2].verdict, judged[2].model, judged[2].decision) == (NOT_JUDGED, "m", None)
    assert f"begins with record {oldest:,}" in judged[2].reason
    assert judged[3] == whole[3]
    assert 1 not in judged
    assert removed_rollouts(tmp_path / "journal") == [1, 2]
    # The kept book goes on as if nothing had happened; one made anew says what it has.
    assert table_by(current_book(tmp_path, Reconciliation()).cells.items(), BY) == table_by(sums.cells.items(), BY)
    (tmp_path / "pnl.bin").unlink()
    left = int((read_journal(folder).decisions["decision_id"]).size)
    for book in (current_book(tmp_path, Reconciliation()), book_of(tmp_path / "journal", Reconciliation())):
        assert book.state.begins == oldest
        (row,) = table_by(book.cells.items(), ("model",))
        assert (row.model, row.sums.decisions) == ("m", left)
    # A copy of what is left, without the archive: the rollout that it begins in may have begun before.
    shutil.copytree(folder, tmp_path / "copy" / "journal" / "worker-0")
    alone_judged = judge_journal(tmp_path / "copy", policy)
    assert [(one.rollout_id, one.verdict) for one in alone_judged] == [(2, NOT_JUDGED), (3, "rolled_back")]


def read_on(ledger: Ledger) -> None:
    before = -1
    while before != ledger.book.state.records:
        before = ledger.book.state.records
        ledger.turn(10**9)


def test_posted_outcomes_are_joined_to_their_decisions(state: Path) -> None:
    store = SqlOutcomeStore(outcome_url("", state))
    at = {"model": "m", "time_ns": 1}
    fill = {"kind": "fill", "price": "1", "side": "buy", **at}
    posted = [
        PostedOutcome(outcome_id="a", decision_id=1100, lots=2, **fill),
        PostedOutcome(outcome_id="b", decision_id=1100, lots=3, **fill),
        PostedOutcome(outcome_id="c", decision_id=1099, kind="realised", pnl_bps=-2.5, pnl_usd=7.0, **at),
        PostedOutcome(outcome_id="d", decision_id=5000, kind="realised", pnl_bps=1.0, **at),
    ]
    store.add(posted, ["accepted"] * 4, 1)
    found = join_outcomes(find_decisions(state, Question(limit=3)), store)
    assert found["decision_id"].tolist() == [1100, 1099, 1098]
    assert (found["fills"].tolist(), found["filled_lots"].tolist()) == ([2, 0, 0], [5, 0, 0])
    assert np.array_equal(found["realised_bps"], [np.nan, -2.5, np.nan], equal_nan=True)
    assert np.array_equal(found["realised_usd"], [np.nan, 7.0, np.nan], equal_nan=True)
    assert parquet.table_of(found)["realised_bps"].to_pylist() == [None, -2.5, None]
