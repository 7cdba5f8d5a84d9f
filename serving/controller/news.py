"""What happened, for the people who look at the console, and for whoever is to be told."""

import uuid
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from serving.console.snapshot import EventSnapshot
from serving.rollout.effects import Ended

EVENTS_MAX: Final = 200
TOLD: Final = frozenset(
    {"alarm", "alarm_cleared", "paused", "resumed", "ready", "unfit", "champion_removed", "policy_refused"}
)
"""Kinds of events that are told to others; ends of rollouts are told by themselves, with all that is known."""
_NAMESPACE: Final = uuid.UUID("6f3b0d5e-6b5a-5c1c-9a43-7d2f0b5f3c11")


class Teller(Protocol):
    """Whoever tells others."""

    def tell(self, event: dict[str, Any]) -> None:
        """Keep something to be told; returns at once."""
        ...


class News:
    """The newest events, and the notices that go out."""

    def __init__(self, wall_ns: Callable[[], int], teller: Teller | None) -> None:
        """Take our clock, and who tells others; None: nobody."""
        self.events: deque[EventSnapshot] = deque(maxlen=EVENTS_MAX)
        self._wall_ns, self._teller = wall_ns, teller

    def note(
        self, kind: str, model: str, version: int | None, text: str, *, decision: int | None, event_ns: int | None
    ) -> None:
        """Show an event on the console; tell those that others should know of."""
        wall_ns = self._wall_ns()
        self.events.append(
            EventSnapshot(
                wall_ns=wall_ns,
                event_ns=event_ns,
                kind=kind,
                model=model,
                version=version,
                decision=decision,
                text=text,
            )
        )
        if self._teller is not None and kind in TOLD:
            notice = {"model": model, "version": version, "decision": decision, "reason": text}
            self._tell(f"ringcraft.{kind}", notice, wall_ns, f"{notice} {'' if decision is not None else wall_ns}")

    def ended(self, model: str, ended: Ended) -> None:
        """Tell how a rollout, or what would have been one, has ended."""
        if self._teller is None:
            return
        notice = {
            "model": model,
            "version": ended.version,
            "control": ended.control,
            "rollout_id": ended.rollout_id or None,
            "kind": ended.kind,
            "verdict": ended.verdict,
            "guardrail": ended.guardrail,
            "decision": ended.decision,
            "reason": ended.reason,
        }
        wall_ns = self._wall_ns()
        self._tell(f"ringcraft.rollout.{ended.verdict}", notice, wall_ns, f"{notice} {ended.rollout_id or wall_ns}")

    def _tell(self, event: str, notice: dict[str, Any], wall_ns: int, once: str) -> None:
        # The same happening told twice, by a controller that died before it knew that it had, has the same id.
        occurred = datetime.fromtimestamp(wall_ns / 1e9, UTC).isoformat(timespec="milliseconds")
        about = {"id": str(uuid.uuid5(_NAMESPACE, f"{event} {once}")), "occurred": occurred, "event": event}
        assert self._teller is not None  # noqa: S101  the callers ask
        self._teller.tell({**about, **notice})
