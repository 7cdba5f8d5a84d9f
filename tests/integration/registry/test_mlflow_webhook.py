"""A real MLflow server calls a real console: the poll comes long before its period is over."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from console_sample import snapshot
from mlflow import MlflowClient

from registry.history import History
from registry.looks import LastLook
from registry.mlflow_registry import MlflowRegistry
from serving.console.app import console_app
from serving.console.server import ConsoleServer
from serving.console.webhook import PATH, webhook_routes
from serving.controller.follower import Follower

MODEL = "hooked"
SECRET = "known to both sides"
PERIOD_S = 120.0


class Nobody:
    """Commands that no test here gives."""

    promote = rollback = pause = resume = staticmethod(lambda *_, **__: pytest.fail("commanded"))


@pytest.fixture
def follower(mlflow_uri: str, tmp_path: Path) -> Iterator[Follower]:
    folder = tmp_path / "version"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(b"graph")
    registry = MlflowRegistry(mlflow_uri, timeout_s=30)
    for _ in range(2):
        registry.publish(MODEL, folder, tags={})
    look = LastLook(tmp_path / "last_look")
    follower = Follower(registry, [MODEL], History(tmp_path / "h.jsonl"), period_s=PERIOD_S, last_look=look)
    follower.start()
    yield follower
    follower.stop()


def wait(met: Callable[[], bool], seconds: float = 20.0) -> float:
    begun = time.monotonic()
    while not met():
        assert time.monotonic() - begun < seconds
        time.sleep(0.005)
    return time.monotonic() - begun


def test_an_alias_moved_is_seen_at_once(mlflow_uri: str, follower: Follower) -> None:
    wait(lambda: follower.reachable)
    client = MlflowClient(mlflow_uri, mlflow_uri)
    routes = webhook_routes(SECRET, follower.poll_sooner)
    with ConsoleServer(console_app(snapshot, Nobody(), routes=routes)) as console:
        hook = client.create_webhook(
            "ringcraft",
            f"{console.url}{PATH}",
            ["model_version_alias.created", "model_version_alias.deleted"],
            secret=SECRET,
        )
        try:
            client.set_registered_model_alias(MODEL, "challenger", "1")
            took = wait(lambda: follower.aliases(MODEL) == {"challenger": 1})
            client.set_registered_model_alias(MODEL, "challenger", "2")
            wait(lambda: follower.aliases(MODEL) == {"challenger": 2})
            client.delete_registered_model_alias(MODEL, "challenger")
            wait(lambda: follower.aliases(MODEL) == {})
        finally:
            client.delete_webhook(hook.webhook_id)
        assert took < PERIOD_S / 10
        answer = httpx.post(f"{console.url}{PATH}", json={"entity": "model_version_alias"})
        assert answer.status_code == 400
