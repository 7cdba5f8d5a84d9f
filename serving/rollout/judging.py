"""One rollout's guardrails, fed with folded decisions."""

from typing import Final, NamedTuple

from data_contracts.policy import Policy
from serving.guardrails.pnl_guard import PnlGuard
from serving.guardrails.promotion import PromotionTest
from serving.guardrails.rate_guard import RateGuard
from serving.guardrails.sign_test import SignTest
from serving.rollout.evidence import GuardReading
from serving.rollout.overlap import Opening

PNL, LATENCY, ERRORS = "pnl", "latency", "errors"


class Answered(NamedTuple):
    """What became of one answer."""

    late: bool
    failed: bool


_FINE: Final = Answered(late=False, failed=False)


class Guards:
    """PnL, latency and error guards of one rollout, and its test for promotion.

    Each test on PnL begins once the overlap of outcomes can be read off the first differences it takes; they are
    then folded into it, so nothing is lost but the looking.
    """

    def __init__(self, policy: Policy, control: str) -> None:
        """Start with nothing seen; `control` says in words what the version is held against."""
        guards = policy.guardrails
        self._policy, self._control = policy, control
        self.latency = RateGuard(
            1.0 - guards.latency.quantile,
            guards.latency.error_rate,
            guards.pnl.horizon_decisions,
            guards.latency.burst_decisions,
        )
        self.errors = RateGuard(guards.errors.budget, guards.errors.error_rate, guards.pnl.horizon_decisions)
        # Each at its guard's own error rate. Both must agree, so a version within its budget is taken off no more
        # often than the rate guard trips, and one no later than its control no more often than the sign test does:
        # whichever of the two makes a version honest, the guard's error rate holds and the policy's sum stands.
        burst = guards.latency.burst_decisions
        self.later = SignTest(guards.latency.error_rate, block=1 if burst <= 1 else 10 * burst)
        self.failing = SignTest(guards.errors.error_rate)
        self.paired = False
        """A decision was scored by both: from then on the sign tests must agree."""
        self.pnl: PnlGuard | None = None
        self.promotion: PromotionTest | None = None
        self.overlap = 0
        """Of the outcomes that the PnL guard folds; 0 until it is known."""
        self.difference_sum = 0.0
        self.differences = 0
        self._for_pnl, self._for_promotion = Opening(), Opening()

    def fold_difference(self, event_ns: int, difference: float, horizon_ns: int) -> None:
        """Fold one paired difference in bps; to the PnL guard, 0 says nothing about which is better."""
        self.differences += 1
        self.difference_sum += difference
        if self.promotion is not None:
            self.promotion.update(difference)
        elif self._for_promotion.add(event_ns, difference, horizon_ns):
            self._begin_promotion(self._for_promotion.overlap(horizon_ns))
        if difference == 0.0:
            return
        if self.pnl is not None:
            self.pnl.update(difference)
        elif self._for_pnl.add(event_ns, difference, horizon_ns):
            self._begin_pnl(self._for_pnl.overlap(horizon_ns))

    def fold_answer(self, *, late: bool, failed: bool) -> None:
        """Fold one answer of the version that is judged."""
        self.latency.update(late)
        self.errors.update(failed)

    def fold_pair(self, judged: Answered | None, control: Answered | None) -> None:
        """Fold what both made of one decision; None: its score was dropped, which is held against neither."""
        if judged is None and control is None:
            return
        self.paired = True
        mine, other = judged or _FINE, control or _FINE
        self.later.update(mine.late, other.late)
        self.failing.update(mine.failed, other.failed)

    def _begin_pnl(self, overlap: int) -> None:
        self.overlap = overlap
        guard = self._policy.guardrails.pnl
        self.pnl = PnlGuard(
            error_rate=guard.error_rate, horizon=guard.horizon_decisions, overlap=overlap, margin_sd=guard.margin_sd
        )
        for difference in self._for_pnl.release():
            self.pnl.update(difference)

    def _begin_promotion(self, overlap: int) -> None:
        rollout = self._policy.rollout
        superior = rollout.on_success == "promote_if_superior"
        margin = 0.0 if superior else rollout.non_inferiority_margin_sd
        self.promotion = PromotionTest(error_rate=rollout.promotion_error_rate, overlap=overlap, margin_sd=margin)
        for difference in self._for_promotion.release():
            self.promotion.update(difference)

    def broken(self) -> tuple[str, ...]:
        """Return the guardrails that have tripped, PnL first."""
        if not (self.latency.tripped or self.errors.tripped or (self.pnl is not None and self.pnl.tripped)):
            return ()
        tripped = (
            (PNL, self.pnl is not None and self.pnl.tripped),
            (LATENCY, self._agreed(self.latency, self.later)),
            (ERRORS, self._agreed(self.errors, self.failing)),
        )
        return tuple(name for name, hit in tripped if hit)

    def _agreed(self, rate: RateGuard, sign: SignTest) -> bool:
        """Whether the rate is over budget and, where pairs are known, worse than the control's; both of them now.

        At once and not ever: a stall long ago that hit both must not stand against a version for good.
        """
        if not self.paired:
            return rate.tripped
        return not rate.e_value < 1.0 / rate.error_rate and sign.tripped

    @property
    def promotable(self) -> bool:
        """Whether the promotion test has passed."""
        return self.promotion is not None and self.promotion.passed

    def readings(self) -> tuple[GuardReading, ...]:
        """Return every guardrail as a person reads it."""
        return tuple(self.reading(name) for name in (PNL, LATENCY, ERRORS))

    def reading(self, name: str) -> GuardReading:
        """Return one guardrail as a person reads it."""
        if name == PNL:
            return self._pnl_reading()
        guard, sign = (self.latency, self.later) if name == LATENCY else (self.errors, self.failing)
        weakest: RateGuard | SignTest = guard
        if self.paired and sign.e_value < guard.e_value:
            weakest = sign
        return GuardReading(
            name=name,
            e_value=weakest.e_value,
            threshold=1.0 / guard.error_rate,
            evidence=weakest.evidence,
            events=guard.events,
            detail=(self._late_detail() if name == LATENCY else self._failed_detail()) + self._against(sign),
        )

    def _against(self, sign: SignTest) -> str:
        if not sign.pairs:
            return ""
        return f"; it alone on {sign.worse}, {self._control} alone on {sign.better}"

    def _pnl_reading(self) -> GuardReading:
        e_value = 0.5 if self.pnl is None else self.pnl.e_value
        mean = self.difference_sum / self.differences if self.differences else 0.0
        apart = f"{abs(mean):.3g} bps a decision {'less' if mean < 0 else 'more'} than" if mean else "the same as"
        return GuardReading(
            name=PNL,
            e_value=e_value,
            threshold=1.0 / self._policy.guardrails.pnl.error_rate,
            evidence=0.0 if self.pnl is None else self.pnl.evidence,
            events=len(self._for_pnl) if self.pnl is None else self.pnl.events,
            detail=f"earned {apart} {self._control}",
        )

    def _late_detail(self) -> str:
        guard = self._policy.guardrails.latency
        late, all_ = self.latency.exceeded, self.latency.events
        return (
            f"{late} of {all_} answers ({_percent(late, all_)}) took over {guard.budget_us:,g} µs, "
            f"budget {100 * (1 - guard.quantile):.3g}%"
        )

    def _failed_detail(self) -> str:
        failed, all_ = self.errors.exceeded, self.errors.events
        budget = self._policy.guardrails.errors.budget
        return f"{failed} of {all_} answers ({_percent(failed, all_)}) failed, budget {100 * budget:.3g}%"


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.3g}%" if whole else "0%"
