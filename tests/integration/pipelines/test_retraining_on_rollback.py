"""The controller's event starts the retraining that `ringcraft schedule` serves, on a real Prefect server."""

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from support.cli import start_ringcraft, wait_for

from data_contracts.recording import Recording
from market_data.reading import read_recordings
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


@pytest.mark.long
@pytest.mark.timeout(900)
def test_drift_that_a_flow_finds_starts_retraining(server: PrefectServer, mlflow_uri: str, tmp_path: Path) -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from pipelines.flows import Given, train
    from pipelines.request import TrainRequest
    from pipelines.retrain import drift_flow
    from pipelines.steps.drift import DriftRequest

    model, recording = f"{MODEL}-drift", tmp_path / "day.itch50"
    simulate(recording, seed=3, events=4000)
    (day,) = read_recordings(recording)
    registry = MlflowRegistry(mlflow_uri, timeout_s=60.0)
    settings = SETTINGS.format(port=int(server.uri.rsplit(":", 1)[1]), mlflow=mlflow_uri, source=recording, model=model)
    (tmp_path / "ringcraft.toml").write_text(settings)
    with temporary_settings({PREFECT_API_URL: f"{server.uri}/api"}):
        first = TrainRequest(
            model=model, source=str(recording), families=("ridge",), trials=1, seeds=1, folds=2, work=str(tmp_path)
        )
        (made,) = train(first, Given(recordings=[day], registry=registry)).versions
        serving = start_ringcraft("schedule", cwd=tmp_path, log=tmp_path / "schedule.log")
        api = httpx.Client(base_url=f"{server.uri}/api", timeout=30)
        try:
            wait_for(lambda: named(api, "/automations/filter", "after-rollback on drift"), "the automation", 300)
            events = day.events.copy()
            events["ask_ticks"] += 7
            wider = Recording(day.instrument, events, Path("wider"), {})
            asked = DriftRequest(reference=str(recording), source="wider", min_interval_ns=0)
            found = drift_flow(asked, made.model_uri, Given(recordings=[wider], registry=registry))
            assert found.drifted
            wait_for(lambda: registry.aliases(model).get("challenger"), "the alias", 500)
            registry.fetch(model, registry.resolve(model, "challenger"), tmp_path / "version")
            assert read_recipe(tmp_path / "version").request.folds == 3
        finally:
            serving.terminate()
            serving.wait(30)
            api.close()


def named(api: httpx.Client, path: str, name: str) -> list[dict]:
    answer = api.post(path, json={})
    return [one for one in answer.json() if one["name"] == name] if answer.status_code == 200 else []
