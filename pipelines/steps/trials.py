"""Configurations that were tried on a market before: whoever looks often enough finds something."""

from collections.abc import Collection, Sequence
from typing import Any, Final, NamedTuple

from mlflow.entities import ViewType
from mlflow.tracking import MlflowClient

from data_contracts.manifest import DataRange
from pipelines.request import TrainRequest
from registry.mlflow_errors import said_plainly

_TAG: Final = "ringcraft.tried"
_PAGE: Final = 500


class Tried(NamedTuple):
    """One study, or one configuration that was given: what a run in MLflow is tagged with."""

    study: str
    """Of pipelines.identity.learn_key: runs that share a study tried its configurations once."""
    trials: int
    instrument: str
    first_event_ns: int
    last_event_ns: int

    @classmethod
    def on(cls, data: Sequence[DataRange], study: str, trials: int) -> "Tried":
        """Return what was tried on `data`, of one instrument, oldest first."""
        return cls(study, trials, data[0].instrument, data[0].first_event_ns, data[-1].last_event_ns)

    def tags(self) -> dict[str, str]:
        """Return the tags of its run."""
        return {f"{_TAG}.{name}": str(getattr(self, name)) for name in self._fields}


class Before(NamedTuple):
    """What earlier runs tried."""

    trials: int
    studies: int
    experiment: str | None
    """None: nothing is tracked, so that nothing is known of earlier runs."""

    def sentence(self, own: int) -> str:
        """Return how many trials there were and how that is known; `own`: those of the run itself."""
        said = f"Trials counted by the deflated Sharpe ratio: {own} of this run's own studies"
        if self.experiment is None:
            return f"{said}; runs are not tracked, so nothing is known of earlier ones."
        if not self.studies:
            return f"{said}; the MLflow experiment {self.experiment!r} knows of none before it on this market."
        studies = f"{self.studies} earlier stud{'ies' if self.studies > 1 else 'y'}"
        return (
            f"{said}, {self.trials} of {studies} on the same instrument and overlapping time in the MLflow experiment "
            f"{self.experiment!r}, whatever their label, target or model."
        )


NOTHING_KNOWN: Final = Before(0, 0, None)


def tried_before(request: TrainRequest, data: Sequence[DataRange], own: Collection[str]) -> Before:
    """Return what runs of the request's experiment tried on the same instrument while its data overlap `data`.

    Deleted runs count, until `mlflow gc` frees them: a trial that is forgotten was made all the same.

    Args:
        request: says where MLflow is.
        data: of one instrument, oldest first.
        own: studies of the run that asks.

    Raises:
        RegistryError: MLflow refuses or does not answer.
    """
    if request.mlflow_uri is None:
        return NOTHING_KNOWN
    here = Tried.on(data, "", 0)
    found: dict[str, int] = {}
    with said_plainly(request.mlflow_uri):
        for each in _tried(MlflowClient(request.mlflow_uri), request.experiment, here.instrument):
            overlaps = each.first_event_ns <= here.last_event_ns and each.last_event_ns >= here.first_event_ns
            if overlaps and each.study not in own:
                found[each.study] = max(each.trials, found.get(each.study, 0))
    return Before(sum(found.values()), len(found), request.experiment)


def _tried(client: MlflowClient, experiment: str, instrument: str) -> list[Tried]:
    place = client.get_experiment_by_name(experiment)
    if place is None:
        return []
    asked = f"tags.`{_TAG}.instrument` = '{instrument}'"
    found, token = list[Tried](), None
    while True:
        page: Any = client.search_runs([place.experiment_id], asked, ViewType.ALL, _PAGE, page_token=token)
        found += [_read(run.data.tags) for run in page]
        if not (token := page.token):
            return found


def _read(tags: dict[str, str]) -> Tried:
    study, trials, instrument, first, last = (tags[f"{_TAG}.{name}"] for name in Tried._fields)
    return Tried(study, int(trials), instrument, int(first), int(last))
