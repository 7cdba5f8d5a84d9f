"""A whole tier in real processes: MLflow, supervisor, controller, worker, feed; aliases moved as a person does."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

import msgspec

from benchmarks.rollouts.feed import Feed
from benchmarks.rollouts.graphs import written
from registry.mlflow_registry import MlflowRegistry
from ringcraft.mlflow_server import MlflowServer
from serving.controller.book import BOOK_FILE, Book, Entry, read_book
from serving.controller.writer import BARRED
from serving.supervisor import SUPERVISOR_FILE, SupervisorStatus

Found = TypeVar("Found")
MODEL: Final = "planted"
STATUS: Final = "ringcraft.status"
REASON: Final = "ringcraft.reason"
EVIDENCE: Final = "ringcraft.evidence"
_PATIENCE_S: Final = 240.0
_LOOK_S: Final = 0.02
_ASK_S: Final = 0.2
_AGAIN_S: Final = 3.0


class LiveTier:
    """Started with the context, stopped with it; `folder` keeps everything it leaves."""

    def __init__(self, folder: Path, policy: str, *, events_per_second: float, seed: int = 1) -> None:
        """Prepare.

        Args:
            folder: empty or absent.
            policy: TOML.
            events_per_second: pace of the feed, on our clock.
            seed: of the market.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.state = folder, folder / "state"
        self._pace, self._seed = events_per_second, seed
        self.policy_file = folder / "policy.toml"
        self.policy_file.write_text(policy)
        self.mlflow = MlflowServer(folder / "mlflow")
        self._log = (folder / "tier.log").open("wb")
        self._tier: subprocess.Popen[bytes] | None = None
        self._feed: Feed | None = None

    def __enter__(self) -> Self:
        self.mlflow.__enter__()
        self.registry = MlflowRegistry(self.mlflow.uri, timeout_s=_PATIENCE_S)  # ours, not the tier's
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self.mlflow.__exit__(kind, error, trace)
        self._log.close()

    # --- versions and aliases -------------------------------------------------

    def register(self, graph: Callable[[Path], None]) -> int:
        """Publish a version made of the graph."""
        return self.registry.publish(MODEL, written(self.folder / graph.__name__, graph, model=MODEL), tags={})

    def challenge(self, version: int) -> int:
        """Point alias `challenger` at a version, whose bar is lifted if it had one; return its rollout id.

        The market is published from when the rollout has begun, until its end.
        """
        known = max((entry.rollout_id for entry in self.entries()), default=0)
        self._lift_bar(version)
        self.registry.move_alias(MODEL, "challenger", version)
        asked_s = time.monotonic()

        def begun() -> list[Entry]:
            nonlocal asked_s
            if time.monotonic() - asked_s > _AGAIN_S:  # cleared while the tag was still being written: once more
                self._lift_bar(version)
                asked_s = time.monotonic()
            return [entry for entry in self.entries() if entry.rollout_id > known]

        found = self.until(begun, "the rollout to begin")
        self.feed.go()
        return found[-1].rollout_id

    def _lift_bar(self, version: int) -> None:
        if self.registry.version(MODEL, version).tags.get(STATUS) in BARRED:
            self.registry.set_version_tags(MODEL, version, {STATUS: ""})

    def end(self, rollout_id: int) -> Entry:
        """Wait for the rollout's end; return its entry in the book."""
        found = self.until(
            lambda: [entry for entry in self.entries() if entry.rollout_id == rollout_id and entry.ended],
            f"the end of rollout {rollout_id}",
        )
        self.feed.hold()
        return found[0]

    def written_back(self, version: int, entry: Entry) -> None:
        """Wait until the end stands in MLflow: nobody holds the alias, the version's tags say why, evidence is there.

        Asked of MLflow only now and then, since it is the tier that it should answer.
        """
        said = entry.ended.reason if entry.ended is not None else ""
        self.until(lambda: "challenger" not in self.registry.aliases(MODEL), "the alias to go", every_s=_ASK_S)
        self.until(
            lambda: said in self.registry.version(MODEL, version).tags.get(REASON, ""), "the reason", every_s=_ASK_S
        )
        page = f"rollout-{entry.rollout_id}.html"  # the last of the evidence to be written
        self.until(
            lambda: self.registry.version(MODEL, version).tags.get(EVIDENCE, "").endswith(page), page, every_s=_ASK_S
        )

    @property
    def feed(self) -> Feed:
        """The market as it is published."""
        assert self._feed is not None, "open_feed() first"
        return self._feed

    # --- processes ------------------------------------------------------------

    def start(self) -> None:
        """Start supervisor, controller, worker."""
        config = self.folder / "ringcraft.toml"
        config.write_text(
            f'state_dir = "{self.state}"\n[mlflow]\nuri = "{self.mlflow.uri}"\n'
            f"[serving]\nfeed_port = 0\nrest_port = 0\nconsole_port = 0\n"
            f'registry_poll_ms = 50\npolicy = "{self.policy_file}"\n'
            f'[[serving.models]]\nname = "{MODEL}"\n'
        )
        root = Path(__file__).resolve().parents[2]
        self._tier = subprocess.Popen(
            [sys.executable, "-m", "ringcraft.processes.supervisor", "--config", str(config)],
            env=os.environ | {"PYTHONPATH": str(root)},
            stdout=self._log,
            stderr=self._log,
        )

    def open_feed(self) -> None:
        """Have the market ready to be published, once the worker listens."""
        port = self.until(lambda: self.supervisor().feed_port, "a feed port")
        self._feed = Feed(port, seed=self._seed, events_per_second=self._pace)

    def stop(self) -> None:
        """Stop feed and tier."""
        if self._feed is not None:
            self._feed.stop()
            self._feed = None
        if self._tier is not None:
            self._tier.send_signal(signal.SIGTERM)
            self._tier.wait(20.0)
            self._tier = None

    def kill(self, child: str) -> None:
        """Kill -9 the controller or the worker; the supervisor starts it again."""
        pid = self.supervisor().pids.get(child)
        if pid is not None:
            os.kill(pid, signal.SIGKILL)

    def supervisor(self) -> SupervisorStatus:
        """Return what supervisor.json says."""
        path = self.state / SUPERVISOR_FILE
        self.until(path.exists, "the supervisor")
        return msgspec.json.decode(path.read_bytes(), type=SupervisorStatus)

    def book(self) -> Book:
        """Return the controller's book, as it lies on the disk."""
        return read_book(self.state / BOOK_FILE)

    def entries(self) -> list[Entry]:
        """Return the rollouts that were routed, oldest first."""
        return [entry for entry in self.book().entries if entry.rollout_id]

    def until(self, met: Callable[[], Found], what: str, *, every_s: float = _LOOK_S) -> Found:
        """Return what `met` returns once that is true of it.

        Raises:
            TimeoutError: it never was.
        """
        end = time.monotonic() + _PATIENCE_S
        while True:
            found = met()
            if found:
                return found
            if time.monotonic() > end:
                raise TimeoutError(f"waited {_PATIENCE_S:g} s for {what}; see {self.folder / 'tier.log'}")
            time.sleep(every_s)
