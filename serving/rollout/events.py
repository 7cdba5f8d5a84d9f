"""What a fold of the journal concludes, as values for the controller and the offline judge alike."""

from typing import Literal

from msgspec import Struct

Kind = Literal["challenger", "bake"]
"""What a rollout judges: a challenger on its way up, or a new champion against the one it replaced."""


class StepAdvanced(Struct, frozen=True, kw_only=True, tag=True):
    """The rollout has shown enough at its step; the caller gives it the next step's share."""

    model: str
    rollout_id: int
    version: int
    step: int
    decision: int


class ReadyToPromote(Struct, frozen=True, kw_only=True, tag=True):
    """Every step is done and the policy leaves the last word to a person."""

    model: str
    rollout_id: int
    version: int
    decision: int


class Paused(Struct, frozen=True, kw_only=True, tag=True):
    """The journal lost records, or the PnL feed is silent: the rollout cannot be judged just now."""

    model: str
    rollout_id: int
    version: int
    decision: int
    cause: str
    """journal_drops, silence, or the alarm's name: of one cause, decisions only rise."""
    reason: str


class Concluded(Struct, frozen=True, kw_only=True, tag=True):
    """The rollout has ended.

    A decision of None: ended from outside (an alias was moved), as the next epoch in the journal shows.
    """

    model: str
    rollout_id: int
    version: int
    kind: Kind
    verdict: Literal["promoted", "rolled_back", "inconclusive", "withdrawn"]
    guardrail: str
    decision: int | None
    reason: str


class Alarmed(Struct, frozen=True, kw_only=True, tag=True):
    """Something that is watched was found amiss, or is well again; the rollout goes on as it was."""

    model: str
    rollout_id: int
    version: int
    decision: int
    name: str
    raised: bool
    """False: cleared."""
    text: str


FoldEvent = StepAdvanced | ReadyToPromote | Paused | Alarmed | Concluded
