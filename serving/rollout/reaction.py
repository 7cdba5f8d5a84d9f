"""How soon routing left a version that was taken off, as the worker's own clock and journal tell it."""

from msgspec import Struct

from serving.rollout.records import DecisionRow, EpochRow


class Reaction(Struct):
    """From a verdict, or a hard limit's trip, to the first decision or epoch without the version.

    The verdict stands at a place in the journal: what the journal shows after it is what was routed after it. The clock
    is the worker's: a trip has its own time, a verdict that of the last decision before its place.
    """

    verdict_ns: int
    arm: int
    """That the version had."""
    at_once: bool
    """A trip: it holds from the worker's next decision, before any epoch says so; that one's answer ends the time."""
    decisions: int = 0
    """That it still took after the verdict."""
    took_us: float | None = None
    """None while nothing was routed without it yet."""

    def decided(self, row: DecisionRow) -> None:
        """Take in a decision routed under the rollout after its verdict."""
        if row.arm == self.arm and not row.overridden:
            self.decisions += 1
        elif self.at_once and self.took_us is None:
            self._settle(row.answer_ns)

    def left(self, epoch: EpochRow) -> None:
        """Take in the first epoch that routes by something else."""
        if self.took_us is None:
            self._settle(epoch.wall_ns)

    def _settle(self, now_ns: int) -> None:
        self.took_us = max(0, now_ns - self.verdict_ns) / 1000.0
