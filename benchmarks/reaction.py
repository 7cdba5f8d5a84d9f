"""From an alias moved in MLflow to its version in shadow: a real server, controller and worker on this machine.

A stranger's client moves the alias; the time runs until the tier's own book has the version's rollout in shadow, which
is written just before the route that shows it to the worker.
"""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from mlflow import MlflowClient
from onnx import helper

from benchmarks.report import percentile_row
from benchmarks.versions import WIDTH, save_graph, write_version
from registry.mlflow_registry import MlflowRegistry
from ringcraft.child import Child, own_command
from ringcraft.mlflow_server import MlflowServer
from serving.controller.book import BOOK_FILE, read_book

MODEL: Final = "reaction"
MOVES: Final = 20
POLL_MS: Final = 500
GOAL_S: Final = 2.0
_LOOK_S: Final = 0.002
_LIMIT_S: Final = 60.0


def run(moves: int = MOVES) -> list[dict[str, Any]]:
    """Move the alias `moves` times, at no fixed beat; return the median against the goal, and the spread."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        with MlflowServer(work / "mlflow") as server:
            versions = publish(work / "made", server.uri, moves + 1)
            with Child(own_command("serve", write_config(work, server.uri)), name="serve", log=work / "serve.log"):
                seconds = reactions(work / "state", server.uri, versions)
    name = f"alias moved to in shadow, poll {POLL_MS} ms"
    return [percentile_row(name, seconds, goal=GOAL_S, unit="s p50")]


def reactions(state: Path, uri: str, versions: Sequence[int]) -> list[float]:
    """Make the first version champion and every other challenger; return the seconds each took to be in shadow."""
    client = MlflowClient(uri, uri)
    client.set_registered_model_alias(MODEL, "champion", str(versions[0]))
    _until(lambda: _desk(state).get("champion") == versions[0])
    random = np.random.default_rng(1)
    seconds = []
    for version in versions[1:]:
        time.sleep(float(random.uniform(0, POLL_MS / 1000)))  # at any moment between two polls
        begun = time.perf_counter()
        client.set_registered_model_alias(MODEL, "challenger", str(version))
        _until(lambda version=version: _desk(state).get("shadow") == version)
        seconds.append(time.perf_counter() - begun)
    return seconds


def publish(folder: Path, uri: str, count: int) -> list[int]:
    """Publish versions that differ by a weight; return their numbers."""
    registry = MlflowRegistry(uri, timeout_s=30)
    return [registry.publish(MODEL, _version(folder / str(number), number), tags={}) for number in range(count)]


def _desk(state: Path) -> dict[str, int | None]:
    book = read_book(state / BOOK_FILE)
    if not book.desks:
        return {}
    rollout = book.desks[0].rollout
    shadow = rollout.version if rollout is not None and rollout.stage == "shadow" else None
    return {"champion": book.desks[0].champion, "shadow": shadow}


def _until(met: Any) -> None:  # noqa: ANN401
    end = time.monotonic() + _LIMIT_S
    while not met():
        if time.monotonic() > end:
            raise TimeoutError(f"the tier took more than {_LIMIT_S:g} s")
        time.sleep(_LOOK_S)


def write_config(work: Path, uri: str) -> Path:
    """Write settings of a tier that follows MODEL; return the file."""
    path = work / "ringcraft.toml"
    path.write_text(
        f'state_dir = "{work / "state"}"\n[mlflow]\nuri = "{uri}"\n'
        f"[serving]\nfeed_port = 0\nrest_port = 0\nconsole_port = 0\nregistry_poll_ms = {POLL_MS}\n"
        f'policy = "{work / "policy.toml"}"\n[[serving.models]]\nname = "{MODEL}"\n'
    )
    return path


def _version(folder: Path, number: int) -> Path:
    def linear(path: Path) -> None:
        weights = {"w": np.full((WIDTH, 1), 1e-3 * (number + 1), np.float32)}
        save_graph(path, [helper.make_node("MatMul", ["features", "w"], ["output"])], weights)

    return write_version(folder, linear, model=MODEL, horizon_ns=1_000_000_000)
