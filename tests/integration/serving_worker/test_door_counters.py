"""Keys, rates and limits at the three doors beside a real worker, and what each of them says of it on /metrics."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import tritonclient.grpc as triton
import zmq
from door_kit import ROWS, door, worker
from prometheus_client import CollectorRegistry
from tritonclient.utils import InferenceServerException
from websockets.sync.client import connect
from worker_kit import MODEL, Tier, wait_for

from serving.console.door_metrics import DoorCollector
from serving.doors.counters import read_counters

DOORS = ("grpc", "websocket", "zeromq")
PORTS = ("grpc_port", "websocket_port", "zeromq_port", "zeromq_publish_port")
KEYS = (
    '[{name = "desk", secret = "desk-secret-0123"},'
    ' {name = "paced", secret = "paced-secret-012", requests_per_second = 0.001},'
    ' {name = "viewer", secret = "viewer-secret-01", scopes = ["read"]}]'
)
ASKED = {
    "desk-secret-0123": ["", "", ""],
    "paced-secret-012": ["", "resource_exhausted"],
    "viewer-secret-01": ["permission_denied"],
    "nobody-secret-01": ["unauthenticated"],
}
"""Who asks, and each time what refuses it."""
COUNTED = {"unauthenticated": 1, "permission_denied": 1, "rate": 1, "in_flight": 0}
QUESTION = {"model": MODEL, "rows": ROWS.tolist()}


@pytest.fixture(scope="module")
def running(versions: dict[int, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tier]:
    settings = dict.fromkeys(PORTS, 0) | {"api_keys": KEYS, "in_flight_max": "{ zeromq = 2 }"}
    settings |= {"instrument_requests_per_second": 0.001}
    with worker(tmp_path_factory.mktemp("counters"), versions, **settings) as tier:
        yield tier


@pytest.fixture(scope="module")
def ports(running: Tier) -> Iterator[dict[str, int]]:
    with ExitStack() as stack:
        yield {name: stack.enter_context(door(running, name))["port"] for name in DOORS}
    assert [read_counters(running.state, name) for name in DOORS] == [None] * 3


def by_grpc(port: int, secret: str, **steered: str) -> str:
    tensor = triton.InferInput("features", list(ROWS.shape), "FP32")
    tensor.set_data_from_numpy(ROWS)
    with triton.InferenceServerClient(f"127.0.0.1:{port}") as client:
        try:
            client.infer(MODEL, [tensor], headers={"authorization": f"Bearer {secret}"}, parameters=steered)
        except InferenceServerException as error:
            return error.status().removeprefix("StatusCode.").lower()
    return ""


def by_websocket(port: int, secret: str, **steered: str) -> str:
    headers = {"Authorization": f"Bearer {secret}"}
    with connect(f"ws://127.0.0.1:{port}", compression=None, additional_headers=headers) as client:
        if secret != "nobody-secret-01":  # which is told at once
            client.send(json.dumps({"op": "ask"} | QUESTION | steered))
        return json.loads(client.recv(timeout=10)).get("refused", "")


def by_zeromq(port: int, secret: str, **steered: str) -> str:
    with zmq.Context() as context, context.socket(zmq.REQ) as client:
        client.setsockopt(zmq.RCVTIMEO, 10_000)
        client.connect(f"tcp://127.0.0.1:{port}")
        client.send_json(QUESTION | steered | {"api_key": secret})
        return client.recv_json().get("refused", "")


BY = {"grpc": by_grpc, "websocket": by_websocket, "zeromq": by_zeromq}


def told(running: Tier, name: str, labels: dict[str, str]) -> float | None:
    registry = CollectorRegistry()
    registry.register(DoorCollector(running.state, DOORS))
    return registry.get_sample_value(f"ringcraft_door_{name}", labels)


@pytest.mark.parametrize("name", DOORS)
def test_each_refusal_is_counted_by_what_refused(running: Tier, ports: dict[str, int], name: str) -> None:
    asked = {secret: [BY[name](ports[name], secret) for _ in said] for secret, said in ASKED.items()}
    assert asked == ASKED
    wait_for(lambda: told(running, "requests_total", {"door": name}) == 7, "the counters to be stated")
    for why, count in COUNTED.items():
        assert told(running, "refused_total", {"door": name, "why": why}) == count
    assert told(running, "failed_total", {"door": name}) == 0
    assert told(running, "open", {"door": name}) == 1


@pytest.mark.parametrize("name", DOORS)
def test_an_instrument_s_rate_is_counted_as_one(running: Tier, ports: dict[str, int], name: str) -> None:
    of_rate = {"door": name, "why": "rate"}
    before = told(running, "refused_total", of_rate)
    said = [BY[name](ports[name], "desk-secret-0123", instrument="X:A") for _ in range(2)]
    assert said == ["", "resource_exhausted"]
    assert BY[name](ports[name], "desk-secret-0123") == ""
    wait_for(lambda: told(running, "refused_total", of_rate) == before + 1, "the counters to be stated")


def test_zeromq_refuses_at_once_what_is_too_much_for_one_turn(running: Tier, ports: dict[str, int]) -> None:
    count = 400
    with zmq.Context() as context, context.socket(zmq.DEALER) as client:
        client.setsockopt(zmq.RCVTIMEO, 10_000)
        client.connect(f"tcp://127.0.0.1:{ports['zeromq']}")
        for place in range(count):
            client.send_json(QUESTION | {"api_key": "desk-secret-0123", "id": place})
        said = [client.recv_json() for _ in range(count)]
    assert sorted(one["id"] for one in said) == list(range(count))
    refused = [one for one in said if "refused" in one]
    answered = [one["id"] for one in said if "decision_ids" in one]
    # How many of them one turn finds is the machine's to say.
    assert len(refused) + len(answered) == count
    assert len(answered) >= 2
    assert answered == sorted(answered)
    assert refused
    assert {one["refused"] for one in refused} == {"resource_exhausted"}
    assert {one["error"] for one in refused} == {
        "concurrency: expected at most 2 requests in flight at this door, got more"
    }
    labels = {"door": "zeromq", "why": "in_flight"}
    wait_for(lambda: told(running, "refused_total", labels) == len(refused), "the counters to be stated")


def test_bad_requests_and_missed_decisions_are_counted(running: Tier, ports: dict[str, int]) -> None:
    headers = {"Authorization": "Bearer desk-secret-0123"}
    before = told(running, "requests_total", {"door": "websocket"})
    with connect(f"ws://127.0.0.1:{ports['websocket']}", compression=None, additional_headers=headers) as client:
        client.send("{")
        assert json.loads(client.recv(timeout=10))["op"] == "error"
        client.send(json.dumps({"op": "ask"} | QUESTION | {"model": "nobody"}))
        assert json.loads(client.recv(timeout=10))["op"] == "error"
        client.send(json.dumps({"op": "ping"}))
        assert json.loads(client.recv(timeout=10))["op"] == "pong"
    wait_for(lambda: told(running, "failed_total", {"door": "websocket"}) == 2, "the counters to be stated")
    assert told(running, "requests_total", {"door": "websocket"}) == before + 3
    assert told(running, "missed_decisions_total", {"door": "websocket"}) == 0
