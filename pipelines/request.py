"""What a training flow is asked for, and what it answers."""

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from data_contracts.manifest import Compression, Estimate, Latency, Manifest, SeedSpread
from models.families.port import Target
from models.labels import LabelConfig, LabelReport

_Count = Annotated[int, Meta(ge=1)]
_Share = Annotated[float, Meta(gt=0, le=1)]


class TrainRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One run of the training flow."""

    model: str
    """Registered model the versions are published under."""
    source: str = ""
    """Recording, a file or a folder; not read where recordings are handed over."""
    format: str | None = None
    instrument: str | None = None
    families: tuple[str, ...] = ("xgboost", "mlp")
    feature_set: str | None = None
    """A name, lead_lag_v1=VENUE:SYMBOL or a fitted set's file; None: touch_v1 where there are sizes, else quotes_v1."""
    leader: str | None = None
    """Recording of the set's leader, where it reads one."""
    trials: _Count = 12
    objectives: tuple[Literal["loss", "net_pnl_bps", "latency_us", "bytes"], ...] = ("loss",)
    """What tuning asks for out of fold; of several, the Pareto front's best by the first is taken."""
    folds: Annotated[int, Meta(ge=2)] = 4
    folds_by: Literal["rows", "day"] = "rows"
    """Where folds may begin: at any row, or where a day begins; then there are at most as many as days after the first.
    """
    horizon_ns: _Count = 2_000_000_000
    entry_latency_ns: Annotated[int, Meta(ge=0)] = 1_000_000
    min_interval_ns: Annotated[int, Meta(ge=0)] = 0
    label: LabelConfig = LabelConfig()
    """What is called down, flat and up."""
    target: Target = "direction"
    """What families that can learn either are taught: the class, or the expected move of mid in bps."""
    train_share: _Share = 1.0
    """First share of the events that is learnt and judged from; the rest is left for replay as live."""
    held_out_share: Annotated[float, Meta(gt=0, lt=1)] = 0.25
    """Last share of the training rows: never learnt from or tuned on; metrics and compression are measured there."""
    window: Annotated[int, Meta(ge=0)] = 0
    """Vectors that every row can look back on, so that all families meet the same rows; 0: what the families read."""
    sequence: Annotated[int, Meta(ge=3, le=128)] | None = None
    """Vectors that families over windows read; None: theirs. Three at least: DeepLOB's convolutions take two away."""
    max_rows: _Count | None = None
    """Only the newest so many rows; None: all."""
    seed: int = 7
    seeds: _Count = 3
    """Walk-forward and fit are repeated with so many, `seed` and those after it; `seed` alone is published."""
    mlflow_uri: str | None = None
    """None: runs are not tracked, and a registry must be handed over."""
    experiment: str = "ringcraft"
    work: str = "build/train"
    """Folder for versions, plots and quarantine."""
    runner: Literal["threads", "dask", "ray"] = "threads"
    """What learns the families: this process, or a cluster of Dask's or Ray's."""
    workers: _Count = 1
    """Families learnt at a time; over one, they are handed to the runner."""
    storage: str | None = None
    """Of studies: sqlite:///FILE or postgresql+psycopg://USER@HOST/DATABASE; None: SQLite in the work folder."""
    tuners: _Count = 1
    """Processes that tune a family together."""
    cluster: str | None = None
    """Address of a Dask or Ray cluster; None: one on this machine for as long as the flow runs."""

    def faster(self) -> "TrainRequest":
        """Return the same request with fewer trials, folds, seeds and rows: for a look, not for a result."""
        return changed(
            self, trials=min(self.trials, 4), folds=2, seeds=1, max_rows=min(self.max_rows or 12_000, 12_000)
        )


class TrainedVersion(Struct, frozen=True, kw_only=True):
    """One published version and how it did on held-out rows."""

    family: str
    version: int
    folder: str
    model_uri: str
    run_id: str | None
    threshold: float
    metrics: dict[str, Estimate]
    baselines: dict[str, dict[str, Estimate]]
    """Metrics by baseline's name, on the same rows."""
    seeds: SeedSpread | None = None
    compression: Compression | None
    latency: Latency | None
    notes: tuple[str, ...]
    new: bool = True
    """False: the same run had published it before."""

    @classmethod
    def of(
        cls,
        manifest: Manifest,
        folder: Path,
        baselines: dict[str, dict[str, Estimate]],
        version: int,
        new: bool,
        run_id: str | None,
    ) -> "TrainedVersion":
        """Return what is said of a version that was published from `folder`."""
        return cls(
            family=manifest.family,
            version=version,
            folder=str(folder),
            model_uri=f"models:/{manifest.model}/{version}",
            run_id=run_id,
            threshold=manifest.rule.threshold,
            metrics=manifest.metrics,
            baselines=baselines,
            seeds=manifest.seeds,
            compression=manifest.compression,
            latency=manifest.latency,
            notes=manifest.notes,
            new=new,
        )


class TrainResult(Struct, frozen=True, kw_only=True):
    """All versions of a run, in the order asked for."""

    model: str
    instrument: str
    feature_set: str
    labels: LabelReport
    learnt_rows: int
    held_out_rows: int
    trained_until_ns: int
    """Event time of the last event that was looked at: what comes later is unseen."""
    versions: tuple[TrainedVersion, ...]
    seconds: dict[str, float]
    """Wall time by step."""
    refused: dict[str, str] = {}
    """Families that were learnt and not published, and why."""


def changed(request: TrainRequest, **changes: object) -> TrainRequest:
    """Return the request with some fields changed."""
    kept = {name: getattr(request, name) for name in request.__struct_fields__}
    return TrainRequest(**(kept | changes))
