"""A real worker's REST and gRPC doors by kserve's clients and MLServer's client code, each a program of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from door_kit import ROWS, by_hand, door, worker
from worker_kit import MODEL, ROOT, ab_route

from data_contracts.journal import AssignBy
from data_contracts.messages import DecisionMessage
from native._native import assignment_key
from serving.archive.query import Question, find_decisions
from serving.archive.segment import Names
from serving.export.teller import Teller
from serving.journal import read_journal

CLIENTS = ROOT / "build" / "clients"
NAMES = ("kserve", "mlserver")


class Asked(NamedTuple):
    """A worker's state and journal, and what each program said."""

    state: Path
    journal: Path
    told: dict[str, Any]


@pytest.fixture(scope="module")
def asked(versions: dict[int, Path], tmp_path_factory: pytest.TempPathFactory) -> Asked:
    """What both programs say, asked at once, of a worker that has ended."""
    if not (CLIENTS / "kserve").is_dir():
        pytest.fail(f"expected the clients in {CLIENTS}, found none: make build/stamps/clients", pytrace=False)
    with worker(tmp_path_factory.mktemp("clients"), versions, grpc_port=0) as running:
        running.routing.publish([ab_route(0, assign_by=int(AssignBy.REQUEST_KEY))])
        with door(running, "grpc") as ports:
            addresses = [f"127.0.0.1:{port}" for port in (running.status().rest_port, ports["port"])]
            environment = os.environ | {"PYTHONPATH": str(CLIENTS)}
            arguments = [*addresses, MODEL, json.dumps(ROWS.tolist())]
            programs = {
                name: subprocess.Popen(
                    [sys.executable, str(ROOT / "tests" / "clients" / f"{name}_client.py"), *arguments],
                    env=environment,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
                for name in NAMES
            }
            told = {}
            for name, program in programs.items():
                out, errors = program.communicate(timeout=120)
                assert program.returncode == 0, errors
                told[name] = json.loads(out)
        assert running.stop() == 0
        return Asked(running.state, running.journal, told)


@pytest.fixture(scope="module")
def told(asked: Asked) -> dict[str, Any]:
    return asked.told


@pytest.fixture(scope="module")
def expected(versions: dict[int, Path]) -> np.ndarray:
    return by_hand(versions[1])


def assert_answers(answer: dict[str, Any], expected: np.ndarray) -> None:
    np.testing.assert_array_equal(np.array(answer["outputs"]["output"], np.float32), expected)
    assert (answer["id"], answer["model"]) == ("mine", MODEL)


def test_kserve_over_rest(told: dict[str, Any], expected: np.ndarray) -> None:
    said = told["kserve"]["rest"]
    assert [said[name] for name in ("live", "ready", "model_ready", "nobody_ready")] == [True, True, True, False]
    for name in ("json", "binary"):
        assert_answers(said[name], expected)
    assert set(said["binary"]["outputs"]) == {"output", "decision_id", "action"}
    assert said["binary"]["shapes"] == {"output": [3, 3], "decision_id": [3], "action": [3]}
    np.testing.assert_array_equal(np.array(said["together"], np.float32), np.stack([expected] * 8))
    assert said["unknown"][0] == 404
    assert said["unknown"][1].startswith("Request for unknown model: 'nobody' is not found")
    assert said["empty"][0] == 400
    assert said["empty"][1].startswith("inputs: expected an array of one tensor")


def test_kserve_over_grpc(told: dict[str, Any], expected: np.ndarray) -> None:
    said = told["kserve"]["grpc"]
    assert [said[name] for name in ("live", "ready", "model_ready", "nobody_ready")] == [True, True, True, False]
    for name in ("contents", "raw"):
        assert_answers(said[name], expected)
        assert said[name]["shapes"]["abstain"] == [3]
    assert said["unknown"] == ["NOT_FOUND", "Request for unknown model: 'nobody' is not found"]


@pytest.mark.parametrize("protocol", ["rest", "grpc"])
def test_an_auditor_finds_what_kserve_asked_by_its_door_and_key(asked: Asked, protocol: str) -> None:
    said = asked.told["kserve"][protocol]
    names = ("json", "binary") if protocol == "rest" else ("contents", "raw")
    ids = {one for name in names for one in said[name]["outputs"]["decision_id"]}
    found = find_decisions(asked.state, Question(door=protocol, request_key=assignment_key("order-7")))
    assert set(found["decision_id"].tolist()) == ids
    assert set(found["assigned_by"].tolist()) == {AssignBy.REQUEST_KEY}

    messages = [one.message for one in Teller(Names()).records(read_journal(asked.journal).records)]
    decisions = [one for one in messages if isinstance(one, DecisionMessage)]
    key = f"{assignment_key('order-7'):016x}"
    assert {one.decision_id for one in decisions if (one.door, one.request_key) == (protocol, key)} == ids
    assert {one.door for one in decisions} == {"rest", "grpc"}


@pytest.mark.parametrize("protocol", ["rest", "grpc"])
def test_mlserver_types_and_codecs(told: dict[str, Any], expected: np.ndarray, protocol: str) -> None:
    said = told["mlserver"][protocol]
    for name in ("infer", "nulls") if protocol == "rest" else ("contents", "raw"):
        assert_answers(said[name], expected)
        assert said[name]["version"] == "1"
    assert (said["server"], said["inputs"], said["index"]) == ("ringcraft", ["features"], ["1", "2"])
    if protocol == "rest":
        assert list(said["infer"]["outputs"]) == ["output", "action"]
        assert said["unknown"] == {"error": "Request for unknown model: 'nobody' is not found"}


@pytest.mark.parametrize("form", ["batch", "batch_binary"])
def test_mlserver_infers_a_file_in_one_batch(told: dict[str, Any], expected: np.ndarray, form: str) -> None:
    lines = sorted(told["mlserver"][form], key=lambda line: line["id"])
    assert [line["id"] for line in lines] == ["row-0", "row-1", "row-2"]
    assert len({line["parameters"]["inference_id"] for line in lines}) == 1
    outputs = [{one["name"]: one["data"] for one in line["outputs"]} for line in lines]
    np.testing.assert_array_equal(np.array([one["output"] for one in outputs], np.float32), expected)
    ids = [one["decision_id"][0] for one in outputs]
    assert ids == list(range(ids[0], ids[0] + 3))
