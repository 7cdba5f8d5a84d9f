"""Keys, scopes and rates of the doors that are processes of their own."""

import json
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import msgspec
import pytest
import zmq
from pydantic import SecretStr
from websockets.sync.client import connect

from data_contracts.settings import ApiKey
from serving.doors.grpc_door import serve_grpc
from serving.doors.grpc_messages import MESSAGES, SERVICE
from serving.doors.guard import Guard
from serving.doors.keys import KeyRefusedError, KeyRing, bearer
from serving.doors.websocket_door import serve_websocket
from serving.doors.zeromq_door import serve_zeromq

READER = ApiKey(name="reader", secret=SecretStr("reader-secret-0123456789"), scopes=("read",))
ASKER = ApiKey(name="asker", secret=SecretStr("asker-secret-0123456789"), requests_per_second=0.001)
PACED = ApiKey(name="paced", secret=SecretStr("paced-secret-0123456789"), requests_per_second=2)
KEYS = (READER, ASKER, PACED)
ROWS = [[0.0, 1.0]]


def secret(key: ApiKey) -> str:
    return key.secret.get_secret_value()


@contextmanager
def served(serve: Callable[..., None], folder: Path, **more: Any) -> Iterator[tuple[int, ...]]:
    """Give the ports of a door in this process, beside no worker: what is let through gets no decision."""
    stop, ports = threading.Event(), queue.SimpleQueue[tuple[int, ...]]()
    fields = {
        "host": "127.0.0.1",
        "port": 0,
        "stop": stop,
        "opened": lambda *told: ports.put(told),
        "guard": Guard(KEYS),
    }
    thread = threading.Thread(target=serve, args=(folder,), kwargs=fields | more)
    thread.start()
    try:
        yield ports.get(timeout=20)
    finally:
        stop.set()
        thread.join(20)


def test_a_key_is_known_by_its_secret_alone() -> None:
    ring = KeyRing(KEYS)
    assert ring.known(secret(ASKER)) == ASKER
    for wrong in (None, "", "asker", secret(ASKER)[:-1], "schlüssel-schlüssel"):
        with pytest.raises(KeyRefusedError) as refused:
            ring.known(wrong)
        assert refused.value.why == "unauthenticated"
        assert not wrong or wrong not in str(refused.value)
    assert not KeyRing(()).wanted
    KeyRing(()).admit(KeyRing(()).known(None), "infer")


def test_a_scope_is_needed_and_a_rate_is_a_second_s_worth_at_once() -> None:
    now = [0.0]
    ring = KeyRing(KEYS, clock=lambda: now[0])
    with pytest.raises(KeyRefusedError, match="expected one with the scope infer") as refused:
        ring.admit(READER, "infer")
    assert refused.value.why == "permission_denied"
    for _ in range(2):
        ring.admit(PACED, "infer")
    with pytest.raises(KeyRefusedError, match="at most 2 requests a second") as refused:
        ring.admit(PACED, "infer")
    assert refused.value.why == "resource_exhausted"
    now[0] = 0.5
    ring.admit(PACED, "read")
    with pytest.raises(KeyRefusedError):
        ring.admit(PACED, "infer")
    now[0] = 100.0
    for _ in range(2):
        ring.admit(PACED, "infer")
    with pytest.raises(KeyRefusedError):
        ring.admit(PACED, "infer")


def test_a_header_is_read_as_over_rest() -> None:
    assert bearer("Bearer abc") == "abc"
    assert bearer("bearer abc") == "abc"
    assert bearer("Basic abc") is None
    assert bearer(None) is None


def test_grpc_says_who_may_not_and_why(tmp_path: Path) -> None:
    with served(serve_grpc, tmp_path) as (port,), grpc.insecure_channel(f"127.0.0.1:{port}") as channel:

        def call(name: str, key: str | None, **fields: object) -> grpc.StatusCode:
            method = channel.unary_unary(
                f"/{SERVICE}/{name}",
                request_serializer=MESSAGES[f"{name}Request"].SerializeToString,
                response_deserializer=MESSAGES[f"{name}Response"].FromString,
            )
            metadata = (("authorization", f"Bearer {key}"),) if key else ()
            try:
                method(MESSAGES[f"{name}Request"](**fields), metadata=metadata, timeout=10)
            except grpc.RpcError as error:
                return error.code()
            return grpc.StatusCode.OK

        assert call("ServerLive", None) == grpc.StatusCode.OK
        assert call("ServerMetadata", None) == grpc.StatusCode.UNAUTHENTICATED
        assert call("ServerMetadata", "wrong" * 5) == grpc.StatusCode.UNAUTHENTICATED
        assert call("ServerMetadata", secret(READER)) == grpc.StatusCode.OK
        assert call("ModelInfer", secret(READER), model_name="m") == grpc.StatusCode.PERMISSION_DENIED
        codes = {call("ModelInfer", secret(ASKER), model_name="m") for _ in range(6)}
        # What is let through has no input: that it is the door's to say.
        assert codes == {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED}
        stream = channel.stream_stream(
            f"/{SERVICE}/ModelStreamInfer",
            request_serializer=MESSAGES["ModelInferRequest"].SerializeToString,
            response_deserializer=MESSAGES["ModelStreamInferResponse"].FromString,
        )
        requests = [MESSAGES["ModelInferRequest"](model_name="m", id="1")]
        with pytest.raises(grpc.RpcError) as refused:
            next(stream(iter(requests), timeout=10))
        assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED
        metadata = (("authorization", f"Bearer {secret(READER)}"),)
        (reply,) = stream(iter(requests), metadata=metadata, timeout=10)
        assert reply.error_message == "key reader: expected one with the scope infer"


def test_websocket_takes_a_header_or_a_first_message(tmp_path: Path) -> None:
    ask = {"op": "ask", "model": "m", "rows": ROWS, "id": 1}
    with served(serve_websocket, tmp_path) as (port,):
        address = f"ws://127.0.0.1:{port}"

        def said(connection: Any, message: dict[str, object]) -> dict[str, Any]:
            connection.send(json.dumps(message))
            answer: dict[str, Any] = json.loads(connection.recv(10))
            return answer

        with connect(address) as stranger:
            assert said(stranger, {"op": "ping"})["op"] == "pong"
            assert said(stranger, ask)["refused"] == "unauthenticated"
            assert said(stranger, {"op": "subscribe"})["refused"] == "unauthenticated"
            assert said(stranger, {"op": "key", "secret": "wrong"})["refused"] == "unauthenticated"
            assert said(stranger, {"op": "key", "secret": secret(READER)}) == {"op": "known", "name": "reader"}
            assert said(stranger, {"op": "subscribe"})["op"] == "subscribed"
            assert said(stranger, ask)["refused"] == "permission_denied"
        with connect(address, additional_headers={"Authorization": f"Bearer {secret(ASKER)}"}) as known:
            answers = [said(known, ask) for _ in range(5)]
            assert "refused" not in answers[0]  # let through to a worker that is not there
            assert answers[-1]["refused"] == "resource_exhausted"
        with connect(address, additional_headers={"Authorization": "Bearer wrong"}) as wrong:
            assert json.loads(wrong.recv(10))["refused"] == "unauthenticated"


def test_zeromq_takes_a_field_and_tells_decisions_to_readers_alone(tmp_path: Path) -> None:
    with served(serve_zeromq, tmp_path, publish_port=0) as (port, publish_port), zmq.Context() as context:
        with context.socket(zmq.REQ) as asker:
            asker.setsockopt(zmq.RCVTIMEO, 10_000)
            asker.setsockopt(zmq.LINGER, 0)
            asker.connect(f"tcp://127.0.0.1:{port}")

            def said(**fields: object) -> dict[str, Any]:
                asker.send(msgspec.json.encode({"model": "m", "rows": ROWS} | fields))
                answer: dict[str, Any] = msgspec.json.decode(asker.recv())
                return answer

            assert said()["refused"] == "unauthenticated"
            assert said(api_key=secret(READER))["refused"] == "permission_denied"
            answers = [said(api_key=secret(ASKER)) for _ in range(5)]
            assert "refused" not in answers[0]
            assert answers[-1]["refused"] == "resource_exhausted"
        assert subscribes(context, publish_port, READER.name, secret(READER))
        assert not subscribes(context, publish_port, READER.name, "wrong")
        assert not subscribes(context, publish_port, "", "")


def subscribes(context: "zmq.Context[Any]", port: int, name: str, password: str) -> bool:
    """Whether the publisher lets somebody in."""
    with context.socket(zmq.SUB) as subscriber, subscriber.get_monitor_socket() as monitor:
        subscriber.setsockopt(zmq.LINGER, 0)
        if name:
            subscriber.plain_username, subscriber.plain_password = name.encode(), password.encode()
        subscriber.connect(f"tcp://127.0.0.1:{port}")
        from zmq.utils.monitor import recv_monitor_message

        refused = (zmq.EVENT_HANDSHAKE_FAILED_AUTH, zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL, zmq.EVENT_DISCONNECTED)
        while monitor.poll(10_000):
            event = recv_monitor_message(monitor)["event"]
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED or event in refused:
                subscriber.disable_monitor()
                return bool(event == zmq.EVENT_HANDSHAKE_SUCCEEDED)
        raise AssertionError("the publisher said nothing")
