"""The guardrails as a judge of guardrails wants them: two factories, `update(x) -> bool`."""

from serving.guardrails.pnl_guard import PnlGuard
from serving.guardrails.rate_guard import RateGuard


def make_pnl(alpha: float, horizon: int, overlap: int, warm: int | None = None) -> PnlGuard:
    """Return a PnL guard as rollouts use it, with the margin that a policy has by default."""
    return PnlGuard(error_rate=alpha, horizon=horizon, overlap=overlap, warm=warm)


def make_rate(p0: float, alpha: float, horizon: int, burst: int = 1) -> RateGuard:
    """Return a rate guard as rollouts use it for latency and for errors."""
    return RateGuard(p0, alpha, horizon, burst)
