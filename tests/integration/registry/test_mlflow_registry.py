"""What only the MLflow driver can get wrong."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from mlflow import MlflowClient

from data_contracts.errors import RegistryUnavailableError, UsageError, VersionNotFoundError
from registry.mlflow_registry import MlflowRegistry


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "version"
    made.mkdir()
    (made / "model.onnx").write_bytes(b"graph")
    (made / "card.md").write_text("# tilt\nNo threshold paid its costs.")
    return made


@pytest.fixture
def silent_address() -> Iterator[str]:
    """A server that takes connections and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(16)
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_a_person_s_tags_and_aliases_are_seen(mlflow_uri: str, folder: Path) -> None:
    registry = MlflowRegistry(mlflow_uri, timeout_s=30)
    registry.publish("by-hand", folder, tags={})
    client = MlflowClient(mlflow_uri, mlflow_uri)
    client.set_registered_model_tag("by-hand", "ringcraft.policy.rollout.on_success", "wait")
    client.set_registered_model_alias("by-hand", "challenger", "1")
    assert registry.model_tags("by-hand") == {"ringcraft.policy.rollout.on_success": "wait"}
    assert registry.aliases("by-hand") == {"challenger": 1}


def test_version_page_shows_card_run_and_files(mlflow_uri: str, folder: Path) -> None:
    registry = MlflowRegistry(mlflow_uri, timeout_s=30)
    version = registry.publish("carded", folder, tags={})
    client = MlflowClient(mlflow_uri, mlflow_uri)
    shown = client.get_model_version("carded", str(version))
    assert shown.status == "READY"
    assert shown.description.startswith("# tilt")
    assert {file.path for file in client.list_artifacts(shown.run_id, "model")} == {"model/model.onnx", "model/card.md"}
    assert client.get_run(shown.run_id).info.status == "FINISHED"


def test_evidence_lies_in_the_run_under_the_path_returned(mlflow_uri: str, folder: Path) -> None:
    registry = MlflowRegistry(mlflow_uri, timeout_s=30)
    version = registry.publish("judged", folder, tags={})
    place = registry.log_evidence("judged", version, "verdict 1.json", b'{"verdict": "rolled_back"}')
    run = registry.version("judged", version).run_id
    shown = httpx.get(f"{mlflow_uri}/get-artifact", params={"run_uuid": run, "path": place})
    assert shown.content == registry.evidence("judged", version, "verdict 1.json") == b'{"verdict": "rolled_back"}'


def test_version_without_a_run_gets_one_for_its_evidence(mlflow_uri: str) -> None:
    client = MlflowClient(mlflow_uri, mlflow_uri)
    client.create_registered_model("runless")
    client.create_model_version("runless", "s3://bucket/made/elsewhere", await_creation_for=0)
    registry = MlflowRegistry(mlflow_uri, timeout_s=30)
    for name in ("a.json", "b.json"):
        registry.log_evidence("runless", 1, name, b"x")
    run = registry.version("runless", 1).tags["ringcraft.evidence_run"]
    files = {file.path for file in client.list_artifacts(run, "ringcraft/runless-1")}
    assert files == {"ringcraft/runless-1/a.json", "ringcraft/runless-1/b.json"}


def test_version_whose_files_are_gone_is_not_fetched(mlflow_uri: str, tmp_path: Path) -> None:
    client = MlflowClient(mlflow_uri, mlflow_uri)
    client.create_registered_model("gone")
    run = client.create_run("0")
    client.create_model_version("gone", f"{run.info.artifact_uri}/model", run.info.run_id, await_creation_for=0)
    with pytest.raises(VersionNotFoundError):
        MlflowRegistry(mlflow_uri, timeout_s=30).fetch("gone", 1, tmp_path / "f")
    assert list((tmp_path / "f").iterdir()) == []


def test_absent_server_is_said_to_be_unreachable_at_once(folder: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        registry = MlflowRegistry(f"http://127.0.0.1:{probe.getsockname()[1]}", timeout_s=2)
        for call in (
            lambda: registry.models(),
            lambda: registry.aliases("m"),
            lambda: registry.version("m", 1),
            lambda: registry.set_version_tags("m", 1, {"a": "b"}),
            lambda: registry.move_alias("m", "champion", 1),
            lambda: registry.publish("m", folder, tags={}),
            lambda: registry.fetch("m", 1, folder / "f"),
        ):
            start = time.monotonic()
            with pytest.raises(RegistryUnavailableError, match=r"127\.0\.0\.1"):
                call()
            assert time.monotonic() - start < 1.0


def test_silent_server_is_given_up_within_the_timeout(silent_address: str) -> None:
    registry = MlflowRegistry(silent_address, timeout_s=1)
    for call in (lambda: registry.aliases("m"), lambda: registry.version("m", 1)):
        start = time.monotonic()
        with pytest.raises(RegistryUnavailableError):
            call()
        assert time.monotonic() - start < 2.0


@pytest.mark.parametrize("uri", ["sqlite:///mlflow.db", "mlruns", ""])
def test_address_that_is_not_http_is_refused(uri: str) -> None:
    with pytest.raises(UsageError, match="http"):
        MlflowRegistry(uri)


def test_importing_the_driver_brings_no_training_stack() -> None:
    program = (
        "import sys, registry, registry.history, registry.memory, registry.mlflow_registry\n"
        "heavy = {'torch', 'xgboost', 'sklearn', 'prefect', 'great_expectations', 'sqlalchemy', 'flask'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_importing_the_driver_starts_no_telemetry() -> None:
    program = (
        "import registry.mlflow_registry, mlflow.telemetry, threading\n"
        "print(mlflow.telemetry.get_telemetry_client(), threading.active_count())"
    )
    clean = {name: value for name, value in os.environ.items() if name not in ("MLFLOW_DISABLE_TELEMETRY", "CI")}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=clean)
    assert done.stdout.split() == ["None", "1"]
