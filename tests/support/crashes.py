"""Kills a controller at a chosen point, and lets its threads' work be done by hand."""

import os
from collections import deque
from collections.abc import Callable
from pathlib import Path

import pytest

from registry.memory import MemoryRegistry
from serving.controller.preparer import Answer


class Killed(BaseException):
    """The process is gone; nothing in it may catch this."""


class Killer:
    """Counts everything a controller does that outlives it; kills it before the one that was chosen."""

    def __init__(self) -> None:
        self.left: int | None = None
        self.watching = False
        """Whether what happens now is the controller's doing."""

    def tick(self) -> None:
        if self.left is None or not self.watching:
            return
        self.left -= 1
        if self.left < 0:
            self.left = None
            raise Killed

    def watch(self, monkeypatch: pytest.MonkeyPatch, registry: MemoryRegistry, table: object) -> None:
        """Have files, registry and routing table ask before they change, and after."""
        replace = Path.replace

        def renamed(path: Path, target: Path) -> Path:
            self.tick()
            return replace(path, target)

        # Tests need no disk to have them: only that the writer got so far.
        monkeypatch.setattr(os, "fsync", lambda _file: self.tick())
        monkeypatch.setattr(Path, "replace", renamed)
        for owner, names in ((registry, ("move_alias", "delete_alias", "set_version_tags")), (table, ("publish",))):
            for name in names:
                monkeypatch.setattr(owner, name, self._asking(getattr(owner, name)))

    def _asking(self, act: Callable[..., object]) -> Callable[..., object]:
        def asked(*args: object, **named: object) -> object:
            self.tick()
            result = act(*args, **named)
            self.tick()
            return result

        return asked


class HandPreparer:
    """As serving.controller.preparer.Preparer, without a thread: `work` does what was asked, when a test says so."""

    def __init__(self, work: Callable[[str, int], Answer], _answered: Callable[[], None]) -> None:
        self._work = work
        self._asked: deque[tuple[str, int]] = deque()
        self._answers: list[Answer] = []

    def ask(self, model: str, version: int) -> None:
        if (model, version) not in self._asked:
            self._asked.append((model, version))

    def work(self) -> None:
        while self._asked:
            self._answers.append(self._work(*self._asked.popleft()))

    def answers(self) -> list[Answer]:
        found, self._answers = self._answers, []
        return found

    def stop(self) -> None:
        self._asked.clear()
