"""The log that subscribers read at their own pace."""

from hypothesis import given
from hypothesis import strategies as st

from serving.doors.decision_log import DecisionLog, Entry, Missed


def entries(first: int, count: int) -> list[Entry]:
    return [Entry(one, "m", "i", b"") for one in range(first, first + count)]


@given(st.lists(st.integers(1, 9), max_size=12), st.lists(st.integers(1, 9), max_size=12))
def test_reader_gets_each_decision_once_in_order_or_is_told_that_it_is_gone(adds: list[int], takes: list[int]) -> None:
    log = DecisionLog(kept=8)
    reader, seen, missed, made = log.reader(after=0), [], 0, 0
    log.add(entries(1, 1))
    made = 1
    for add, most in zip(adds, takes, strict=False):
        for one in reader.take(most):
            if isinstance(one, Missed):
                missed += one.before - one.after - 1
            else:
                seen.append(one.decision_id)
        log.add(entries(made + 1, add))
        made += add
    for one in reader.take(1000):
        if isinstance(one, Missed):
            missed += one.before - one.after - 1
        else:
            seen.append(one.decision_id)
    assert seen == sorted(set(seen))
    assert seen[-1] == made
    assert len(seen) + missed == made


def test_reader_resumes_behind_an_id_and_one_from_now_on_sees_only_what_comes() -> None:
    log = DecisionLog()
    log.add(entries(1, 10))
    behind, now = log.reader(after=7), log.reader(after=None)
    log.add(entries(11, 1))
    assert [one.decision_id for one in behind.take(99)] == [8, 9, 10, 11]
    assert [one.decision_id for one in now.take(99)] == [11]


def test_gap_at_resuming_is_told() -> None:
    log = DecisionLog(kept=4)
    log.add(entries(1, 40))
    log.add(entries(41, 1))
    first, *rest = log.reader(after=3).take(99)
    assert isinstance(first, Missed)
    assert first.after == 3
    assert rest[0].decision_id == first.before
    assert rest[-1].decision_id == 41


def test_all_that_is_gone_is_told_to_who_begins_at_the_first() -> None:
    log = DecisionLog()
    log.add(entries(5, 2))
    assert log.reader(after=0).take(1) == [Missed(0, 5), *entries(5, 1)]


def test_log_that_fills_anew_repeats_nothing_that_its_reader_has() -> None:
    log = DecisionLog()
    reader = log.reader(after=7)
    log.add(entries(1, 6))
    assert reader.take(99) == []
    log.add(entries(7, 3))
    assert reader.take(99) == entries(8, 2)
