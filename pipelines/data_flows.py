"""Prefect flows before anything is learnt: ingest fills the archive, validate holds rows to their contracts."""

from pathlib import Path

from msgspec import Struct
from prefect import flow, runtime

from data_contracts.expectations import ContractReport
from market_data.stores.parquet_archive import day_of
from pipelines import artifacts, tasks
from pipelines.flows import Given, Watch, prepare, settled
from pipelines.request import TrainRequest

_VALIDATING_STEPS = 5


class IngestRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One run of the ingesting flow."""

    source: str
    """Recording, a file or a folder."""
    archive: str
    """Folder of the Parquet archive, made if absent."""
    format: str | None = None
    instrument: str | None = None
    depth: bool = True
    """Keep the book's levels too, where there are any."""
    replace: bool = False
    """Take the place of other events of the same time; else they are refused."""
    work: str = "build/train"
    """Above quarantine/."""


class Ingested(Struct, frozen=True, kw_only=True):
    """One recording in the archive."""

    day: str
    instrument: str
    events: int
    new: bool
    """False: it was there already."""


def _ingest_name() -> str:
    request: IngestRequest = runtime.flow_run.parameters["request"]
    return f"ingest {Path(request.source).name} into {Path(request.archive).name}"


@flow(name="ingest", flow_run_name=_ingest_name, validate_parameters=False)
def ingest_flow(request: IngestRequest) -> tuple[Ingested, ...]:
    """Bring what is at the source into the archive, if it keeps its contract; what is there already stays as it is.

    Raises:
        QuarantinedError: a recording broke its contract; none is archived.
        UsageError: a recording overlaps others of its day.
    """
    recordings = tasks.read(request.source, request.format, request.instrument, depth=request.depth)
    reports = tasks.checked(recordings, request.work)
    done = tuple(
        Ingested(
            day=day_of(one),
            instrument=one.instrument.symbol,
            events=len(one),
            new=tasks.archived(one, request.archive, replace=request.replace),
        )
        for one in recordings
    )
    name = Path(request.archive).name
    artifacts.show_contracts(name, reports)
    artifacts.show_ingested(name, done)
    return done


def _validate_name() -> str:
    request: TrainRequest = runtime.flow_run.parameters["request"]
    return f"validate {Path(request.source).name or 'recordings'} for {request.model}"


@flow(name="validate", flow_run_name=_validate_name, validate_parameters=False)
def validate_flow(request: TrainRequest, given: Given | None = None) -> tuple[ContractReport, ...]:
    """Hold recordings, features, labels and the training set to their contracts, as `train` does before it learns.

    The rows are kept: `train` with the same request goes on with them.

    Raises:
        QuarantinedError: a table broke its contract; report and rows lie under the request's work folder.
        UsageError: too few rows, or an unknown feature set.
    """
    given, request = given or Given(), settled(request)
    ready = prepare(request, given, Watch(_VALIDATING_STEPS, given.on_step))
    tasks.tracked("validate", f"validate-{ready.key}", "contracts", None, ready.contract, request)
    return ready.reports
