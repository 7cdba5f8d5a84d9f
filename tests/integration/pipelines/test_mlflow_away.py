"""MLflow goes away in the middle of a run: what failed first is told, and a step that finds it back goes on."""

from pathlib import Path

import pytest
from mlflow import MlflowClient

from data_contracts.errors import RegistryUnavailableError
from pipelines.request import TrainRequest
from pipelines.steps import tracking
from registry.mlflow_registry import MlflowRegistry
from ringcraft.mlflow_server import MlflowServer


@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_server_that_goes_and_comes_back_costs_no_run_and_hides_no_error(tmp_path: Path) -> None:
    from prefect import flow

    from pipelines import tasks

    first = MlflowServer(tmp_path / "mlflow")
    first.start()
    first.wait_ready()
    port = int(first.uri.rsplit(":", 1)[1])
    MlflowRegistry(first.uri, timeout_s=60.0)  # as in training: MLflow's client itself asks once
    request = TrainRequest(model="away", source="-", mlflow_uri=first.uri, work=str(tmp_path))

    def fails() -> None:
        with tracking.run(request, "ridge", "b" * 64):
            first.stop()
            raise ValueError("what went wrong")

    with pytest.raises(ValueError, match="what went wrong") as raised:
        fails()
    assert ["could not be closed either: MLflow at" in note for note in raised.value.__notes__] == [True]
    second = MlflowServer(tmp_path / "mlflow", port=port)

    @flow(name="tracks")
    def tracks() -> str | None:
        second.start()  # and takes seconds to answer
        with pytest.raises(RegistryUnavailableError):
            tracking.Run(request, "ridge", "b" * 64)
        return tasks.tracked("train", "b" * 64, "ridge", None, {"said.txt": b"said"}, request)

    try:
        run = tracks()
        client = MlflowClient(second.uri)
        found = client.search_runs([client.get_experiment_by_name(request.experiment).experiment_id])  # type: ignore[union-attr]
        assert [(one.info.run_id, one.info.status) for one in found] == [(run, "FINISHED")]
        assert [file.path for file in client.list_artifacts(run, "evidence")] == ["evidence/said.txt"]
    finally:
        second.stop()
