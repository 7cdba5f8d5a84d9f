"""A Prefect flow that publishes versions which `compress` or a training cut short has left in folders."""

from pathlib import Path

from msgspec import Struct, structs
from prefect import flow

from data_contracts.errors import UsageError
from data_contracts.manifest import MANIFEST_FILE, Manifest, sha256_of, verify_files, write_manifest
from pipelines import artifacts, tasks
from pipelines.flows import Given
from pipelines.recipe import RECIPE_FILE, read_recipe
from pipelines.request import changed
from pipelines.steps.proof import refused, unproven
from registry.port import ModelRegistry


class PublishedVersion(Struct, frozen=True, kw_only=True):
    """A folder and the version that it is in the registry."""

    folder: str
    family: str
    version: int
    new: bool
    """False: it was published before."""


@flow(name="publish", flow_run_name="publish {model} from {folder}", validate_parameters=False)
def publish_flow(
    folder: str,
    model: str,
    given: Given,
    mlflow_uri: str | None = None,
    alias: str | None = None,
    despite: str | None = None,
) -> tuple[PublishedVersion, ...]:
    """Publish every version of `model` that lies in or right under `folder`, each once, and point `alias` at the best.

    The best earns most after costs on held-out rows. None is published where one of them lacks the proof of what it is
    worth after costs, or was refused where it was made.

    Args:
        folder: of a version, or of several right under it.
        model: registered model; versions of others are left alone.
        given: the registry.
        mlflow_uri: where runs are tracked; None: nowhere.
        alias: None: none is moved.
        despite: why such a version is published all the same, kept in its notes and tags; None: it is not.

    Raises:
        UsageError: there is none, one that lacks its proof or was refused, or no registry.
        ManifestError: a file is not the one that its manifest states.
        RegistryError: the registry refuses or cannot be reached.
    """
    if (registry := given.registry) is None:
        raise UsageError("publish: expected a registry, got none")
    found = {place: manifest for place in _folders(Path(folder)) if (manifest := verify_files(place)).model == model}
    if not found:
        raise UsageError(f"{folder}: expected a version of {model} there or in a folder under it, found none")
    against = {place: why for place, one in found.items() if (why := unproven(one) or refused(place))}
    if against and not despite:
        place, why = next(iter(against.items()))
        more = f", and {len(against) - 1} more" if len(against) > 1 else ""
        raise UsageError(f"{place}: not published: {why}{more}; a reason to publish it `despite` that is kept with it")
    for place in against:
        found[place] = _noted(place, found[place], f"Published despite this: {against[place]}. Reason: {despite}")
    done = {
        place: _publish(place, manifest.family, mlflow_uri, registry, despite if place in against else None)
        for place, manifest in found.items()
    }
    if alias:
        tasks.aliased(registry, model, alias, done[max(found, key=lambda place: _net_pnl_bps(found[place]))].version)
    artifacts.show_published(model, list(done.values()))
    return tuple(done.values())


def _folders(folder: Path) -> list[Path]:
    if (folder / MANIFEST_FILE).is_file():
        return [folder]
    return sorted(path.parent for path in folder.glob(f"*/{MANIFEST_FILE}"))


def _noted(folder: Path, manifest: Manifest, note: str) -> Manifest:
    """Return the manifest with `note` among its notes, once, in the folder too."""
    if note not in manifest.notes:
        manifest = structs.replace(manifest, notes=(*manifest.notes, note))
        write_manifest(folder, manifest)
    return manifest


def _publish(
    folder: Path, family: str, mlflow_uri: str | None, registry: ModelRegistry, despite: str | None
) -> PublishedVersion:
    if (folder / RECIPE_FILE).is_file() and (recipe := read_recipe(folder)).build:
        request = changed(recipe.request, mlflow_uri=mlflow_uri)
        done = tasks.published(recipe.build, family, folder, recipe.typed_config(), {}, request, registry, despite)
    else:
        done = tasks.registered(folder, sha256_of(folder / MANIFEST_FILE), registry, despite)
    return PublishedVersion(folder=str(folder), family=family, version=done.version, new=done.new)


def _net_pnl_bps(manifest: Manifest) -> float:
    found = manifest.metrics.get("net_pnl_bps")
    return found.value if found is not None and found.value is not None else float("-inf")
