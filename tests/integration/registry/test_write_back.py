"""The outbox against a real MLflow server: other people's moves, deaths in the middle, a server that is away."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient
from support.live_tier import ROOT
from support.proxy import Proxy

from registry.history import History
from registry.looks import LastLook
from registry.mlflow_registry import MlflowRegistry
from serving.controller.follower import LOOK_FILE, Follower
from serving.controller.writer import Evidence, Writer
from serving.rollout.effects import DeleteAlias, MoveAlias, SetTags


class Desk:
    """Follower and writer of one model, without anything that decides."""

    def __init__(self, state: Path, uri: str, model: str) -> None:
        self.model, self.registry = model, MlflowRegistry(uri, timeout_s=20)
        self.history = History(state / "history.jsonl")
        look = LastLook(state / LOOK_FILE)
        self.follower = Follower(self.registry, [model], self.history, period_s=9.0, last_look=look)
        self.writer = Writer(state / "outbox.jsonl", self.registry, self.follower, self.history)

    def told(self) -> list[tuple]:
        """The history since the first look: alias, from, to, seen, who."""
        return [(e.alias, e.before, e.after, e.seen, e.who) for e in self.history.entries]

    def close(self) -> None:
        self.follower.stop()
        self.writer.stop()
        self.history.close()


@pytest.fixture
def model(mlflow_uri: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """A registered model with three versions, the second being challenger."""
    folder = tmp_path / "version"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(b"graph")
    registry, name = MlflowRegistry(mlflow_uri, timeout_s=30), f"{request.node.name[:60]}-{time.time_ns()}"
    for _ in range(3):
        registry.publish(name, folder, tags={})
    registry.move_alias(name, "champion", 1)
    registry.move_alias(name, "challenger", 2)
    return name


@pytest.mark.parametrize(
    ("job", "target"),
    [
        (DeleteAlias(alias="challenger", version=2, why="came off"), None),
        (MoveAlias(alias="challenger", version=1, expected=2, why="moved"), 1),
    ],
)
def test_alias_moved_inside_our_look_and_move_is_put_back(
    mlflow_uri: str, model: str, tmp_path: Path, job: DeleteAlias | MoveAlias, target: int | None
) -> None:
    person = MlflowClient(mlflow_uri, mlflow_uri)
    method = "DELETE" if target is None else "POST"

    def before(asked: str, path: str) -> None:
        if asked == method and "registered-models/alias" in path:
            person.set_registered_model_alias(model, "challenger", "3")  # our look was before this, our move is after
            time.sleep(0.1)

    with Proxy(mlflow_uri, before) as proxy:
        desk = Desk(tmp_path, proxy.uri, model)
        desk.follower.poll()
        desk.writer.add(model, job, since="now")
        begun_ns = time.time_ns()
        assert desk.writer.flush()
        assert desk.registry.aliases(model) == {"champion": 1, "challenger": 3}
        assert desk.follower.aliases(model) == {"champion": 1, "challenger": 3}
        desk.follower.poll()
        desk.close()
    theirs = next(entry for entry in desk.history.entries if (entry.before, entry.after) == (2, 3))
    assert theirs.since_ns is not None
    assert begun_ns <= theirs.since_ns < theirs.wall_ns
    assert desk.told()[2:] == [
        ("challenger", 2, 3, "polled", None),
        ("challenger", 3, target, "made", "ringcraft"),
        ("challenger", target, 3, "made", "ringcraft"),
    ]
    assert "put back" in desk.history.entries[-1].why


_KILLED = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = [{root!r}, {root!r} + "/tests"]
from integration_write_back import Desk
from serving.rollout.effects import DeleteAlias
desk = Desk(Path({state!r}), {uri!r}, {model!r})
real = desk.registry.swap_alias
def swap_and_die(*arguments, **named):
    if {done}:
        real(*arguments, **named)
    os.kill(os.getpid(), signal.SIGKILL)
desk.registry.swap_alias = swap_and_die
desk.follower.poll()
desk.writer.add({model!r}, DeleteAlias(alias="challenger", version=2, why="came off", who="ana"), since="now")
desk.writer.flush()
"""


@pytest.mark.parametrize(("done", "first"), [(True, "poll"), (True, "flush"), (False, "poll")])
def test_killed_in_the_middle_of_a_move_it_is_made_and_told_once(
    mlflow_uri: str, model: str, tmp_path: Path, done: bool, first: str
) -> None:
    state = tmp_path / "state"
    script = _KILLED.format(root=str(ROOT), state=str(state), uri=mlflow_uri, model=model, done=done)
    script = script.replace("integration_write_back", "integration.registry.test_write_back")
    died = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert ("challenger" in MlflowRegistry(mlflow_uri).aliases(model)) is not done
    desk = Desk(state, mlflow_uri, model)
    steps = [desk.follower.poll, desk.writer.flush]
    for step in steps if first == "poll" else reversed(steps):
        step()
    assert desk.registry.aliases(model) == {"champion": 1}
    desk.follower.poll()
    desk.close()
    moves = [entry for entry in desk.history.entries if entry.seen != "gap"][2:]
    assert [(e.alias, e.before, e.after, e.seen, e.who) for e in moves] == [("challenger", 2, None, "made", "ana")]
    gaps = [entry for entry in desk.history.entries if entry.seen == "gap"]
    assert [gap.why for gap in gaps] == ["the controller was not running"]
    assert gaps[0].since_ns is not None
    assert gaps[0].since_ns < gaps[0].wall_ns


def test_what_waits_while_the_server_is_away_is_done_once_and_in_order(
    mlflow_uri: str, model: str, tmp_path: Path
) -> None:
    changes: list[str] = []

    def before(method: str, path: str) -> None:
        if method != "GET" and ("alias" in path or "set-tag" in path):
            changes.append(path.rpartition("/")[2].partition("?")[0])

    with Proxy(mlflow_uri, before) as proxy:
        desk = Desk(tmp_path, proxy.uri, model)
        desk.follower.poll()
        proxy.away = True
        desk.follower.poll()
        assert not desk.follower.reachable
        for job in (
            DeleteAlias(alias="challenger", version=2, why="came off"),
            SetTags(version=2, status="rolled_back", reason="pnl"),
            Evidence(version=2, name="rollout-1.json", content="{}"),
            MoveAlias(alias="champion", version=3, expected=1, why="promoted", who="ana"),
        ):
            desk.writer.add(model, job, since="then")
            assert not desk.writer.flush()
        assert desk.writer.overlay(model, {"champion": 1, "challenger": 2}) == {"champion": 3}
        desk.close()
        desk = Desk(tmp_path, proxy.uri, model)  # the outbox survives
        assert desk.writer.waiting == 4
        assert not desk.writer.flush()
        assert changes == []
        proxy.away = False
        assert desk.writer.flush()
        assert desk.writer.flush()
        desk.follower.poll()
        desk.close()
    assert changes == ["alias", "set-tag", "set-tag", "set-tag", "set-tag", "alias"]
    registry = MlflowRegistry(mlflow_uri)
    assert registry.aliases(model) == {"champion": 3}
    tags = registry.version(model, 2).tags
    assert (tags["ringcraft.status"], tags["ringcraft.since"]) == ("rolled_back", "then")
    assert json.loads(registry.evidence(model, 2, "rollout-1.json")) == {}
    moves = [entry for entry in desk.history.entries if entry.seen == "made"]
    assert [(e.alias, e.before, e.after, e.who) for e in moves] == [
        ("challenger", 2, None, "ringcraft"),
        ("champion", 1, 3, "ana"),
    ]


def test_somebody_s_later_move_is_left_alone(mlflow_uri: str, model: str, tmp_path: Path) -> None:
    desk = Desk(tmp_path, mlflow_uri, model)
    desk.follower.poll()
    MlflowClient(mlflow_uri, mlflow_uri).set_registered_model_alias(model, "challenger", "3")
    desk.writer.add(model, DeleteAlias(alias="challenger", version=2, why="came off"), since="now")
    assert desk.writer.flush()
    desk.follower.poll()
    desk.close()
    assert desk.registry.aliases(model) == {"champion": 1, "challenger": 3}
    assert desk.told()[2:] == [("challenger", 2, 3, "polled", None)]


def test_a_status_that_is_overtaken_is_not_written_and_a_bar_always_is(
    mlflow_uri: str, model: str, tmp_path: Path
) -> None:
    written: list[str] = []

    def before(method: str, path: str) -> None:
        if path.endswith("set-tag"):
            written.append(method)

    with Proxy(mlflow_uri, before) as proxy:
        desk = Desk(tmp_path, proxy.uri, model)
        for number in range(50):
            desk.writer.add(model, SetTags(version=2, status="shadow", reason=str(number)), since=str(number))
        desk.writer.add(model, SetTags(version=2, status="rolled_back", reason="pnl"), since="50")
        desk.writer.add(model, SetTags(version=2, status="checking", reason="being verified"), since="51")
        desk.writer.add(model, SetTags(version=3, status="shadow", reason="scores"), since="52")
        assert desk.writer.flush()
        desk.close()
    assert len(written) == 6
    tags = MlflowRegistry(mlflow_uri).version(model, 2).tags
    assert (tags["ringcraft.status"], tags["ringcraft.reason"], tags["ringcraft.since"]) == ("rolled_back", "pnl", "50")
