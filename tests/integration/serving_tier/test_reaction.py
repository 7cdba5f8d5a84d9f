"""From an alias moved to its version in shadow: the benchmark's own measurement, with a limit loose enough for CI."""

import statistics
import time
from pathlib import Path

import pytest

from benchmarks import reaction
from ringcraft.child import Child, own_command


@pytest.mark.slow
def test_alias_moved_is_in_shadow_within_seconds(
    mlflow_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reaction, "MODEL", f"reaction-{time.time_ns()}")
    versions = reaction.publish(tmp_path / "made", mlflow_uri, 6)
    config = reaction.write_config(tmp_path, mlflow_uri)
    with Child(own_command("serve", config), name="serve", log=tmp_path / "serve.log"):
        seconds = reaction.reactions(tmp_path / "state", mlflow_uri, versions)
    assert statistics.median(seconds) < 5.0, seconds
