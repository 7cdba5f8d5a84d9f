"""Alarms are states: raised once, cleared with hysteresis once things are well again."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal

from msgspec import Struct

Action = Literal["alarm", "pause", "off"]


class Alarm(Struct, frozen=True, kw_only=True):
    """One watch at this moment; raised or not."""

    name: str
    action: Action
    raised: bool
    since_decision: int | None
    """Decision at which it was raised."""
    value: float | None
    """What is measured, in the watch's own unit; None: not known (yet)."""
    limit: float | None
    text: str
    """What was measured, and against what, for a person."""


class Watch(ABC):
    """One thing that is looked at; a subclass folds decisions and says whether its limit is exceeded."""

    name: ClassVar[str]

    def __init__(self, action: Action) -> None:
        """Start with nothing raised."""
        self.action: Action = action
        self.raised_at: int | None = None

    def settle(self, decision: int) -> bool | None:
        """Return True where the alarm is raised by this decision, False where it is cleared, else None."""
        if self.raised_at is None:
            if not self.exceeded():
                return None
            self.raised_at = decision
            return True
        if not self.recovered():
            return None
        self.raised_at = None
        self.rearm()
        return False

    def reading(self) -> Alarm:
        """Return what it shows."""
        return Alarm(
            name=self.name,
            action=self.action,
            raised=self.raised_at is not None,
            since_decision=self.raised_at,
            value=self.value(),
            limit=self.limit(),
            text=self.text(),
        )

    @abstractmethod
    def exceeded(self) -> bool:
        """Whether the evidence says that the limit is exceeded."""

    @abstractmethod
    def recovered(self) -> bool:
        """Whether, after it was exceeded, things have been well for long enough."""

    @abstractmethod
    def rearm(self) -> None:
        """Begin a new test after an alarm was cleared."""

    @abstractmethod
    def value(self) -> float | None:
        """Return what is measured."""

    @abstractmethod
    def limit(self) -> float | None:
        """Return what it is held against."""

    @abstractmethod
    def text(self) -> str:
        """Say in words what was measured."""

    @abstractmethod
    def save(self) -> dict[str, Any]:
        """Return everything as JSON can hold it."""

    @abstractmethod
    def load(self, state: dict[str, Any]) -> None:
        """Take up where `save` left off."""
