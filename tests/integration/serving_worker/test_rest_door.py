"""The REST door of a real worker, by the client that Triton's people wrote, and by bytes that nobody should send."""

import gzip
import http.client
import json
import socket
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException
from worker_kit import IF, MODEL, Tier, ab_route, assert_whole, linear_graph, lineup, tier, touch_events, write_version

from benchmarks.versions import WIDTH
from data_contracts.journal import NO_INSTRUMENT, Arm, AssignBy, Door, MarkoutStatus
from native._native import assignment_key, falls_to_challenger
from serving.journal import read_journal

ROWS = np.random.default_rng(5).normal(size=(3, WIDTH)).astype(np.float32)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tier]:
    folder = tmp_path_factory.mktemp("rest")
    versions = {n: write_version(folder / str(n), lambda path, n=n: linear_graph(path, seed=n)) for n in (1, 2)}
    with tier(folder, allow_arm_override="true") as one:
        one.show(lineup(versions))
        one.beat()
        one.routing.publish([ab_route(assign_by=int(AssignBy.REQUEST_KEY))])
        one.start()
        yield one
        assert one.stop() == 0
        assert_whole(read_journal(one.journal))


@pytest.fixture(scope="module")
def port(running: Tier) -> int:
    return running.status().rest_port


def ask(port: int, method: str, path: str, body: object = None, **headers: str) -> tuple[int, dict, dict]:
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    sent = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    link.request(method, path, sent, {name.replace("_", "-"): value for name, value in headers.items()})
    answer = link.getresponse()
    data = answer.read()
    link.close()
    return answer.status, json.loads(data), {name.lower(): value for name, value in answer.getheaders()}


def tensor(rows: np.ndarray = ROWS, **changes: object) -> dict[str, object]:
    said = {"name": "features", "datatype": "FP32", "shape": list(rows.shape), "data": rows.tolist()}
    return {"inputs": [said | changes]}


def inputs(rows: np.ndarray = ROWS, *, binary: bool) -> list[triton.InferInput]:
    one = triton.InferInput("features", list(rows.shape), "FP32")
    one.set_data_from_numpy(rows, binary_data=binary)
    return [one]


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("packed", [None, "gzip", "deflate"])
def test_tritonclient_gets_what_the_model_answers(
    port: int, versions_out: np.ndarray, binary: bool, packed: str | None
) -> None:
    with triton.InferenceServerClient(f"127.0.0.1:{port}") as client:
        outputs = [
            triton.InferRequestedOutput(name, binary_data=binary) for name in ("output", "decision_id", "action")
        ]
        answer = client.infer(
            MODEL, inputs(binary=binary), model_version="1", outputs=outputs, request_id="mine",
            request_compression_algorithm=packed, response_compression_algorithm=packed,
        )  # fmt: skip
    np.testing.assert_allclose(answer.as_numpy("output"), versions_out, atol=1e-6)
    ids = answer.as_numpy("decision_id")
    assert ids.tolist() == list(range(ids[0], ids[0] + 3))
    said = answer.get_response()
    assert (said["id"], said["model_name"], said["model_version"]) == ("mine", MODEL, "1")


@pytest.fixture(scope="module")
def versions_out(running: Tier) -> np.ndarray:
    from native import onnxruntime_library
    from native._native import OnnxModel

    folder = running.state.parent / "1" / "model.onnx"
    return OnnxModel(str(folder), onnxruntime_library()).predict(ROWS)


def test_tritonclient_async_and_metadata(port: int) -> None:
    with triton.InferenceServerClient(f"127.0.0.1:{port}", concurrency=2) as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready(MODEL)
        assert client.is_model_ready(MODEL, "2")
        assert not client.is_model_ready("nobody")
        assert client.get_server_metadata()["name"] == "ringcraft"
        assert client.get_model_metadata(MODEL)["inputs"] == [
            {"name": "features", "datatype": "FP32", "shape": [-1, WIDTH]}
        ]
        assert client.get_model_metadata(MODEL, "2")["outputs"][0] == {
            "name": "output", "datatype": "FP32", "shape": [-1, 3],
        }  # fmt: skip
        assert client.get_model_config(MODEL)["version_policy"] == {"specific": {"versions": [1, 2]}}
        assert [one["version"] for one in client.get_model_repository_index()] == ["1", "2"]
        waiting = [client.async_infer(MODEL, inputs(binary=True)) for _ in range(4)]
        assert all(one.get_result().as_numpy("output").shape == (3, 3) for one in waiting)
        stats = client.get_inference_statistics(MODEL)["model_stats"]
        assert sum(one["inference_count"] for one in stats) >= 12
        with pytest.raises(InferenceServerException, match="Request for unknown model: 'nobody'"):
            client.infer("nobody", inputs(binary=True))


def test_short_form_decides_by_request_key(port: int, running: Tier) -> None:
    arms = {}
    for place in range(40):
        body = {"model": MODEL, "features": ROWS[0].tolist(), "key": f"order-{place}"}
        answers = [ask(port, "POST", "/v1/decide", body)[1] for _ in range(2)]
        assert answers[0]["arm"] == answers[1]["arm"]
        arms[f"order-{place}"] = answers[0]["arm"]
        assert answers[0]["reason"] == "none"
    keys = np.array([assignment_key(key) for key in arms], np.uint64)
    drawn = falls_to_challenger(keys, 7, 5000).tolist()
    assert [arm == "challenger" for arm in arms.values()] == drawn
    time.sleep(0.1)
    last = read_journal(running.journal).decisions[-1]
    assert (last["door"], last["instrument"], last["assigned_by"]) == (Door.REST, NO_INSTRUMENT, AssignBy.REQUEST_KEY)
    assert last["request_key"] == keys[-1]


def test_named_instrument_is_marked_out_and_limits_hold(port: int, running: Tier) -> None:
    feed = running.feed()
    feed.events(touch_events(50))
    time.sleep(0.2)
    body = {"model": MODEL, "features": ROWS[0].tolist(), "instrument": IF.symbol}
    _, answer, _ = ask(port, "POST", "/v1/decide", body)
    feed.events(touch_events(50, start=60))
    feed.end()
    feed.close()
    time.sleep(0.2)
    journal = read_journal(running.journal)
    (marked,) = journal.markouts[journal.markouts["decision_id"] == answer["decision_id"]]
    assert marked["status"] == MarkoutStatus.OK
    decision = journal.decisions[journal.decisions["decision_id"] == answer["decision_id"]][0]
    assert decision["bid_ticks"] > 0


def test_arm_that_is_asked_for(port: int) -> None:
    body = {"model": MODEL, "features": ROWS[0].tolist()}
    for arm in ("champion", "challenger"):
        assert ask(port, "POST", "/v1/decide", body, Ringcraft_Arm=arm)[1]["arm"] == Arm[arm.upper()].name.lower()


BAD_BODIES = [
    (b"{", "body: expected JSON"),
    ({"inputs": []}, "inputs: expected an array of one tensor, got 0 tensors"),
    (tensor(name="x"), "inputs[0].name: expected features, got x"),
    (tensor(datatype="INT8"), "inputs[0].datatype: expected FP32, got INT8"),
    (tensor(shape=[1, 2**40]), "inputs[0].shape: expected"),
    (tensor(shape=[-1, WIDTH]), "inputs[0].shape: expected"),
    (tensor(shape=[2, WIDTH]), f"inputs[0].data: expected {2 * WIDTH} numbers"),
    (tensor(data=["a"]), "inputs[0].data: expected"),
    (tensor(shape=[2, WIDTH], data=[[0, 0]] * WIDTH), "inputs[0].data: expected"),
    (
        tensor() | {"outputs": [{"name": "output", "parameters": {"classification": 2}}]},
        "outputs[].parameters.classification: expected none, as that extension is not served, got 2",
    ),
    (tensor() | {"outputs": [{"name": "y"}]}, "outputs[].name: expected"),
    (tensor() | {"id": 7}, "id: expected a string, got a number"),
    (tensor(parameters={"binary_data_size": 4}), "inputs[0].data: expected none beside binary_data_size"),
]


@pytest.mark.parametrize(("body", "error"), BAD_BODIES, ids=[error[:40] for _, error in BAD_BODIES])
def test_bad_bodies_are_told_field_expected_and_got(port: int, body: object, error: str) -> None:
    status, said, _ = ask(port, "POST", f"/v2/models/{MODEL}/infer", body)
    assert status == 400
    assert said["error"].startswith(error)


def test_methods_paths_and_encodings(port: int) -> None:
    status, said, headers = ask(port, "DELETE", "/v2")
    assert (status, headers["allow"], list(said)) == (405, "GET, HEAD", ["error"])
    assert ask(port, "GET", f"/v2/models/{MODEL}/infer")[2]["allow"] == "POST"
    assert ask(port, "GET", "/nowhere")[0] == 404
    assert ask(port, "GET", f"/v2/models/{MODEL}/versions/9")[0] == 404
    assert ask(port, "GET", f"http://somewhere/v2/models/{MODEL}/ready?x=1")[1] == {"name": MODEL, "ready": True}
    bomb = gzip.compress(b" " * (16 << 20))
    assert ask(port, "POST", "/v1/decide", bomb, Content_Encoding="gzip")[0] == 413
    assert ask(port, "POST", "/v1/decide", zlib.compress(b"{}")[:-3], Content_Encoding="deflate")[0] == 400
    assert ask(port, "POST", "/v1/decide", b"{}", Content_Encoding="br")[0] == 415


RAW = [
    (b"POST /v2 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    (b"\x16\x03\x01\x02\x00\x01\x00", 400),
    (b"GET /v2 HTTP/9.9\r\n\r\n", 400),
    (b"GET /v2 HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 20_000 + b"\r\n\r\n", 431),
    (b"POST /v1/decide HTTP/1.1\r\nHost: a\r\nContent-Length: 1099511627776\r\n\r\n", 413),
    (b"POST /v1/decide HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
]


@pytest.mark.parametrize(("bytes_", "status"), RAW, ids=[str(i) for i in range(len(RAW))])
def test_malformed_http_is_refused_and_the_connection_closed(port: int, bytes_: bytes, status: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as link:
        link.sendall(bytes_)
        said = b""
        while part := link.recv(65_536):
            said += part
    head, _, body = said.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert list(json.loads(body)) == ["error"]


def test_pipelined_chunked_and_cut_requests_are_answered_in_order(port: int) -> None:
    one = json.dumps({"model": MODEL, "features": ROWS[0].tolist()}).encode()
    chunked = b"POST /v1/decide HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (
        len(one),
        one,
    )
    whole = b"POST /v1/decide HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s" % (len(one), one)
    last = b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    stream = (chunked + whole) * 10 + last
    with socket.create_connection(("127.0.0.1", port), timeout=10) as link:
        for start in range(0, len(stream), 97):
            link.sendall(stream[start : start + 97])
        said = b""
        while part := link.recv(65_536):
            said += part
    ids = [json.loads(part.partition(b"\r\n\r\n")[2])["decision_id"] for part in said.split(b"HTTP/1.1 ")[1:-1]]
    assert ids == list(range(ids[0], ids[0] + 20))
    assert said.endswith(b'{"live":true}')


def test_hundreds_of_idle_and_half_closed_connections_harm_nobody(port: int) -> None:
    idle = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(300)]
    for place, link in enumerate(idle):
        link.sendall(b"POST /v1/decide HTT"[: place % 19])
        if place % 3 == 0:
            link.shutdown(socket.SHUT_WR)
    body = {"model": MODEL, "features": ROWS[0].tolist()}
    assert ask(port, "POST", "/v1/decide", body)[0] == 200
    for link in idle:
        link.close()


@pytest.mark.parametrize("origin", ["http://elsewhere.example", "null", "http://127.0.0.1.elsewhere.example"])
def test_a_page_of_elsewhere_is_refused(port: int, origin: str) -> None:
    question = {"model": MODEL, "features": ROWS[0].tolist()}
    status, said, _ = ask(port, "POST", "/v1/decide", question, Origin=origin)
    assert (status, said["error"][:30]) == (403, "Origin: expected none, or a pa")
    assert ask(port, "GET", "/v2", Origin=origin)[0] == 403
    for own in ("http://localhost:3000", "https://127.0.0.1", "http://[::1]:8080"):
        assert ask(port, "POST", "/v1/decide", question, Origin=own)[0] == 200


def test_keys_scopes_and_rates_hold_and_say_so(tmp_path: Path) -> None:
    version = write_version(tmp_path / "1", linear_graph)
    keys = (
        '[{name = "desk", secret = "desk-secret-0123", requests_per_second = 3},'
        ' {name = "viewer", secret = "viewer-secret-01", scopes = ["read"]},'
        ' {name = "robot", secret = "robot-secret-012", scopes = ["infer"]}]'
    )
    body = {"model": MODEL, "features": ROWS[0].tolist()}
    with tier(tmp_path / "tier", api_keys=keys) as running:
        running.show(lineup({1: version}))
        running.beat()
        running.routing.publish([ab_route(challenger_version=0)])
        running.start()
        port = running.status().rest_port

        def decide(secret: str) -> tuple[int, dict, dict]:
            return ask(port, "POST", "/v1/decide", body, Authorization=f"Bearer {secret}")

        assert ask(port, "GET", "/v2/health/ready")[0] == 200
        status, said, headers = ask(port, "POST", "/v1/decide", body)
        assert (status, headers["www-authenticate"]) == (401, "Bearer")
        assert said == {"error": "Authorization: expected Bearer and a known key, got nothing"}
        assert decide("desk-secret-0124")[0] == 401
        assert decide("viewer-secret-01")[0] == 403
        assert ask(port, "GET", f"/v2/models/{MODEL}", Authorization="Bearer viewer-secret-01")[0] == 200
        status, said, _ = ask(port, "GET", f"/v2/models/{MODEL}", Authorization="bearer robot-secret-012")
        assert (status, said) == (403, {"error": "Authorization: expected a key with scope read, got robot"})
        assert decide("robot-secret-012")[0] == 200
        answers = [decide("desk-secret-0123") for _ in range(12)]
        assert [answer[0] for answer in answers[:3]] == [200] * 3
        limited = [answer for answer in answers if answer[0] == 429]
        assert limited
        assert limited[0][1]["error"] == "rate: expected at most 3 requests a second of key desk, got more"
        assert limited[0][2]["retry-after"] == "1"
        running.stop()
        counters = running.status().counters
    assert counters["rest_limited"] == len(limited)
    assert counters["rest_unauthorized"] == 4


def test_requests_in_flight_beyond_the_limit_are_refused_at_once(tmp_path: Path) -> None:
    version = write_version(tmp_path / "1", linear_graph)
    body = json.dumps({"model": MODEL, "features": [0.0] * WIDTH})
    asked = f"POST /v1/decide HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
    with tier(tmp_path / "tier", in_flight_max="{ rest = 2 }") as running:
        running.show(lineup({1: version}))
        running.beat()
        running.routing.publish([ab_route(challenger_version=0)])
        running.start()
        said = b""
        with socket.create_connection(("127.0.0.1", running.status().rest_port), timeout=10) as link:
            link.sendall(5 * asked)
            while said.count(b"HTTP/1.1 ") < 5:
                part = link.recv(65_536)
                assert part, said
                said += part
        running.stop()
        counters = running.status().counters
    assert [said.count(b"HTTP/1.1 %d" % status) for status in (200, 503)] == [2, 3]
    assert said.count(b"at most 2 requests in flight at this door") == 3
    assert (counters["rest_concurrent"], counters["requests"]) == (3, 2)
