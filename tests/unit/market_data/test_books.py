"""The native books against a plain one, operation by operation, and against another program, message by message."""

import itch_book
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.plain_book import PlainBook

from data_contracts.market_event import EventFlag
from native import _native

REFERENCES = st.one_of(st.integers(0, 40), st.integers(0, 2**64 - 1), st.integers(2**21, 2**21 + 5))
ADDS = st.tuples(
    st.just("add"), st.integers(0, 1), REFERENCES, st.sampled_from("BS"), st.integers(95, 105), st.integers(0, 9)
)
REDUCTIONS = st.tuples(st.just("reduce"), st.integers(0, 1), REFERENCES, st.integers(1, 12))
CLEARS = st.tuples(st.just("clear"), st.integers(0, 1))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(ADDS, ADDS, ADDS, REDUCTIONS, REDUCTIONS, CLEARS), max_size=120))
def test_any_operations_leave_the_books_as_a_plain_one_has_them(operations: list[tuple]) -> None:
    native, plain = _native.Books(2), [PlainBook(), PlainBook()]
    for name, instrument, *arguments in operations:
        mine, other = plain[instrument], plain[1 - instrument]
        if name == "add":
            fresh = arguments[0] not in other.orders and mine.add(*arguments)
            assert native.add(instrument, *arguments) == fresh
        elif name == "reduce":
            assert native.reduce(instrument, *arguments) == mine.reduce(*arguments)
        else:
            native.clear(instrument)
            mine.orders.clear()
        assert native.best(instrument) == mine.best()
        assert native.state(instrument) == mine.touch_state()
    assert native.orders == sum(len(book.orders) for book in plain)
    for instrument, book in enumerate(plain):
        for side in "BS":
            assert native.depth(instrument, side, 20) == book.depth(side, 20)
        for reference in book.orders:
            assert native.order(reference) == (instrument, *book.place(reference))


def test_book_refuses_what_is_out_of_bounds() -> None:
    books = _native.Books(2)
    with pytest.raises(IndexError, match="no such instrument"):
        books.best(2)
    with pytest.raises(ValueError, match="side: expected B or S"):
        books.add(0, 1, "X", 100, 1)
    with pytest.raises(ValueError, match="ticks"):
        books.add(0, 1, "S", -(2**31), 1)
    with pytest.raises(ValueError, match="65536"):
        books.apply_itch50(np.zeros(0, dtype=np.uint8))
    assert books.order(1) is None


def test_states_are_set_from_outside_and_counted() -> None:
    books = _native.Books(1)
    books.set_state(0, int(EventFlag.GAP), True)
    books.set_state(0, int(EventFlag.GAP), True)
    books.set_state(0, int(EventFlag.GAP), False)
    entered, left = books.transitions()
    gap = int(EventFlag.GAP).bit_length() - 1
    assert (entered[gap], left[gap]) == (1, 1)
    assert sum(entered) == sum(left) == 1


@pytest.mark.parametrize(("seed", "stocks", "step"), [(1, 8_000, 1), (2, 500, 7), (3, 40, 100_000)])
@pytest.mark.parametrize("queues", [True, False])
def test_touch_is_that_of_another_program_after_every_message(seed: int, stocks: int, step: int, queues: bool) -> None:
    tape = _native.write_market_tape(
        seed=seed, stocks=stocks, messages=150_000, live_orders=20_000, reference_step=step
    )
    rows, summary = _native.itch50_touches(tape, queues=queues)
    assert summary["error"] == ""
    session = itch_book.Session(tables=["bbo"], depth=0, symbols=[])
    session.feed(tape.tobytes())
    theirs = session.take_bbo()
    names = ("seq", "locate", "bid_px", "bid_sz", "ask_px", "ask_sz")
    expected = np.column_stack([theirs[name].astype(np.int64) for name in names])
    # It gives a row for a change of the number of orders too; ours are of price and size.
    order = np.lexsort((expected[:, 0], expected[:, 1]))
    by_stock = expected[order]
    repeats = np.zeros(len(by_stock), dtype=bool)
    repeats[1:] = np.all(by_stock[1:, 1:] == by_stock[:-1, 1:], axis=1)
    expected = np.delete(expected, order[repeats], axis=0)
    assert len(expected) > 20_000
    assert np.array_equal(rows.reshape(-1, 6), expected)
    assert session.stats()["missing_ref"] == 0


def test_depth_and_queue_are_those_of_a_plain_book_after_a_day_of_one_stock() -> None:
    tape = _native.write_market_tape(seed=4, stocks=1, messages=6_000, live_orders=300)
    native, plain = _native.Books(65_536), PlainBook()
    native.apply_itch50(tape)
    apply_plainly(tape.tobytes(), plain)
    assert native.orders == len(plain.orders) > 100
    for side in "BS":
        assert native.depth(1, side, 50) == plain.depth(side, 50)
    for reference in plain.orders:
        assert native.order(reference) == (1, *plain.place(reference))


def apply_plainly(data: bytes, book: PlainBook) -> None:
    """Read ITCH field by field as the specification's tables have them."""

    def number(message: bytes, at: int, size: int) -> int:
        return int.from_bytes(message[at : at + size], "big")

    position = 0
    while position < len(data):
        length = number(data, position, 2)
        message = data[position + 2 : position + 2 + length]
        position += 2 + length
        kind, reference = chr(message[0]), number(message, 11, 8)
        if kind in "AF":
            book.add(reference, chr(message[19]), number(message, 32, 4), number(message, 20, 4))
        elif kind in "ECX":
            book.reduce(reference, number(message, 19, 4))
        elif kind == "D":
            book.reduce(reference, 2**32)
        elif kind == "U":
            side = book.orders[reference][0]
            book.reduce(reference, 2**32)
            book.add(number(message, 19, 8), side, number(message, 31, 4), number(message, 27, 4))
