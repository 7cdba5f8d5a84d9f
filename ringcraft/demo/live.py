"""The live part: a publisher on a thread, and rollouts watched to their end."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from data_contracts.errors import RingcraftError
from data_contracts.recording import Recording
from market_data.publish import publish
from ringcraft.console_client import Console, read_snapshot
from serving.console.snapshot import EventSnapshot, ModelSnapshot, RolloutSnapshot, Snapshot

POLL_S: Final = 0.2
GRACE_S: Final = 20.0
"""For the tier to finish what it was fed last."""


@dataclass
class Replay:
    """Publishes a recording in the background, as a feed would."""

    recording: Recording
    address: str
    speed: float
    sent: int = 0
    error: str = ""
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to publish."""
        self._thread = threading.Thread(target=self._run, name="replay", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the feed in order and wait for the tier to have decided all of it."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=30.0)

    @property
    def over(self) -> bool:
        """Whether nothing more will come."""
        return self._thread is not None and not self._thread.is_alive()

    def _run(self) -> None:
        try:
            publish(
                self.recording,
                self.address,
                speed=self.speed,
                on_progress=self._progress,
                should_stop=self._stop.is_set,
            )
        except RingcraftError as error:
            self.error = str(error)

    def _progress(self, sent: int, _total: int) -> None:
        self.sent = sent


def wait_until(url: str, met: Callable[[Snapshot], bool], *, timeout_s: float, what: str) -> Snapshot:
    """Return the first snapshot for which `met` holds.

    Raises:
        RingcraftError: it did not hold in time.
    """
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            snapshot = read_snapshot(Console(url))
        except RingcraftError:
            time.sleep(POLL_S)
            continue
        if met(snapshot):
            return snapshot
        time.sleep(POLL_S)
    raise RingcraftError(f"waited {timeout_s:.0f} s for {what}, in vain")


def model_of(snapshot: Snapshot, model: str) -> ModelSnapshot | None:
    """Return the model's part of the snapshot."""
    return next((m for m in snapshot.models if m.model == model), None)


class Happenings:
    """Events of one version, each handed on once."""

    def __init__(self, model: str, version: int) -> None:
        """Start with none seen."""
        self._model, self._version = model, version
        self._seen: set[tuple[int, str]] = set()

    def new(self, snapshot: Snapshot) -> list[EventSnapshot]:
        """Return what has happened to the version since the last look, oldest first."""
        fresh = []
        for event in snapshot.events:
            key = (event.wall_ns, event.kind)
            if (event.model, event.version) == (self._model, self._version) and key not in self._seen:
                self._seen.add(key)
                fresh.append(event)
        return fresh


@dataclass(frozen=True)
class Ending:
    """How a rollout ended."""

    version: int
    verdict: str
    guardrail: str
    decision: int | None
    reason: str


def watch(
    url: str, model: str, version: int, replay: Replay, *, on_look: Callable[[Snapshot, RolloutSnapshot | None], None]
) -> Ending:
    """Return how the rollout of `version` ended, once it has.

    Raises:
        RingcraftError: the recording ended before, or the feed broke.
    """
    over_since: float | None = None
    while True:
        snapshot = read_snapshot(Console(url))
        state = model_of(snapshot, model)
        rollout = state.rollout if state is not None else None
        ours = rollout if rollout is not None and rollout.version == version else None
        on_look(snapshot, ours)
        ended = _ending(snapshot, ours)
        if ended is not None:
            return ended
        if replay.error:
            raise RingcraftError(f"the feed broke: {replay.error}")
        if replay.over:
            over_since = over_since or time.monotonic()
            if time.monotonic() - over_since > GRACE_S:
                raise RingcraftError(f"the recording ended before version {version} had a verdict")
        time.sleep(POLL_S)


def _ending(snapshot: Snapshot, rollout: RolloutSnapshot | None) -> Ending | None:
    if rollout is None:
        return None
    if rollout.kind == "bake":
        # Promoted already, and judged on against the champion it replaced: the promotion itself is an event.
        for event in reversed(snapshot.events):
            if event.kind == "promoted" and event.version == rollout.version:
                return Ending(rollout.version, "promoted", "", event.decision, event.text)
        return None
    if not rollout.verdict:
        return None
    return Ending(rollout.version, rollout.verdict, rollout.guardrail, rollout.decision, rollout.reason)
