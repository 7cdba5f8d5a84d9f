"""The shared-memory door of a real worker."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from door_kit import ROWS, by_hand, worker
from worker_kit import MODEL, ROOT, Tier

from data_contracts.journal import AbstainReason, Arm
from serving.doors.decisions import DecisionFeed
from serving.doors.shared_client import SharedClient, Status

_ASKS_FOR_EVER = """
import sys
from pathlib import Path
import numpy as np
from serving.doors.shared_client import SharedClient
client = SharedClient(Path(sys.argv[1]))
rows = np.zeros((64, 16), np.float32)
print("asking", flush=True)
while True:
    client.ask(sys.argv[2], rows)
"""


@pytest.fixture(scope="module")
def running(versions: dict[int, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tier]:
    with worker(tmp_path_factory.mktemp("shared"), versions) as tier:
        yield tier


def test_decisions_are_the_champion_s_and_lie_on_the_bus(running: Tier, versions: dict[int, Path]) -> None:
    client, feed = SharedClient(running.state), DecisionFeed(running.state)
    answer = client.ask(MODEL, ROWS)
    assert (answer.status, answer.version, answer.arm) == (Status.OK, 1, Arm.CHAMPION)
    np.testing.assert_array_equal(answer.outputs, by_hand(versions[1]))
    scores = answer.outputs[:, 2] - answer.outputs[:, 0]
    np.testing.assert_array_equal(answer.actions, np.where(scores > 0.05, 1, np.where(scores < -0.05, -1, 0)))
    assert answer.reasons() == [""] * len(ROWS)
    told = feed.told(feed.read(timeout_s=2.0))
    assert [one.decision_id for one in told] == answer.decision_ids.tolist()
    assert {(one.model, one.instrument) for one in told} == {(MODEL, "")}


def test_version_asked_for_by_number_answers(running: Tier, versions: dict[int, Path]) -> None:
    answer = SharedClient(running.state).ask(MODEL, ROWS, version=2)
    assert (answer.version, answer.arm) == (2, Arm.CHALLENGER)
    np.testing.assert_array_equal(answer.outputs, by_hand(versions[2]))


def test_what_cannot_be_answered_says_why(running: Tier) -> None:
    client = SharedClient(running.state)
    assert client.ask("another", ROWS).status == Status.UNKNOWN_MODEL
    assert client.ask(MODEL, ROWS, version=9).status == Status.UNKNOWN_VERSION
    narrow = client.ask(MODEL, ROWS[:, :3])
    assert narrow.status == Status.BAD_SHAPE
    assert "wide" in narrow.reason
    late = client.ask(MODEL, ROWS[:1], deadline_ns=time.monotonic_ns() - 1)
    assert late.abstains.tolist() == [AbstainReason.DEADLINE]
    bad = client.ask(MODEL, np.full((1, ROWS.shape[1]), np.nan, np.float32))
    assert bad.abstains.tolist() == [AbstainReason.BAD_FEATURE]


def test_killed_clients_hang_nobody(running: Tier) -> None:
    survivor = SharedClient(running.state)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", _ASKS_FOR_EVER, str(running.state), MODEL]
    others = [subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for other in others:
        assert other.stdout is not None
        assert other.stdout.readline() == "asking\n"
    for other in others:
        assert survivor.ask(MODEL, ROWS).status == Status.OK
        other.send_signal(signal.SIGKILL)
        other.wait(10)
    assert survivor.ask(MODEL, ROWS).status == Status.OK
    assert SharedClient(running.state).ask(MODEL, ROWS).status == Status.OK


def test_client_outlives_a_worker(versions: dict[int, Path], tmp_path: Path) -> None:
    with worker(tmp_path, versions) as tier:
        client = SharedClient(tier.state)
        assert client.ask(MODEL, ROWS).status == Status.OK
        tier.kill()
        assert not client.served
        assert client.ask(MODEL, ROWS, timeout_s=0.05).status == Status.TIMEOUT
        tier.start()
        until = time.monotonic() + 10
        while (answer := client.ask(MODEL, ROWS)).status != Status.OK and time.monotonic() < until:
            time.sleep(0.02)
        assert answer.status == Status.OK
