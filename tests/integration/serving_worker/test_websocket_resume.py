"""Subscribers of a real worker that are slow or come back, over a real WebSocket door."""

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from door_kit import door, worker
from websockets.sync.client import ClientConnection, connect
from worker_kit import Tier, ab_route, lineup, serve_all, touch_events, wait_for

from serving.doors.counters import read_counters

KEPT = 1000
MANY = 5000


@pytest.fixture(scope="module")
def running(versions: dict[int, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tier]:
    settings = {"websocket_port": 0, "websocket_kept": KEPT}
    with worker(tmp_path_factory.mktemp("resume"), versions, **settings) as tier:
        yield tier


@pytest.fixture(scope="module")
def port(running: Tier) -> Iterator[int]:
    with door(running, "websocket") as ports:
        yield ports["port"]


def said(client: ClientConnection) -> dict[str, Any]:
    return json.loads(client.recv(timeout=10))


def subscribed(port: int, after: int | None = None, **options: Any) -> ClientConnection:
    client = connect(f"ws://127.0.0.1:{port}", compression=None, **options)
    client.send(json.dumps({"op": "subscribe", "after": after}))
    assert said(client).items() >= {"op": "subscribed", "after": after}.items()
    return client


def told_until(client: ClientConnection, last: int) -> list[dict[str, Any]]:
    """Everything up to decision `last`."""
    told = []
    while not told or told[-1].get("decision_id") != last:
        told.append(said(client))
    return told


def ids_of(told: list[dict[str, Any]]) -> list[int]:
    assert {one["op"] for one in told} <= {"decision"}
    return [one["decision_id"] for one in told]


class Market:
    """Feeds events and knows the last decision on them."""

    def __init__(self, running: Tier) -> None:
        self._running = running
        self._fed = 0

    def decide(self, count: int) -> int:
        """Have so many decisions taken; return the last one's id."""
        answer = serve_all(self._running, touch_events(count, start=self._fed))
        assert answer == {"events": count, "decisions": count}
        self._fed += count
        return self._fed


@pytest.fixture(scope="module")
def market(running: Tier) -> Market:
    return Market(running)


def test_slow_consumer_is_told_what_it_missed_and_nobody_else_misses_any(
    running: Tier, port: int, market: Market
) -> None:
    before = market.decide(10)
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    narrow.connect(("127.0.0.1", port))
    with subscribed(port, before, sock=narrow, max_queue=1) as slow, subscribed(port, before) as quick:
        last = before + MANY
        for told_to in range(before, last, 250):
            market.decide(250)
            # In time and none left out, while the slow one reads nothing.
            assert ids_of(told_until(quick, told_to + 250)) == list(range(told_to + 1, told_to + 251))

        late = told_until(slow, last)
        (gap,) = [place for place, one in enumerate(late) if one["op"] == "missed"]
        missed = late[gap]
        assert ids_of(late[:gap]) == list(range(before + 1, missed["after"] + 1))
        assert ids_of(late[gap + 1 :]) == list(range(missed["before"], last + 1))
        # The log sheds its oldest a quarter at a time.
        assert KEPT <= last + 1 - missed["before"] <= KEPT + KEPT // 4
        assert missed["before"] - missed["after"] > KEPT
        gone = missed["before"] - missed["after"] - 1
        wait_for(lambda: read_counters(running.state, "websocket").missed == gone, "the door to have counted them")
        slow.send(json.dumps({"op": "ping", "id": 1}))
        assert said(slow) == {"op": "pong", "id": 1}


def test_client_that_comes_back_gets_what_lies_between_and_goes_on(port: int, market: Market) -> None:
    first = market.decide(10)
    with subscribed(port, first) as client:
        seen = ids_of(told_until(client, market.decide(20)))
    market.decide(KEPT - 100)
    # Comes back in the midst of more.
    feeder = threading.Thread(target=lambda: [market.decide(5) for _ in range(10)])
    feeder.start()
    with subscribed(port, seen[-1]) as client:
        feeder.join()
        seen += ids_of(told_until(client, market.decide(1)))
    assert seen == list(range(first + 1, first + 20 + KEPT - 100 + 50 + 1 + 1))


def test_client_that_comes_back_too_late_is_told_which_are_gone(port: int, market: Market) -> None:
    first = market.decide(10)
    last = market.decide(2 * KEPT)
    with subscribed(port, last - 1) as other:
        assert ids_of(told_until(other, last)) == [last]  # by then the door has all of them
    with subscribed(port, first) as client:
        missed, *rest = told_until(client, last)
    assert (missed["op"], missed["after"]) == ("missed", first)
    assert ids_of(rest) == list(range(missed["before"], last + 1))
    assert len(rest) >= KEPT


def test_subscriber_goes_on_over_a_worker_that_starts_anew(
    running: Tier, market: Market, port: int, versions: dict[int, Path]
) -> None:
    first = market.decide(10)
    with subscribed(port, first) as client:
        market.decide(100)
        running.kill()
        running.show(lineup(versions))
        running.start()
        running.routing.publish([ab_route(0)])
        wait_for(lambda: len(running.status().slots) == len(versions), "the versions")
        last = market.decide(100)
        assert last == first + 200
        assert ids_of(told_until(client, last)) == list(range(first + 1, last + 1))
