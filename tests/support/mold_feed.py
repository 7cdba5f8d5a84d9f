"""A MoldUDP64 feed as a process of its own: sends packets by UDP, loses some on purpose, answers re-requests.

python -m support.mold_feed PACKETS PORT LOST [HOSTS]: PACKETS is a file of u16 length and payload each, LOST a list of
packet numbers with commas, HOSTS where each packet goes (groups too), loopback without. Says `answering PORT` first,
sends after a line on standard input, ends when that closes. The re-request server follows "Request Packet" of NASDAQ's
specification: session, first number, count; it answers with one packet of at most PER_ANSWER messages.
"""

import select
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.captures import SESSION, mold

PER_ANSWER = 4
_BURST = 64


def write_packets(path: Path, payloads: list[bytes]) -> Path:
    path.write_bytes(b"".join(struct.pack("<H", len(payload)) + payload for payload in payloads))
    return path


@contextmanager
def free_port() -> Iterator[int]:
    """A UDP port of loopback that is free once the block ends."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def _read_packets(path: Path) -> list[bytes]:
    data, found, at = path.read_bytes(), [], 0
    while at < len(data):
        length = int.from_bytes(data[at : at + 2], "little")
        found.append(data[at + 2 : at + 2 + length])
        at += 2 + length
    return found


def _messages(payloads: list[bytes]) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    for payload in payloads:
        number, count = struct.unpack(">QH", payload[10:20])
        at = 20
        for _ in range(0 if count == 0xFFFF else count):
            length = int.from_bytes(payload[at : at + 2], "big")
            found[number] = payload[at + 2 : at + 2 + length]
            number, at = number + 1, at + 2 + length
    return found


def _answer(server: socket.socket, messages: dict[int, bytes]) -> None:
    while select.select([server], [], [], 0)[0]:
        request, asker = server.recvfrom(100)
        assert len(request) == 20, request
        assert request[:10] == SESSION, request
        first, count = struct.unpack(">QH", request[10:])
        wanted = [messages[n] for n in range(first, first + min(count, PER_ANSWER)) if n in messages]
        server.sendto(mold(first, wanted), asker)


def main() -> None:
    payloads = _read_packets(Path(sys.argv[1]))
    port, lost = int(sys.argv[2]), {int(number) for number in sys.argv[3].split(",") if number}
    hosts = sys.argv[4].split(",") if len(sys.argv) > 4 else ["127.0.0.1"]
    messages = _messages(payloads)
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))
    sys.stdout.write(f"answering {server.getsockname()[1]}\n")
    sys.stdout.flush()
    sys.stdin.readline()
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for number, payload in enumerate(payloads):
        if number not in lost:
            for host in hosts:
                sender.sendto(payload, (host, port))
        if number % _BURST == 0:
            select.select([server], [], [], 0.001)
        _answer(server, messages)
    while not select.select([sys.stdin], [], [], 0)[0]:
        select.select([server, sys.stdin], [], [], 0.1)
        _answer(server, messages)


if __name__ == "__main__":
    main()
