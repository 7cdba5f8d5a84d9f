"""MoldUDP64 packets in packet captures, written field by field."""

import struct
from collections.abc import Iterable, Sequence
from pathlib import Path

SESSION = b"RING000001"
LINE_A = (0xE9360C6F, 26477)  # 233.54.12.111
LINE_B = (0xE9C4E66F, 26477)

Packet = tuple[int, bytes]
"""The recorder's clock in ns, and the Ethernet frame."""


def itch_messages(data: bytes) -> list[bytes]:
    """Return the messages of a BinaryFILE."""
    found, at = [], 0
    while at < len(data):
        length = int.from_bytes(data[at : at + 2], "big")
        found.append(data[at + 2 : at + 2 + length])
        at += 2 + length
    return found


def mold(sequence: int, messages: Sequence[bytes], *, session: bytes = SESSION) -> bytes:
    body = b"".join(struct.pack(">H", len(message)) + message for message in messages)
    return session + struct.pack(">QH", sequence, len(messages)) + body


def heartbeat(sequence: int) -> bytes:
    return mold(sequence, ())


def end_of_session(sequence: int, *, session: bytes = SESSION) -> bytes:
    return session + struct.pack(">QH", sequence, 0xFFFF)


def ethernet(
    payload: bytes,
    line: tuple[int, int] = LINE_A,
    *,
    tags: Sequence[tuple[int, int]] = (),
    protocol: int = 17,
    fragment: int = 0,
    padding: int = 0,
) -> bytes:
    """Return a frame with a UDP packet in it; `tags` are (type, tag) of VLANs, outermost first."""
    address, port = line
    udp = struct.pack(">HHHH", 40_000, port, 8 + len(payload), 0) + payload
    ip = struct.pack(">BBHHHBBHII", 0x45, 0, 20 + len(udp), 1, fragment, 8, protocol, 0, 0x0A000001, address) + udp
    vlan = b"".join(struct.pack(">HH", kind, tag) for kind, tag in tags)
    return b"\x01\x00\x5e\x36\x0c\x6f" + b"\x02" * 6 + vlan + b"\x08\x00" + ip + b"\x00" * padding


def packets(
    messages: Sequence[bytes],
    *,
    per_packet: int = 3,
    first_ns: int = 0,
    step_ns: int = 1_000,
    line: tuple[int, int] = LINE_A,
) -> list[Packet]:
    """Return the whole session of one line: its packets and its end."""
    starts = range(0, len(messages), per_packet)
    payloads = [mold(start + 1, messages[start : start + per_packet]) for start in starts]
    payloads.append(end_of_session(len(messages) + 1))
    return [(first_ns + step_ns * i, ethernet(payload, line)) for i, payload in enumerate(payloads)]


def pcap(found: Iterable[Packet], *, order: str = "<", nanoseconds: bool = True, snap: int = 65_535) -> bytes:
    magic, unit = (0xA1B23C4D, 1) if nanoseconds else (0xA1B2C3D4, 1_000)
    out = [struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, snap, 1)]
    for time_ns, frame in found:
        seconds, rest = divmod(time_ns, 10**9)
        out.append(struct.pack(order + "IIII", seconds, rest // unit, min(snap, len(frame)), len(frame)) + frame[:snap])
    return b"".join(out)


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    body += b"\x00" * (-len(body) % 4)
    size = struct.pack(order + "I", 12 + len(body))
    return struct.pack(order + "I", kind) + size + body + size


def section(order: str = "<") -> bytes:
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(order: str = "<", *, resolution: int | None = None, link: int = 1, snap: int = 0) -> bytes:
    options = b"" if resolution is None else struct.pack(order + "HHBxxxHH", 9, 1, resolution, 0, 0)
    return block(1, struct.pack(order + "HHI", link, 0, snap) + options, order)


def pcapng(found: Iterable[Packet], *, order: str = "<", resolution: int | None = None, simple: bool = False) -> bytes:
    """`resolution` is if_tsresol, a power of 10 or, with 128 added, of 2; without it the clock counts µs."""
    power = 6 if resolution is None else resolution & 0x7F
    per_second = 2**power if resolution is not None and resolution & 0x80 else 10**power
    out = [section(order), interface(order, resolution=resolution)]
    for time_ns, frame in found:
        ticks = time_ns * per_second // 10**9
        head = struct.pack(order + "IIIII", 0, ticks >> 32, ticks & 0xFFFFFFFF, len(frame), len(frame))
        out.append(
            block(3, struct.pack(order + "I", len(frame)) + frame, order) if simple else block(6, head + frame, order)
        )
    return b"".join(out)


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path
