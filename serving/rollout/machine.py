"""The rollout machine: evidence in, verdict out; no clock, no network, no registry."""

from typing import Literal

from msgspec import Struct

from data_contracts.policy import Policy, Step
from serving.rollout.evidence import Evidence
from serving.rollout.state import RolloutState


class Verdict(Struct, frozen=True, kw_only=True):
    """What the rollout does now; the caller moves shares and aliases."""

    action: Literal["stay", "advance", "ready", "promoted", "rolled_back", "inconclusive"]
    step: int = 0
    """Step to go to, where the action is advance."""
    guardrail: str = ""
    """What tripped, where the action is rolled_back."""

    @property
    def final(self) -> bool:
        """Whether the rollout ends."""
        return self.action in ("promoted", "rolled_back", "inconclusive")


_STAY = Verdict(action="stay")


def next_step(state: RolloutState, evidence: Evidence, policy: Policy) -> Verdict:
    """Say what the rollout does now.

    Same state, evidence and policy, same verdict. A tripped guardrail beats everything else; once ended,
    a rollout stays ended.
    """
    if state.verdict:
        return _STAY
    if evidence.broken:
        return Verdict(action="rolled_back", guardrail=evidence.broken[0])
    if state.paused:
        return _STAY
    if state.kind == "bake":
        baked = evidence.folded >= policy.rollout.bake_decisions and evidence.alive
        return Verdict(action="promoted") if baked else _STAY
    verdict = _climb(state, evidence, policy)
    if verdict.action == "stay" and not evidence.folded < policy.rollout.max_decisions:
        return Verdict(action="inconclusive")
    return verdict


def _climb(state: RolloutState, evidence: Evidence, policy: Policy) -> Verdict:
    steps = policy.rollout.steps
    if not evidence.alive:
        return _STAY  # a silent PnL feed says nothing for a version: nothing is won by waiting it out
    if state.announced > state.step or not covers(evidence, steps[min(state.step, len(steps) - 1)]):
        return _STAY
    if state.step + 1 < len(steps):
        return Verdict(action="advance", step=state.step + 1)
    if policy.rollout.on_success == "wait":
        return _STAY if state.ready else Verdict(action="ready")
    return Verdict(action="promoted") if evidence.promotable else _STAY


def covers(evidence: Evidence, step: Step) -> bool:
    """Whether the step has seen as many decisions, over as much event time, as it asks for."""
    return evidence.folded_in_step >= step.min_decisions and evidence.seconds_in_step >= step.min_seconds
