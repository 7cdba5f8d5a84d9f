"""What is watched in a rollout beside its guardrails: these alarm or pause, and never take a version off."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

WatchAction = Literal["alarm", "pause", "off"]
"""alarm: say it; pause: say it, and return every share to the champion until a person resumes; off: do not look."""

_Rate = Annotated[float, Meta(gt=0, le=0.05)]
_Window = Annotated[int, Meta(ge=100, le=20_000)]


class ShareWatch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The share of decisions that the challenger really took against the share it was routed."""

    action: WatchAction = "alarm"
    error_rate: _Rate = 0.001
    """Chance of ever crying wolf in a rollout."""


class LatencyWatch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The version's latency quantile against the champion's."""

    action: WatchAction = "alarm"
    error_rate: _Rate = 0.01
    ratio_max: Annotated[float, Meta(gt=0)] = 2.0
    quantile: Annotated[float, Meta(ge=0.5, le=0.99)] = 0.95


class AbstentionWatch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much more often the version abstains than the other, on decisions that both were asked."""

    action: WatchAction = "alarm"
    error_rate: _Rate = 0.01
    excess_max: Annotated[float, Meta(ge=0, lt=1)] = 0.01
    """Of decisions."""


class DriftWatch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The version's outputs now against those of the rollout's beginning."""

    action: WatchAction = "alarm"
    error_rate: _Rate = 0.01
    psi_max: Annotated[float, Meta(gt=0)] = 0.25
    """Population stability index; the limit is wider where the outputs are so persistent that chance reaches it."""
    reference_decisions: _Window = 1000
    window_decisions: _Window = 500


class CalibrationWatch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What comes of the version's outputs: the slope of realised on predicted, 1 where it promises what it keeps."""

    action: WatchAction = "alarm"
    error_rate: _Rate = 0.01
    slope_min: Annotated[float, Meta(ge=0, lt=1)] = 0.2
    window_decisions: _Window = 1000
    """Half-life of the slope that is shown."""


class Watch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that is watched."""

    share: ShareWatch = ShareWatch()
    latency: LatencyWatch = LatencyWatch()
    abstentions: AbstentionWatch = AbstentionWatch()
    drift: DriftWatch = DriftWatch()
    calibration: CalibrationWatch = CalibrationWatch()
