"""Follows the alias maps of the models that are served, by polling: the registry tells no one when they change."""

import threading
import time
from collections.abc import Callable, Sequence

import structlog

from data_contracts.errors import ModelNotFoundError, RegistryError, RegistryUnavailableError
from registry.changes import alias_changes
from registry.history import History
from registry.port import ModelRegistry

log = structlog.get_logger()


class Follower:
    """Polls alias maps and keeps the history of what it finds.

    A poll and a move of our own exclude each other (`lock`), so that an answer from before a move is never
    taken for somebody's moving it back.
    """

    def __init__(
        self,
        registry: ModelRegistry,
        models: Sequence[str],
        history: History,
        *,
        period_s: float,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """Prepare; nothing is asked before `poll` or `start`."""
        self.lock = threading.Lock()
        self.reachable = False
        self._registry, self._models, self._history = registry, tuple(models), history
        self._period_s, self._wall_ns = period_s, wall_ns
        self._looks: dict[str, dict[str, int]] = {}
        self._gap = True
        self._stop = threading.Event()
        self._sooner = threading.Event()
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)

    def start(self) -> None:
        """Begin to poll in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Stop polling."""
        self._stop.set()
        self._sooner.set()
        if self._thread.is_alive():
            self._thread.join(10.0)

    def poll_sooner(self) -> None:
        """Make the next poll come at once."""
        self._sooner.set()

    def aliases(self, model: str) -> dict[str, int] | None:
        """Return the model's alias map as last seen; None before the first answer."""
        return self._looks.get(model)

    def moved(self, model: str, alias: str, version: int | None) -> None:
        """Take note of a move of our own; the caller holds `lock`."""
        aliases = {name: held for name, held in self._looks.get(model, {}).items() if name != alias}
        self._looks[model] = aliases if version is None else {**aliases, alias: version}

    def poll(self) -> None:
        """Look at every model once."""
        try:
            for model in self._models:
                with self.lock:
                    self._poll(model)
        except RegistryUnavailableError as error:
            if self.reachable:
                log.warning("registry_lost", error=str(error))
            self.reachable, self._gap = False, True
            return
        if not self.reachable:
            log.info("registry_reached", models=self._models)
        self.reachable, self._gap = True, False

    def _poll(self, model: str) -> None:
        try:
            aliases = self._registry.aliases(model)
        except ModelNotFoundError:
            aliases = {}  # it may be registered any moment
        for change in alias_changes(model, self._history.aliases(model), aliases):
            self._history.record(change, wall_ns=self._wall_ns(), seen="polled", gap=self._gap)
            log.info("alias_moved", model=model, alias=change.alias, before=change.before, after=change.after)
        self._looks[model] = aliases

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.poll()
            except RegistryError as error:
                log.error("registry_poll_failed", error=str(error))
            self._sooner.wait(self._period_s)
            self._sooner.clear()
