"""Where a rollout stands, as far as its folded decisions say."""

from msgspec import Struct

from serving.rollout.events import Kind


class RolloutState(Struct, frozen=True, kw_only=True):
    """One rollout between two decisions."""

    kind: Kind
    step: int
    """Index into the policy's steps of the newest folded decision."""
    announced: int
    """Highest step that was asked for; above `step` until routing has followed."""
    ready: bool = False
    """A person was asked to promote."""
    paused: bool = False
    """Routing is paused: what was decided before may still take it off, and do no more."""
    verdict: str = ""
