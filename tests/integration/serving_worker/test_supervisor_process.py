"""The supervisor over a real worker and a stand-in for the controller that beats."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
from worker_kit import ROOT, Tier, ab_route, linear_graph, lineup, tier, touch_events, wait_for, write_version

from serving.journal import read_journal
from serving.supervisor import SupervisorStatus

_PROGRAM = """
import sys
from pathlib import Path
from data_contracts.settings import load_settings
from ringcraft.logs import configure_logs
from serving.supervisor import Supervisor, child_commands
from serving.worker import stop_on_signals
configure_logs("info")
config = Path(sys.argv[1])
commands = child_commands(config)
commands["controller"] = [sys.executable, "-c", "import time; time.sleep(1000)"]
Supervisor(load_settings(config), commands).run(stop_on_signals())
"""


def start_supervisor(running: Tier) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", _PROGRAM, str(running.config)]
    return subprocess.Popen(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})


def read_status(running: Tier) -> SupervisorStatus | None:
    try:
        return msgspec.json.decode((running.state / "supervisor.json").read_bytes(), type=SupervisorStatus)
    except FileNotFoundError:
        return None


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return "Z" in Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0]


def ready(running: Tier) -> bool:
    status = read_status(running)
    return status is not None and status.feed_port > 0 and len(status.pids) == 2


@pytest.fixture
def running(tmp_path: Path):
    with tier(tmp_path) as made:
        version = write_version(tmp_path / "1", linear_graph)
        made.show(lineup({1: version, 2: version}))
        made.routing.publish([ab_route()])
        yield made


def test_killed_worker_comes_back_and_goes_on(running: Tier) -> None:
    supervisor = start_supervisor(running)
    try:
        wait_for(lambda: ready(running), "both children")
        feed = running.feed()
        feed.events(touch_events(2000))
        feed.end()
        before = read_status(running)
        os.kill(before.pids["worker-0"], signal.SIGKILL)
        wait_for(lambda: read_status(running).restarts["worker-0"] == 1 and ready(running), "the restart")
        wait_for(lambda: running.status().pid == read_status(running).pids["worker-0"], "the new worker's status")
        assert read_status(running).pids["controller"] == before.pids["controller"]
        assert read_status(running).feed_port == before.feed_port
        feed = running.feed()
        feed.events(touch_events(500))
        assert feed.end() == {"events": 500, "decisions": 500}
        feed.close()
        pids = read_status(running).pids
        asked_at = time.monotonic()
        supervisor.send_signal(signal.SIGTERM)
        assert supervisor.wait(10) == 0
        assert time.monotonic() - asked_at < 5
    finally:
        supervisor.kill()
        supervisor.wait()
    assert all(gone(pid) for pid in pids.values())
    journal = read_journal(running.journal)
    assert journal.decisions["decision_id"].tolist() == list(range(1, 2501))
    assert len(journal.markouts) == 2500
    assert not running.rings_path.exists()
    assert not running.routing_path.exists()
    assert read_status(running) is None


def test_children_die_with_a_killed_supervisor(running: Tier) -> None:
    supervisor = start_supervisor(running)
    try:
        wait_for(lambda: ready(running), "both children")
        pids = read_status(running).pids
    finally:
        supervisor.kill()
        supervisor.wait()
    wait_for(lambda: all(gone(pid) for pid in pids.values()), "the children to end")


def test_wrong_settings_are_refused_in_one_line(tmp_path: Path) -> None:
    config = tmp_path / "ringcraft.toml"
    config.write_text("[serving]\nfeed_port = 99999\n")
    command = [sys.executable, "-m", "ringcraft.processes.supervisor", "--config", str(config)]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert ran.returncode == 2
    assert "serving.feed_port" in ran.stderr
    assert len(ran.stderr.splitlines()) == 1
