"""The whole tier in real processes: supervisor, controller, worker, a feed."""

import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec
import numpy as np

from data_contracts.errors import RingcraftError
from data_contracts.instrument import Instrument
from data_contracts.market_event import MARKET_EVENT
from data_contracts.recording import Recording
from market_data.publish import publish
from serving.console.snapshot import Snapshot

ROOT = Path(__file__).resolve().parents[2]
MODEL = "live"
POLICY = """
[rollout]
on_success = "wait"
max_decisions = 100000
[[rollout.steps]]
share = 0.0
min_decisions = 1000
[[rollout.steps]]
share = 0.5
min_decisions = 300
[guardrails.latency]
budget_us = 3000.0
burst_decisions = 4
[outcomes]
watermark_seconds = 2.0
"""
_SUPERVISE = """
import sys
from pathlib import Path
from data_contracts.settings import load_settings
from ringcraft.logs import configure_logs
from serving.supervisor import Supervisor, child_commands
from serving.worker import stop_on_signals
configure_logs("info")
config = Path(sys.argv[1])
settings = load_settings(config)
Supervisor(settings, child_commands(config, settings.serving.doors)).run(stop_on_signals())
"""


def walk(count: int) -> Recording:
    """A touch that walks, ten events a second of event time."""
    random = np.random.default_rng(0)
    events = np.zeros(count, MARKET_EVENT)
    events["event_ns"] = 1_600_000_000_000_000_000 + np.arange(count) * 100_000_000
    events["receive_ns"] = events["event_ns"]
    events["sequence"] = np.arange(count)
    middle = 25_000 + np.cumsum(random.integers(-2, 3, count))
    events["bid_ticks"], events["ask_ticks"] = middle - 1, middle + 1
    events["bid_lots"], events["ask_lots"] = random.integers(1, 9, count), random.integers(1, 9, count)
    instrument = Instrument(symbol="TEST:X", tick_size="0.01", lot_size="1", currency="USD")
    return Recording(instrument=instrument, events=events, source=Path("walk"), skipped={})


class LiveTier:
    """The processes and what a person sees of them."""

    def __init__(self, work: Path, uri: str, models: Sequence[str] = (MODEL,), serving: str = "") -> None:
        self.state, self.policy = work / "state", work / "policy.toml"
        self.policy.write_text(POLICY)
        config = work / "ringcraft.toml"
        config.write_text(
            f'state_dir = "{self.state}"\n[mlflow]\nuri = "{uri}"\n'
            f"[serving]\nfeed_port = 0\nrest_port = 0\nconsole_port = 0\n"
            f'registry_poll_ms = 100\npolicy = "{self.policy}"\n{serving}'
            + "".join(f'[[serving.models]]\nname = "{model}"\n' for model in models)
        )
        self.log = (work / "tier.log").open("wb")
        command = [sys.executable, "-c", _SUPERVISE, str(config)]
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=self.log, stderr=self.log
        )
        self.stopping = threading.Event()
        self.feed: threading.Thread | None = None

    def console(self) -> str:
        """Return the console's address, once the tier runs."""
        return msgspec.json.decode((self.state / "supervisor.json").read_bytes())["console_url"].rstrip("/")

    def pids(self) -> dict[str, int]:
        return msgspec.json.decode((self.state / "supervisor.json").read_bytes())["pids"]

    def snapshot(self) -> Snapshot | None:
        try:
            with urllib.request.urlopen(f"{self.console()}/api/snapshot", timeout=2) as reply:
                return msgspec.json.decode(reply.read(), type=Snapshot)
        except (OSError, ValueError):
            return None

    def until(self, met: Callable[[Snapshot], bool], what: str, seconds: float = 60.0) -> Snapshot:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            snapshot = self.snapshot()
            if snapshot is not None and met(snapshot):
                return snapshot
            time.sleep(0.1)
        log = Path(self.log.name).read_text()
        raise AssertionError(f"waited {seconds} s for {what}; last {self.snapshot()}\n{log}")

    def start_feed(self, port: int) -> None:
        def run() -> None:
            with suppress(RingcraftError):  # the tier may be stopped first
                publish(walk(400_000), f"127.0.0.1:{port}", speed=80.0, should_stop=self.stopping.is_set)

        self.feed = threading.Thread(target=run, daemon=True)
        self.feed.start()

    def close(self) -> int:
        self.stopping.set()
        if self.feed is not None:
            self.feed.join(10)
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(15)
        self.log.close()
        return code
