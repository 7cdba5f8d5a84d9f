"""The gRPC door with Triton's own client: unary, asynchronous, and as a stream."""

import asyncio
import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
import tritonclient.http as triton_http
from door_kit import ROWS, by_hand, door, worker
from tritonclient.utils import InferenceServerException
from worker_kit import MODEL, Tier, wait_for

from benchmarks.versions import WIDTH
from data_contracts.journal import AbstainReason
from serving.doors.grpc_messages import MESSAGES, SERVICE


@pytest.fixture(scope="module")
def running(versions: dict[int, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tier]:
    with worker(tmp_path_factory.mktemp("grpc"), versions, grpc_port=0) as tier:
        yield tier


@pytest.fixture(scope="module")
def address(running: Tier) -> Iterator[str]:
    with door(running, "grpc") as ports:
        yield f"127.0.0.1:{ports['port']}"


@pytest.fixture
def client(address: str) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(address) as made:
        yield made


def tensor(rows: np.ndarray = ROWS, name: str = "features", datatype: str = "FP32") -> triton.InferInput:
    made = triton.InferInput(name, list(rows.shape), datatype)
    made.set_data_from_numpy(rows)
    return made


def test_health_and_metadata(client: triton.InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(MODEL)
    assert client.is_model_ready(MODEL, "2")
    assert not client.is_model_ready(MODEL, "9")
    assert client.get_server_metadata().name == "ringcraft"
    facts = client.get_model_metadata(MODEL, as_json=True)
    assert facts["versions"] == ["1", "2"]
    assert facts["inputs"] == [{"name": "features", "datatype": "FP32", "shape": ["-1", str(WIDTH)]}]
    assert [output["name"] for output in facts["outputs"]] == ["output", "action", "decision_id", "abstain"]
    index = client.get_model_repository_index(as_json=True)["models"]
    assert [(one["name"], one["version"], one["state"]) for one in index] == [(MODEL, v, "READY") for v in ("1", "2")]


def test_infer_returns_the_model_s_output_and_the_decisions(
    client: triton.InferenceServerClient, versions: dict[int, Path]
) -> None:
    said = client.infer(MODEL, [tensor()], request_id="r-1", client_timeout=5.0)
    assert said.get_response().id == "r-1"
    assert said.get_response().model_version == "1"
    np.testing.assert_array_equal(said.as_numpy("output"), by_hand(versions[1]))
    assert set(said.as_numpy("action").tolist()) <= {-1, 0, 1}
    assert said.as_numpy("abstain").tolist() == [AbstainReason.NONE] * len(ROWS)
    assert said.get_response().parameters["reason"].string_param == "none"
    ids = said.as_numpy("decision_id")
    assert ids.dtype == np.uint64
    assert np.diff(ids.astype(np.int64)).tolist() == [1] * (len(ROWS) - 1)
    other = client.infer(MODEL, [tensor()], model_version="2", outputs=[triton.InferRequestedOutput("output")])
    np.testing.assert_array_equal(other.as_numpy("output"), by_hand(versions[2]))
    assert other.as_numpy("action") is None
    stats = client.get_inference_statistics(MODEL, as_json=True)["model_stats"]
    assert {one["version"] for one in stats} == {"1", "2"}
    assert int(stats[0]["inference_stats"]["success"]["count"]) >= 1


def test_contents_in_the_message_say_the_same(address: str, versions: dict[int, Path]) -> None:
    request = MESSAGES["ModelInferRequest"](model_name=MODEL)
    one = request.inputs.add(name="features", datatype="FP32", shape=ROWS.shape)
    one.contents.fp32_contents.extend(ROWS.ravel().tolist())
    with grpc.insecure_channel(address) as channel:
        infer = channel.unary_unary(
            f"/{SERVICE}/ModelInfer",
            request_serializer=MESSAGES["ModelInferRequest"].SerializeToString,
            response_deserializer=MESSAGES["ModelInferResponse"].FromString,
        )
        said = np.frombuffer(infer(request).raw_output_contents[0], "<f4").reshape(-1, 3)
        np.testing.assert_array_equal(said, by_hand(versions[1]))
        request.raw_input_contents.append(ROWS.tobytes())
        with pytest.raises(grpc.RpcError, match="no other contents beside them"):
            infer(request)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"model_name": "another", "inputs": [tensor()]}, "Request for unknown model: 'another' is not found"),
        ({"model_name": MODEL, "inputs": [tensor()], "model_version": "9"}, "version 9 is not found"),
        ({"model_name": MODEL, "inputs": [tensor()], "model_version": "x"}, "expected a positive number"),
        ({"model_name": MODEL, "inputs": [tensor()], "model_version": "9" * 5000}, "expected a positive number"),
        ({"model_name": MODEL, "inputs": [tensor(name="other")]}, r"expected one tensor 'features', got \['other'\]"),
        ({"model_name": MODEL, "inputs": [tensor(ROWS[:, :5].copy())]}, r"expected shape \[-1, 16\]"),
        (
            {"model_name": MODEL, "inputs": [tensor(ROWS.astype(np.float64), datatype="FP64")]},
            "expected datatype FP32, got 'FP64'",
        ),
        (
            {"model_name": MODEL, "inputs": [tensor()], "outputs": [triton.InferRequestedOutput("nothing")]},
            "got 'nothing'",
        ),
        (
            {
                "model_name": MODEL,
                "inputs": [tensor()],
                "outputs": [triton.InferRequestedOutput("output", class_count=2)],
            },
            "output 'output': parameter classification: expected none",
        ),
        ({"model_name": MODEL, "inputs": [tensor()], "timeout": -1}, "timeout: expected whole microseconds"),
    ],
)
def test_bad_requests_say_what_was_expected(
    client: triton.InferenceServerClient, asked: dict[str, Any], message: str
) -> None:
    with pytest.raises(InferenceServerException, match=message):
        client.infer(**asked)


def test_stream_answers_in_order_and_goes_on_after_an_error(
    client: triton.InferenceServerClient, versions: dict[int, Path]
) -> None:
    came: queue.Queue[tuple[Any, Any]] = queue.Queue()
    client.start_stream(lambda result, error: came.put((result, error)))
    client.async_stream_infer(MODEL, [tensor()], request_id="a", enable_empty_final_response=True)
    client.async_stream_infer("another", [tensor()], request_id="b")
    client.async_stream_infer(MODEL, [tensor()], request_id="c")
    first, bad, last = (came.get(timeout=10) for _ in range(3))
    client.stop_stream()
    np.testing.assert_array_equal(first[0].as_numpy("output"), by_hand(versions[1]))
    assert first[0].get_response().parameters["triton_final_response"].bool_param
    assert "unknown model" in str(bad[1])
    assert last[0].get_response().id == "c"


def test_a_request_s_timeout_is_its_deadline(client: triton.InferenceServerClient) -> None:
    said = client.infer(MODEL, [tensor()], timeout=1)
    assert said.as_numpy("abstain").tolist() == [AbstainReason.DEADLINE] * len(ROWS)
    assert said.get_response().parameters["reason"].string_param == "deadline"
    said = client.infer(MODEL, [tensor()], timeout=60_000_000)
    assert said.as_numpy("abstain").tolist() == [AbstainReason.NONE] * len(ROWS)


def test_metadata_is_that_of_rest(address: str, running: Tier) -> None:
    rest = f"127.0.0.1:{running.status().rest_port}"
    with triton.InferenceServerClient(address) as one, triton_http.InferenceServerClient(rest) as other:
        told, told_there = one.get_model_metadata(MODEL, as_json=True), other.get_model_metadata(MODEL)
    for tensors in ("inputs", "outputs"):
        for said in told[tensors]:
            said["shape"] = [int(size) for size in said["shape"]]
    assert told == told_there


def test_grpc_s_own_health_service(address: str) -> None:
    with grpc.insecure_channel(address) as channel:
        check = channel.unary_unary("/grpc.health.v1.Health/Check", bytes, bytes)
        assert check(b"") == b"\x08\x01"  # status = SERVING
        assert check(b"\x0a" + bytes([len(SERVICE)]) + SERVICE.encode()) == b"\x08\x01"
        with pytest.raises(grpc.RpcError, match="or none, got 'x'") as error:
            check(b"\x0a\x01x")
        assert error.value.code() == grpc.StatusCode.NOT_FOUND


def test_streams_that_only_stay_open_hold_up_nobody(address: str, client: triton.InferenceServerClient) -> None:
    done = threading.Event()

    def asking_nothing() -> Iterator[bytes]:
        done.wait(30)
        yield from ()

    with grpc.insecure_channel(address) as channel:
        stream = channel.stream_stream(f"/{SERVICE}/ModelStreamInfer", bytes, bytes)
        calls = [stream(asking_nothing()) for _ in range(70)]
        wait_for(lambda: sum(call.done() for call in calls) == 6, "six to be refused")
        refused = [call for call in calls if call.done()]
        assert {call.code() for call in refused} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
        assert "at most 64 open at once" in refused[0].details()
        assert client.infer(MODEL, [tensor()], client_timeout=5.0).as_numpy("output") is not None
        done.set()
        assert {call.code() for call in calls if call not in refused} == {grpc.StatusCode.OK}


def test_asynchronous_client(address: str, versions: dict[int, Path]) -> None:
    async def ask() -> list[np.ndarray]:
        async with triton_aio.InferenceServerClient(address) as made:
            assert await made.is_server_ready()
            said = await asyncio.gather(*(made.infer(MODEL, [tensor()]) for _ in range(8)))
            return [one.as_numpy("output") for one in said]

    for output in asyncio.run(ask()):
        np.testing.assert_array_equal(output, by_hand(versions[1]))
