"""Latency against the champion: whether the version's slow answers are more than `ratio_max` times as slow.

The champion's quantile q is read off its first answers. An answer of the champion is slow over q, one of the version
over ratio_max x q. If the version's quantile is at most ratio_max times the champion's, slow answers are no likelier
to be its own than chance has it: the share it was routed, among live answers of an A/B step; one half, among
decisions in shadow on which exactly one of the two was slow. Stalls and loads that hit both change nothing.

Live latency runs from receive to answer, in shadow inference alone is timed. So live is held against live; in shadow
the version is spared what the champion spends outside inference, and what is said against it there is said too late
rather than too soon. While a new champion bakes the two cannot be compared.
"""

from bisect import insort
from typing import Any, ClassVar, Final

from data_contracts.watch_policy import LatencyWatch as LatencyPolicy
from serving.guardrails.sign_test import SignTest
from serving.watch.alarm import Watch

REFERENCE: Final = 500
"""Answers of the champion that its quantile is read off."""
_DECAY: Final = 0.693 / 200
"""Half-life 200 answers."""
_SETTLE: Final = 200
"""Answers after an alarm before it may be cleared."""


class LatencyWatch(Watch):
    """Compares slow answers of the version with slow answers of the champion."""

    name: ClassVar[str] = "latency"

    def __init__(self, policy: LatencyPolicy, block: int, known: bool = True) -> None:
        """Start with nothing seen.

        Args:
            policy: its limits.
            block: answers that one stall may slow together.
            known: False where the two are timed in different ways and nothing can be said.
        """
        super().__init__(policy.action)
        self._policy, self._block, self._known = policy, block, known
        self._first: list[int] = []
        self._slow_ns = 0.0
        """The champion's quantile; 0 until it is known."""
        self._test = SignTest(policy.error_rate, block=block)
        self._mine = self._champions = 0.0
        """Shares of slow answers, of late."""
        self._answers = 0
        """Of the version since the alarm."""

    def fold(self, champion_ns: int | None, version_ns: int | None, share: float, keyed: bool) -> None:
        """Fold the answers to one decision.

        Args:
            champion_ns: the champion's live latency; None where it did not act or gave no answer.
            version_ns: the version's, live where it acted, else in shadow; None where it gave no answer.
            share: routed to the version; 0 in shadow.
            keyed: assigned by key, so that live answers are not drawn one by one.
        """
        if not self._known:
            return
        if not self._slow_ns:
            self._learn(champion_ns)
            return
        theirs = champion_ns is not None and champion_ns > self._slow_ns
        mine = version_ns is not None and version_ns > self._policy.ratio_max * self._slow_ns
        if champion_ns is not None:
            self._champions += _DECAY * (theirs - self._champions)
        live = champion_ns is None
        if version_ns is not None and (live or not share):
            self._mine += _DECAY * (mine - self._mine)
            self._answers += 1
        if not share:
            if champion_ns is not None and version_ns is not None:
                self._test.update(mine, theirs)
        elif share < 1.0 and not keyed:
            self._test.update(mine and live, theirs, share)

    def _learn(self, champion_ns: int | None) -> None:
        if champion_ns is None:
            return
        insort(self._first, champion_ns)
        if len(self._first) >= REFERENCE:
            self._slow_ns = float(max(1, self._first[int(self._policy.quantile * REFERENCE)]))
            self._champions = self._mine = 1.0 - self._policy.quantile
            self._first = []

    def exceeded(self) -> bool:
        """Whether slow answers are the version's more often than chance has it."""
        return self._test.tripped

    def recovered(self) -> bool:
        """Whether of late it was slow no more often than the champion."""
        return self._answers >= _SETTLE and self._mine <= self._champions

    def settle(self, decision: int) -> bool | None:
        """As every watch; answers are counted from the alarm on."""
        changed = super().settle(decision)
        if changed:
            self._answers = 0
        return changed

    def rearm(self) -> None:
        """Begin a new test."""
        self._test = SignTest(self._policy.error_rate, block=self._block)

    def value(self) -> float | None:
        """Return the share of the version's late answers that were slow."""
        return self._mine if self._slow_ns else None

    def limit(self) -> float | None:
        """Return the champion's."""
        return self._champions if self._slow_ns else None

    def text(self) -> str:
        """Say how often both are slow."""
        if not self._known:
            return "not compared during a bake: one is timed live, the other by its inference alone"
        if not self._slow_ns:
            return f"{len(self._first)} of {REFERENCE} answers of the champion timed"
        ratio, limit_us = self._policy.ratio_max, self._policy.ratio_max * self._slow_ns / 1e3
        return (
            f"{self._mine:.1%} of its newest answers took over {limit_us:,.3g} µs, {ratio:g} times the champion's "
            f"p{100 * self._policy.quantile:g} at first; {self._champions:.1%} of the champion's are over its p"
            f"{100 * self._policy.quantile:g}"
        )

    def save(self) -> dict[str, Any]:
        """Return everything as JSON can hold it."""
        return {
            "raised_at": self.raised_at,
            "test": self._test.save(),
            "first": list(self._first),
            "slow_ns": self._slow_ns,
            "shares": [self._mine, self._champions],
            "answers": self._answers,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take up where `save` left off."""
        self.raised_at, self._test = state["raised_at"], SignTest.load(state["test"])
        self._first, self._slow_ns, self._answers = list(state["first"]), state["slow_ns"], state["answers"]
        self._mine, self._champions = state["shares"]
