"""The ZeroMQ door with plain sockets: questions answered, decisions told."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import zmq
from door_kit import ROWS, by_hand, door, worker
from worker_kit import MODEL

WAIT_MS = 10_000


@pytest.fixture(scope="module")
def ports(versions: dict[int, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    settings = {"zeromq_port": 0, "zeromq_publish_port": 0}
    with worker(tmp_path_factory.mktemp("zeromq"), versions, **settings) as running, door(running, "zeromq") as ports:
        yield ports


@pytest.fixture
def asked(ports: dict[str, int]) -> Iterator[zmq.Socket[bytes]]:
    with zmq.Context() as context, context.socket(zmq.REQ) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.RCVTIMEO, WAIT_MS)
        socket.connect(f"tcp://127.0.0.1:{ports['port']}")
        yield socket


def said(socket: zmq.Socket[bytes], *frames: bytes) -> dict[str, Any]:
    socket.send_multipart(frames)
    return msgspec.json.decode(socket.recv())


def test_rows_in_json_or_as_bytes_get_the_same_decisions(asked: zmq.Socket[bytes], versions: dict[int, Path]) -> None:
    plain = said(asked, msgspec.json.encode({"id": 7, "model": MODEL, "rows": ROWS.tolist()}))
    packed = said(asked, msgspec.json.encode({"model": MODEL, "shape": ROWS.shape}), ROWS.tobytes())
    assert (plain["id"], plain["version"], plain["arm"]) == (7, 1, "champion")
    np.testing.assert_array_equal(np.array(plain["outputs"], np.float32), by_hand(versions[1]))
    assert packed["outputs"] == plain["outputs"]
    assert packed["actions"] == plain["actions"]
    assert packed["decision_ids"][0] == plain["decision_ids"][-1] + 1


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ([b"{"], "truncated"),
        ([b'{"model": "another", "rows": [[1]]}'], "unknown model: 'another'"),
        ([b'{"model": "m", "rows": [[1], [2, 3]]}'], "rows: expected vectors of one width"),
        ([b'{"model": "m", "shape": [1, 16]}', b"1234"], "rows: expected 64 bytes"),
        ([b'{"model": "m"}', b"1234"], "shape: expected that of the rows"),
        ([b'{"model": "m", "rows": [[1]]}', b"", b""], "expected one frame or two, got 3"),
        ([b'{"model": "m", "rows": [[1]], "extra": 1}'], "unknown field `extra`"),
        ([b'{"model": "m", "rows": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"], "nested too deeply"),
        ([b'{"model": "\xff", "rows": [[1]]}'], "expected UTF-8"),
        ([b'{"model": "m", "id": 1' + b"0" * 400 + b', "rows": [[1]]}'], "at `$.id`"),
        ([msgspec.json.encode({"model": MODEL, "rows": ROWS.tolist(), "instrument": "ü" * 60})], "63 bytes"),
        ([msgspec.json.encode({"model": MODEL, "rows": ROWS.tolist(), "key": "ü" * 60})], "63 bytes"),
        ([b'{"model": "m", "rows": [["1"]]}'], "all numbers"),
        ([b'{"model": "m", "rows": [[null]]}'], "all numbers"),
        ([b'{"model": "m", "rows": [[]]}'], "unknown model"),
    ],
)
def test_bad_request_says_why_and_the_next_is_answered(
    asked: zmq.Socket[bytes], frames: list[bytes], message: str
) -> None:
    assert message in said(asked, *frames)["error"]
    assert "actions" in said(asked, msgspec.json.encode({"model": MODEL, "rows": ROWS.tolist()}))


def test_every_decision_is_told(ports: dict[str, int], asked: zmq.Socket[bytes]) -> None:
    with zmq.Context() as context, context.socket(zmq.SUB) as follower:
        follower.setsockopt(zmq.LINGER, 0)
        follower.setsockopt(zmq.RCVTIMEO, 200)
        follower.setsockopt(zmq.SUBSCRIBE, b"decision.")
        follower.connect(f"tcp://127.0.0.1:{ports['publish_port']}")
        ids: list[int] = []
        told: list[dict[str, Any]] = []
        for _ in range(WAIT_MS // 200):  # a subscriber hears nothing until its connection stands
            ids += said(asked, msgspec.json.encode({"model": MODEL, "rows": ROWS.tolist()}))["decision_ids"]
            try:
                told = [msgspec.json.decode(follower.recv_multipart()[1]) for _ in range(len(ROWS))]
                break
            except zmq.Again:
                continue
        assert [one["decision_id"] for one in told] == list(range(told[0]["decision_id"], told[0]["decision_id"] + 3))
        assert told[0]["decision_id"] in ids
        assert {(one["model"], one["abstain"]) for one in told} == {(MODEL, "")}
