"""Follows the alias maps of the models that are served, by polling: the registry tells no one when they change."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

import structlog
from msgspec import Struct

from data_contracts.errors import ModelNotFoundError, RegistryError, RegistryUnavailableError
from registry.changes import AliasChange, alias_changes
from registry.history import History
from registry.looks import LastLook
from registry.port import ModelLook, ModelRegistry

log = structlog.get_logger()

LOOK_FILE: Final = "last_look"
_NOT_RUNNING: Final = "the controller was not running"
_UNKNOWN: Final = "MLflow did not know the model"
_NO_ANSWER: Final = "MLflow did not answer"


class OwnMove(Struct, frozen=True, kw_only=True):
    """Why and for whom a move of our own was begun."""

    why: str
    who: str


class Follower:
    """Polls alias maps and model tags, and keeps the history of what it finds and of when it could not look.

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
        last_look: LastLook,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """Prepare; nothing is asked before `poll` or `start`."""
        self.lock = threading.Lock()
        self.reachable = False
        self.own: Callable[[AliasChange], OwnMove | None] = lambda _: None
        """Says whether a change that is found was begun here, by a process that died before it could tell."""
        self._registry, self._models, self._history = registry, tuple(models), history
        self._period_s, self._wall_ns, self._last_look = period_s, wall_ns, last_look
        self.changed: Callable[[], None] = lambda: None
        """Called once a look differs from the one before."""
        self._looks: dict[str, ModelLook] = {}
        known = {entry.model for entry in history.entries}
        self._looked_ns = {model: last_look.at_ns if model in known else None for model in self._models}
        self._blind = dict.fromkeys(self._models, _NOT_RUNNING)
        """Model -> why the next look at it is not the one that follows the last; empty: it is."""
        self._refused: dict[str, str] = {}
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
        self._last_look.close()

    def poll_sooner(self) -> None:
        """Make the next poll come at once."""
        self._sooner.set()

    def aliases(self, model: str) -> dict[str, int] | None:
        """Return the model's alias map as last seen; None before the first answer."""
        look = self._looks.get(model)
        return None if look is None else look.aliases

    def tags(self, model: str) -> dict[str, str]:
        """Return the tags on the registered model as last seen."""
        look = self._looks.get(model)
        return {} if look is None else look.tags

    def moved(self, model: str, alias: str, version: int | None) -> None:
        """Take note of a move of our own; the caller holds `lock`."""
        look = self._looks.get(model) or ModelLook(aliases={}, tags={})
        aliases = {name: held for name, held in look.aliases.items() if name != alias}
        if version is not None:
            aliases[alias] = version
        self._looks[model] = ModelLook(aliases=aliases, tags=look.tags)

    def poll(self) -> None:
        """Look at every model once."""
        for model in self._models:
            try:
                with self.lock:
                    self._poll(model)
            except RegistryUnavailableError as error:
                self._lost(error)
                return
            except RegistryError as error:  # one model's trouble must not keep the others from being followed
                self._blind[model] = f"MLflow refused: {error}"
                if self._refused.get(model) != str(error):
                    log.error("registry_poll_failed", model=model, error=str(error))
                self._refused[model] = str(error)
        if not self.reachable:
            log.info("registry_reached", models=self._models)
        self.reachable = True

    def _lost(self, error: RegistryUnavailableError) -> None:
        if self.reachable:
            log.warning("registry_lost", error=str(error))
        self.reachable = False
        for model in self._models:
            self._blind[model] = self._blind[model] or _NO_ANSWER

    def _poll(self, model: str) -> None:
        try:
            look = self._registry.look(model)
        except ModelNotFoundError:
            if self._history.aliases(model):
                self._unknown(model)
                return
            look = ModelLook(aliases={}, tags={})  # it may be registered any moment
        now, since, blind = self._wall_ns(), self._looked_ns[model], self._blind[model]
        if blind and since is not None:
            self._history.record_gap(model, from_ns=since, to_ns=now, why=blind)
        for change in alias_changes(model, self._history.aliases(model), look.aliases):
            self._record(change, now, since, gap=bool(blind))
        before, self._looks[model] = self._looks.get(model), look
        if look != before:
            self.changed()
        self._looked_ns[model], self._blind[model] = now, ""
        self._refused.pop(model, None)
        self._last_look.mark(min(at for at in self._looked_ns.values() if at is not None))

    def _unknown(self, model: str) -> None:
        # Deleted, renamed, or an empty registry in the place of the right one: nobody has moved an alias. What serves
        # goes on serving; who wants it to end deletes the alias or its version.
        if self._blind[model] != _UNKNOWN:
            log.error("model_unknown", model=model)
        self._blind[model] = _UNKNOWN

    def _record(self, change: AliasChange, now: int, since: int | None, *, gap: bool) -> None:
        own = self.own(change)
        if own is not None:
            self._history.record(change, wall_ns=now, seen="made", why=own.why, who=own.who, gap=gap, since_ns=since)
        else:
            self._history.record(change, wall_ns=now, seen="polled", gap=gap, since_ns=since)
        log.info("alias_moved", model=change.model, alias=change.alias, before=change.before, after=change.after)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.poll()
            except OSError as error:  # a full disk, for example: what was found is found again
                log.error("history_failed", error=str(error))
            self._sooner.wait(self._period_s)
            self._sooner.clear()
