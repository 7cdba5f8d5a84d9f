"""MoldUDP64 in packet captures: what arrives is the file's book, whatever the lines lose, repeat or reorder."""

import contextlib
import random
import struct
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import captures
from support.captures import LINE_A, LINE_B, Packet, pcap, pcapng

from data_contracts.errors import FormatError, RingcraftError
from data_contracts.market_event import EventFlag
from data_contracts.recording import Recording
from market_data.reading import read_recordings
from market_data.simulator import simulate

START_NS = int(datetime(2026, 1, 5, 14, 30, tzinfo=UTC).timestamp()) * 10**9
TOUCH = ["event_ns", "sequence", "bid_ticks", "bid_lots", "ask_ticks", "ask_lots", "trade_ticks", "trade_lots"]


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tape") / "01052026.itch"
    simulate(path, seed=4, seconds=60)
    (path.parent / f"{path.name}.instrument.json").unlink()
    return path


@pytest.fixture(scope="module")
def whole(tape: Path) -> Recording:
    return read_recordings(tape)[0]


@pytest.fixture(scope="module")
def messages(tape: Path) -> list[bytes]:
    return captures.itch_messages(tape.read_bytes())


def line(messages: list[bytes], which: tuple[int, int] = LINE_A, late_ns: int = 0) -> list[Packet]:
    return captures.packets(messages, first_ns=START_NS + late_ns, line=which)


def merged(*lines: list[Packet]) -> list[Packet]:
    return sorted((packet for each in lines for packet in each), key=lambda packet: packet[0])


def read(folder: Path, data: bytes, name: str = "feed.pcap") -> Recording:
    return read_recordings(captures.write(folder / name, data))[0]


def same_book(found: Recording, whole: Recording) -> None:
    for name in TOUCH:
        assert np.array_equal(found.events[name], whole.events[name]), name
    assert not np.any(found.events["flags"] & int(EventFlag.GAP))


@pytest.mark.parametrize(
    "capture",
    [
        pcap,
        lambda found: pcap(found, order=">"),
        lambda found: pcap(found, nanoseconds=False),
        lambda found: pcap(found, order=">", nanoseconds=False),
        pcapng,
        lambda found: pcapng(found, order=">"),
        lambda found: pcapng(found, resolution=9),
        lambda found: pcapng(found, resolution=0x80 | 30),
        lambda found: pcapng(found[:40]) + pcapng(found[40:], order=">", resolution=9),  # two sections
    ],
)
def test_every_kind_of_capture_gives_the_files_book(
    tmp_path: Path, messages: list[bytes], whole: Recording, capture: Callable[[list[Packet]], bytes]
) -> None:
    packets = line(messages)
    found = read(tmp_path, capture(packets))
    same_book(found, whole)
    assert found.instrument.symbol == "NASDAQ:RING"
    assert found.skipped == {}
    assert found.by_type == whole.by_type
    late = found.events["receive_ns"] - START_NS
    assert 0 <= late.min() <= late.max() <= packets[-1][0] - START_NS
    assert np.all(np.diff(late) >= 0)


def test_simple_packet_blocks_carry_the_book_without_a_clock(
    tmp_path: Path, messages: list[bytes], whole: Recording
) -> None:
    captures.write(tmp_path / "feed.pcapng.instrument.json", b"")
    (tmp_path / "feed.pcapng.instrument.json").unlink()
    found = read(tmp_path, pcapng(line(messages), simple=True), "feed.pcapng")
    for name in TOUCH[1:]:  # the day comes from the recorder's clock, and there is none
        assert np.array_equal(found.events[name], whole.events[name])


@pytest.mark.parametrize("tags", [[(0x8100, 5)], [(0x88A8, 7), (0x8100, 5)], [(0x9100, 7), (0x8100, 5)]])
def test_vlan_tags_are_passed_over(
    tmp_path: Path, messages: list[bytes], whole: Recording, tags: list[tuple[int, int]]
) -> None:
    payloads = [captures.mold(1, messages[:5]), captures.mold(6, messages[5:15])]
    packets = [(START_NS + i, captures.ethernet(each, tags=tags, padding=9)) for i, each in enumerate(payloads)]
    found = read(tmp_path, pcap(packets))
    count = len(found.events)
    assert count > 5
    assert np.array_equal(found.events["bid_ticks"], whole.events["bid_ticks"][:count])
    assert found.skipped == {}


def test_what_one_line_loses_the_other_brings(tmp_path: Path, messages: list[bytes], whole: Recording) -> None:
    chance = random.Random(3)
    a, b = line(messages), line(messages, LINE_B, late_ns=300)
    lost = set(chance.sample(range(len(a)), len(a) // 3))
    both = merged([p for i, p in enumerate(a) if i not in lost], [p for i, p in enumerate(b) if i in lost or i % 4])
    found = read(tmp_path, pcap(both))
    same_book(found, whole)
    assert found.gaps == 0
    assert found.skipped["duplicate_message"] > 100


def test_lines_in_two_files_are_read_as_one(tmp_path: Path, messages: list[bytes], whole: Recording) -> None:
    a, b = line(messages), line(messages, late_ns=300)
    captures.write(tmp_path / "a.pcap", pcap(a[:50] + a[60:]))
    captures.write(tmp_path / "b.pcapng", pcapng(b[:20] + b[30:], resolution=9))
    found = read_recordings(tmp_path)[0]
    same_book(found, whole)


def test_reordered_packets_come_out_in_order(tmp_path: Path, messages: list[bytes], whole: Recording) -> None:
    packets = line(messages)
    frames = [frame for _, frame in packets]
    chance = random.Random(8)
    for i in range(0, len(frames) - 8, 4):
        part = frames[i : i + 4]
        chance.shuffle(part)
        frames[i : i + 4] = part
    found = read(tmp_path, pcap([(time, frame) for (time, _), frame in zip(packets, frames, strict=True)]))
    same_book(found, whole)


def test_hole_in_both_lines_is_filled_from_the_retransmission(
    tmp_path: Path, messages: list[bytes], whole: Recording
) -> None:
    packets = line(messages)
    captures.write(
        tmp_path / "feed.retransmit.pcap",
        pcap(
            captures.packets(messages[28:64], per_packet=36)[:0]
            or [
                (START_NS, captures.ethernet(captures.mold(25, messages[24:64]))),
            ]
        ),
    )
    found = read(tmp_path, pcap(packets[:10] + packets[20:]))
    same_book(found, whole)
    assert found.gaps == 0
    assert "missed_message" not in found.skipped


def test_hole_that_nobody_fills_is_a_gap_and_every_event_after_it_says_so(
    tmp_path: Path, messages: list[bytes], whole: Recording
) -> None:
    packets = line(messages)
    found = read(tmp_path, pcap(packets[:40] + packets[50:]))
    assert found.gaps == 1
    assert found.skipped["missed_message"] == 30
    gap = (found.events["flags"] & int(EventFlag.GAP)) != 0
    after = found.events["sequence"] > 150
    assert np.array_equal(gap, after)
    count = int((~gap).sum())
    assert np.array_equal(found.events["bid_ticks"][:count], whole.events["bid_ticks"][:count])


def test_messages_lost_at_the_end_are_told_by_a_heartbeat(tmp_path: Path, messages: list[bytes]) -> None:
    packets = line(messages)[:-5]
    packets.append((packets[-1][0] + 1, captures.ethernet(captures.heartbeat(len(messages) + 1))))
    found = read(tmp_path, pcap(packets))
    assert found.gaps == 1
    assert found.skipped["missed_message"] == len(messages) - 3 * (len(packets) - 1)


def test_packets_of_another_session_are_counted_until_the_first_has_ended(
    tmp_path: Path, messages: list[bytes], whole: Recording
) -> None:
    packets = line(messages)
    stranger = captures.ethernet(captures.mold(1, [b"D" + b"\x00" * 18], session=b"OTHER00001"))
    before = [(packets[30][0], stranger)]
    after = [(packets[-1][0] + 1, stranger)]  # a session of its own: its deletion knows no order
    found = read(tmp_path, pcap(merged(packets, before, after)))
    same_book(found, whole)
    assert found.skipped["other_session"] == 1
    assert found.by_type["D"] == whole.by_type["D"] + 1


def test_session_after_the_first_ones_end_is_a_gap(tmp_path: Path, messages: list[bytes]) -> None:
    packets = line(messages)
    last_order = next(each for each in reversed(messages) if each.startswith(b"A"))
    last_order = last_order[:5] + (80_000 * 10**9).to_bytes(6, "big") + last_order[11:]
    again = captures.ethernet(captures.mold(1, [last_order], session=b"OTHER00001"))
    found = read(tmp_path, pcap(merged(packets, [(packets[-1][0] + 1, again)])))
    assert found.gaps == 1
    assert found.events["flags"][-1] & int(EventFlag.GAP)


def test_older_packet_blocks_of_pcapng_are_read_too(tmp_path: Path, messages: list[bytes], whole: Recording) -> None:
    blocks = [captures.section(), captures.interface(resolution=9)]
    for time_ns, frame in line(messages):
        head = struct.pack("<HHIIII", 0, 7, time_ns >> 32, time_ns & 0xFFFFFFFF, len(frame), len(frame))
        blocks.append(captures.block(2, head + frame))
    found = read(tmp_path, b"".join(blocks))
    same_book(found, whole)
    assert found.events["receive_ns"][0] >= START_NS


def test_what_is_no_udp_over_ipv4_is_passed_over_and_counted(
    tmp_path: Path, messages: list[bytes], whole: Recording
) -> None:
    packets = line(messages)
    at = packets[5][0]
    noise = [
        (at, b"\x01\x00\x5e\x36\x0c\x6f" + b"\x02" * 6 + b"\x08\x06" + b"\x00" * 28),  # ARP
        (at, captures.ethernet(b"x" * 30, protocol=6)),
        (at, captures.ethernet(b"x" * 30, fragment=0x2000)),
        (at, captures.ethernet(b"x" * 30)[:30]),
        (at, captures.ethernet(b"not a mold packet")),
    ]
    found = read(tmp_path, pcap(merged(packets, noise)))
    same_book(found, whole)
    expected = {"packet_other_protocol": 2, "packet_fragments": 1, "packet_garbled": 1, "bad_packet": 1}
    assert found.skipped == expected


def test_packets_cut_by_the_snap_length_are_lost_and_say_so(tmp_path: Path, messages: list[bytes]) -> None:
    found = read(tmp_path, pcap(line(messages), snap=150))
    assert found.skipped["packet_cut"] > 0
    assert found.gaps > 0
    assert np.any(found.events["flags"] & int(EventFlag.GAP))


def test_message_that_is_none_of_itchs_leaves_a_book_with_a_gap(tmp_path: Path, messages: list[bytes]) -> None:
    broken = [*messages[:30], messages[30] + b"!", *messages[31:]]
    found = read(tmp_path, pcap(line(broken)))
    assert found.skipped["bad_message"] == 1
    assert np.all((found.events["flags"][found.events["sequence"] > 31] & int(EventFlag.GAP)) != 0)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\xd4\xc3\xb2\xa1" + b"\x00" * 10, "byte 0: expected a whole record"),
        (pcap([(START_NS, b"x" * 60)])[:-5], "byte 24: expected a whole record"),
        (pcapng([(START_NS, b"x" * 60)])[:-5], r"byte \d+: expected a whole record"),
        (captures.section() + captures.block(6, b"\x00" * 40), "byte 28: expected a block whose lengths agree"),
        (captures.section() + captures.interface(resolution=20), "byte 28: expected a block whose lengths agree"),
        (
            pcap([(START_NS, captures.ethernet(b"hello"))]),
            "stock directory: expected a message of type R, got none, bad_packet 1",
        ),
        (b"nothing of the kind", "byte 0: expected a packet capture"),
    ],
)
def test_broken_capture_is_refused_with_the_offset(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        read(tmp_path, data)


def test_exchanges_capture_that_was_cut_off_is_refused_where_it_was(test_data: Path) -> None:
    with pytest.raises(FormatError, match="byte 3480: expected a whole record"):
        read_recordings(test_data / "iex-tops-pcapng" / "example1.pcap")


def test_exchanges_capture_of_another_protocol_is_refused(test_data: Path, tmp_path: Path) -> None:
    data = (test_data / "iex-tops-pcapng" / "example1.pcap").read_bytes()
    with pytest.raises(FormatError, match="expected a message of type R, got none"):
        read(tmp_path, data[:3480])  # its whole blocks


@settings(max_examples=60, deadline=None)
@given(hits=st.lists(st.tuples(st.integers(0, 5999), st.integers(0, 255)), max_size=12), blocks=st.booleans())
def test_garbled_captures_give_a_recording_or_one_clear_error(
    messages: list[bytes], tmp_path_factory: pytest.TempPathFactory, hits: list[tuple[int, int]], blocks: bool
) -> None:
    data = bytearray((pcapng if blocks else pcap)(line(messages[:90])))
    for position, value in hits:
        data[position % len(data)] = value
    path = captures.write(tmp_path_factory.getbasetemp() / "garbled.pcap", bytes(data))
    with contextlib.suppress(RingcraftError):  # anything else fails the test
        read_recordings(path, format="moldudp64")
