"""Prefect flows that learn: thin orders of the plain steps in pipelines.steps."""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from prefect import flow, runtime
from prefect.task_runners import TaskRunner

from data_contracts.errors import UsageError
from data_contracts.expectations import ContractReport
from data_contracts.manifest import Estimate, Manifest, SeedSpread
from data_contracts.recording import Recording
from market_data.feature_sets import reads_depth
from models.labels import LabelReport
from pipelines import artifacts, tasks
from pipelines.identity import build_key, learn_key, rows_key, tune_key
from pipelines.request import TrainedVersion, TrainRequest, TrainResult, changed
from pipelines.runners import task_runner
from pipelines.steps import tracking
from pipelines.steps.compress import Compressed
from pipelines.steps.dataset import Prepared, vectors_read
from pipelines.steps.fit import FittedFamily
from pipelines.steps.proof import refuse, unproven
from pipelines.steps.publish import published
from pipelines.steps.trials import Tried
from pipelines.steps.tune import Tuned
from registry.port import ModelRegistry

Gate = Callable[[str, Path, Prepared], str | None]
"""Of family, version's folder, rows: why not to publish it, or None."""
_FIRST_STEPS = 5
_STEPS_PER_FAMILY = 5


class Given:
    """What a caller hands to a flow besides its request: things Prefect must not try to write down."""

    __slots__ = ("configs", "gate", "on_labels", "on_step", "recordings", "registry")

    def __init__(
        self,
        *,
        recordings: Sequence[Recording] = (),
        registry: ModelRegistry | None = None,
        on_step: Callable[[str, int, int], None] | None = None,
        on_labels: Callable[[LabelReport], None] | None = None,
        gate: Gate | None = None,
        configs: dict[str, Any] | None = None,
    ) -> None:
        """Keep them.

        Args:
            recordings: already read, oldest first; none: the request's source is read.
            registry: where versions are published; None: MLflow at the request's mlflow_uri.
            on_step: told the step that begins, how many are done, and of how many.
            on_labels: told what the labels look like before anything is learnt from them.
            gate: asked before each version is published; None: all are that say what they are worth after costs.
            configs: by family, what is fitted without tuning.
        """
        self.recordings, self.registry = tuple(recordings), registry
        self.on_step, self.on_labels = on_step, on_labels
        self.gate, self.configs = gate, configs or {}

    def __reduce__(self) -> tuple[type["Given"], tuple[()]]:
        """Stay behind: with every task Prefect sends a flow's parameters to a cluster, where nobody reads these."""
        return Given, ()


class Learnt(NamedTuple):
    """One family after tuning, fitting, seeds and compression."""

    chosen: Tuned
    made: FittedFamily
    small: Compressed
    seeds: SeedSpread | None = None
    """None: one seed was asked for."""


class Built(NamedTuple):
    """A version's folder, before anybody registers it."""

    family: str
    build: str
    folder: Path
    manifest: Manifest
    learnt: Learnt
    tried: Tried


class Ready(NamedTuple):
    """What every flow that learns starts from."""

    key: str
    prepared: Prepared
    reports: tuple[ContractReport, ...]
    contract: dict[str, bytes]
    """What a run keeps of the reports, by path; nothing where nothing is tracked."""


def train(request: TrainRequest, given: Given | None = None) -> TrainResult:
    """Run the flow with the runner that the request names."""
    return train_flow.with_options(task_runner=_runner(request))(request, given)


def tune(request: TrainRequest, given: Given | None = None) -> dict[str, Tuned]:
    """Run the flow with the runner that the request names."""
    return tune_flow.with_options(task_runner=_runner(request))(request, given)


def compress(request: TrainRequest, given: Given | None = None) -> dict[str, Built]:
    """Run the flow with the runner that the request names."""
    return compress_flow.with_options(task_runner=_runner(request))(request, given)


def _run_name() -> str:
    request = runtime.flow_run.parameters["request"]
    return f"{runtime.flow_run.flow_name} {request.model} on {Path(request.source).name or 'recordings'}"


@flow(name="train", flow_run_name=_run_name, validate_parameters=False)
def train_flow(request: TrainRequest, given: Given | None = None) -> TrainResult:
    """Check, learn, tune, compress and publish every family that is asked for.

    Killed and run again, it goes on with the steps that were done; what was published is not published twice.

    Raises:
        QuarantinedError: a recording broke its contract.
        UsageError: too few rows, an unknown family or feature set, no registry.
        RegistryError: the registry refuses or cannot be reached.
    """
    given = given or Given()
    registry = given.registry or registry_of(request)
    request = settled(request)
    tasks.reached(registry)  # before hours of learning
    families = request.families
    watch = Watch(_FIRST_STEPS + _STEPS_PER_FAMILY * len(families), given.on_step)
    ready = prepare(request, given, watch)
    prepared, measured = ready.prepared, measure(ready, request, watch)
    versions: list[TrainedVersion] = []
    refused: dict[str, str] = {}
    for made in build_all(ready, measured, request, given, watch):
        name = made.family
        why_not = unproven(made.manifest) or (given.gate(name, made.folder, prepared) if given.gate else None)
        refuse(made.folder, why_not)
        kept = (made.learnt.made.config, evidence_of(made, ready), request)
        if why_not is not None:
            refused[name] = why_not
            if published(registry, request.model, made.build) is None:  # else the run is that of a version
                tasks.tracked("refuse", made.build, name, *kept, made.manifest, made.tried)
            continue
        parts = (made.build, name, made.folder, *kept, registry, None, made.tried)
        done = watch(f"publish {name}", tasks.published, *parts)
        versions.append(TrainedVersion.of(made.manifest, made.folder, measured, *done))
    result = TrainResult(
        model=request.model,
        instrument=prepared.instrument.symbol,
        feature_set=prepared.features.name,
        labels=prepared.labels,
        learnt_rows=len(prepared.learn),
        held_out_rows=len(prepared.held_out),
        trained_until_ns=prepared.trained_until_ns,
        versions=tuple(versions),
        seconds=watch.seconds,
        refused=refused,
    )
    artifacts.show_training(result)
    return result


@flow(name="tune", flow_run_name=_run_name, validate_parameters=False)
def tune_flow(request: TrainRequest, given: Given | None = None) -> dict[str, Tuned]:
    """Look for the best configuration of every family asked for; `train` with the same request takes it up."""
    given, request = given or Given(), settled(request)
    if request.mlflow_uri:
        tasks.reached(registry_of(request))
    families = request.families
    watch = Watch(_FIRST_STEPS + len(families), given.on_step)
    ready = prepare(request, given, watch)
    apart = _tuned_apart(families, ready, request) if request.workers > 1 else {}
    waits = {name: apart[name].result if apart else partial(_tune, name, ready, request) for name in families}
    done: dict[str, Tuned] = {name: watch(f"tune {name}", waits[name]) for name in families}
    for name, found in done.items():
        files = tracking.study_file(found) | ready.contract
        tried = Tried.on(ready.prepared.ranges, learn_key(ready.key, request, name), len(found.trials))
        tasks.tracked("tune", _key_of(name, ready, request), name, found.config, files, request, tried=tried)
    artifacts.show_studies(request.model, done)
    return done


@flow(name="compress", flow_run_name=_run_name, validate_parameters=False)
def compress_flow(request: TrainRequest, given: Given | None = None) -> dict[str, Built]:
    """Tune, fit and compress every family asked for, and publish nothing: `publish` takes the folders."""
    given, request = given or Given(), settled(request)
    if request.mlflow_uri:
        tasks.reached(registry_of(request))
    families = request.families
    watch = Watch(_FIRST_STEPS + _STEPS_PER_FAMILY * len(families), given.on_step)
    ready = prepare(request, given, watch)
    measured = measure(ready, request, watch)
    done = {made.family: made for made in build_all(ready, measured, request, given, watch)}
    for name, made in done.items():
        config = made.learnt.made.config
        parts = (made.build, name, config, evidence_of(made, ready), request, made.manifest, made.tried)
        tasks.tracked("compress", *parts)
    artifacts.show_compression(request.model, {name: made.learnt.small for name, made in done.items()})
    return done


def prepare(request: TrainRequest, given: Given, watch: "Watch") -> Ready:
    """Return the rows of the request, once its recordings keep to their contract."""
    recordings = given.recordings or watch("read", _read, request)
    reports = watch("contract", tasks.checked, recordings, request.work)
    key = rows_key(recordings, request)
    prepared: Prepared = watch("rows", tasks.rows, f"rows-{key}", recordings, request)
    if given.on_labels is not None:
        given.on_labels(prepared.labels)
    of_rows = watch("rows' contracts", tasks.rows_checked, prepared, request)
    found = (*reports, *of_rows)
    artifacts.show_contracts(request.model, found)
    contract = watch("data docs", tracking.contract_files, found) if request.mlflow_uri else {}
    return Ready(key, prepared, found, contract)


def measure(ready: Ready, request: TrainRequest, watch: "Watch") -> dict[str, dict[str, Estimate]]:
    """Return every baseline's metrics on the held-out rows."""
    key = f"baselines-{learn_key(ready.key, request, '')}"
    measured: dict[str, dict[str, Estimate]] = watch("baselines", tasks.baselines, key, ready.prepared, request)
    return measured


def build_all(
    ready: Ready, measured: dict[str, dict[str, Estimate]], request: TrainRequest, given: Given, watch: "Watch"
) -> Iterator[Built]:
    """Give every family's version as it is made, tuned, fitted and compressed, in the order asked for."""
    apart = learn_apart(request.families, ready, request, given) if request.workers > 1 else None
    studies = {name: learn_key(ready.key, request, name, given.configs.get(name)) for name in request.families}
    for name in request.families:
        learnt = learn(name, ready, request, given, watch) if apart is None else apart(name, watch)
        build = build_key(ready.key, request, name, given.configs.get(name))
        what = (learnt.made, learnt.small, ready.prepared, measured, request, learnt.seeds)
        folder, manifest = tasks.built(build, name, *what, frozenset(studies.values()))
        tried = Tried.on(ready.prepared.ranges, studies[name], max(len(learnt.chosen.trials), 1))
        yield Built(name, build, folder, manifest, learnt, tried)


def evidence_of(made: Built, ready: Ready) -> dict[str, bytes]:
    """Return what a run keeps besides the version's files, by file name."""
    return tasks.evidence_of(made.learnt.made, made.learnt.small, made.learnt.chosen, ready.contract)


def learn(name: str, ready: Ready, request: TrainRequest, given: Given, watch: "Watch") -> Learnt:
    """Return one family tuned, fitted and compressed, here and now."""
    config = given.configs.get(name)
    prepared, key = ready.prepared, learn_key(ready.key, request, name, config)
    chosen = Tuned(config, float("nan"), ()) if config else watch(f"tune {name}", _tune, name, ready, request)
    made = watch(f"fit {name}", tasks.fitted, f"fit-{key}", name, chosen, prepared, request)
    seeds = None
    if request.seeds > 1:
        build = build_key(ready.key, request, name, config)
        seeds = watch(f"seeds {name}", tasks.seeded, f"seeds-{build}", name, made, prepared, request)
    small = watch(f"compress {name}", tasks.compressed, f"compress-{key}", name, made, prepared, request)
    return Learnt(chosen, made, small, seeds)


def learn_apart(
    families: Sequence[str], ready: Ready, request: TrainRequest, given: Given
) -> Callable[[str, "Watch"], Learnt]:
    """Hand all families to the flow's task runner; return what waits for one of them."""
    rows, prepared, chosen = ready.key, ready.prepared, _tuned_apart(families, ready, request)
    chains: dict[str, dict[str, Any]] = {}
    for name in families:
        config = given.configs.get(name)
        key, build = learn_key(rows, request, name, config), build_key(rows, request, name, config)
        made: Any = tasks.fitted.submit(f"fit-{key}", name, chosen[name], prepared, request)
        small = tasks.compressed.submit(f"compress-{key}", name, made, prepared, request)
        chains[name] = {"tune": chosen[name], "fit": made, "compress": small}
        if request.seeds > 1:
            chains[name]["seeds"] = tasks.seeded.submit(f"seeds-{build}", name, made, prepared, request)

    def wait(name: str, watch: "Watch") -> Learnt:
        done = {step: watch(f"{step} {name}", future.result) for step, future in chains[name].items()}
        return Learnt(done["tune"], done["fit"], done["compress"], done.get("seeds"))

    return wait


class Watch:
    """Tells which step begins, and keeps how long each took."""

    def __init__(self, steps: int, on_step: Callable[[str, int, int], None] | None) -> None:
        """Expect `steps` of them."""
        self.seconds: dict[str, float] = {}
        self._steps, self._on_step = steps, on_step

    def __call__(self, name: str, step: Any, *arguments: object) -> Any:  # noqa: ANN401  passes on what the step gives
        """Return what `step` gives."""
        if self._on_step is not None:
            self._on_step(name, len(self.seconds), self._steps)
        start = time.perf_counter()
        answer = step(*arguments)
        self.seconds[name] = round(time.perf_counter() - start, 3)
        return answer


def registry_of(request: TrainRequest) -> ModelRegistry:
    """Return the registry at the request's address.

    Raises:
        UsageError: it names none.
    """
    if request.mlflow_uri is None:
        raise UsageError("training: expected mlflow_uri or a registry to publish to, got neither")
    from registry.mlflow_registry import MlflowRegistry

    return MlflowRegistry(request.mlflow_uri, timeout_s=60.0)


def settled(request: TrainRequest) -> TrainRequest:
    """Return the request with every family once, and rows that all of them can read.

    Raises:
        UsageError: an unknown family, or a length of window where no family reads one.
    """
    families = tuple(dict.fromkeys(request.families))
    reads = [vectors_read(name, request) for name in families]
    # A request that was settled before, as that of a version made again, may be for some of its families alone.
    if request.sequence is not None and request.window == 0 and max(reads) == 1:
        raise UsageError(
            f"window of {request.sequence} vectors: expected a family that reads windows, got {', '.join(families)}"
        )
    return changed(request, families=families, window=max(request.window, *reads, 1))


def _runner(request: TrainRequest) -> TaskRunner[Any]:
    return task_runner(request.runner, request.workers, request.cluster)


def _read(request: TrainRequest) -> tuple[Recording, ...]:
    depth = reads_depth(request.feature_set)
    return tasks.read(request.source, request.format, request.instrument, depth=depth)


def _key_of(name: str, ready: Ready, request: TrainRequest) -> str:
    return tune_key(ready.key, request, name)


def _tune(name: str, ready: Ready, request: TrainRequest) -> Tuned:
    return tasks.tuned(_key_of(name, ready, request), name, ready.prepared, request)


def _tuned_apart(families: Sequence[str], ready: Ready, request: TrainRequest) -> dict[str, Any]:
    return {name: tasks.tuned.submit(_key_of(name, ready, request), name, ready.prepared, request) for name in families}
