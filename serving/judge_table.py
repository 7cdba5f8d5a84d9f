"""The offline judge on a table: what a policy's guardrails say of decisions that another system took.

The same guards, the same paired differences and the same order as a rollout's: rows are folded as decisions were
taken, whenever their outcomes came. Every guardrail is followed to the end, so that each has its own verdict.
"""

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from data_contracts.policy import Policy
from serving.decision_table import Answer, TableRow
from serving.rollout.evidence import GuardReading
from serving.rollout.judging import ERRORS, LATENCY, PNL, Answered, Guards
from serving.rollout.paired import augmented_difference, paired_difference

LOSS = "limit:loss_budget"
_KEY_SHRINK: Final = 20.0
"""Decisions of a key before half of what it earned is taken for its own."""


class GuardrailVerdict(Struct, frozen=True, kw_only=True):
    """What one guardrail says; JSON-able."""

    name: str
    tripped: bool
    row: int | None
    """The row, from 1, whose folding tripped it."""
    decision_ns: int | None
    reading: GuardReading | None
    """When it tripped, else at the end; None for a limit without statistics."""
    detail: str


class TableVerdict(Struct, frozen=True, kw_only=True):
    """What a policy says of a table."""

    rows: int
    folded: int
    """Rows with an outcome."""
    shadow: int
    """Rows in shadow."""
    overlap: int
    """How many outcomes share time with one, as the PnL guard was told; 0: too few to tell."""
    guardrails: tuple[GuardrailVerdict, ...]
    notes: tuple[str, ...]

    @property
    def first(self) -> GuardrailVerdict | None:
        """The guardrail that a rollout would have ended on."""
        tripped = [guardrail for guardrail in self.guardrails if guardrail.row is not None]
        return min(tripped, key=lambda guardrail: guardrail.row or 0, default=None)


def judge_table(rows: Iterable[TableRow], policy: Policy) -> TableVerdict:
    """Return each guardrail's verdict on decisions in the order in which they were taken."""
    fold = _TableFold(policy)
    for row in rows:
        fold.fold(row)
    return fold.verdict()


class _TableFold:
    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.guards = Guards(policy, "the champion")
        self.tripped: dict[str, GuardrailVerdict] = {}
        self.rows = self.folded = self.shadow = 0
        self.live_pnl_bps = 0.0
        self._spans = self._span_ns = 0
        self._unpaired = 0
        self._arms: dict[str, set[bool]] = {}
        self._earned: dict[str, tuple[float, int]] = {}
        """What each key's decisions have earned, and how many they were."""

    def fold(self, row: TableRow) -> None:
        self.rows += 1
        self.shadow += row.share == 0.0
        if row.resolved_ns is not None:
            self._spans += 1
            self._span_ns += row.resolved_ns - row.decision_ns
        self._fold_pnl(row)
        champion, challenger = self._answered(row.champion), self._answered(row.challenger)
        if challenger is not None:
            self.guards.fold_answer(late=challenger.late, failed=challenger.failed)
        if row.both_asked:
            self.guards.fold_pair(challenger, champion)
        self._look(row)

    def _fold_pnl(self, row: TableRow) -> None:
        p0, p1 = row.champion_bps, row.challenger_bps
        earned = p1 if row.by_challenger else p0
        in_shadow = row.share == 0.0
        if (p0 is None and p1 is None) if in_shadow else earned is None:
            return  # no outcome: it says nothing about PnL
        self.folded += 1
        if in_shadow:
            difference = paired_difference(p0, p1)
        else:
            assert earned is not None  # noqa: S101  said above
            if p0 is None or p1 is None:
                self._unpaired += 1
                self._arms.setdefault(row.key, set()).add(row.by_challenger)
                if row.share < 1.0:
                    p0 = p1 = self._level_of(row.key)
            self._learn(row.key, earned)
            difference = augmented_difference(
                p0, p1, acted_by_challenger=row.by_challenger, earned=earned, share=row.share
            )
            if row.by_challenger:
                self.live_pnl_bps += earned
        # An outcome's own span varies, where a mark-out's is one: on average they overlap as their mean does.
        span_ns = self._span_ns // self._spans if self._spans else 0
        self.guards.fold_difference(row.decision_ns, difference, span_ns)

    def _level_of(self, key: str) -> float:
        """Return what a key earned so far on either arm, shrunk to 0: it stands for the PnL that is not known.

        Any number known beforehand leaves phi unbiased where arms are drawn; this one takes out what keys differ by,
        which arms that stick to keys would otherwise show as a difference between versions.
        """
        total, count = self._earned.get(key, (0.0, 0)) if key else (0.0, 0)
        return total / (count + _KEY_SHRINK)

    def _learn(self, key: str, earned: float) -> None:
        total, count = self._earned.get(key, (0.0, 0))
        self._earned[key] = (total + earned, count + 1)

    def _answered(self, answer: Answer | None) -> Answered | None:
        if answer is None:
            return None
        budget_ns = self.policy.guardrails.latency.budget_us * 1000.0
        late = answer.latency_ns is not None and not answer.latency_ns <= budget_ns
        return Answered(late, answer.failed)

    def _look(self, row: TableRow) -> None:
        for name in self.guards.broken():
            if name not in self.tripped:
                self.tripped[name] = _verdict(name, self.guards.reading(name), row)
        if LOSS not in self.tripped and not self.live_pnl_bps >= -self.policy.limits.loss_budget_bps:
            self.tripped[LOSS] = self._loss(row)

    def _loss(self, row: TableRow | None) -> GuardrailVerdict:
        budget = self.policy.limits.loss_budget_bps
        detail = f"earned {self.live_pnl_bps:.1f} bps on the challenger's own decisions, budget {-budget:g} bps"
        at = (row.row, row.decision_ns) if row else (None, None)
        return GuardrailVerdict(
            name=LOSS, tripped=row is not None, row=at[0], decision_ns=at[1], reading=None, detail=detail
        )

    def verdict(self) -> TableVerdict:
        quiet = {name: _verdict(name, self.guards.reading(name), None) for name in (PNL, LATENCY, ERRORS)}
        quiet[LOSS] = self._loss(None)
        return TableVerdict(
            rows=self.rows,
            folded=self.folded,
            shadow=self.shadow,
            overlap=self.guards.overlap,
            guardrails=tuple((quiet | self.tripped).values()),
            notes=tuple(self._notes()),
        )

    def _notes(self) -> Iterable[str]:
        if self.guards.pnl is None:
            yield f"{self.guards.readings()[0].events} differences: too few, or over too little time, to judge PnL"
        if self.folded and not self._spans:
            yield "resolved_ns is empty throughout: outcomes are taken not to overlap"
        if self._unpaired and len(self._arms) > 1 and all(len(arms) == 1 for arms in self._arms.values()):
            yield (
                f"{self._unpaired} rows have one PnL only and no key ever changed its arm: what the version does and "
                "what its keys do cannot be told apart; draw arms anew every few hundred decisions, or give both PnLs"
            )


def _verdict(name: str, reading: GuardReading, row: TableRow | None) -> GuardrailVerdict:
    return GuardrailVerdict(
        name=name,
        tripped=row is not None,
        row=row.row if row else None,
        decision_ns=row.decision_ns if row else None,
        reading=reading,
        detail=reading.detail,
    )
