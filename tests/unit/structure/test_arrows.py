"""The arrows between folders hold, by declaration and in a fresh interpreter."""

import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import serving

ROOT = Path(__file__).resolve().parents[3]
TRAINING_ONLY = {"torch", "xgboost", "sklearn", "prefect", "great_expectations", "pipelines", "models", "optuna"}


def serving_modules() -> list[str]:
    return ["serving", *(module.name for module in pkgutil.walk_packages(serving.__path__, "serving."))]


@pytest.mark.parametrize("module", [*serving_modules(), "ringcraft.processes.worker", "ringcraft.processes.controller"])
def test_serving_module_brings_nothing_of_training(module: str) -> None:
    code = f"import json, sys, {module}; print(json.dumps(sorted({{name.partition('.')[0] for name in sys.modules}})))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert not TRAINING_ONLY & set(json.loads(loaded.stdout))


def test_workers_do_not_know_mlflow() -> None:
    code = "import sys, ringcraft.processes.worker; print('mlflow' in sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert loaded.stdout.strip() == "False"


def test_workers_bring_no_database_and_no_tables() -> None:
    code = "import sys, ringcraft.processes.worker; print({'sqlalchemy', 'pyarrow', 'polars'} & set(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert loaded.stdout.strip() == "set()"


def test_the_controller_brings_no_tables() -> None:
    # Without the registry's driver: MLflow brings them where they are installed.
    modules = "serving.controller.controller, serving.outcomes.api, serving.archive.archivist"
    code = f"import sys, {modules}; print({{'pyarrow', 'polars'}} & set(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert loaded.stdout.strip() == "set()"


def test_declared_contracts_hold() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run([lint, "--no-cache"], capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 0, result.stdout
