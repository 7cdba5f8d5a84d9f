"""By account, whoever asks is decided for by one arm: a key's name, or what a neighbour in shared memory says."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import numpy as np
import pytest
import tritonclient.grpc as triton
import zmq
from door_kit import FIELDS, ROWS, door, worker
from websockets.sync.client import ClientConnection, connect
from worker_kit import IF, MODEL, SALT, Tier, ab_route, touch_events, wait_for

from data_contracts.errors import UsageError
from data_contracts.journal import AssignBy
from data_contracts.settings import load_settings
from native._native import assignment_key, falls_to_challenger
from serving.doors.shared_client import SharedClient, Status
from serving.journal import read_journal

NAMES = [f"fund-{i}" for i in range(4)]
KEYS = ", ".join(f'{{name = "{name}", secret = "secret-of-{name}-000"}}' for name in NAMES)
QUESTION = {"model": MODEL, "rows": ROWS.tolist()}


def arms(names: list[str]) -> list[str]:
    keys = np.array([assignment_key(name) for name in names], np.uint64)
    return ["challenger" if each else "champion" for each in falls_to_challenger(keys, SALT, 5000)]


def secret(name: str) -> str:
    return f"secret-of-{name}-000"


def decided(client: ClientConnection, **said: str) -> str:
    """Feed a few events, and return the arm of the decisions on them."""
    client.send(json.dumps({"op": "feed", "instruments": [msgspec.to_builtins(IF)]} | said))
    rows = touch_events(5)[list(FIELDS)].tolist()
    client.send(json.dumps({"op": "events", "events": [dict(zip(FIELDS, row, strict=True)) for row in rows]}))
    client.send(json.dumps({"op": "end"}))
    told = [json.loads(client.recv(timeout=10)) for _ in range(7)]
    assert {each["op"] for each in told} == {"fed", "decision", "ended"}
    found = {each["arm"] for each in told if each["op"] == "decision"}
    assert len(found) == 1
    return found.pop()


@pytest.fixture(scope="module")
def running(versions: dict[int, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tier]:
    ports = dict.fromkeys(("grpc_port", "websocket_port", "zeromq_port", "zeromq_publish_port"), 0)
    with worker(tmp_path_factory.mktemp("accounts"), versions, api_keys=f"[{KEYS}]", **ports) as tier:
        tier.routing.publish([ab_route(5000, assign_by=int(AssignBy.ACCOUNT))])
        yield tier


def test_keys_fall_on_both_sides() -> None:
    assert set(arms(NAMES)) == {"champion", "challenger"}


def test_rest_and_grpc_go_by_the_keys_name(running: Tier) -> None:
    tensor = triton.InferInput("features", list(ROWS.shape), "FP32")
    tensor.set_data_from_numpy(ROWS)
    rest, unary, streamed = [], [], []
    with door(running, "grpc") as ports, triton.InferenceServerClient(f"127.0.0.1:{ports['port']}") as client:
        for name in NAMES:
            headers = {"authorization": f"Bearer {secret(name)}"}
            answer = client.infer(MODEL, [tensor], headers=headers)
            unary.append(answer.get_response().parameters["arm"].string_param)
            said: list[triton.InferResult] = []
            client.start_stream(lambda result, error, said=said: said.append(result), headers=headers)
            client.async_stream_infer(MODEL, [tensor])
            client.stop_stream()
            streamed += [each.get_response().parameters["arm"].string_param for each in said]
            body = {"model": MODEL, "features": ROWS[0].tolist()}
            url = f"http://127.0.0.1:{running.status().rest_port}/v1/decide"
            rest.append(httpx.post(url, json=body, headers=headers).json()["arm"])
    assert rest == unary == streamed == arms(NAMES)


def test_websocket_goes_by_the_keys_name_and_a_feed_by_what_it_says(running: Tier) -> None:
    asked, fed = [], []
    with door(running, "websocket") as ports:
        for name in NAMES:
            headers = {"Authorization": f"Bearer {secret(name)}"}
            with connect(f"ws://127.0.0.1:{ports['port']}", compression=None, additional_headers=headers) as client:
                client.send(json.dumps({"op": "ask"} | QUESTION))
                asked.append(json.loads(client.recv(timeout=10))["arm"])
                client.send(json.dumps({"op": "subscribe"}))
                client.recv(timeout=10)
                fed += [decided(client), decided(client, account="fund-0"), decided(client, account="fund-1")]
    assert asked == arms(NAMES)
    assert fed == [arm for name in NAMES for arm in arms([name, "fund-0", "fund-1"])]


def test_zeromq_goes_by_the_keys_name(running: Tier) -> None:
    asked = []
    with door(running, "zeromq") as ports, zmq.Context() as context, context.socket(zmq.REQ) as client:
        client.setsockopt(zmq.RCVTIMEO, 10_000)
        client.connect(f"tcp://127.0.0.1:{ports['port']}")
        for name in NAMES:
            client.send_json(QUESTION | {"api_key": secret(name)})
            asked.append(client.recv_json()["arm"])
    assert asked == arms(NAMES)


def test_neighbour_in_shared_memory_names_its_account_and_one_without_goes_by_decision(running: Tier) -> None:
    names = ["x", "a" * 127, "konto-ä", *(f"neighbour-{i}" for i in range(20))]
    client = SharedClient(running.state)
    answers = [client.ask(MODEL, ROWS, account=name) for name in names]
    assert [answer.arm.name.lower() for answer in answers] == arms(names)
    without = client.ask(MODEL, ROWS[:1])
    too_long = client.ask(MODEL, ROWS, account="a" * 128)
    assert (too_long.status, "account of 127" in too_long.reason) == (Status.BAD_SHAPE, True)
    wait_for(lambda: len(read_journal(running.journal).decisions) > 0, "the journal")

    def written() -> bool:
        ids = read_journal(running.journal).decisions["decision_id"]
        return bool(np.isin(without.decision_ids.astype(ids.dtype), ids).all())

    wait_for(written, "the last decision in the journal")
    decisions = read_journal(running.journal).decisions

    def by(ids: np.ndarray) -> set[int]:
        return set(decisions["assigned_by"][np.isin(decisions["decision_id"], ids.astype(np.int64))])

    assert by(answers[0].decision_ids) == {AssignBy.ACCOUNT}
    assert by(without.decision_ids) == {AssignBy.DECISION}


def test_name_that_no_question_could_carry_is_refused_in_the_settings(tmp_path: Path) -> None:
    path = tmp_path / "ringcraft.toml"
    path.write_text(f'[[serving.api_keys]]\nname = "{"€" * 43}"\nsecret = "sixteen-letters-"\n')
    with pytest.raises(UsageError, match="at most 127 bytes, got 129"):
        load_settings(path)
