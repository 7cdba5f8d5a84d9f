"""The WebSocket door: questions, decisions as they are taken, market events in."""

import contextlib
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from door_kit import FIELDS, ROWS, by_hand, door, worker
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin
from worker_kit import IF, MODEL, Tier, touch_events, wait_for

COUNT = 300


@pytest.fixture(scope="module")
def running(versions: dict[int, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tier]:
    with worker(tmp_path_factory.mktemp("websocket"), versions, websocket_port=0) as tier:
        yield tier


@pytest.fixture(scope="module")
def address(running: Tier) -> Iterator[str]:
    with door(running, "websocket") as ports:
        yield f"ws://127.0.0.1:{ports['port']}"


@pytest.fixture
def client(address: str) -> Iterator[ClientConnection]:
    with connect(address, compression=None) as made:
        yield made


def send(client: ClientConnection, op: str, **said: object) -> None:
    client.send(json.dumps({"op": op} | said))


def receive(client: ClientConnection) -> dict[str, Any]:
    return json.loads(client.recv(timeout=10))


def asked(client: ClientConnection, **changes: object) -> dict[str, Any]:
    send(client, "ask", **({"model": MODEL, "rows": ROWS.tolist()} | changes))
    return receive(client)


def test_question_is_answered_and_a_bad_one_says_why(client: ClientConnection, versions: dict[int, Path]) -> None:
    answer = asked(client, id="q")
    assert (answer["op"], answer["id"], answer["version"]) == ("answer", "q", 1)
    np.testing.assert_array_equal(np.array(answer["outputs"], np.float32), by_hand(versions[1]))
    assert "unknown model" in asked(client, model="another")["error"]
    client.send("{")
    assert receive(client)["op"] == "error"
    client.send('{"op": "ask", "model": "m", "rows": ' + "[" * 100_000 + "]" * 100_000 + "}")
    assert "nested too deeply" in receive(client)["error"]
    client.send(b'{"op": "ask", "model": "\xff"}')
    assert "expected UTF-8" in receive(client)["error"]
    send(client, "dance")
    assert "dance" in receive(client)["error"]
    assert asked(client)["op"] == "answer"


def test_events_in_decisions_out_and_resumed_behind_the_last(client: ClientConnection, address: str) -> None:
    before = asked(client)["decision_ids"][-1]
    send(client, "subscribe", instruments=[IF.symbol])
    assert receive(client)["op"] == "subscribed"
    send(client, "feed", instruments=[msgspec.to_builtins(IF)])
    assert receive(client) == {"op": "fed"}
    rows = touch_events(COUNT)[list(FIELDS)].tolist()
    events = [dict(zip(FIELDS, row, strict=True)) for row in rows]
    for start in range(0, COUNT, 100):
        send(client, "events", events=events[start : start + 100])
    send(client, "end")
    said = [receive(client) for _ in range(COUNT + 1)]
    assert [one for one in said if one["op"] == "ended"] == [{"op": "ended", "events": COUNT, "decisions": COUNT}]
    told = [one for one in said if one["op"] == "decision"]
    assert [one["decision_id"] for one in told] == list(range(before + 1, before + 1 + COUNT))
    assert [one["event_ns"] for one in told] == [event["event_ns"] for event in events]
    assert {one["instrument"] for one in told} == {IF.symbol}
    assert [one["abstain"] for one in told] == ["not_warm"] * 199 + [""] * (COUNT - 199)

    with connect(address, compression=None) as other:
        send(other, "subscribe", after=before + 250)
        assert receive(other)["op"] == "subscribed"
        resumed = [receive(other) for _ in range(COUNT - 250)]
    assert resumed == told[250:]


def test_whoever_subscribes_behind_what_is_not_decided_yet_is_told_the_newest(client: ClientConnection) -> None:
    newest = asked(client)["decision_ids"][-1]

    def told() -> dict[str, Any]:
        send(client, "subscribe", after=newest + 1000)
        return receive(client)

    wait_for(lambda: told() == {"op": "subscribed", "after": newest + 1000, "newest": newest}, "the newest")


def test_one_feeds_at_a_time_and_questions_wait_for_no_feed(client: ClientConnection, address: str) -> None:
    one = msgspec.to_builtins(IF)
    with contextlib.ExitStack() as stack:
        others = [stack.enter_context(connect(address, compression=None)) for _ in range(12)]
        for other in others:
            send(other, "feed", instruments=[one])
        said = [receive(other) for other in others]
        assert [reply["op"] for reply in said].count("fed") == 1
        assert sum("expected no other feed" in reply.get("error", "") for reply in said) == 11
        assert asked(client)["op"] == "answer"
        feeder = others[[reply["op"] for reply in said].index("fed")]
        send(feeder, "end")
        assert receive(feeder)["op"] == "ended"
        send(client, "feed", instruments=[one])
        assert receive(client) == {"op": "fed"}


def test_a_door_with_a_thousand_connections_is_fed(client: ClientConnection, address: str) -> None:
    with contextlib.ExitStack() as stack:
        host, _, port = address.removeprefix("ws://").partition(":")
        for _ in range(1100):
            stack.enter_context(socket.create_connection((host, int(port))))
        send(client, "feed", instruments=[msgspec.to_builtins(IF)])
        assert receive(client) == {"op": "fed"}
        send(client, "end")
        assert receive(client)["op"] == "ended"


@pytest.mark.parametrize("origin", ["http://elsewhere.example", "null", "http://127.0.0.1.elsewhere.example"])
def test_a_page_of_elsewhere_is_refused(address: str, origin: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        connect(address, origin=Origin(origin))
    assert refused.value.response.status_code == 403
    for own in ("http://localhost:3000", "https://127.0.0.1", "http://[::1]:8080"):
        with connect(address, origin=Origin(own)) as client:
            assert asked(client)["op"] == "answer"
