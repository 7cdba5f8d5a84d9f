"""A worker with two versions ready, and doors beside it in processes of their own."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from worker_kit import MODEL, ROOT, Tier, ab_route, lineup, tier, wait_for

from benchmarks.versions import WIDTH
from market_data.feature_sets import TOUCH_V1
from serving.doors.ports import read_ports
from serving.slots import prepare_version

FIELDS = (
    "event_ns",
    "receive_ns",
    "sequence",
    "bid_ticks",
    "bid_lots",
    "ask_ticks",
    "ask_lots",
    "trade_ticks",
    "trade_lots",
)
"""Of an event, over the WebSocket."""
ROWS = np.random.default_rng(8).normal(size=(3, WIDTH)).astype(np.float32)


@contextlib.contextmanager
def worker(folder: Path, versions: dict[int, Path], *, share_bps: int = 0, **serving: object) -> Iterator[Tier]:
    """Give a tier whose worker holds the versions, the first as champion."""
    with tier(folder, **serving) as running:
        running.show(lineup(versions))
        running.routing.publish([ab_route(share_bps)])
        running.start()
        running.beat()
        wait_for(lambda: len(running.status().slots) == len(versions), "the versions")
        yield running


@contextlib.contextmanager
def door(running: Tier, name: str) -> Iterator[dict[str, int]]:
    """Give the ports of a door beside the worker."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", f"ringcraft.processes.{name}_door", "--config", str(running.config)]
    process = subprocess.Popen(command, env=environment, cwd=ROOT)
    try:
        wait_for(lambda: process.poll() is not None or read_ports(running.state, name), f"the {name} door's port")
        assert process.poll() is None, f"the {name} door ended with {process.returncode}"
        yield read_ports(running.state, name)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert not read_ports(running.state, name)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(10)


def by_hand(folder: Path, rows: np.ndarray = ROWS) -> np.ndarray:
    """What a version says to rows, by the engine that serving chooses for it."""
    return prepare_version(folder, model=MODEL, live=TOUCH_V1).live.predict(np.ascontiguousarray(rows))
