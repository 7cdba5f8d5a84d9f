"""Questions in flight at a door."""

import json
import threading
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from test_door_keys import served
from websockets.sync.client import connect

from data_contracts.errors import UsageError
from data_contracts.settings import load_settings
from serving.doors.asking import Asker, RefusedError, Request
from serving.doors.grpc_door import serve_grpc
from serving.doors.grpc_messages import MESSAGES, SERVICE
from serving.doors.guard import Guard
from serving.doors.in_flight import InFlight
from serving.doors.keys import KeyRefusedError
from serving.doors.shared_client import Status
from serving.doors.websocket_door import serve_websocket
from serving.told import told_protection


def test_one_more_than_the_door_or_the_model_takes_is_refused_until_one_is_answered() -> None:
    held = InFlight(2, {"a": 1})
    with held.one("a"):
        with pytest.raises(KeyRefusedError, match="at most 1 requests in flight of model a") as refused, held.one("a"):
            pass
        assert refused.value.why == "resource_exhausted"
        with held.one("b"), pytest.raises(KeyRefusedError, match="at most 2 requests in flight"), held.one("c"):
            pass
    with held.one("a"):
        pass
    with pytest.raises(ValueError, match="failed"), held.one("a"):
        raise ValueError("failed")
    with held.one("a"):  # one that failed gave its place back
        pass


def test_an_instrument_has_its_rate_whoever_asks() -> None:
    guard = Guard(instrument_requests_per_second=2)
    for instrument in ("X:A", "X:A", "X:B", "X:B", None, None, None):
        with guard.question("m", instrument):
            pass
    said = "at most 2 requests a second of one instrument"
    with pytest.raises(KeyRefusedError, match=said) as refused, guard.question("m", "X:A"):
        pass
    assert (refused.value.cause, refused.value.why) == ("rate", "resource_exhausted")


def test_settings_say_how_many() -> None:
    models = [{"name": "a", "in_flight_max": 3}, {"name": "b"}]
    serving = load_settings(serving={"in_flight_max": {"rest": 9}, "models": models}).serving
    assert told_protection(serving)["concurrency"] == (9, (("a", 3),))
    with pytest.raises(UsageError, match=r"in_flight_max.grpc"):
        load_settings(serving={"in_flight_max": {"grpc": 17}})


def held_question(monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, threading.Event]:
    """Have a door's questions wait: give what says that one is asked, and what ends it."""
    asked, answered = threading.Event(), threading.Event()

    def ask(_self: Asker, _request: Request) -> Any:
        asked.set()
        assert answered.wait(20)
        raise RefusedError(Status.NOT_READY, "no worker")

    monkeypatch.setattr(Asker, "ask", ask)
    return asked, answered


def test_grpc_refuses_at_once_what_is_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, answered = held_question(monkeypatch)
    request = MESSAGES["ModelInferRequest"](model_name="m")
    tensor = request.inputs.add(name="features", datatype="FP32", shape=[1, 2])
    tensor.contents.fp32_contents.extend(np.zeros(2))
    more = {"guard": Guard((), InFlight(1))}
    with served(serve_grpc, tmp_path, **more) as (port,), grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        method = channel.unary_unary(
            f"/{SERVICE}/ModelInfer",
            request_serializer=MESSAGES["ModelInferRequest"].SerializeToString,
            response_deserializer=MESSAGES["ModelInferResponse"].FromString,
        )
        first = method.future(request, timeout=20)
        assert asked.wait(20)
        with pytest.raises(grpc.RpcError) as refused:
            method(request, timeout=20)
        assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert refused.value.details() == "concurrency: expected at most 1 requests in flight at this door, got more"
        answered.set()
        assert first.exception().code() == grpc.StatusCode.UNAVAILABLE


def test_websocket_says_which_question_was_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, answered = held_question(monkeypatch)
    with served(serve_websocket, tmp_path, guard=Guard((), InFlight(None, {"m": 1}))) as (port,):
        address = f"ws://127.0.0.1:{port}"
        with connect(address) as first, connect(address) as second:
            first.send(json.dumps({"op": "ask", "model": "m", "rows": [[0.0, 1.0]], "id": 1}))
            assert asked.wait(20)
            second.send(json.dumps({"op": "ask", "model": "m", "rows": [[0.0, 1.0]], "id": 2}))
            said = json.loads(second.recv(10))
            assert (said["op"], said["id"], said["refused"]) == ("error", 2, "resource_exhausted")
            assert said["error"] == "concurrency: expected at most 1 requests in flight of model m, got more"
            answered.set()
            assert json.loads(first.recv(10))["error"] == "no worker"
