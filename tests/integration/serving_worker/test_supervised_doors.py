"""A supervisor with every door: one that is killed comes back, and nobody else notices."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest
import tritonclient.grpc as triton
import zmq
from door_kit import ROWS
from websockets.sync.client import ClientConnection, connect
from worker_kit import MODEL, ROOT, Tier, ab_route, lineup, tier, wait_for

from serving.doors.ports import read_ports
from serving.supervisor import SupervisorStatus

DOORS = ("grpc", "websocket", "zeromq")
PORTS = ("grpc_port", "websocket_port", "zeromq_port", "zeromq_publish_port")
QUESTION = {"model": MODEL, "rows": ROWS.tolist()}
Ask = Callable[[], list[int]]
"""Asks on ROWS and returns the decisions' ids."""
_PROGRAM = """
import sys
from pathlib import Path
from data_contracts.settings import load_settings
from ringcraft.logs import configure_logs
from serving.supervisor import Supervisor, child_commands
from serving.worker import stop_on_signals
configure_logs("info")
config = Path(sys.argv[1])
settings = load_settings(config)
commands = child_commands(config, settings.serving.doors)
del commands["controller"]
Supervisor(settings, commands).run(stop_on_signals())
"""


def by_grpc(port: int, stack: ExitStack) -> Ask:
    client = stack.enter_context(triton.InferenceServerClient(f"127.0.0.1:{port}"))
    tensor = triton.InferInput("features", list(ROWS.shape), "FP32")
    tensor.set_data_from_numpy(ROWS)
    return lambda: client.infer(MODEL, [tensor], client_timeout=5).as_numpy("decision_id").tolist()


def by_websocket(port: int, stack: ExitStack) -> Ask:
    client = stack.enter_context(connect(f"ws://127.0.0.1:{port}", compression=None))

    def ask() -> list[int]:
        client.send(json.dumps({"op": "ask"} | QUESTION))
        return json.loads(client.recv(timeout=5))["decision_ids"]

    return ask


def by_zeromq(port: int, stack: ExitStack) -> Ask:
    context = stack.enter_context(zmq.Context())
    client = stack.enter_context(context.socket(zmq.REQ))
    client.setsockopt(zmq.LINGER, 0)
    client.setsockopt(zmq.RCVTIMEO, 5000)
    client.connect(f"tcp://127.0.0.1:{port}")

    def ask() -> list[int]:
        client.send_json(QUESTION)
        return json.loads(client.recv())["decision_ids"]

    return ask


BY = {"grpc": by_grpc, "websocket": by_websocket, "zeromq": by_zeromq}


def status(running: Tier) -> SupervisorStatus | None:
    try:
        return msgspec.json.decode((running.state / "supervisor.json").read_bytes(), type=SupervisorStatus)
    except FileNotFoundError:
        return None


def port(running: Tier, door: str) -> int:
    return read_ports(running.state, door).get("port", 0)


@pytest.fixture(scope="module")
def running(versions: dict[int, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tier]:
    settings = dict.fromkeys(PORTS, 0) | {"doors": json.dumps(DOORS)}
    with tier(tmp_path_factory.mktemp("doors"), **settings) as made:
        made.show(lineup(versions))
        made.routing.publish([ab_route(0)])
        made.beat()
        command = [sys.executable, "-c", _PROGRAM, str(made.config)]
        supervisor = subprocess.Popen(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})
        try:
            wait_for(lambda: all(port(made, door) for door in DOORS), "the doors' ports")
            wait_for(lambda: (one := made.status()) is not None and len(one.slots) == len(versions), "the versions")
            yield made
            supervisor.send_signal(signal.SIGTERM)
            assert supervisor.wait(10) == 0
            assert not any(port(made, door) for door in DOORS)
        finally:
            supervisor.kill()
            supervisor.wait()


def told(client: ClientConnection) -> dict[str, Any]:
    return json.loads(client.recv(timeout=10))


@pytest.mark.parametrize(
    "killed",
    ["websocket", pytest.param("grpc", marks=pytest.mark.long), pytest.param("zeromq", marks=pytest.mark.long)],
)
def test_killed_door_comes_back_and_the_others_go_on(running: Tier, killed: str) -> None:
    before = status(running)
    with ExitStack() as stack:
        others = {door: BY[door](port(running, door), stack) for door in DOORS if door != killed}
        with ExitStack() as lost:
            ids = BY[killed](port(running, killed), lost)()
        old_port, first, asked = port(running, killed), ids[-1], 0
        os.kill(before.pids[f"door-{killed}"], signal.SIGKILL)
        seen = set()
        # On the connections that they had, while the killed one is away.
        while (now := port(running, killed)) in (0, old_port):
            seen.add(now)
            for ask in others.values():
                answered = ask()
                assert answered == list(range(ids[-1] + 1, ids[-1] + 1 + len(ROWS)))
                ids, asked = answered, asked + 1
            time.sleep(0.01)
            assert asked < 10_000
        assert asked > 0
        assert 0 in seen  # nobody is sent to where the dead one listened
        assert BY[killed](port(running, killed), stack)() == list(range(ids[-1] + 1, ids[-1] + 1 + len(ROWS)))
    after = status(running)
    restarted = {name for name in after.restarts if after.restarts[name] > before.restarts[name]}
    assert restarted == {f"door-{killed}"}
    assert {name for name in after.pids if after.pids[name] != before.pids[name]} == restarted

    # What was decided while it was away lies in shared memory, for a subscriber that comes back.
    with connect(f"ws://127.0.0.1:{port(running, 'websocket')}", compression=None) as client:
        client.send(json.dumps({"op": "subscribe", "after": first}))
        assert told(client)["op"] == "subscribed"
        expected = list(range(first + 1, ids[-1] + len(ROWS) + 1))
        assert [told(client)["decision_id"] for _ in expected] == expected
