"""Fixtures that every suite shares."""

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # read at mlflow's first import; nothing calls out of a test
# Read at prefect's first import, which may be while tests are collected. Of each process alone: the answers that an
# earlier session kept in the user's home would be taken for this one's.
os.environ["PREFECT_HOME"] = tempfile.mkdtemp(prefix="ringcraft-prefect-")
atexit.register(shutil.rmtree, os.environ["PREFECT_HOME"], ignore_errors=True)

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def test_data() -> Path:
    """Folder of real recordings; the test is skipped, visibly, where it is absent."""
    folder = Path(os.environ.get("RINGCRAFT_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"real recordings not found at {folder}; set RINGCRAFT_TEST_DATA")
    return folder


@pytest.fixture(scope="session")
def mlflow_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a real MLflow server, one for the whole session: give models names of your own."""
    from ringcraft.mlflow_server import MlflowServer

    os.environ["MLFLOW_WEBHOOK_CACHE_TTL"] = "0"  # a webhook registered by one test is known at once
    with MlflowServer(tmp_path_factory.mktemp("mlflow")) as server:
        yield server.uri
