"""One rollout as its folded decisions show it: arms, guardrails, steps, verdict."""

from typing import Final, Literal

import msgspec

from data_contracts.journal import AbstainReason, Arm, MarkoutStatus, Phase
from data_contracts.policy import Outcomes, Policy
from serving.rollout.divergence import Divergences
from serving.rollout.events import Alarmed, Concluded, FoldEvent, Kind, Paused, ReadyToPromote, StepAdvanced
from serving.rollout.evidence import Evidence
from serving.rollout.judging import ERRORS, LATENCY, PNL, Answered, Guards
from serving.rollout.machine import Verdict, next_step
from serving.rollout.paired import augmented_difference, paired_difference
from serving.rollout.reaction import Reaction
from serving.rollout.records import DecisionRow, EpochRow, MarkoutRow, ShadowRow
from serving.rollout.series import Point, Series
from serving.rollout.state import RolloutState
from serving.rollout.tally import ArmTally
from serving.rollout.watching import Watching

# Plain ints: an enum's comparison costs more than the rest of a decision's fold.
FAILURES: Final = frozenset({int(AbstainReason.BAD_OUTPUT), int(AbstainReason.MODEL_FAILED)})
_ANSWERS: Final = FAILURES | {int(AbstainReason.NONE)}
_JUDGED: Final = frozenset({int(Phase.SHADOW), int(Phase.AB), int(Phase.BAKE)})
_BAKE: Final = frozenset({int(Phase.BAKE), int(Phase.BAKE_PAUSED)})
_PAUSED: Final = frozenset({int(Phase.PAUSED), int(Phase.BAKE_PAUSED)})
_AB: Final = int(Phase.AB)
_SHADOW_ARM: Final = int(Arm.SHADOW)
_OK: Final = int(MarkoutStatus.OK)
Outcome = Literal["promoted", "rolled_back", "inconclusive", "withdrawn"]


class RolloutFold:
    """Evidence and conclusion of one rollout."""

    def __init__(self, policy: Policy, model: str, epoch: EpochRow) -> None:
        """Begin with the rollout's first epoch."""
        self.policy, self.model, self.rollout_id = policy, model, epoch.rollout_id
        # Outside rollouts the default holds, so that the journal alone says when a decision is given up.
        seconds = policy.outcomes.watermark_seconds if epoch.rollout_id else Outcomes().watermark_seconds
        self.watermark_ns = int(seconds * 1e9)
        self.realised_watermark_ns = int(policy.outcomes.realised_watermark_seconds * 1e9)
        self.by_realised = bool(epoch.rollout_id) and policy.guardrails.pnl.outcome == "realised"
        """What the live arm earned is what the trading system posts."""
        bake = epoch.phase in _BAKE
        self.kind: Kind = "bake" if bake else "challenger"
        self.version, self.control = (epoch.champion, epoch.challenger) if bake else (epoch.challenger, epoch.champion)
        self.judged_arm = int(Arm.CHAMPION if bake else Arm.CHALLENGER)
        self.state = RolloutState(kind=self.kind, step=epoch.step, announced=epoch.step)
        self.guards = Guards(policy, "the one it replaced" if bake else "the champion")
        self.watching = Watching(policy, self.kind)
        self.notices: list[FoldEvent] = []
        """Alarms that nobody was told of yet: a decision has one event, and a verdict or a step goes first."""
        self.divergences = Divergences()
        self.series = Series()
        self.arms: dict[int, ArmTally] = {}
        self.concluded: Concluded | None = None
        self.since_ns = epoch.wall_ns
        """When the worker took up its first epoch, by its own clock; 0: its journal does not say."""
        self.reaction: Reaction | None = None
        """How soon routing left the version; None while it was not taken off."""
        self.folded = self.folded_in_step = self.unpaired = self.given_up = self.unrealised = 0
        self.live_pnl_bps = 0.0
        self.silent = 0
        """Decisions in a row that somebody acted on and that brought no usable outcome."""
        self._step_from = self._step_to = 0

    def fold(
        self,
        epoch: EpochRow,
        decision: DecisionRow,
        markout: MarkoutRow,
        shadows: list[ShadowRow],
        horizon_ns: int,
        realised: float | None = None,
    ) -> FoldEvent | None:
        """Fold one complete decision; return what follows from it, if anything does.

        One whose arm was asked for is tallied and never judged: nobody drew it.

        Args:
            epoch: by which it was routed.
            decision: what was answered.
            markout: what buying and selling earned, on paper.
            shadows: what the others would have answered.
            horizon_ns: of the mark-out.
            realised: what the trading system says that the decision earned, in bps; None: nothing.
        """
        self.divergences.fold(decision, shadows)
        earned = pnl_of(decision.action, markout) if realised is None else realised
        self._tally(epoch, decision, markout, shadows, earned)
        judged = epoch.phase in _JUDGED and not decision.overridden
        silence = self._hear(decision, shadows, usable=self._usable(decision, markout, realised), judged=judged)
        if self.concluded or not judged:
            return None
        self._count(epoch, decision)
        difference = self._difference(epoch, decision, markout, shadows, earned)
        self.guards.fold_difference(decision.event_ns, difference, horizon_ns)
        self._fold_answers(decision, shadows)
        self._watch(epoch, decision, markout, shadows)
        if decision.arm == self.judged_arm:
            self.live_pnl_bps += earned
        if self.series.due():
            self.series.add(self._point(decision.decision_id, decision.event_ns))
        return self._conclude(decision.decision_id, alive=not self.silent) or silence or self._notice()

    def skip(self, epoch: EpochRow, decision: DecisionRow, shadows: list[ShadowRow]) -> FoldEvent | None:
        """Fold a decision whose outcome never came: it counts, and says nothing about PnL."""
        self.given_up += 1
        if self.concluded or epoch.phase not in _JUDGED or decision.overridden:
            return None
        silence = self._hear(decision, shadows, usable=False, judged=True)
        self._count(epoch, decision)
        self._fold_answers(decision, shadows)
        return self._conclude(decision.decision_id, alive=False) or silence or self._notice()

    def _watch(self, epoch: EpochRow, decision: DecisionRow, markout: MarkoutRow, shadows: list[ShadowRow]) -> None:
        raised = self.watching.fold(epoch, decision, markout, shadows)
        if not raised and not self.watching.cleared:
            return
        about = {"model": self.model, "rollout_id": self.rollout_id, "version": self.version}
        about["decision"] = decision.decision_id
        for alarm in self.watching.readings():
            if alarm.name in raised or alarm.name in self.watching.cleared:
                is_raised = alarm.name in raised
                self.notices.append(Alarmed(name=alarm.name, raised=is_raised, text=alarm.text, **about))  # type: ignore[arg-type]
                if is_raised and alarm.action == "pause":
                    self.notices.append(Paused(cause=alarm.name, reason=f"alarm {alarm.name}: {alarm.text}", **about))  # type: ignore[arg-type]

    def _notice(self) -> FoldEvent | None:
        return self.notices.pop(0) if self.notices else None

    def _usable(self, decision: DecisionRow, markout: MarkoutRow, realised: float | None) -> bool | None:
        """Whether the decision's outcome came; None where it says nothing of the feed that this is judged by."""
        if not self.by_realised:
            return markout.status == _OK
        if decision.action:
            self.unrealised += realised is None
            return realised is not None
        return None if markout.status == _OK else False

    def _hear(
        self, decision: DecisionRow, shadows: list[ShadowRow], *, usable: bool | None, judged: bool
    ) -> Paused | None:
        """Count a decision that somebody acted on into the silence of the PnL feed, or end that."""
        if usable is None:
            return None
        if not decision.action and not any(shadow.action and shadow.arm != _SHADOW_ARM for shadow in shadows):
            return None
        if usable:
            self.silent = 0  # while it is paused too: that is how one sees that the feed is back
            return None
        limit = self.policy.guardrails.pnl.silent_decisions
        self.silent += judged
        if not judged or self.silent % limit:
            return None
        return Paused(
            model=self.model,
            rollout_id=self.rollout_id,
            version=self.version,
            decision=decision.decision_id,
            cause="silence",
            reason=f"the PnL feed is silent: {self.silent} decisions in a row brought no outcome, limit {limit}",
        )

    def route(self, epoch: EpochRow) -> None:
        """Take note that routing goes on, paused or not; where it was paused, it is judged again from here."""
        paused = epoch.phase in _PAUSED
        if paused != self.state.paused:
            self.state = msgspec.structs.replace(self.state, paused=paused)

    def limit(self, name: str, decision: int, reason: str) -> FoldEvent | None:
        """End the rollout on a hard limit."""
        if self.concluded:
            return None
        return self._end("rolled_back", f"limit:{name}", decision, reason)

    def withdraw(self, successor: EpochRow | None) -> FoldEvent | None:
        """End the rollout because routing has gone on to another."""
        if self.concluded:
            return None
        by_hand = successor is not None and self.kind == "challenger" and successor.champion == self.version
        if by_hand:
            return self._end("promoted", "", None, "made champion by a person")
        return self._end("withdrawn", "", None, "its alias was moved or taken away")

    def evidence(self, *, alive: bool = True) -> Evidence:
        """Return what the rollout has shown so far."""
        return Evidence(
            folded=self.folded,
            folded_in_step=self.folded_in_step,
            seconds_in_step=max(0, self._step_to - self._step_from) / 1e9,
            broken=self.guards.broken() or self._loss(),
            promotable=self.guards.promotable,
            alive=alive,
        )

    def arm(self, version: int, name: str) -> ArmTally:
        """Return the version's running totals."""
        tally = self.arms.get(version)
        if tally is None:
            tally = self.arms[version] = ArmTally(version, name)
        return tally

    def _count(self, epoch: EpochRow, decision: DecisionRow) -> None:
        self.folded += 1
        if epoch.step != self.state.step:
            announced = max(self.state.announced, epoch.step)
            self.state = msgspec.structs.replace(self.state, step=epoch.step, announced=announced)
            self.folded_in_step = 0
        if not self.folded_in_step:
            self._step_from = decision.event_ns
        self.folded_in_step += 1
        self._step_to = decision.event_ns

    def _tally(
        self,
        epoch: EpochRow,
        decision: DecisionRow,
        markout: MarkoutRow,
        shadows: list[ShadowRow],
        earned: float,
    ) -> None:
        budget_ns = self.policy.guardrails.latency.budget_us * 1000.0
        arm = self.arm(decision.version, "challenger" if decision.version == epoch.challenger else "champion")
        arm.acted(decision.event_ns, decision.action, earned)
        arm.paper_pnl_bps += pnl_of(decision.action, markout)
        if decision.abstain in _ANSWERS:
            latency = decision.answer_ns - decision.receive_ns
            arm.answered(latency, late=not latency <= budget_ns, failed=decision.abstain in FAILURES)
        for shadow in shadows:
            if not shadow.dropped:
                other = self.arm(shadow.version, _ARM_NAMES.get(shadow.arm, "shadow"))
                other.paper_pnl_bps += pnl_of(shadow.action, markout)
                if shadow.abstain in _ANSWERS:
                    late = not shadow.latency_ns <= budget_ns
                    other.answered(shadow.latency_ns, late=late, failed=shadow.abstain in FAILURES)

    def _difference(
        self, epoch: EpochRow, decision: DecisionRow, markout: MarkoutRow, shadows: list[ShadowRow], earned: float
    ) -> float:
        papers: dict[int, float] = {decision.arm: pnl_of(decision.action, markout)}
        for shadow in shadows:
            if shadow.arm != _SHADOW_ARM and not shadow.dropped:
                papers[shadow.arm] = pnl_of(shadow.action, markout)
        judged, control = self.judged_arm, 1 - self.judged_arm
        p1, p0 = papers.get(judged), papers.get(control)
        self.unpaired += p1 is None or p0 is None
        if epoch.phase != _AB:
            return paired_difference(p0, p1)
        return augmented_difference(
            p0,
            p1,
            acted_by_challenger=decision.arm == 1,
            earned=earned,
            share=decision.share_bps / 10_000.0,
        )

    def _fold_answers(self, decision: DecisionRow, shadows: list[ShadowRow]) -> None:
        budget_ns = self.policy.guardrails.latency.budget_us * 1000.0
        answers: dict[int, Answered] = {}
        if decision.abstain in _ANSWERS:
            late = not decision.answer_ns - decision.receive_ns <= budget_ns
            answers[decision.arm] = Answered(late, decision.abstain in FAILURES)
        for shadow in shadows:
            if shadow.arm != _SHADOW_ARM and not shadow.dropped and shadow.abstain in _ANSWERS:
                answers[shadow.arm] = Answered(not shadow.latency_ns <= budget_ns, shadow.abstain in FAILURES)
        judged = answers.get(self.judged_arm)
        if judged is not None:
            self.guards.fold_answer(late=judged.late, failed=judged.failed)
        self.guards.fold_pair(judged, answers.get(1 - self.judged_arm))

    def _loss(self) -> tuple[str, ...]:
        met = self.live_pnl_bps >= -self.policy.limits.loss_budget_bps  # NaN does not meet it
        return () if met else ("limit:loss_budget",)

    def _conclude(self, decision: int, *, alive: bool) -> FoldEvent | None:
        verdict = next_step(self.state, self.evidence(alive=alive), self.policy)
        if verdict.action == "stay":
            return None
        return self._apply(verdict, decision)

    def _apply(self, verdict: Verdict, decision: int) -> FoldEvent:
        about = {"model": self.model, "rollout_id": self.rollout_id, "version": self.version, "decision": decision}
        if verdict.action == "advance":
            self.state = msgspec.structs.replace(self.state, announced=verdict.step)
            return StepAdvanced(step=verdict.step, **about)  # type: ignore[arg-type]
        if verdict.action == "ready":
            self.state = msgspec.structs.replace(self.state, ready=True)
            return ReadyToPromote(**about)  # type: ignore[arg-type]
        if verdict.action == "promoted":
            return self._end("promoted", "", decision, self._promotion_reason())
        if verdict.action == "inconclusive":
            return self._end("inconclusive", "", decision, f"no verdict after {self.folded} decisions")
        reason = self._broken_reason(verdict.guardrail)
        return self._end("rolled_back", verdict.guardrail, decision, reason)

    def _point(self, decision: int, event_ns: int) -> Point:
        promotion = self.guards.promotion
        papers = [self.arms[v].paper_pnl_bps if v in self.arms else 0.0 for v in (self.version, self.control)]
        evidence = [self.guards.reading(name).evidence for name in (PNL, LATENCY, ERRORS)]
        return Point(
            folded=self.folded,
            decision=decision,
            event_ns=event_ns,
            evidence=(*evidence, promotion.evidence if promotion is not None else 0.0),
            judged_bps=papers[0],
            control_bps=papers[1],
        )

    def _end(self, verdict: Outcome, guardrail: str, decision: int | None, reason: str) -> Concluded:
        if self.folded and decision is not None:
            self.series.close(self._point(decision, self._step_to))
        self.state = msgspec.structs.replace(self.state, verdict=verdict)
        self.concluded = Concluded(
            model=self.model,
            rollout_id=self.rollout_id,
            version=self.version,
            kind=self.kind,
            verdict=verdict,
            guardrail=guardrail,
            decision=decision,
            reason=reason,
        )
        return self.concluded

    def _broken_reason(self, guardrail: str) -> str:
        if guardrail == "limit:loss_budget":
            budget = self.policy.limits.loss_budget_bps
            return f"lost {-self.live_pnl_bps:.1f} bps on its own decisions, budget {budget:g} bps"
        reading = self.guards.reading(guardrail)
        evidence = f"(e-value {reading.e_value:.3g} > {reading.threshold:.3g})"
        after = f" after {self.folded} decisions" if guardrail == PNL else ""
        return f"{reading.detail} {evidence}{after}"

    def _promotion_reason(self) -> str:
        detail = self.guards.reading(PNL).detail
        if self.kind == "bake":
            return f"kept as champion: {detail} over {self.folded} decisions"
        test = self.guards.promotion
        value, limit = (test.e_value, 1.0 / test.error_rate) if test else (0.0, 0.0)
        return f"{detail} over {self.folded} decisions (e-value for promotion {value:.3g}, needed {limit:.3g})"


_ARM_NAMES: Final = {int(Arm.CHAMPION): "champion", int(Arm.CHALLENGER): "challenger"}


def pnl_of(action: int, markout: MarkoutRow) -> float:
    """Return what an action at this decision earned, in bps; 0 where the mark-out could not be taken."""
    if not action or markout.status != _OK:
        return 0.0
    return markout.buy_pnl_bps if action > 0 else markout.sell_pnl_bps
