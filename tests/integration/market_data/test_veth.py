"""Two multicast lines over a pair of virtual cards between two network namespaces, into `ringcraft receive`.

Needs to be root, and `ip` (Debian's iproute2); skipped where the system gives no namespaces.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from support import captures, mold_feed
from support.cli import environment, ringcraft

from market_data.simulator import simulate

pytestmark = pytest.mark.long

START_NS = int(datetime(2026, 1, 5, 14, 30, tzinfo=UTC).timestamp()) * 10**9
PORT = 26_477
GROUPS = ("239.7.7.7", "239.7.7.8")
SUPPORT = Path(__file__).parents[2]


@pytest.fixture
def wire() -> Iterator[tuple[str, str, str]]:
    """Two namespaces with a card each, and the card of the second by name."""
    if not shutil.which("ip"):
        pytest.skip("no `ip` here: apt-get install iproute2")
    sender, receiver = (f"ringcraft-{os.getpid()}-{side}" for side in "ab")
    cards = [f"rc{os.getpid() % 100_000}{side}" for side in "ab"]
    made = []
    try:
        for name in (sender, receiver):
            done = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
            if done.returncode != 0:
                pytest.skip(f"no network namespaces here: {done.stderr.strip()}")
            made.append(name)
        ip("link", "add", cards[0], "netns", sender, "type", "veth", "peer", "name", cards[1], "netns", receiver)
        for name, card, number in ((sender, cards[0], 1), (receiver, cards[1], 2)):
            ip("-n", name, "address", "add", f"10.77.0.{number}/24", "dev", card)
            ip("-n", name, "link", "set", card, "up")
            ip("-n", name, "link", "set", "lo", "up")
        ip("-n", sender, "route", "add", "239.0.0.0/8", "dev", cards[0])
        yield sender, receiver, cards[1]
    finally:
        for name in made:  # the cards go with their namespaces
            subprocess.run(["ip", "netns", "delete", name], check=False)


def ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, (arguments, done.stderr)


@pytest.mark.parametrize("by", ["name", "address"])
def test_two_groups_joined_over_virtual_cards_give_the_book_of_replay(
    wire: tuple[str, str, str], tmp_path: Path, by: str
) -> None:
    sender, receiver, card = wire
    itch = tmp_path / "01052026.itch"
    simulate(itch, seed=4, seconds=60)
    packets = captures.packets(captures.itch_messages(itch.read_bytes()), per_packet=8, first_ns=START_NS)
    pcap = captures.write(tmp_path / "01052026.pcap", captures.pcap(packets))
    about = Path(f"{pcap}.instrument.json")
    shutil.copy(f"{itch}.instrument.json", about)
    payloads = [frame[42:] for _, frame in packets]
    expected, found = tmp_path / "replay.parquet", tmp_path / "received.parquet"
    assert ringcraft("replay", pcap, "--format", "moldudp64", "--book", expected).returncode == 0

    interface = card if by == "name" else "10.77.0.2"
    lines = ",".join(f"{group}:{PORT}" for group in GROUPS)
    receiving = subprocess.Popen(
        [
            *("ip", "netns", "exec", receiver, sys.executable, "-m", "ringcraft.cli", "receive"),
            *(f"udp://{lines}?interface={interface}&busy_poll_us=50", "--about", about, "--json", "--book", found),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    assert receiving.stderr is not None
    notes = []
    while "receiving on port" not in (note := receiving.stderr.readline()):
        assert note, f"the receiver ended: {notes}"
        notes.append(note)
    feed = subprocess.Popen(
        [
            *("ip", "netns", "exec", sender, sys.executable, "-m", "support.mold_feed"),
            *(mold_feed.write_packets(tmp_path / "packets", payloads), str(PORT), "3,4,50", ",".join(GROUPS)),
        ],
        cwd=SUPPORT,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    assert feed.stdin is not None
    feed.stdin.write("go\n")
    feed.stdin.flush()
    answer, error = receiving.communicate(timeout=60)
    feed.communicate(timeout=10)
    assert receiving.returncode == 0, error
    got = json.loads(answer)
    # Both lines lost the same three packets, which nobody brings.
    assert got["source"]["packets"] == 2 * (len(payloads) - 3)
    assert got["source"]["dropped"] == 0
    assert got["source"]["stamp"] == "kernel"
    assert got["mold"]["missed"] == 3 * 8
    assert got["mold"]["duplicates"] > 0
    left, right = pq.read_table(found), pq.read_table(expected)
    columns = ["event_ns", "sequence", "bid_ticks", "bid_lots", "ask_ticks", "ask_lots"]
    lost_from = 1 + 3 * 8  # the first message of the first packet that was lost
    whole = sum(number < lost_from for number in left["sequence"].to_pylist())
    assert whole > 0
    assert left.num_rows > 300
    assert left.select(columns)[:whole].equals(right.select(columns)[:whole])
