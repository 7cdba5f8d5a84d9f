"""A controller in a process of its own, killed while outcomes are posted: what was acknowledged is there, once."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import msgspec
import pytest
from support.postgres import running_postgres

from serving.outcomes.taken import read_taken
from serving.shared_memory import journal_folder

ROOT = Path(__file__).resolve().parents[3]
KILLS = 2
SENDERS = 3


def outcome(name: str, number: int) -> dict:
    return {"outcome_id": f"{name}-{number}", "decision_id": number, "model": "m", "kind": "fill", "price": "1.5",
            "lots": 1, "side": "sell", "time_ns": number}  # fmt: skip


class RunningController:
    """The controller's process; MLflow is away, which must not matter."""

    def __init__(self, work: Path, url: str) -> None:
        self.state = work / "state"
        port_file = self.state / "controller.json"
        port_file.unlink(missing_ok=True)
        environment = os.environ | {
            "PYTHONPATH": str(ROOT),
            "RINGCRAFT_STATE_DIR": str(self.state),
            "RINGCRAFT_OUTCOMES__URL": url,
            "RINGCRAFT_MLFLOW__URI": "http://127.0.0.1:9",
            "RINGCRAFT_SERVING__CONSOLE_PORT": "0",
        }
        self.log = work / "controller.log"
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "ringcraft.processes.controller"]
            self.process = subprocess.Popen(command, cwd=work, env=environment, stdout=log, stderr=log)
        end = time.monotonic() + 60
        while not port_file.exists():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.02)
        self.url = f"http://127.0.0.1:{msgspec.json.decode(port_file.read_bytes())['console_port']}"

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)


def send(url: str, name: str, acknowledged: list[dict], stop: threading.Event) -> None:
    """Post one after the other; what is answered 2xx is acknowledged."""
    with httpx.Client(base_url=url, timeout=10) as client:
        number = 0
        while not stop.is_set():
            number += 1
            posted = outcome(name, number)
            try:
                reply = client.post("/v1/outcomes", json=posted)
            except httpx.HTTPError:
                return
            assert reply.status_code in (201, 202), reply.text
            acknowledged.append(posted)


@pytest.mark.slow
@pytest.mark.parametrize("driver", ["sqlite", "postgresql"])
def test_kill_9_loses_no_acknowledged_outcome_and_takes_each_once(driver: str, tmp_path: Path) -> None:
    if driver == "sqlite":
        kill_again_and_again(tmp_path, "")
        return
    with running_postgres() as server:
        kill_again_and_again(tmp_path, server.url)


def kill_again_and_again(work: Path, url: str) -> None:
    acknowledged: list[dict] = []
    for turn in range(KILLS):
        controller = RunningController(work, url)
        stop = threading.Event()
        senders = [
            threading.Thread(target=send, args=(controller.url, f"{turn}-{who}", acknowledged, stop))
            for who in range(SENDERS)
        ]
        for sender in senders:
            sender.start()
        end, enough = time.monotonic() + 20, len(acknowledged) + 15
        while len(acknowledged) < enough and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(random.Random(turn).uniform(0.0, 0.1))
        controller.kill()
        stop.set()
        for sender in senders:
            sender.join(20)
    assert len(acknowledged) > 25, "too few to mean anything"
    controller = RunningController(work, url)
    with httpx.Client(base_url=controller.url) as client:
        for posted in random.Random(0).sample(acknowledged, 20):
            kept = client.get("/v1/outcomes", params={"decision_id": posted["decision_id"]}).json()["outcomes"]
            assert [one["outcome"] for one in kept if one["outcome"]["outcome_id"] == posted["outcome_id"]] == [posted]
            again = client.post("/v1/outcomes", json=posted)
            assert (again.status_code, again.json()["status"]) == (200, "duplicate")
    taken = until_taken(controller, {posted["outcome_id"] for posted in acknowledged})
    names = [stored.outcome.outcome_id for stored in taken]
    assert len(set(names)) == len(names), "taken twice"
    assert [one.sequence for one in taken] == sorted(one.sequence for one in taken)
    controller.process.send_signal(signal.SIGTERM)
    assert controller.process.wait(20) == 0


def until_taken(controller: RunningController, wanted: set[str]) -> list:
    end = time.monotonic() + 20
    while True:
        taken = read_taken(journal_folder(controller.state, "worker-0"))
        missing = wanted - {stored.outcome.outcome_id for stored in taken}
        if not missing:
            return taken
        assert time.monotonic() < end, f"never taken: {sorted(missing)[:5]}\n{controller.log.read_text()}"
        time.sleep(0.1)
