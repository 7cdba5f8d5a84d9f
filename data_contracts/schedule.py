"""A flow that ringcraft.toml has run by the clock or by an event."""

from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, Field, model_validator

LabelKind = Literal["mid_move", "smoothed_mid", "spread_aware", "triple_barrier", "markout"]
LEARNING: Final = ("validate", "tune", "compress", "train", "retrain")
"""Flows that make rows of a recording."""
_IN_SPREADS: Final = ("spread_aware", "triple_barrier")
_IN_BPS: Final = ("mid_move", "smoothed_mid", "markout")
_OF_LEARNING: Final = (
    *("families", "target", "horizon_s", "horizon_events", "label", "label_bps", "label_spreads"),
    *("window", "folds", "folds_by", "seeds", "trials"),
)


class ScheduledFlow(BaseModel, frozen=True, extra="forbid"):
    """A flow that runs by the clock, or when something happens."""

    name: str = Field(min_length=1, description="Deployment, as Prefect's UI shows it.")
    flow: Literal["ingest", "validate", "tune", "compress", "train", "publish", "retrain", "drift", "retention"] = (
        Field(default="train", description="As docs/flows.md tells them apart.")
    )
    cron: str | None = Field(
        default=None,
        min_length=9,
        description="Five cron fields, UTC, for example: 0 2 * * *; absent: events alone.",
    )
    on: tuple[Literal["rollback", "drift"], ...] = Field(
        default=(), description="What starts it besides: a rollback of the model, drift of it found by a flow or live."
    )
    source: Path | None = Field(default=None, description="Recording: file or folder; of publish, versions' folders.")
    format: str | None = Field(default=None, description="Of the recording; absent: detected.")
    instrument: str | None = Field(default=None, description="VENUE:SYMBOL where the source holds several.")
    model: str | None = Field(default=None, min_length=1, description="Registered model that gets the versions.")
    families: tuple[str, ...] = Field(
        default=(),
        description="As train takes them; absent: xgboost and mlp. What retrain is not told is the champion's.",
    )
    target: Literal["direction", "move"] | None = Field(default=None, description="As of train; absent: direction.")
    horizon_s: float | None = Field(default=None, gt=0, description="Of the label, in event time; absent: 5.")
    horizon_events: int | None = Field(default=None, ge=1, description="Horizon in events instead of seconds.")
    label: LabelKind | None = Field(default=None, description="As of train; absent: mid_move.")
    label_bps: float | None = Field(default=None, ge=0, description="Beyond it a move is up or down.")
    label_spreads: float | None = Field(
        default=None, gt=0, description="The same in spreads, for spread_aware and triple_barrier."
    )
    window: int | None = Field(default=None, ge=3, le=128, description="Vectors that families over windows read.")
    folds: int | None = Field(default=None, ge=2, description="Of the walk-forward; absent: 4.")
    folds_by: Literal["rows", "day"] | None = Field(default=None, description="Where they begin; absent: rows.")
    seeds: int | None = Field(default=None, ge=1, description="That figures are stated over; absent: 3.")
    trials: int | None = Field(default=None, ge=1, description="Optuna trials a family; absent: 10.")
    alias: str | None = Field(default=None, description="Alias the best new version gets, for example challenger.")
    despite: str | None = Field(
        default=None, min_length=1, description="Of publish: why versions without proof of their worth are published."
    )
    reference: Path | None = Field(default=None, description="Of drift; absent: what made the champion.")
    alpha: float = Field(default=0.05, gt=0, lt=1, description="Of drift: chance of any false alarm a run.")
    keep_days: float = Field(default=30.0, gt=0, description="Of retention: younger versions and runs stay.")
    keep_versions: int = Field(default=10, ge=1, description="Of retention: newest versions a model that stay.")
    dry_run: bool = Field(default=False, description="Of retention: say what would go, and leave it.")

    @model_validator(mode="after")
    def _complete(self) -> "ScheduledFlow":
        if self.flow == "ingest" and self.source is None:
            raise ValueError("flow ingest: expected source")
        if self.flow not in ("ingest", "retention") and (self.source is None or self.model is None):
            raise ValueError(f"flow {self.flow}: expected source and model")
        if self.cron is None and not self.on:
            raise ValueError("expected cron, or on")
        if self.on and self.flow not in ("train", "retrain"):
            raise ValueError(f"on: goes with train and retrain, got flow {self.flow}")
        stated = [name for name in _OF_LEARNING if getattr(self, name) not in (None, ())]
        if stated and self.flow not in LEARNING:
            raise ValueError(f"{stated[0]}: goes with {', '.join(LEARNING)}, got flow {self.flow}")
        if self.horizon_s is not None and self.horizon_events is not None:
            raise ValueError("expected horizon_s or horizon_events, got both")
        if self.label is not None:
            other, fits = ("label_bps", _IN_BPS) if self.label in _IN_SPREADS else ("label_spreads", _IN_SPREADS)
            if getattr(self, other) is not None:
                raise ValueError(f"{other}: goes with {', '.join(fits)}, got label {self.label}")
        return self

    def asked(self) -> dict[str, Any]:
        """Return what is stated of learning, as fields of pipelines.request.TrainRequest in plain values."""
        label = {
            "kind": self.label,
            "threshold_bps": self.label_bps,
            "spreads": self.label_spreads,
            "horizon_events": self.horizon_events,
        }
        stated = {
            "families": list(self.families) or None,
            "target": self.target,
            "horizon_ns": None if self.horizon_s is None else round(self.horizon_s * 1e9),
            "label": {name: value for name, value in label.items() if value is not None} or None,
            "sequence": self.window,
            "folds": self.folds,
            "folds_by": self.folds_by,
            "seeds": self.seeds,
            "trials": self.trials,
        }
        return {name: value for name, value in stated.items() if value is not None}
