"""The rollout policy: one typed TOML file that says what a version must show, and what takes it off."""

import tomllib
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from data_contracts.errors import PolicyError
from data_contracts.watch_policy import Watch

ERROR_RATE_LIMIT: Final = 0.05
"""Guardrails' error rates may not sum to more: an honest version is kept in 95 of 100 rollouts."""

_Rate = Annotated[float, Meta(gt=0, le=ERROR_RATE_LIMIT)]
_Share = Annotated[float, Meta(ge=0, le=1)]
_Count = Annotated[int, Meta(ge=0)]


class Step(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One step of a rollout; a share of 0 is shadow."""

    share: _Share
    min_decisions: _Count
    """Folded decisions of this step before the next."""
    min_seconds: Annotated[float, Meta(ge=0)] = 0.0
    """Event time between the step's first and last folded decision before the next."""


class Rollout(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The way from alias to champion."""

    steps: tuple[Step, ...] = (
        Step(share=0.0, min_decisions=1000),
        Step(share=0.1, min_decisions=1000),
        Step(share=0.5, min_decisions=2000),
    )
    on_success: Literal["wait", "promote_if_non_inferior", "promote_if_superior"] = "wait"
    promotion_error_rate: _Rate = 0.05
    """Chance that a version worse than the margin passes as non-inferior (or, an equal one as superior)."""
    non_inferiority_margin_sd: Annotated[float, Meta(gt=0)] = 0.1
    """In standard deviations of the paired PnL difference per decision."""
    max_decisions: Annotated[int, Meta(gt=0)] = 100_000
    """With no verdict by then the rollout ends inconclusive and the champion stays."""
    bake_decisions: _Count = 5000
    """After promotion the old champion stays warm, in shadow, as control for so many decisions."""


class PnlGuard(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Takes a version off when it earns less than the champion, however often one looks."""

    error_rate: _Rate = 0.03
    margin_sd: Annotated[float, Meta(ge=0)] = 0.01
    """A stretch of decisions worse by less, in sd of the paired difference, counts as equal; so does the whole
    rollout worse by a quarter of it."""
    horizon_decisions: Annotated[int, Meta(gt=0)] = 100_000
    outcome: Literal["markout", "realised"] = "markout"
    """What an action of the live arm earned: its mark-out, or what the trading system posts of it."""
    silent_decisions: Annotated[int, Meta(ge=1)] = 500
    """Decisions in a row that somebody acted on and that brought no usable outcome: so many pause the rollout."""


class LatencyGuard(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Takes a version off when more than 1 - quantile of its answers are over the budget."""

    error_rate: _Rate = 0.01
    budget_us: Annotated[float, Meta(gt=0)] = 500.0
    quantile: Annotated[float, Meta(gt=0, lt=1)] = 0.99
    burst_decisions: Annotated[int, Meta(ge=1)] = 1
    """Answers that one stall makes late together; 1 where late answers are isolated."""


class ErrorGuard(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Takes a version off when more than `budget` of its answers fail."""

    error_rate: _Rate = 0.01
    budget: Annotated[float, Meta(gt=0, lt=1)] = 0.001


class Guardrails(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits with evidence behind them."""

    pnl: PnlGuard = PnlGuard()
    latency: LatencyGuard = LatencyGuard()
    errors: ErrorGuard = ErrorGuard()


class Assignment(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What decides which arm a decision falls to."""

    by: Literal["decision", "instrument", "account", "request_key"] = "decision"
    """A decision that has no such key goes by its id."""
    resalt_decisions: _Count = 500
    """Keys that recur are drawn anew after so many decisions of the model; 0: never within a rollout."""


class HardLimits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits without statistics: they trip on the event, inside the worker."""

    late_or_failed_of_64: Annotated[int, Meta(ge=1, le=64)] = 50
    output_abs_max: Annotated[float, Meta(gt=0)] = 1e6
    loss_budget_bps: Annotated[float, Meta(gt=0)] = 5000.0
    """Sum of what the challenger lost on its own decisions since the rollout began."""
    drawdown_budget_bps: Annotated[float, Meta(gt=0)] | None = None
    """That sum may fall so far below its best; None, here and below: no limit."""
    position_lots_max: Annotated[int, Meta(ge=1)] | None = None
    """Of the model at one instrument, bought and sold each: a decision's lot is open until its horizon has passed."""
    notional_max: Annotated[float, Meta(gt=0)] | None = None
    """Open lots at mid, bought and sold alike, over all instruments of a currency, in that currency."""
    decisions_per_second_max: Annotated[float, Meta(gt=0)] | None = None
    """Of the model, by event time; a second's worth at once."""
    model_age_days_max: Annotated[float, Meta(gt=0)] | None = None
    """From the end of a version's training data to the event that it decides on."""


class Outcomes(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a decision is paid: enter at the touch after the latency, mark at mid one horizon later."""

    entry_latency_ms: Annotated[float, Meta(ge=0)] = 1.0
    watermark_seconds: Annotated[float, Meta(ge=0)] = 5.0
    """Event time after the horizon at which a missing outcome is given up."""
    realised_watermark_seconds: Annotated[float, Meta(ge=0)] = 60.0
    """Event time after the horizon for which a posted outcome is waited for, where PnL is judged by those."""
    horizons_seconds: Annotated[tuple[Annotated[float, Meta(gt=0)], ...], Meta(max_length=3)] = ()
    """Further horizons at which mark-outs are journalled beside the label's; none of them is judged."""


class Decisions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How often an instrument is decided on."""

    min_interval_ms: Annotated[float, Meta(ge=0)] = 0.0
    """Event time between two decisions on one instrument."""


class Reconciliation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Paper (mark-outs) against what the trading system reports as realised, version by version."""

    action: Literal["alarm", "pause", "off"] = "alarm"
    """pause: also return every share to the champion until a person resumes; it takes no version off."""
    tolerance_bps: Annotated[float, Meta(ge=0)] = 1.0
    """Mean difference a decision that is taken as agreement."""
    min_outcomes: Annotated[int, Meta(ge=40)] = 200
    """Decisions with both before anything is said."""
    error_rate: _Rate = 0.01
    """Chance of an alarm within 10,000 such decisions where they agree."""


class Policy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything a rollout is judged by."""

    rollout: Rollout = Rollout()
    guardrails: Guardrails = Guardrails()
    assignment: Assignment = Assignment()
    limits: HardLimits = HardLimits()
    outcomes: Outcomes = Outcomes()
    decisions: Decisions = Decisions()
    reconciliation: Reconciliation = Reconciliation()
    watch: Watch = Watch()

    def __post_init__(self) -> None:
        guards = self.guardrails
        total = guards.pnl.error_rate + guards.latency.error_rate + guards.errors.error_rate
        if not total <= ERROR_RATE_LIMIT + 1e-12:
            raise PolicyError(f"guardrails: error_rate: expected a sum of at most {ERROR_RATE_LIMIT}, got {total:g}")
        shares = [step.share for step in self.rollout.steps]
        if not shares or shares[0] != 0.0:
            raise PolicyError("rollout.steps: expected the first step to be shadow (share = 0)")
        if shares != sorted(shares):
            raise PolicyError(f"rollout.steps: expected shares that never fall, got {shares}")


def read_policy(path: Path) -> Policy:
    """Return the policy in the TOML file at `path`.

    Raises:
        PolicyError: unreadable, not TOML, an unknown or mistyped field, or limits that contradict.
    """
    try:
        table = tomllib.loads(path.read_text())
    except OSError as error:
        raise PolicyError(f"{path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PolicyError(f"{path}: not TOML: {error}") from None
    try:
        return msgspec.convert(table, Policy, strict=True)
    except (msgspec.ValidationError, PolicyError) as error:
        raise PolicyError(f"{path}: {error}") from None
