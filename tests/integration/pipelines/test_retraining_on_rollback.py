"""The controller's event starts the retraining that `ringcraft schedule` serves, on a real Prefect server."""

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from support.cli import start_ringcraft, wait_for

from market_data.simulator import simulate
from models.labels import LabelConfig
from pipelines.recipe import read_recipe
from registry.mlflow_registry import MlflowRegistry
from ringcraft.ports import free_port
from ringcraft.prefect_server import PrefectServer
from serving.controller.news import News
from serving.notify.channels import PrefectChannel
from serving.notify.notifier import Notifier
from serving.rollout.effects import Ended

MODEL = "retrained-on-rollback"
ENDED = Ended(
    rollout_id=3,
    kind="challenger",
    version=5,
    control=4,
    verdict="rolled_back",
    guardrail="pnl",
    decision=1,
    reason="r",
)
SETTINGS = """
prefect_port = {port}
mlflow.uri = "{mlflow}"
[[schedules]]
name = "after-rollback"
flow = "retrain"
on = ["rollback", "drift"]
source = "{source}"
model = "{model}"
horizon_s = 2
trials = 1
families = ["ridge"]
target = "move"
label = "spread_aware"
label_spreads = 0.5
folds = 3
seeds = 2
alias = "challenger"
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PrefectServer]:
    with PrefectServer(tmp_path / "prefect-server", free_port()) as started:
        yield started


@pytest.mark.long
@pytest.mark.timeout(900)
def test_rollback_starts_retraining_which_publishes(server: PrefectServer, mlflow_uri: str, tmp_path: Path) -> None:
    recording = tmp_path / "day.itch50"
    simulate(recording, seed=3, events=4000)
    port = int(server.uri.rsplit(":", 1)[1])
    settings = SETTINGS.format(port=port, mlflow=mlflow_uri, source=recording, model=MODEL)
    (tmp_path / "ringcraft.toml").write_text(settings)
    serving = start_ringcraft("schedule", cwd=tmp_path, log=tmp_path / "schedule.log")
    api = httpx.Client(base_url=f"{server.uri}/api", timeout=30)
    try:
        wait_for(lambda: named(api, "/automations/filter", "after-rollback on rollback"), "the automation", 300)
        notifier = Notifier(tmp_path / "notices.jsonl", [PrefectChannel(str(api.base_url))])
        notifier.start()
        News(time.time_ns, notifier).ended(MODEL, ENDED)
        registry = MlflowRegistry(mlflow_uri, timeout_s=60.0)
        wait_for(lambda: MODEL in registry.models() and registry.aliases(MODEL).get("challenger"), "the alias", 500)
        notifier.stop()
        assert len(registry.versions(MODEL)) == 1
        registry.fetch(MODEL, 1, tmp_path / "version")
        asked = read_recipe(tmp_path / "version").request
        assert (asked.families, asked.target, asked.folds, asked.seeds) == (("ridge",), "move", 3, 2)
        assert asked.label == LabelConfig(kind="spread_aware", spreads=0.5)
    finally:
        serving.terminate()
        serving.wait(30)
        api.close()


def named(api: httpx.Client, path: str, name: str) -> list[dict]:
    answer = api.post(path, json={})
    return [one for one in answer.json() if one["name"] == name] if answer.status_code == 200 else []
