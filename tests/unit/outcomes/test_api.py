"""POST and GET /v1/outcomes over the console's application, with a store in a file."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import console_sample
import httpx
import pytest

from serving.console.app import console_app
from serving.console.server import ConsoleServer
from serving.controller.commands import ControllerCommands
from serving.outcomes.api import LIST_LIMIT, outcome_routes
from serving.outcomes.intake import Intake
from serving.outcomes.sql_store import SqlOutcomeStore, outcome_url
from serving.outcomes.taken import TakenLog

FILL = {"outcome_id": "f-1", "decision_id": 7, "model": "m", "kind": "fill", "price": "101.25", "lots": 2,
        "side": "buy", "time_ns": 5}  # fmt: skip
REALISED = {"outcome_id": "r-1", "decision_id": 7, "model": "m", "kind": "realised", "pnl_bps": -1.5, "time_ns": 5}


@pytest.fixture
def intake(tmp_path: Path) -> Iterator[Intake]:
    made = Intake(SqlOutcomeStore(outcome_url("", tmp_path)), TakenLog(tmp_path / "journal"), lambda: 10)
    yield made
    made.stop()


@contextmanager
def served(intake: Intake) -> Iterator[httpx.Client]:
    # Its commands are not asked for anything here.
    app = console_app(console_sample.snapshot, ControllerCommands(None), routes=outcome_routes(intake, lambda by: []))
    with ConsoleServer(app) as server, httpx.Client(base_url=server.url) as client:
        yield client


@pytest.fixture
def client(intake: Intake) -> Iterator[httpx.Client]:
    with served(intake) as client:
        yield client


def post(client: httpx.Client, body: object) -> tuple[int, dict]:
    reply = client.post("/v1/outcomes", json=body)
    return reply.status_code, reply.json()


def test_an_outcome_is_taken_once_and_a_contradiction_refused(client: httpx.Client) -> None:
    assert post(client, FILL) == (201, {"outcome_id": "f-1", "status": "accepted", "sequence": 1})
    assert post(client, FILL) == (200, {"outcome_id": "f-1", "status": "duplicate", "sequence": 1})
    status, said = post(client, {**FILL, "lots": 3})
    assert (status, said["status"]) == (409, "contradictory")
    assert said["error"] == "lots: expected 2 as posted first, got 3"


def test_one_of_a_decision_not_seen_yet_is_kept(client: httpx.Client) -> None:
    assert post(client, {**FILL, "decision_id": 11})[1]["status"] == "unknown"
    kept = client.get("/v1/outcomes?decision_id=11").json()["outcomes"]
    assert [one["outcome"]["outcome_id"] for one in kept] == ["f-1"]


def test_a_list_is_answered_one_by_one(client: httpx.Client) -> None:
    assert post(client, [FILL, REALISED, FILL])[0] == 200
    status, said = post(client, [FILL, {**REALISED, "outcome_id": "r-2"}, {**FILL, "outcome_id": "f-2"}])
    assert status == 409
    assert [one["status"] for one in said["results"]] == ["duplicate", "contradictory", "accepted"]
    kept = client.get("/v1/outcomes", params={"decision_id": 7}).json()
    assert [one["outcome"]["outcome_id"] for one in kept["outcomes"]] == ["f-1", "r-1", "f-2"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({**FILL, "price": 1.5}, "price: expected str | null, got float"),
        ({**FILL, "price": "cheap"}, "price: expected a decimal number in a string, got 'cheap'"),
        ({**FILL, "price": None}, "price: expected a value of a fill, got none"),
        ({**FILL, "side": "hold"}, 'side: expected one of its names, got "hold"'),
        ({**FILL, "lots": 0}, "lots: expected int >= 1, got 0"),
        ({**FILL, "venue": "X"}, "venue: expected no such field, got one"),
        ({"outcome_id": "f-1"}, "decision_id: expected a value, got none"),
        ([FILL, {**REALISED, "decision_id": "7"}], "[1].decision_id: expected int, got str"),
        ([FILL, {**REALISED, "pnl_bps": None}], "[1].pnl_bps: expected pnl_bps or pnl_usd of a realised outcome"),
        ([FILL, 7], "[1]: expected object, got int"),
        ([], f"body: expected 1 to {LIST_LIMIT} outcomes, got 0"),
        (7, "body: expected object, got int"),
    ],
)
def test_a_malformed_body_is_400_and_names_the_field(
    client: httpx.Client, intake: Intake, body: object, said: str
) -> None:
    status, answer = post(client, body)
    assert (status, answer["error"].startswith(said)) == (400, True), answer
    assert intake.counts()["malformed"] == 1
    assert intake.counts()["accepted"] == 0


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"{", 400),
        (b"[" * 100_000, 400),
        (b"\xff", 400),
        (b'{"outcome_id": NaN}', 400),
        (b" " * (1 << 20) + b"{}", 413),
    ],
)
def test_a_body_that_is_no_json_is_refused(client: httpx.Client, content: bytes, status: int) -> None:
    reply = client.post("/v1/outcomes", content=content, headers={"Content-Type": "application/json"})
    assert reply.status_code == status
    assert ": expected" in reply.json()["error"]


def test_limits_and_types_are_held(client: httpx.Client) -> None:
    many = [{**FILL, "outcome_id": str(number)} for number in range(LIST_LIMIT + 1)]
    assert post(client, many)[0] == 413
    assert post(client, many[1:])[0] == 200
    form = client.post("/v1/outcomes", content=json.dumps(FILL), headers={"Content-Type": "text/plain"})
    assert form.status_code == 415


@pytest.mark.parametrize("asked", ["", "x", "-1", "0", str(2**63), "1.5", "9" * 5000])
def test_a_decision_that_is_no_number_is_400(client: httpx.Client, asked: str) -> None:
    reply = client.get("/v1/outcomes", params={"decision_id": asked})
    assert reply.status_code == 400
    assert reply.json()["error"].startswith("decision_id: expected a decision's number, got")


def test_a_page_of_another_origin_cannot_post_and_a_program_can(client: httpx.Client) -> None:
    foreign = client.post("/v1/outcomes", json=FILL, headers={"Origin": "http://evil.example"})
    assert foreign.status_code == 403
    assert post(client, FILL)[0] == 201


def test_a_store_that_is_away_is_503_and_nothing_is_lost_once_it_is_back(tmp_path: Path) -> None:
    folder = tmp_path / "away"
    intake = Intake(SqlOutcomeStore(outcome_url("", folder)), TakenLog(tmp_path / "journal"), lambda: 10)
    with served(intake) as client:
        reply = client.post("/v1/outcomes", json=FILL)
        assert (reply.status_code, reply.headers["Retry-After"]) == (503, "1")
        assert client.get("/v1/outcomes?decision_id=7").status_code == 503
        folder.mkdir()
        assert post(client, FILL)[0] == 201
    counts = intake.counts()
    assert (counts["accepted"], counts["unavailable"], counts["waiting"]) == (1, 1, 1)
    intake.stop()
