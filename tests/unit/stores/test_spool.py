"""The spool: order, what a crash leaves, damage, room."""

import threading
import time
from pathlib import Path

import pytest

from data_contracts.errors import StoreError, StoreFullError, UsageError
from market_data.stores.spool import Spool


def drain(spool: Spool) -> list[bytes]:
    taken = []
    while frame := spool.peek():
        taken.append(frame.payload)
        spool.take(frame)
    return taken


def batches(count: int) -> list[bytes]:
    return [bytes([65 + number % 26]) * (number * 7 % 50 + 1) for number in range(count)]


def spooled(folder: Path, *payloads: bytes, **options: int) -> Spool:
    spool = Spool(folder, **options)
    for payload in payloads:
        spool.append(payload)
    return spool


def test_batches_come_out_once_in_order_over_many_segments_and_reopenings(tmp_path: Path) -> None:
    spool = spooled(tmp_path, *batches(40), segment_bytes=200)
    assert len(list(tmp_path.glob("*.spool"))) > 3
    first = [spool.peek() for _ in range(2)]
    assert first[0] == first[1]
    taken = []
    for _ in range(25):
        frame = spool.peek()
        taken.append(frame.payload)
        spool.take(frame)
    spool.close()
    again = Spool(tmp_path, segment_bytes=200)
    assert taken + drain(again) == batches(40)
    assert again.waiting_bytes == 0
    assert len(list(tmp_path.glob("*.spool"))) == 1
    again.append(b"more")
    assert drain(again) == [b"more"]


@pytest.mark.parametrize("cut", [1, 5, 8, 12])
def test_a_torn_tail_was_never_acknowledged_and_is_cut_off(tmp_path: Path, cut: int) -> None:
    spooled(tmp_path, b"first", b"torn-here").close()
    (path,) = tmp_path.glob("*.spool")
    path.write_bytes(path.read_bytes()[:-cut])
    spool = spooled(tmp_path, b"after")
    assert drain(spool) == [b"first", b"after"]


def test_zeros_that_a_lost_write_left_are_cut_off(tmp_path: Path) -> None:
    spooled(tmp_path, b"first").close()
    (path,) = tmp_path.glob("*.spool")
    path.write_bytes(path.read_bytes() + bytes(64))
    assert drain(spooled(tmp_path, b"after")) == [b"first", b"after"]


def test_damage_is_named_not_passed_over(tmp_path: Path) -> None:
    spooled(tmp_path, b"first", b"second", b"third").close()
    (path,) = tmp_path.glob("*.spool")
    raw = bytearray(path.read_bytes())
    raw[13 + 8] ^= 1
    path.write_bytes(raw)
    with pytest.raises(StoreError, match="byte 13: damaged batch with others after it"):
        Spool(tmp_path)


def test_a_lost_position_means_sending_again_not_losing(tmp_path: Path) -> None:
    spool = spooled(tmp_path, b"a", b"b")
    spool.take(spool.peek())
    spool.close()
    (tmp_path / "position").write_text("")
    assert drain(Spool(tmp_path)) == [b"a", b"b"]


def test_what_waits_is_bounded_and_room_is_waited_for(tmp_path: Path) -> None:
    spool = spooled(tmp_path, b"x" * 50, max_bytes=100)
    with pytest.raises(StoreFullError, match="58 bytes wait, at most 100"):
        spool.append(b"y" * 50)
    assert spool.waiting_bytes == 58
    frame = spool.peek()
    threading.Timer(0.05, spool.take, (frame,)).start()
    start = time.monotonic()
    spool.append(b"y" * 50, timeout_s=5)
    assert time.monotonic() - start < 4
    assert drain(spool) == [b"y" * 50]


def test_one_process_has_it(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    with pytest.raises(UsageError, match="another process has this spool"):
        Spool(tmp_path)
    spool.close()
    Spool(tmp_path).close()
