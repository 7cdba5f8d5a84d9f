"""Reading journals, whole, torn and damaged; the files are written as native code writes them."""

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_contracts.errors import JournalError
from data_contracts.journal import DECISION, EPOCH, MARKOUT, RECORD_BYTES, SHADOW, TRIP, RecordType
from native._native import LAYOUT, crc32c
from serving.journal import SEGMENT_HEADER_BYTES, JournalFollower, read_journal
from serving.journal_records import (
    DecisionRecord,
    EpochRecord,
    MarkoutRecord,
    NameRecord,
    ShadowRecord,
    TripRecord,
    decode,
    record_indices,
    record_types,
)

RECORDS = 6


def header(first_index: int) -> bytes:
    body = struct.pack("<8sIIQ36x", b"RCJOURN1", 1, RECORD_BYTES, first_index)
    return body + struct.pack("<I", crc32c(body))


def record(index: int, kind: RecordType = RecordType.DECISION) -> bytes:
    body = struct.pack("<BBHQ", kind, 0, 0, index) + struct.pack("<Q", index + 1)
    body = body.ljust(RECORD_BYTES - 4, b"\0")
    return struct.pack("<I", crc32c(body)) + body


def segment(first: int = 0, count: int = RECORDS) -> bytes:
    return header(first) + b"".join(record(first + i) for i in range(count))


def ids(path: Path) -> list[int]:
    return read_journal(path).decisions["decision_id"].tolist()


def test_dtypes_lie_where_native_code_writes() -> None:
    assert LAYOUT["Epoch.horizon_ns"] == EPOCH.fields["horizon_ns"][1]
    assert LAYOUT["Decision.assigned_by"] == DECISION.fields["assigned_by"][1]
    assert LAYOUT["Shadow.late"] == SHADOW.fields["late"][1]
    assert LAYOUT["Markout.horizon"] == MARKOUT.fields["horizon"][1]
    assert LAYOUT["Trip.arm"] == TRIP.fields["arm"][1]


@pytest.mark.parametrize(
    ("dtype", "kind"),
    [
        (EPOCH, EpochRecord),
        (DECISION, DecisionRecord),
        (SHADOW, ShadowRecord),
        (MARKOUT, MarkoutRecord),
        (TRIP, TripRecord),
    ],
)
def test_every_field_of_a_record_is_decoded(dtype: np.dtype, kind: type) -> None:
    assert [
        name for name in dtype.names if name not in ("crc32c", "type", "worker", "reserved", "index", "gap", "pad")
    ] == [*kind._fields]


@settings(max_examples=150, deadline=None)
@given(kept=st.integers(0, SEGMENT_HEADER_BYTES + RECORDS * RECORD_BYTES))
def test_truncation_loses_the_cut_records_alone(tmp_path_factory: pytest.TempPathFactory, kept: int) -> None:
    path = tmp_path_factory.mktemp("journal") / "00000001.rcj"
    path.write_bytes(segment()[:kept])
    whole = max(0, (kept - SEGMENT_HEADER_BYTES) // RECORD_BYTES)
    journal = read_journal(path)
    assert journal.decisions["decision_id"].tolist() == list(range(1, whole + 1))
    torn = kept if kept < SEGMENT_HEADER_BYTES else (kept - SEGMENT_HEADER_BYTES) % RECORD_BYTES
    assert journal.cut_bytes == torn


@settings(max_examples=300, deadline=None)
@given(at=st.integers(0, SEGMENT_HEADER_BYTES + RECORDS * RECORD_BYTES - 1), bit=st.integers(0, 7), later=st.booleans())
def test_flipped_bit_is_noticed(tmp_path_factory: pytest.TempPathFactory, at: int, bit: int, later: bool) -> None:
    folder = tmp_path_factory.mktemp("journal")
    raw = bytearray(segment())
    raw[at] ^= 1 << bit
    (folder / "00000001.rcj").write_bytes(raw)
    if later:
        (folder / "00000002.rcj").write_bytes(segment(RECORDS))
    last_record = at >= len(raw) - RECORD_BYTES
    if last_record and not later:  # cannot be told from a torn tail: cut, and reported
        journal = read_journal(folder)
        assert journal.cut_bytes == RECORD_BYTES
        assert len(journal) == RECORDS - 1
        return
    damaged = 0 if at < SEGMENT_HEADER_BYTES else at - (at - SEGMENT_HEADER_BYTES) % RECORD_BYTES
    with pytest.raises(JournalError, match=rf"00000001\.rcj: byte {damaged}:"):
        read_journal(folder)


def test_missing_segment_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "00000001.rcj").write_bytes(segment())
    (tmp_path / "00000003.rcj").write_bytes(segment(2 * RECORDS))
    with pytest.raises(JournalError, match="expected records from index 6, got 12"):
        read_journal(tmp_path)


def test_state_journal_and_worker_folder_and_segment_are_all_read(tmp_path: Path) -> None:
    worker = tmp_path / "journal" / "worker-0"
    worker.mkdir(parents=True)
    (worker / "00000001.rcj").write_bytes(segment())
    for path in (tmp_path, tmp_path / "journal", worker, worker / "00000001.rcj"):
        assert len(read_journal(path)) == RECORDS


def test_folder_without_segments_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="found none"):
        read_journal(tmp_path)


def test_two_workers_are_not_read_as_one(tmp_path: Path) -> None:
    for name in ("worker-0", "worker-1"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "00000001.rcj").write_bytes(segment())
    with pytest.raises(JournalError, match="found worker-0, worker-1"):
        read_journal(tmp_path)


@settings(max_examples=60, deadline=None)
@given(cuts=st.lists(st.integers(0, 20 * RECORD_BYTES), max_size=12), limit=st.integers(1, 7))
def test_follower_gives_each_record_once_however_the_file_grows(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], limit: int
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    first, second = segment(0, 11), segment(11, 6)
    follower = JournalFollower(folder)
    seen: list[int] = []
    for cut in [*sorted(cuts), len(first)]:
        (folder / "00000001.rcj").write_bytes(first[: max(cut, 1)])
        seen += record_indices(follower.poll(limit)).tolist()
    (folder / "00000002.rcj").write_bytes(second)
    while len(batch := follower.poll(limit)):
        seen += record_indices(batch).tolist()
    assert seen == list(range(17))
    assert follower.next_index == 17


def test_follower_notices_damage(tmp_path: Path) -> None:
    raw = bytearray(segment())
    raw[SEGMENT_HEADER_BYTES + 2 * RECORD_BYTES + 60] ^= 1
    (tmp_path / "00000001.rcj").write_bytes(raw)
    follower = JournalFollower(tmp_path)
    with pytest.raises(JournalError, match="byte 320"):
        follower.poll()


def test_name_is_spelled_for_later_records(tmp_path: Path) -> None:
    body = struct.pack("<BBHQ", RecordType.NAME, 0, 0, 0) + struct.pack("<II", 1, 5) + b"CFFEX:IF2101"
    body = body.ljust(RECORD_BYTES - 4, b"\0")
    path = tmp_path / "00000001.rcj"
    path.write_bytes(header(0) + struct.pack("<I", crc32c(body)) + body + record(1))
    journal = read_journal(path)
    assert journal.instruments == {5: "CFFEX:IF2101"}
    assert decode(journal.records)[0] == NameRecord(1, 5, "CFFEX:IF2101")
    assert record_types(journal.records).tolist() == [RecordType.NAME, RecordType.DECISION]
    second = list(journal)[1]
    assert isinstance(second, DecisionRecord)
    assert second.decision_id == 2


@pytest.mark.parametrize("start", range(19))
def test_follower_begins_where_it_is_told(tmp_path: Path, start: int) -> None:
    (tmp_path / "00000001.rcj").write_bytes(segment(0, 11))
    (tmp_path / "00000002.rcj").write_bytes(segment(11, 6))
    follower = JournalFollower(tmp_path, start)
    assert record_indices(np.concatenate([follower.poll(4) for _ in range(6)])).tolist() == list(range(start, 17))


def test_follower_that_is_to_begin_before_the_journal_does_says_so(tmp_path: Path) -> None:
    (tmp_path / "00000002.rcj").write_bytes(segment(11, 6))
    with pytest.raises(JournalError, match="expected records from index 3, got 11"):
        JournalFollower(tmp_path, 3).poll()
