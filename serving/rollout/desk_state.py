"""What a desk must know again after a restart."""

from typing import Final, Literal

import msgspec
from msgspec import Struct

from data_contracts.policy import Policy
from serving.rollout.effects import Ended
from serving.rollout.events import Alarmed, Concluded, Kind, Paused

CHAMPION: Final = "champion"
CHALLENGER: Final = "challenger"
Stage = Literal["checking", "shadow", "ab", "ready", "bake"]


class Rollout(Struct, kw_only=True):
    """The rollout under way."""

    rollout_id: int
    """0 while it is being checked."""
    kind: Kind
    version: int
    control: int | None
    stage: Stage
    step: int = 0
    paused: str = ""
    """Why; empty: it is not."""
    policy: Policy | None = None
    """By which it is judged to its end, whatever becomes of the file and of tags; None while it is being checked."""
    paused_at: dict[str, int] = {}
    """Decision of the last pause that the journal asked for, by cause: read again after a restart, it asks no more.

    Lost records are told at the newest decision, silence and alarms at the folded one, which is far behind: one
    count for all would leave out a silence that is found after records were lost.
    """
    alarmed_at: int = 0
    """Decision of the last alarm, raised or cleared, that was noted; likewise."""
    alarmed: list[str] = []
    """Names noted at that decision."""
    earned: Concluded | None = None
    """A promotion that the evidence gave just as the rollout was paused: carried out when it goes on."""

    @property
    def live(self) -> bool:
        """Whether it has a place in the routing table."""
        return self.stage != "checking"

    def heeds(self, event: Paused) -> bool:
        """Take note of a pause that the journal asks for; whether it is new: the journal may be read again."""
        if event.decision <= self.paused_at.get(event.cause, 0):
            return False
        self.paused_at[event.cause] = event.decision
        return True

    def hears(self, event: Alarmed) -> bool:
        """Take note of an alarm; whether it is new: after a restart the journal is read again."""
        if event.decision < self.alarmed_at or (event.decision == self.alarmed_at and event.name in self.alarmed):
            return False
        if event.decision > self.alarmed_at:
            self.alarmed_at, self.alarmed = event.decision, []
        self.alarmed.append(event.name)
        return True


class DeskState(Struct, kw_only=True):
    """Where one model's deployment stands."""

    model: str
    index: int
    champion: int | None = None
    """The version that is served."""
    rollout: Rollout | None = None
    settled: int | None = None
    """Version that alias `challenger` holds and that was dealt with; it begins again once the alias has moved."""
    unfit: int | None = None
    """Version that alias `champion` holds and that did not pass its checks."""
    last: Ended | None = None
    told: dict[int, str] = {}
    """Why versions were refused that an alias still holds: tried again to no avail, the same is not told twice."""
    compared: list[tuple[int, int]] = []
    """Last alarms of paper against realised that were noted, by version and decision: read again, they are not."""
    outside: list[Ended] = []
    """Last ends that came from outside and that the journal has not confirmed yet."""


def implied_aliases(state: DeskState) -> dict[str, int]:
    """Return the aliases as the state implies them, until they are seen again."""
    rollout = state.rollout
    challenger = rollout.version if rollout is not None and rollout.kind == "challenger" else None
    implied = {CHAMPION: state.champion, CHALLENGER: challenger}
    return {alias: version for alias, version in implied.items() if version is not None}


def copy_of(state: DeskState) -> DeskState:
    """Return an independent copy, as it would be read back after a restart."""
    return msgspec.json.decode(msgspec.json.encode(state), type=DeskState)
