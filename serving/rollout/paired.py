"""The paired difference of one decision: what the judged version would have added."""


def paired_difference(p0: float | None, p1: float | None) -> float:
    """Return p1 - p0 in bps; 0, which a guardrail skips, where one of them was never scored."""
    return 0.0 if p0 is None or p1 is None else p1 - p0


def augmented_difference(
    p0: float | None, p1: float | None, *, acted_by_challenger: bool, earned: float, share: float
) -> float:
    """Return an unbiased estimate of challenger minus champion for a decision of an A/B step.

    phi = (p1 - p0) + A/pi (Y - p1) - (1 - A)/(1 - pi) (Y - p0): paper PnL of both arms, corrected by what
    the acted one really earned. Where the other arm's score was dropped both papers are 0, so the decision
    is folded with inverse-probability weights and never skipped: skipping would choose decisions by load.

    Args:
        p0: champion's paper PnL in bps, None where it was dropped.
        p1: challenger's, likewise.
        acted_by_challenger: A.
        earned: Y, PnL in bps of the action that was taken.
        share: pi, the challenger's share when this was routed, in [0, 1].

    Source:
        Robins, Rotnitzky & Zhao (1994), J. Amer. Statist. Assoc. 89(427).
    """
    if p0 is None or p1 is None:
        if not 0.0 < share < 1.0:
            return 0.0  # one arm took everything: nothing is known of the other
        p0 = p1 = 0.0
    if not 0.0 < share < 1.0:
        return p1 - p0
    if acted_by_challenger:
        return (p1 - p0) + (earned - p1) / share
    return (p1 - p0) - (earned - p0) / (1.0 - share)
