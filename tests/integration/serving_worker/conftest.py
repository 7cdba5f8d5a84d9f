"""What tests of the worker share, beside worker_kit."""

from pathlib import Path

import pytest
from worker_kit import linear_graph, write_version


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Two versions of one model, unlike each other."""
    root = tmp_path_factory.mktemp("versions")
    return {
        1: write_version(root / "1", linear_graph),
        2: write_version(root / "2", lambda path: linear_graph(path, seed=5)),
    }
