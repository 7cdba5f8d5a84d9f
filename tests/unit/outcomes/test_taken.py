"""What the fold took, in its order, survives crashes at any byte; merged with the journal it is where it was."""

import itertools
from collections import deque
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_contracts.errors import JournalError
from data_contracts.outcome import PostedOutcome, StoredOutcome
from serving.outcomes.intake import Intake
from serving.outcomes.sql_store import SqlOutcomeStore, outcome_url
from serving.outcomes.taken import TAKEN_FILE, TakenLog, merged, read_taken


def posted(number: int, decision: int = 1) -> PostedOutcome:
    return PostedOutcome(
        outcome_id=f"o-{number}", decision_id=decision, model="m", kind="realised", pnl_bps=number / 3, time_ns=number
    )


def stored(sequence: int, position: int) -> StoredOutcome:
    return StoredOutcome(sequence=sequence, position=position, wall_ns=1, status="accepted", outcome=posted(sequence))


def test_what_was_appended_is_there_for_the_next_process(tmp_path: Path) -> None:
    log = TakenLog(tmp_path)
    log.append([stored(1, 5), stored(2, 5)])
    log.append([stored(4, 9)])
    log.close()
    again = TakenLog(tmp_path)
    assert list(again.earlier()) == [stored(1, 5), stored(2, 5), stored(4, 9)] == read_taken(tmp_path)
    assert again.last_sequence == 4
    again.close()


def test_cut_at_any_byte_the_whole_lines_are_left_and_writing_goes_on(tmp_path: Path) -> None:
    log = TakenLog(tmp_path)
    log.append([stored(1, 5), stored(2, 5), stored(3, 9)])
    log.close()
    whole = (tmp_path / TAKEN_FILE).read_bytes()
    for size in range(len(whole)):
        (tmp_path / TAKEN_FILE).write_bytes(whole[:size])
        lines = whole[:size].count(b"\n")
        again = TakenLog(tmp_path)
        assert [one.sequence for one in again.earlier()] == [1, 2, 3][:lines]
        again.append([stored(9, 10)])
        again.close()
        assert [one.sequence for one in read_taken(tmp_path)] == [*[1, 2, 3][:lines], 9]


def test_damage_before_the_end_is_an_error_that_says_where(tmp_path: Path) -> None:
    log = TakenLog(tmp_path)
    log.append([stored(1, 5), stored(2, 5)])
    log.close()
    path = tmp_path / TAKEN_FILE
    path.write_bytes(b"x" + path.read_bytes()[1:])
    with pytest.raises(JournalError, match="byte 0: expected an outcome"):
        read_taken(tmp_path)


@given(
    records=st.integers(0, 40),
    positions=st.lists(st.integers(0, 45), max_size=8).map(sorted),
    cuts=st.lists(st.integers(0, 40), max_size=5),
)
def test_however_the_journal_is_cut_outcomes_come_at_their_positions(
    records: int, positions: list[int], cuts: list[int]
) -> None:
    journal = np.arange(records * 128, dtype=np.uint32).astype(np.uint8).reshape(-1, 128)
    outcomes = deque(stored(number, position) for number, position in enumerate(positions, 1))
    edges = sorted({0, records, *(cut for cut in cuts if cut <= records)})
    seen, order = 0, []
    for start, end in itertools.pairwise(edges):
        for part in merged(journal[start:end], start, outcomes):
            if isinstance(part, StoredOutcome):
                assert part.position == seen
                order.append(part.sequence)
            else:
                assert np.array_equal(part, journal[seen : seen + len(part)])
                seen += len(part)
    assert seen == records
    due = [number for number, position in enumerate(positions, 1) if position <= records] if records else order
    assert order == due


def test_an_outcome_that_was_kept_and_not_taken_is_taken_after_the_restart(tmp_path: Path) -> None:
    def begin() -> Intake:
        return Intake(SqlOutcomeStore(outcome_url("", tmp_path)), TakenLog(tmp_path / "journal"), lambda: 10)

    first = begin()
    first.post([posted(1), posted(2, decision=4)])
    assert [(one.sequence, one.position) for one in first.take(100)] == [(1, 100), (2, 100)]
    first.post([posted(3, decision=2), posted(4, decision=11)])  # and then it dies
    again = begin()
    again.post([posted(5, decision=3), posted(1)])
    taken = again.take(250)
    assert [(one.outcome.outcome_id, one.status) for one in taken] == [
        ("o-3", "accepted"), ("o-4", "unknown"), ("o-5", "accepted")]  # fmt: skip
    assert again.take(260) == []
    assert [one.position for one in read_taken(tmp_path / "journal")] == [100, 100, 250, 250, 250]
