"""The moves a desk can make: a rollout begins, goes on, ends; each says so in effects."""

from collections.abc import Callable
from typing import Final

import msgspec

from data_contracts.policy import Policy
from serving.rollout.desk_state import CHALLENGER, CHAMPION, DeskState, Rollout, implied_aliases
from serving.rollout.effects import DeleteAlias, Effect, Ended, MoveAlias, Noted, SetTags
from serving.rollout.events import Concluded

_OUTSIDE_MAX: Final = 8


class DeskMoves:
    """State, effects, and what changes them; `Desk` says when."""

    def __init__(self, state: DeskState, policy: Policy | Callable[[], Policy], next_id: Callable[[], int]) -> None:
        """Take up where `state` left off.

        Args:
            state: changed in place.
            policy: the policy now in force, or what to ask for it whenever a rollout begins.
            next_id: gives the next rollout id, never the same twice.
        """
        self.state = state
        self._policy_now = policy if callable(policy) else lambda: policy
        self.effects: list[Effect] = []
        self.wanted = implied_aliases(state)
        """What the aliases say, own moves that are still under way included."""
        self._next_id = next_id
        self._passed: set[int] = {v for v in (state.champion,) if v is not None}
        self._refused: dict[int, str] = {}

    @property
    def policy(self) -> Policy:
        """The running rollout's, which nothing changes under it; between rollouts the one now in force."""
        rollout = self.state.rollout
        return rollout.policy if rollout is not None and rollout.policy is not None else self._policy_now()

    @property
    def share(self) -> float:
        """The challenger's share by its step, paused or not."""
        rollout = self.state.rollout
        if rollout is None or rollout.stage not in ("ab", "ready"):
            return 0.0
        return self.policy.rollout.steps[rollout.step].share

    @property
    def status(self) -> str:
        """Tag ringcraft.status of the rollout's version."""
        rollout = self.state.rollout
        if rollout is None:
            return ""
        if rollout.stage in ("ab", "ready"):
            return f"ab:{100 * self.share:g}%" if self.share else "shadow"
        return CHAMPION if rollout.stage == "bake" else rollout.stage

    # --- a rollout's life -----------------------------------------------------

    def _begin(self, version: int) -> None:
        state = self.state
        if state.rollout is None or state.rollout.version != version or state.rollout.kind != "challenger":
            state.rollout = Rollout(rollout_id=0, kind="challenger", version=version, control=None, stage="checking")
            waits = "" if state.champion is not None else "; waits for a champion to be compared with"
            self._say(version, "checking", f"being verified, loaded and warmed{waits}", tagged="checking")
        rollout = state.rollout
        if rollout.stage == "checking" and version in self._passed and state.champion is not None:
            rollout.rollout_id, rollout.control, rollout.stage = self._next_id(), state.champion, "shadow"
            rollout.policy = self._policy_now()
            against = f"scores live decisions in shadow, against version {state.champion}"
            self._say(version, "shadow", against, tagged="shadow")

    def _bake(self, version: int, old: int) -> None:
        policy = self._policy_now()
        if policy.rollout.bake_decisions <= 0:
            return
        self.state.rollout = Rollout(
            rollout_id=self._next_id(), kind="bake", version=version, control=old, stage="bake", policy=policy
        )

    def _promote(self, rollout: Rollout, decision: int | None, reason: str, who: str | None) -> None:
        state, version, old = self.state, rollout.version, self.state.champion
        self._end(rollout, "promoted", "", decision, reason)
        state.rollout = None
        self.effects.append(SetTags(version=version, status=CHAMPION, reason=_where("", decision) + reason))
        if rollout.kind == "bake":
            return
        state.champion = version
        self._move(CHAMPION, version, old, reason, who)
        self._delete(CHALLENGER, version, reason, who)
        if old is not None:
            self.effects.append(SetTags(version=old, status="retired", reason=f"version {version} was promoted"))
            self._bake(version, old)

    def _take_off(
        self, rollout: Rollout, verdict: str, guardrail: str, decision: int | None, reason: str, who: str | None
    ) -> None:
        state, version, control = self.state, rollout.version, rollout.control
        self._end(rollout, verdict, guardrail, decision, reason)
        state.rollout = None
        status = "inconclusive" if verdict == "inconclusive" else "rolled_back"
        self._say_came_off(version, status, guardrail, decision, reason)
        if rollout.kind == "bake" and control is not None:
            state.champion = control
            self._passed.add(control)
            self._move(CHAMPION, control, version, reason, who)
            back = f"champion again: version {version} was taken back"
            self.effects.append(SetTags(version=control, status=CHAMPION, reason=back))
        else:
            self._delete(CHALLENGER, version, reason, who)

    def _withdraw(self, reason: str) -> None:
        """End the rollout, if there is one, because of something outside it."""
        rollout = self.state.rollout
        if rollout is None:
            return
        self._end(rollout, "withdrawn", "", None, reason)
        self.state.rollout = None
        if rollout.kind == "challenger":
            self.effects.append(SetTags(version=rollout.version, status="withdrawn", reason=reason))

    def _end(self, rollout: Rollout, verdict: str, guardrail: str, decision: int | None, reason: str) -> None:
        ended = Ended(
            rollout_id=rollout.rollout_id,
            kind=rollout.kind,
            version=rollout.version,
            control=rollout.control,
            verdict=verdict,
            guardrail=guardrail,
            decision=decision,
            reason=reason,
            steps_done=rollout.step,
        )
        self._ended(ended)
        if decision is None and rollout.rollout_id:
            self.state.outside = [*self.state.outside[-_OUTSIDE_MAX + 1 :], ended]

    def _never_begun(self, kind: str, version: int, control: int | None, verdict: str, reason: str) -> None:
        """Say how something ended that never came to be routed."""
        ended = Ended(
            rollout_id=0,
            kind=kind,
            version=version,
            control=control,
            verdict=verdict,
            guardrail="",
            decision=None,
            reason=reason,
        )
        if verdict == "refused":
            if self.state.told.get(version) == reason:
                return  # the alias stayed, and the version was tried again to no avail
            self.state.told = {**self.state.told, version: reason}
        self._ended(ended)

    def _ended(self, ended: Ended) -> None:
        self.state.last = ended
        noted = Noted(kind=ended.verdict, version=ended.version, text=ended.reason, decision=ended.decision)
        self.effects += [ended, noted]

    def _amend(self, said: Ended, event: Concluded) -> None:
        """Put the journal's verdict in the place of what was said of a rollout that ended from outside."""
        reason = f"{event.reason} (found after it had ended: {said.reason})"
        amended = msgspec.structs.replace(
            said, verdict=event.verdict, guardrail=event.guardrail, decision=event.decision, reason=reason
        )
        if self.state.last == said:
            self.state.last = amended
        noted = Noted(kind=event.verdict, version=said.version, text=reason, decision=event.decision)
        self.effects += [amended, noted]

    def _confirmed(self, rollout_id: int) -> None:
        self.state.outside = [one for one in self.state.outside if one.rollout_id != rollout_id]

    # --- how it is said -------------------------------------------------------

    def _say_came_off(self, version: int, status: str, guardrail: str, decision: int | None, reason: str) -> None:
        self.effects.append(SetTags(version=version, status=status, reason=_where(guardrail, decision) + reason))
        self._passed.discard(version)

    def _move(self, alias: str, version: int, expected: int | None, why: str, who: str | None) -> None:
        self.wanted[alias] = version
        self.effects.append(MoveAlias(alias=alias, version=version, expected=expected, why=why, who=who))

    def _delete(self, alias: str, version: int, why: str, who: str | None) -> None:
        if self.wanted.get(alias) == version:
            del self.wanted[alias]
        self.effects.append(DeleteAlias(alias=alias, version=version, why=why, who=who))

    def _say(self, version: int, kind: str, text: str, decision: int | None = None, tagged: str = "") -> None:
        self.effects.append(SetTags(version=version, status=tagged, reason=text))
        self._note(kind, version, text, decision)

    def _note(self, kind: str, version: int | None, text: str, decision: int | None = None) -> None:
        self.effects.append(Noted(kind=kind, version=version, text=text, decision=decision))


def _where(guardrail: str, decision: int | None) -> str:
    """Say which guardrail acted at which decision, ahead of a reason; an end from outside has neither."""
    if decision is None:
        return ""
    return f"{guardrail} at decision {decision}: " if guardrail else f"at decision {decision}: "
