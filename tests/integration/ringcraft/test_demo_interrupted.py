"""Ctrl-C in the middle of the demonstration ends all that it started, and says so in one line."""

import signal
from pathlib import Path

import pytest
from support.cli import about, start_ringcraft, wait_for


@pytest.mark.long
def test_interrupt_while_it_trains_leaves_nothing_running(tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = start_ringcraft("demo", "--fast", "--work", tmp_path / "demo", cwd=tmp_path, log=log)
    try:
        wait_for(lambda: "MLflow:" in log.read_text() or process.poll() is not None, "training to begin", 150)
        process.send_signal(signal.SIGINT)
        assert process.wait(15) == 130, log.read_text()
    finally:
        process.kill()
        process.wait()
    wait_for(lambda: not about(tmp_path), "everything to end", 5)
    assert log.read_text().splitlines()[-1] == "ringcraft: interrupted"
    assert "Traceback" not in log.read_text()
