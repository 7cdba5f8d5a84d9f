"""What tritonclient's published examples do with a server, done with a real worker's REST and gRPC doors."""

import asyncio
import http.client
import queue
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as over_grpc
import tritonclient.grpc.aio as over_grpc_aio
import tritonclient.http as over_http
import tritonclient.http.aio as over_http_aio
from door_kit import ROWS, by_hand, door, worker
from tritonclient.utils import InferenceServerException, triton_to_np_dtype
from worker_kit import MODEL

from benchmarks.versions import WIDTH

OVER = {"http": over_http, "grpc": over_grpc}


@pytest.fixture(scope="module")
def addresses(versions: dict[int, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    folder = tmp_path_factory.mktemp("usage")
    with worker(folder, versions, grpc_port=0) as running, door(running, "grpc") as ports:
        yield {"http": f"127.0.0.1:{running.status().rest_port}", "grpc": f"127.0.0.1:{ports['port']}"}


@pytest.fixture(scope="module")
def expected(versions: dict[int, Path]) -> np.ndarray:
    return by_hand(versions[1])


def tensor(over: Any, rows: np.ndarray = ROWS) -> Any:
    made = over.InferInput("features", list(rows.shape), "FP32")
    made.set_data_from_numpy(rows)
    return made


@pytest.mark.parametrize("protocol", OVER)
def test_tensors_are_made_by_the_configuration_and_used_again(
    addresses: dict[str, str], expected: np.ndarray, protocol: str
) -> None:
    over = OVER[protocol]
    with over.InferenceServerClient(addresses[protocol]) as client:
        if protocol == "grpc":
            told = client.get_model_config(MODEL, as_json=True)["config"]
        else:
            told = client.get_model_config(MODEL)
        assert told.get("max_batch_size", 0) == 0
        assert [int(one) for one in told["version_policy"]["specific"]["versions"]] == [1, 2]
        (asked,) = told["input"]
        assert (asked["name"], asked["data_type"]) == ("features", "TYPE_FP32")
        assert [int(size) for size in asked["dims"]] == [-1, WIDTH]
        names = {one["name"]: one["data_type"].removeprefix("TYPE_") for one in told["output"]}
        assert names.keys() == {"output", "action", "abstain", "decision_id"}

        one = tensor(over)
        wanted = [over.InferRequestedOutput(name) for name in ("output", "decision_id")]
        for rows in (ROWS, ROWS[::-1].copy(), ROWS):
            one.set_data_from_numpy(rows)
            said = client.infer(MODEL, [one], outputs=wanted)
        np.testing.assert_array_equal(said.as_numpy("output"), expected)
        assert said.as_numpy("output").dtype == triton_to_np_dtype(names["output"])
        assert said.as_numpy("action") is None


@pytest.mark.parametrize("protocol", OVER)
def test_request_parameters_and_headers(addresses: dict[str, str], protocol: str) -> None:
    over = OVER[protocol]
    with over.InferenceServerClient(addresses[protocol]) as client:
        said = client.infer(
            MODEL, [tensor(over)], parameters={"key": "order-7"}, headers={"x-desk": "one"}, timeout=9**7
        )
        assert said.as_numpy("output").shape == (3, 3)
        with pytest.raises(InferenceServerException, match="Request for unknown model: 'wrong'"):
            client.get_model_metadata("wrong")


@pytest.mark.parametrize("packed", ["gzip", "deflate"])
def test_packed_over_grpc(addresses: dict[str, str], expected: np.ndarray, packed: str) -> None:
    with over_grpc.InferenceServerClient(addresses["grpc"]) as client:
        said = client.infer(MODEL, [tensor(over_grpc)], compression_algorithm=packed)
    np.testing.assert_array_equal(said.as_numpy("output"), expected)


def test_body_that_the_client_packs_and_reads_for_another_s_connection(
    addresses: dict[str, str], expected: np.ndarray
) -> None:
    body, length = over_http.InferenceServerClient.generate_request_body([tensor(over_http)])
    link = http.client.HTTPConnection(addresses["http"], timeout=10)
    link.request("POST", f"/v2/models/{MODEL}/infer", body, {"Inference-Header-Content-Length": str(length)})
    answer = link.getresponse()
    head = answer.getheader("Inference-Header-Content-Length")
    content = answer.read()
    link.close()
    said = over_http.InferenceServerClient.parse_response_body(content, header_length=int(head) if head else None)
    np.testing.assert_array_equal(said.as_numpy("output"), expected)


def test_many_at_once_by_asyncio_over_http(addresses: dict[str, str], expected: np.ndarray) -> None:
    async def ask() -> list[np.ndarray]:
        async with over_http_aio.InferenceServerClient(addresses["http"]) as client:
            assert await client.is_server_ready()
            assert await client.is_model_ready(MODEL)
            assert (await client.get_server_metadata())["name"] == "ringcraft"
            asked = [
                client.infer(
                    MODEL,
                    [tensor(over_http)],
                    request_compression_algorithm=packed,
                    response_compression_algorithm=packed,
                )
                for packed in (None, "gzip", "deflate", None)
            ]
            return [one.as_numpy("output") for one in await asyncio.gather(*asked)]

    for output in asyncio.run(ask()):
        np.testing.assert_array_equal(output, expected)


def test_callbacks_and_a_cancelled_call_over_grpc(addresses: dict[str, str], expected: np.ndarray) -> None:
    came: queue.Queue[tuple[Any, Any]] = queue.Queue()
    keepalive = over_grpc.KeepAliveOptions(keepalive_time_ms=10_000, keepalive_timeout_ms=5_000)
    with over_grpc.InferenceServerClient(addresses["grpc"], keepalive_options=keepalive) as client:
        calls = [
            client.async_infer(MODEL, [tensor(over_grpc)], lambda result, error: came.put((result, error)))
            for _ in range(8)
        ]
        calls[-1].cancel()
        said = [came.get(timeout=10) for _ in calls]
        errors = [str(error) for _, error in said if error is not None]
        assert len(errors) <= 1
        assert all("Locally cancelled" in error for error in errors)
        for result, error in said:
            if error is None:
                np.testing.assert_array_equal(result.as_numpy("output"), expected)
        np.testing.assert_array_equal(client.infer(MODEL, [tensor(over_grpc)]).as_numpy("output"), expected)


def test_stream_by_asyncio_over_grpc(addresses: dict[str, str], expected: np.ndarray) -> None:
    async def ask() -> list[np.ndarray]:
        async def questions() -> Any:
            for place in range(5):
                yield {"model_name": MODEL, "inputs": [tensor(over_grpc)], "request_id": str(place)}

        async with over_grpc_aio.InferenceServerClient(addresses["grpc"]) as client:
            answers = client.stream_infer(questions())
            said = [one async for one in answers]
        assert [error for _, error in said] == [None] * 5
        assert [result.get_response().id for result, _ in said] == list("01234")
        return [result.as_numpy("output") for result, _ in said]

    for output in asyncio.run(ask()):
        np.testing.assert_array_equal(output, expected)


@pytest.mark.parametrize("protocol", OVER)
def test_what_a_worker_has_not_is_refused_in_words(addresses: dict[str, str], protocol: str) -> None:
    with OVER[protocol].InferenceServerClient(addresses[protocol]) as client:
        for call in (client.load_model, client.unload_model):
            with pytest.raises(InferenceServerException):
                call(MODEL)
        with pytest.raises(InferenceServerException):
            client.get_system_shared_memory_status()
        assert client.is_model_ready(MODEL)
