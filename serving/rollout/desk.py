"""One model's desk: aliases, checks, verdicts and commands in; line-up, routes and effects out. No I/O.

The desk wants what the aliases say and serves what has passed its checks. docs/rollouts.md tells the edge cases.
"""

from collections.abc import Callable, Mapping
from typing import Final

from data_contracts.policy import Policy
from serving.rollout.desk_moves import DeskMoves
from serving.rollout.desk_state import CHALLENGER, CHAMPION, DeskState, Rollout
from serving.rollout.effects import Ended, Noted, SetTags
from serving.rollout.events import Alarmed, Concluded, FoldEvent, Paused, ReadyToPromote, StepAdvanced

COMPARED_MAX: Final = 256
"""Alarms of paper against realised that are known again."""


class Desk(DeskMoves):
    """Decides for one model; every method leaves what is to be done outside in `effects`."""

    def __init__(self, state: DeskState, policy: Policy | Callable[[], Policy], next_id: Callable[[], int]) -> None:
        """Take up where `state` left off; see DeskMoves."""
        super().__init__(state, policy, next_id)
        self._heard = False
        """The aliases were seen at least once; until then nothing that is served goes for want of its alias."""
        self._waiting: int | None = None
        """Challenger that was told to wait."""

    # --- what happens to it ---------------------------------------------------

    def aliases(self, aliases: Mapping[str, int]) -> None:
        """Take in where the aliases point now, own moves that are still under way included."""
        self.wanted, self._heard = dict(aliases), True
        if self.state.settled != aliases.get(CHALLENGER):
            self.state.settled = None
        if self.state.unfit != aliases.get(CHAMPION):
            self.state.unfit = None
        held = set(aliases.values())
        self._refused = {version: why for version, why in self._refused.items() if version in held}
        self.state.told = {version: why for version, why in self.state.told.items() if version in held}
        self._reconcile()

    def passed(self, version: int) -> None:
        """Take in that the version is verified, loaded and warm."""
        self._refused.pop(version, None)
        self._passed.add(version)
        self._reconcile()

    def refused(self, version: int, reason: str, *, status: str = "refused") -> None:
        """Take in that the version cannot be served.

        Args:
            version: that was checked.
            reason: why, in one line.
            status: tag that says so; quarantined where it came off before and nobody has cleared its tag.
        """
        if version in self._refused or version == self.state.champion:
            return
        self._passed.discard(version)
        self._refused[version] = reason
        rollout = self.state.rollout
        if rollout is not None and rollout.live and version in (rollout.version, rollout.control):
            if version == self.wanted.get(CHALLENGER):
                self.state.settled = version
            self._withdraw(f"version {version} cannot be served any longer: {reason}")
        self.effects += [
            SetTags(version=version, status=status, reason=reason),
            Noted(kind=status, version=version, text=reason),
        ]
        self._reconcile()

    def folded(self, event: FoldEvent) -> None:
        """Take in what the journal's fold concludes; of a rollout that is long over: nothing."""
        said = next((one for one in self.state.outside if one.rollout_id == event.rollout_id), None)
        rollout = self.state.rollout
        if said is not None:
            if isinstance(event, Concluded):
                self._confirm(said, event)
        elif rollout is None or not rollout.rollout_id or event.rollout_id != rollout.rollout_id:
            return
        elif isinstance(event, Concluded):
            self._conclude(rollout, event)
        elif isinstance(event, StepAdvanced):
            self._advance(rollout, event)
        elif isinstance(event, ReadyToPromote) and rollout.stage != "ready":
            rollout.stage = "ready"
            self._say(rollout.version, "ready", "every step is done; waits for a person to promote", event.decision)
        elif isinstance(event, Paused) and rollout.heeds(event):
            self.pause(event.reason)
        elif isinstance(event, Alarmed) and rollout.hears(event):
            kind = "alarm" if event.raised else "alarm_cleared"
            self._note(kind, rollout.version, f"{event.name}: {event.text}", event.decision)
        self._reconcile()

    def compared(self, version: int, decision: int, text: str, *, raised: bool, pauses: bool) -> None:
        """Take in that paper and realised of a version part, or agree again.

        Args:
            version: whose.
            decision: whose outcome said so.
            text: what was measured.
            raised: whether they part.
            pauses: whether a rollout of the version is paused for it.
        """
        if (version, decision) in self.state.compared:
            return  # said before a restart
        self.state.compared = [*self.state.compared[1 - COMPARED_MAX :], (version, decision)]
        self._note("alarm" if raised else "alarm_cleared", version, f"reconciliation: {text}", decision)
        rollout = self.state.rollout
        if raised and pauses and rollout is not None and version in (rollout.version, rollout.control):
            self.pause(f"alarm reconciliation: {text}")

    def promote(self, why: str, who: str | None = None) -> None:
        """Make the challenger champion by hand; it must be live."""
        rollout = self.state.rollout
        if rollout is not None and rollout.kind == "challenger" and rollout.live:
            self._promote(rollout, None, f"promoted by hand: {why}", who)
            self._reconcile()

    def rollback(self, why: str, who: str | None = None) -> None:
        """Take the rollout's version off by hand; it is barred until its tag is cleared."""
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
        """Go on where it stood; a promotion that was earned before the pause took hold is carried out."""
        rollout = self.state.rollout
        if rollout is None or not rollout.paused:
            return
        rollout.paused = ""
        self._say(rollout.version, "resumed", f"resumed at {self.status}", tagged=self.status)
        if rollout.earned is not None:
            self._promote(rollout, rollout.earned.decision, rollout.earned.reason, None)
        self._reconcile()

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
        turned_down = {*self._refused, self.state.settled, self.state.unfit} - {self.state.champion}
        return sorted(v for v in turned_down if v is not None and v in self.wanted.values())

    def retry(self, version: int) -> None:
        """Forget that the version was refused; it will be checked again."""
        self._refused.pop(version, None)
        if self.state.settled == version:
            self.state.settled = None
        if self.state.unfit == version:
            self.state.unfit = None
        self._reconcile()

    # --- how it follows the aliases -------------------------------------------

    def _reconcile(self) -> None:
        if not self._heard:
            return
        self._follow_champion(self.wanted.get(CHAMPION))
        self._follow_challenger(self.wanted.get(CHALLENGER))
        # What nobody holds ready is checked again before it serves again.
        self._passed &= set(self.versions())

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
            self._promote(rollout, None, "made champion by a person", None)
            return
        self._withdraw(f"alias champion was moved to version {version}")
        state.champion = version
        self.effects.append(SetTags(version=version, status=CHAMPION, reason="alias champion points here"))
        if old is None:
            self._never_begun("first_champion", version, None, "promoted", "first champion: passed its checks")
            return
        self.effects.append(SetTags(version=old, status="retired", reason=f"version {version} was made champion"))
        self._note("champion_moved", version, f"alias champion was moved from version {old} to {version}")
        if state.settled == old:
            state.settled = None  # it was champion already; now it can be compared
        if self.wanted.get(CHALLENGER) in (None, version, state.settled):
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
            self._never_begun(CHALLENGER, wanted, wanted, "refused", reason)
            self.effects.append(SetTags(version=wanted, status="", reason=reason))
            return
        if wanted in self._refused:
            state.settled = wanted
            if rollout is not None and rollout.kind == "challenger":
                state.rollout = None
            self._never_begun(CHALLENGER, wanted, state.champion, "refused", self._refused[wanted])
            return
        baking = state.rollout is not None and state.rollout.kind == "bake"
        if not baking:
            self._begin(wanted)
        elif self._waiting != wanted:
            self._waiting = wanted
            self._say(wanted, "checking", "waits until the new champion's bake is over", tagged="checking")

    # --- how it follows the journal -------------------------------------------

    def _advance(self, rollout: Rollout, event: StepAdvanced) -> None:
        if event.step <= rollout.step:
            return  # said before: the journal is read again after a restart
        rollout.step = event.step
        rollout.stage = "ab" if self.policy.rollout.steps[event.step].share else "shadow"
        text = f"acts on {self.share:.0%} of live decisions"
        self._say(rollout.version, rollout.stage, text, event.decision, tagged=self.status)

    def _conclude(self, rollout: Rollout, event: Concluded) -> None:
        if event.verdict == "promoted" and rollout.paused and event.decision is not None:
            if rollout.earned is None:
                rollout.earned = event
                self._note("paused", rollout.version, f"earned while paused: {event.reason}", event.decision)
        elif event.verdict == "promoted":
            self._promote(rollout, event.decision, event.reason, None)
        elif event.verdict == "withdrawn":
            # Routing had ended it before a crash that came before the book: its evidence is closed.
            self._withdraw(event.reason)
        else:
            self._take_off(rollout, event.verdict, event.guardrail, event.decision, event.reason, None)
        if event.decision is None:
            self._confirmed(event.rollout_id)

    def _confirm(self, said: Ended, event: Concluded) -> None:
        """Hold what was said of an end from outside against the journal, which has the last word.

        Decisions that were taken before routing followed are evidence too, and the offline judge reads them. Only a
        promotion that came too late to be carried out leaves a person's word standing.
        """
        self._confirmed(said.rollout_id)
        same = (event.verdict, event.guardrail, event.decision) == (said.verdict, said.guardrail, said.decision)
        if same or (event.verdict == "promoted" and event.decision is not None):
            return
        self._amend(said, event)
        if event.verdict == "rolled_back" and said.version != self.state.champion:
            self._bar(said.version, event)
        elif event.verdict == "rolled_back":  # a person made it champion: theirs to take back, but they must know
            reason = f"made champion by hand, yet before that it broke {event.guardrail}: {event.reason}"
            self._say(said.version, "rolled_back", reason, event.decision)

    def _bar(self, version: int, event: Concluded) -> None:
        rollout = self.state.rollout
        if rollout is not None and version in (rollout.version, rollout.control):
            self._withdraw(f"version {version} was rolled back: {event.reason}")
        self._say_came_off(version, "rolled_back", event.guardrail, event.decision, event.reason)
        if self.wanted.get(CHALLENGER) == version:
            self._delete(CHALLENGER, version, event.reason, None)
