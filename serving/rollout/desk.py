"""One model's desk: aliases, checks, verdicts and commands in; line-up, routes and effects out. No I/O.

The desk wants what the aliases say and serves what has passed its checks. docs/rollouts.md tells the edge cases.
"""

from collections.abc import Callable, Mapping

from data_contracts.policy import Policy
from serving.rollout.desk_state import CHALLENGER, CHAMPION, DeskState, Rollout, implied
from serving.rollout.effects import DeleteAlias, Effect, Ended, MoveAlias, Noted, SetTags
from serving.rollout.events import Concluded, FoldEvent, Paused, ReadyToPromote, StepAdvanced


class Desk:
    """Decides for one model; every method leaves what is to be done outside in `effects`."""

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
        self.wanted = implied(state)
        self._heard = False
        """The aliases were seen at least once; until then nothing that is served goes for want of its alias."""
        self._next_id = next_id
        self._passed: set[int] = {v for v in (state.champion,) if v is not None}
        self._refused: dict[int, str] = {}
        self._waiting: int | None = None
        """Challenger that was told to wait."""

    # --- what happens to it ---------------------------------------------------

    def aliases(self, aliases: Mapping[str, int]) -> None:
        """Take in where the aliases point now, own moves that are still under way included."""
        self.wanted, self._heard = dict(aliases), True
        challenger, champion = aliases.get(CHALLENGER), aliases.get(CHAMPION)
        if self.state.settled is not None and self.state.settled != challenger:
            self._refused.pop(self.state.settled, None)
            self.state.settled = None
        if self.state.unfit is not None and self.state.unfit != champion:
            self._refused.pop(self.state.unfit, None)
            self.state.unfit = None
        self._reconcile()

    def passed(self, version: int) -> None:
        """Take in that the version is verified, loaded and warm."""
        self._refused.pop(version, None)
        self._passed.add(version)
        self._reconcile()

    def refused(self, version: int, reason: str, *, keep_status: bool = False) -> None:
        """Take in that the version cannot be served.

        Args:
            version: that was checked.
            reason: why, in one line.
            keep_status: its tag says already why, and must go on saying it.
        """
        if version in self._refused or version == self.state.champion:
            return
        self._passed.discard(version)
        self._refused[version] = reason
        status = "" if keep_status else "refused"
        self.effects += [
            SetTags(version=version, status=status, reason=reason),
            Noted(kind="refused", version=version, text=reason),
        ]
        self._reconcile()

    def folded(self, event: FoldEvent) -> None:
        """Take in what the journal's fold concludes; of another rollout than the present one: nothing."""
        rollout = self.state.rollout
        if rollout is None or not rollout.rollout_id or event.rollout_id != rollout.rollout_id:
            return
        if isinstance(event, Concluded):
            self._concluded(rollout, event.verdict, event.guardrail, event.decision, event.reason)
        elif isinstance(event, StepAdvanced):
            self._advance(rollout, event)
        elif isinstance(event, ReadyToPromote) and rollout.stage != "ready":
            rollout.stage = "ready"
            self._say(rollout.version, "ready", "every step is done; waits for a person to promote", event.decision)
        elif isinstance(event, Paused) and event.decision > rollout.paused_at:
            rollout.paused_at = event.decision
            self.pause(event.reason)
        self._reconcile()

    def promote(self, why: str, who: str | None = None) -> None:
        """Make the challenger champion by hand; it must be live."""
        rollout = self.state.rollout
        if rollout is not None and rollout.kind == "challenger" and rollout.live:
            self._concluded(rollout, "promoted", "", None, f"promoted by hand: {why}", who)
            self._reconcile()

    def rollback(self, why: str, who: str | None = None) -> None:
        """Take the rollout's version off by hand."""
        rollout = self.state.rollout
        if rollout is not None and rollout.live:
            self._take_off(rollout, "withdrawn", "", None, f"taken off by hand: {why}", who)
            self._reconcile()

    def pause(self, why: str) -> None:
        """Return every share to the champion; evidence is kept."""
        rollout = self.state.rollout
        if rollout is not None and not rollout.paused:
            rollout.paused = why or "paused"
            self._say(rollout.version, "paused", f"paused: {rollout.paused}")

    def resume(self) -> None:
        """Go on where it stood."""
        rollout = self.state.rollout
        if rollout is not None and rollout.paused:
            rollout.paused = ""
            self._say(rollout.version, "resumed", f"resumed at {self.status}", tagged=self.status)

    # --- what it wants --------------------------------------------------------

    def versions(self) -> list[int]:
        """Return the versions to hold ready, champion first."""
        state, rollout = self.state, self.state.rollout
        wanted = [state.champion, self.wanted.get(CHAMPION), self.wanted.get(CHALLENGER)]
        if rollout is not None:
            wanted += [rollout.version, rollout.control]
        wanted += [version for alias, version in sorted(self.wanted.items()) if alias.startswith("shadow")]
        gone = {*self._refused, *(v for v in (state.settled,) if v is not None and v != state.champion)}
        return list(dict.fromkeys(v for v in wanted if v is not None and v not in gone))

    def has_passed(self, version: int) -> bool:
        """Whether the version has passed its checks."""
        return version in self._passed

    def retryable(self) -> list[int]:
        """Return the versions that an alias holds and that were refused: their tag may have been cleared."""
        return [v for v in (self.state.settled, self.state.unfit) if v is not None and v in self._refused]

    def retry(self, version: int) -> None:
        """Forget that the version was refused; it will be checked again."""
        self._refused.pop(version, None)
        if self.state.settled == version:
            self.state.settled = None
        if self.state.unfit == version:
            self.state.unfit = None
        self._reconcile()

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
            return f"ab:{self.share:.0%}" if self.share else "shadow"
        return CHAMPION if rollout.stage == "bake" else rollout.stage

    # --- how it decides -------------------------------------------------------

    def _reconcile(self) -> None:
        if not self._heard:
            return
        self._follow_champion(self.wanted.get(CHAMPION))
        self._follow_challenger(self.wanted.get(CHALLENGER))

    def _follow_champion(self, wanted: int | None) -> None:
        state = self.state
        if wanted == state.champion:
            return
        if wanted is None:
            self._withdraw("alias champion was deleted")
            self._note("champion_removed", state.champion, "alias champion was deleted: nothing is acted on")
            state.champion = None
        elif wanted in self._refused:
            state.unfit = wanted
        elif wanted in self._passed:
            self._crown(wanted)

    def _crown(self, version: int) -> None:
        state, rollout, old = self.state, self.state.rollout, self.state.champion
        if rollout is not None and rollout.kind == "challenger" and rollout.version == version and rollout.live:
            self._concluded(rollout, "promoted", "", None, "made champion by a person")
            return
        self._withdraw(f"alias champion was moved to version {version}")
        state.champion = version
        self.effects.append(SetTags(version=version, status=CHAMPION, reason="alias champion points here"))
        if old is None:
            self._end(0, "first_champion", version, None, "promoted", "", None, "first champion: passed its checks")
            return
        self.effects.append(SetTags(version=old, status="retired", reason=f"version {version} was made champion"))
        self._note("champion_moved", version, f"alias champion was moved from version {old} to {version}")
        if self.wanted.get(CHALLENGER) in (None, version):
            self._bake(version, old)

    def _follow_challenger(self, wanted: int | None) -> None:
        state, rollout = self.state, self.state.rollout
        if rollout is not None and rollout.kind == "challenger" and rollout.version != wanted:
            moved = "deleted" if wanted is None else f"moved to version {wanted}"
            self._withdraw(f"alias challenger was {moved}")
        if wanted is None or wanted == state.settled:
            return
        if wanted == state.champion:
            state.settled = wanted
            reason = f"version {wanted} is champion already: nothing to compare it with"
            self._end(0, CHALLENGER, wanted, wanted, "refused", "", None, reason)
            self.effects.append(SetTags(version=wanted, status="", reason=reason))
            return
        if wanted in self._refused:
            state.settled = wanted
            if rollout is not None and rollout.kind == "challenger":
                state.rollout = None
            self._end(0, CHALLENGER, wanted, state.champion, "refused", "", None, self._refused[wanted])
            return
        baking = state.rollout is not None and state.rollout.kind == "bake"
        if not baking:
            self._begin(wanted)
        elif self._waiting != wanted:
            self._waiting = wanted
            self._say(wanted, "checking", "waits until the new champion's bake is over", tagged="checking")

    def _begin(self, version: int) -> None:
        state = self.state
        if state.rollout is None or state.rollout.version != version or state.rollout.kind != "challenger":
            state.rollout = Rollout(rollout_id=0, kind="challenger", version=version, control=None, stage="checking")
            waits = "" if state.champion is not None else "; waits for a champion to be compared with"
            self._say(version, "checking", f"being verified, loaded and warmed{waits}", tagged="checking")
        rollout = state.rollout
        assert rollout is not None  # noqa: S101  set above
        if rollout.stage == "checking" and version in self._passed and state.champion is not None:
            rollout.rollout_id, rollout.control, rollout.stage = self._next_id(), state.champion, "shadow"
            rollout.policy = self._policy_now()
            against = f"scores live decisions in shadow, against version {state.champion}"
            self._say(version, "shadow", against, tagged="shadow")

    def _advance(self, rollout: Rollout, event: StepAdvanced) -> None:
        if event.step <= rollout.step:
            return  # said before: the journal is read again after a restart
        rollout.step = event.step
        rollout.stage = "ab" if self.policy.rollout.steps[event.step].share else "shadow"
        text = f"acts on {self.share:.0%} of live decisions"
        self._say(rollout.version, rollout.stage, text, event.decision, tagged=self.status)

    def _concluded(
        self,
        rollout: Rollout,
        verdict: str,
        guardrail: str,
        decision: int | None,
        reason: str,
        who: str | None = None,
    ) -> None:
        if verdict == "promoted":
            self._promote(rollout, decision, reason, who)
        elif verdict in ("rolled_back", "inconclusive"):
            self._take_off(rollout, verdict, guardrail, decision, reason, who)

    def _promote(self, rollout: Rollout, decision: int | None, reason: str, who: str | None) -> None:
        state, version, old = self.state, rollout.version, self.state.champion
        self._end(rollout.rollout_id, rollout.kind, version, rollout.control, "promoted", "", decision, reason)
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
        self._end(rollout.rollout_id, rollout.kind, version, control, verdict, guardrail, decision, reason)
        state.rollout = None
        status = "inconclusive" if verdict == "inconclusive" else "rolled_back"
        self.effects.append(SetTags(version=version, status=status, reason=_where(guardrail, decision) + reason))
        self._passed.discard(version)
        if rollout.kind == "bake" and control is not None:
            state.champion = control
            self._passed.add(control)
            self._move(CHAMPION, control, version, reason, who)
            back = f"champion again: version {version} was taken back"
            self.effects.append(SetTags(version=control, status=CHAMPION, reason=back))
        else:
            self._delete(CHALLENGER, version, reason, who)

    def _bake(self, version: int, old: int) -> None:
        policy = self._policy_now()
        if policy.rollout.bake_decisions <= 0:
            return
        self.state.rollout = Rollout(
            rollout_id=self._next_id(), kind="bake", version=version, control=old, stage="bake", policy=policy
        )

    def _withdraw(self, reason: str) -> None:
        rollout = self.state.rollout
        if rollout is None:
            return
        self._end(rollout.rollout_id, rollout.kind, rollout.version, rollout.control, "withdrawn", "", None, reason)
        self.state.rollout = None
        if rollout.kind == "challenger":
            self.effects.append(SetTags(version=rollout.version, status="withdrawn", reason=reason))

    def _end(
        self,
        rollout_id: int,
        kind: str,
        version: int,
        control: int | None,
        verdict: str,
        guardrail: str,
        decision: int | None,
        reason: str,
    ) -> None:
        rollout = self.state.rollout
        ended = Ended(
            rollout_id=rollout_id,
            kind=kind,
            version=version,
            control=control,
            verdict=verdict,
            guardrail=guardrail,
            decision=decision,
            reason=reason,
            steps_done=rollout.step if rollout is not None else 0,
        )
        self.state.last = ended
        self.effects += [ended, Noted(kind=verdict, version=version, text=reason, decision=decision)]

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
