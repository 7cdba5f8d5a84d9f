"""Every command that the README shows works as it stands there, in the order in which it stands there."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
NOT_RUN_HERE = {"make test": "it is what runs this"}
FAST = {"make demo": ".venv/bin/ringcraft demo --fast"}
BACKGROUND = "ringcraft up"
UNTIL_READY = "ringcraft status"
MAY_SAY_NO = ("judge", "promote", "rollback")
"""Their exit code 1 is an answer: a version was taken off, nothing is there to promote."""


def commands() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stranger")
    (folder / ".venv").symlink_to(Path(sys.executable).parents[1])
    return folder


def wait_ready(url: str, limit_s: float = 180.0) -> None:
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"{url}/health/ready", timeout=1.0) as reply:
                if reply.status == 200:
                    return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"{url} did not become ready")


def console_of(folder: Path) -> str:
    text = (folder / "build" / "demo" / "ringcraft.toml").read_text()
    port = re.search(r"console_port = (\d+)", text)
    assert port is not None
    return f"http://127.0.0.1:{port[1]}"


def feed_of(folder: Path) -> str:
    text = (folder / "build" / "demo" / "ringcraft.toml").read_text()
    port = re.search(r"feed_port = (\d+)", text)
    assert port is not None
    return f"127.0.0.1:{port[1]}"


def verdicts(folder: Path) -> dict[str, str]:
    """The planted edge must earn its promotion, and the bad versions must come off."""
    summary = json.loads((folder / "build" / "demo" / "summary.json").read_text())
    return {rollout["kind"]: rollout["verdict"] for rollout in summary["rollouts"]}


def run(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(shlex.split(line), cwd=folder, capture_output=True, text=True, timeout=280)


@pytest.mark.timeout(600)
def test_every_command_of_the_readme_works(workspace: Path) -> None:
    background: list[subprocess.Popen[bytes]] = []
    try:
        for line in commands():
            if line in NOT_RUN_HERE:
                continue
            command = FAST.get(line, line)
            if BACKGROUND in command:
                background.append(
                    subprocess.Popen(
                        shlex.split(command), cwd=workspace, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
                    )
                )
                wait_ready(console_of(workspace))
                continue
            if "--publish" in command:
                # The demonstration may have taken other ports, and a day at the README's pace would take minutes.
                command = command.replace("127.0.0.1:8083", feed_of(workspace)).replace("--speed 100", "--speed 0")
            result = run(command, workspace)
            allowed = {0, 1} if any(word in shlex.split(command) for word in MAY_SAY_NO) else {0}
            assert result.returncode in allowed, f"{command}\n{result.stdout}\n{result.stderr}"
            assert "Traceback" not in result.stderr
            if line == "make demo":
                assert verdicts(workspace) == {"honest": "promoted", "harmful": "rolled_back", "slow": "rolled_back"}
    finally:
        for process in background:
            process.send_signal(signal.SIGINT)
        for process in background:
            process.wait(timeout=30)
    left = subprocess.run(["pgrep", "-f", os.fspath(workspace)], capture_output=True, text=True)
    assert left.stdout == "", "a process outlived the commands"
