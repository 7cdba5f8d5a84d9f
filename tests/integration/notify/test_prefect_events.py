"""A real Prefect server takes the event, keeps it once, and an automation starts a flow run on it."""

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from ringcraft.ports import free_port
from ringcraft.prefect_server import PrefectServer
from serving.controller.news import News
from serving.notify.channels import PrefectChannel
from serving.notify.notifier import Notifier
from serving.rollout.effects import Ended

ENDED = Ended(
    rollout_id=3,
    kind="challenger",
    version=5,
    control=4,
    verdict="rolled_back",
    guardrail="pnl",
    decision=1234,
    reason="earned 0.4 bps a decision less than the champion",
)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    server = PrefectServer(tmp_path_factory.mktemp("prefect"), free_port())
    with server, httpx.Client(base_url=f"{server.uri}/api", timeout=30) as client:
        yield client


def post(api: httpx.Client, path: str, body: dict) -> dict:
    """Return the answer; asked again while the server is busy with itself, as Prefect's own client does."""
    end = time.monotonic() + 60
    while (answer := api.post(path, json=body)).status_code == 503 and time.monotonic() < end:
        time.sleep(0.5)
    return answer.raise_for_status().json()


def events(api: httpx.Client, name: str) -> list[dict]:
    return post(api, "/events/filter", {"filter": {"event": {"name": [name]}}})["events"]


def retraining(api: httpx.Client) -> str:
    """Make a deployment and an automation that runs it when a version of `tilt` is rolled back; return its id."""
    flow = post(api, "/flows/", {"name": "retrain"})["id"]
    made = post(api, "/deployments/", {"name": "on-rollback", "flow_id": flow, "enforce_parameter_schema": False})
    deployment: str = made["id"]
    trigger = {
        "type": "event",
        "posture": "Reactive",
        "expect": ["ringcraft.rollout.rolled_back"],
        "match": {"prefect.resource.id": "ringcraft.model.tilt"},
        "threshold": 1,
        "within": 0,
    }
    action = {"type": "run-deployment", "source": "selected", "deployment_id": deployment}
    post(api, "/automations/", {"name": "retrain", "trigger": trigger, "actions": [action]})
    return deployment


@pytest.mark.slow
def test_a_rollback_arrives_once_and_starts_retraining(api: httpx.Client, tmp_path: Path) -> None:
    deployment = retraining(api)
    notifier = Notifier(tmp_path / "notices.jsonl", [PrefectChannel(str(api.base_url))])
    notifier.start()
    news = News(time.time_ns, notifier)
    for _ in range(2):  # a controller that died in between tells it again
        news.ended("tilt", ENDED)
        time.sleep(0.01)
    end = time.monotonic() + 60
    while notifier.waiting or not events(api, "ringcraft.rollout.rolled_back") or not runs(api, deployment):
        assert time.monotonic() < end
        time.sleep(0.2)
    notifier.stop()
    assert notifier.given_up == 0
    kept = events(api, "ringcraft.rollout.rolled_back")
    assert len(kept) == 1
    assert kept[0]["resource"]["prefect.resource.id"] == "ringcraft.model.tilt"
    assert kept[0]["resource"]["ringcraft.version"] == "5"
    assert kept[0]["payload"]["reason"] == ENDED.reason
    assert kept[0]["payload"]["decision"] == 1234
    assert {run["deployment_id"] for run in runs(api, deployment)} == {deployment}


def runs(api: httpx.Client, deployment: str) -> dict:
    return post(api, "/flow_runs/filter", {"deployments": {"id": {"any_": [deployment]}}})
