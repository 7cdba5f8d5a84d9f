"""What a rollout has shown so far, as numbers a pure decision can read."""

from msgspec import Struct


class GuardReading(Struct, frozen=True, kw_only=True):
    """One guardrail at this moment."""

    name: str
    e_value: float
    threshold: float
    evidence: float
    """Log e-value over log threshold: 1 trips."""
    events: int
    detail: str


class Evidence(Struct, frozen=True, kw_only=True):
    """Everything `next_step` may look at."""

    folded: int
    """Decisions judged since the rollout began."""
    folded_in_step: int
    """Of these, routed at the present step."""
    seconds_in_step: float
    """Event time between the step's first and last folded decision."""
    broken: tuple[str, ...] = ()
    """Guardrails and limits that tripped, in order."""
    promotable: bool = False
    """The promotion test has passed."""
    alive: bool = True
    """The newest decision that somebody acted on brought its outcome."""
