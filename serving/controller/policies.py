"""The policy now in force for each model: the file, read again when it changes, and the model's tags over it.

What is asked for here holds for rollouts that begin from now on; one that runs keeps what it began with.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import structlog

from data_contracts.errors import PolicyError
from data_contracts.policy import Policy, read_policy
from data_contracts.policy_tags import policy_tags, with_tags

log = structlog.get_logger()

LOOK_S: Final = 1.0


class Policies:
    """File and tags; what is wrong with either is said once, and leaves in force what was."""

    def __init__(
        self, policy: Policy, file: Path | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Take the policy as it was read from `file`; None: it has no file and never changes."""
        self._file, self._clock = file, clock
        self.of_file = policy
        self._stamp = _stamp(file)
        self._looked_at = clock()
        self._tags: dict[str, dict[str, str]] = {}
        self._of_model: dict[str, Policy] = {}
        self._errors: dict[str, str] = {}

    def of(self, model: str) -> Policy:
        """Return what a rollout of the model that begins now is judged by."""
        return self._of_model.get(model, self.of_file)

    def error(self, model: str) -> str:
        """Return what is wrong with the model's tags; empty: nothing."""
        return self._errors.get(model, "")

    def take_tags(self, model: str, tags: Mapping[str, str]) -> None:
        """Take in the tags on the registered model."""
        ours = policy_tags(tags)
        if ours != self._tags.get(model, {}):
            self._tags[model] = ours
            self._apply(model)

    def reload(self) -> str | None:
        """Read the file again where it has changed; return what a person should know of that, None: nothing."""
        if self._file is None or self._clock() - self._looked_at < LOOK_S:
            return None
        self._looked_at = self._clock()
        stamp = _stamp(self._file)
        if stamp == self._stamp:
            return None
        self._stamp = stamp
        try:
            policy = read_policy(self._file)
        except PolicyError as error:
            log.error("policy_refused", error=str(error))
            return f"policy file refused, the one before stays in force: {error}"
        if policy == self.of_file:
            return None
        self.of_file = policy
        for model in self._tags:
            self._apply(model)
        log.info("policy_read", path=str(self._file))
        return "policy file read again; rollouts that run keep theirs"

    def _apply(self, model: str) -> None:
        self._errors.pop(model, None)
        self._of_model.pop(model, None)
        try:
            self._of_model[model] = with_tags(self.of_file, self._tags[model])
        except PolicyError as error:
            self._errors[model] = str(error)
            log.error("policy_tags_refused", model=model, error=str(error))


def _stamp(file: Path | None) -> tuple[int, int, int] | None:
    try:
        facts = file.stat() if file is not None else None
    except OSError:
        return None
    return (facts.st_mtime_ns, facts.st_ino, facts.st_size) if facts is not None else None
