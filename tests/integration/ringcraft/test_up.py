"""`ringcraft up` with real servers: it ends whole, however it is ended, and goes on where it was."""

import json
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from support.cli import about, one_line, ringcraft, start_ringcraft, wait_for
from support.graphs import cautious

from benchmarks.versions import write_version
from market_data.simulator import simulate
from registry.mlflow_registry import MlflowRegistry
from ringcraft.ports import free_port

STOP_S = 15.0
SCHEDULE = """
[[schedules]]
name = "nightly"
cron = "0 3 * * *"
source = "{folder}/day.itch50"
model = "m"
horizon_s = 2.0
trials = 1
alias = "challenger"
"""


class Up:
    """The command on free ports, everything it makes under one folder."""

    def __init__(self, folder: Path, more: str = "") -> None:
        self.folder, self.log = folder, folder / "up.log"
        self.mlflow, self.console, self.prefect = (f"http://127.0.0.1:{free_port()}" for _ in range(3))
        (folder / "ringcraft.toml").write_text(
            f'state_dir = "{folder}/state"\nprefect_port = {self.prefect.rpartition(":")[2]}\n'
            f'[mlflow]\nuri = "{self.mlflow}"\nfolder = "{folder}/mlflow"\n'
            f"[serving]\nfeed_port = 0\nrest_port = 0\nconsole_port = {self.console.rpartition(':')[2]}\n"
            f'[[serving.models]]\nname = "m"\n{more}'
        )

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        command = ("up", "--config", "ringcraft.toml")
        process = start_ringcraft(*command, cwd=self.folder, log=self.log, PREFECT_RUNNER_POLL_FREQUENCY="1")
        try:
            wait_for(lambda: process.poll() is not None or "Ctrl-C" in self.log.read_text(), "all to start", 120)
            assert process.poll() is None, self.log.read_text()
            yield process
        finally:
            process.kill()
            process.wait()
            self.log.unlink()

    def champion(self) -> int:
        try:
            (model,) = httpx.get(f"{self.console}/api/snapshot", timeout=5).json()["models"]
        except (httpx.HTTPError, ValueError):
            return 0
        return next((arm["version"] for arm in model["arms"] if arm["arm"] == "champion"), 0)

    def ends(self, process: subprocess.Popen[bytes], number: int) -> int:
        """Signal it; return its exit code once nothing of it is left."""
        asked = time.monotonic()
        process.send_signal(number)
        code = process.wait(STOP_S)
        wait_for(lambda: not about(self.folder), f"{about(self.folder)} to end", STOP_S - (time.monotonic() - asked))
        return code


@pytest.mark.long
def test_interrupted_then_started_again_then_killed(tmp_path: Path) -> None:
    up = Up(tmp_path)
    with up.running() as process:
        registry = MlflowRegistry(up.mlflow)
        version = registry.publish("m", write_version(tmp_path / "v", cautious, model="m", horizon_ns=10**9), tags={})
        registry.move_alias("m", "champion", version)
        wait_for(lambda: up.champion() == version, "the champion")
        assert up.ends(process, signal.SIGINT) == 0
        assert "Traceback" not in up.log.read_text()
    assert not [path for path in (tmp_path / "state").rglob("*") if path.name.endswith(".part")]
    assert not (tmp_path / "state" / "supervisor.json").exists()
    with up.running() as process:
        wait_for(lambda: up.champion() == version, "the champion to come back")
        kinds = [json.loads(line) for line in (tmp_path / "state" / "history.jsonl").read_text().splitlines()]
        assert kinds
        up.ends(process, signal.SIGKILL)


@pytest.mark.long
def test_schedule_is_deployed_and_its_run_publishes(tmp_path: Path) -> None:
    simulate(tmp_path / "day.itch50", seed=3, events=6000)
    up = Up(tmp_path, SCHEDULE.format(folder=tmp_path))
    with up.running() as process, httpx.Client(base_url=f"{up.prefect}/api", timeout=20) as prefect:
        name = "/deployments/name/scheduled training/nightly"
        wait_for(lambda: prefect.get(name).status_code == 200, "the deployment")
        deployment = prefect.get(name).json()
        assert [entry["schedule"]["cron"] for entry in deployment["schedules"] if entry["active"]] == ["0 3 * * *"]
        run = prefect.post(f"/deployments/{deployment['id']}/create_flow_run", json={}).json()

        def state() -> str:
            return str(prefect.get(f"/flow_runs/{run['id']}").json()["state_type"])

        wait_for(lambda: state() not in ("SCHEDULED", "PENDING", "RUNNING"), "the run", 150)
        assert state() == "COMPLETED", up.log.read_text()
        registry = MlflowRegistry(up.mlflow)
        assert registry.aliases("m")["challenger"] in [each.version for each in registry.versions("m")]
        assert up.ends(process, signal.SIGTERM) == 0
        assert "Traceback" not in up.log.read_text()


@pytest.mark.parametrize("setting", ["MLFLOW__URI", "SERVING__CONSOLE_PORT", "SERVING__FEED_PORT"])
def test_taken_port_is_refused_before_anything_starts(tmp_path: Path, setting: str) -> None:
    Up(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        value = f"http://127.0.0.1:{port}" if setting == "MLFLOW__URI" else str(port)
        result = ringcraft("up", "--config", "ringcraft.toml", cwd=tmp_path, **{f"RINGCRAFT_{setting}": value})
    assert result.returncode == 2
    assert f"port {port} on 127.0.0.1: expected a free one" in one_line(result)
    assert not about(tmp_path)
    assert not (tmp_path / "mlflow").exists()


def test_second_tier_on_a_state_folder_is_refused(tmp_path: Path) -> None:
    import fcntl

    up = Up(tmp_path)
    (tmp_path / "state").mkdir()
    with (tmp_path / "state" / ".supervisor.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        result = ringcraft("serve", "--config", "ringcraft.toml", cwd=up.folder)
    assert result.returncode == 2
    assert "expected no other tier on it" in one_line(result)
