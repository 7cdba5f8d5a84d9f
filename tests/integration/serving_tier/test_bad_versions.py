"""Versions that must not be served, on a real MLflow server and a real worker: each says why in its tags."""

import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from mlflow import MlflowClient
from support.graphs import cautious
from support.live_tier import LiveTier

from benchmarks.versions import write_version
from data_contracts.manifest import GOLDEN_FILE, MANIFEST_FILE, MODEL_FILE, read_manifest, sha256_of, write_manifest
from registry.mlflow_registry import FILES_PATH, MlflowRegistry
from serving.console.snapshot import Snapshot


def restated(folder: Path, **changes: object) -> Path:
    """Write the manifest anew, with the digests of the files as they are now."""
    files = {name: sha256_of(folder / name) for name in (MODEL_FILE, GOLDEN_FILE)}
    write_manifest(folder, msgspec.structs.replace(read_manifest(folder), files=files, **changes))
    return folder


def junk(folder: Path) -> Path:
    (folder / MODEL_FILE).write_bytes(b"\x80\x04\x95 a pickle, not a graph")
    return restated(folder)


def other_answers(folder: Path) -> Path:
    golden = msgspec.json.decode((folder / GOLDEN_FILE).read_bytes())
    golden["outputs"] = [[value + 1.0 for value in row] for row in golden["outputs"]]
    (folder / GOLDEN_FILE).write_bytes(msgspec.json.encode(golden))
    return restated(folder)


def without_manifest(folder: Path) -> Path:
    (folder / MANIFEST_FILE).unlink()
    return folder


def without_graph(folder: Path) -> Path:
    (folder / MODEL_FILE).unlink()
    return folder


def changed_graph(folder: Path) -> Path:
    (folder / MODEL_FILE).write_bytes((folder / MODEL_FILE).read_bytes() + b"\0")
    return folder


def escaping(folder: Path) -> Path:
    manifest = read_manifest(folder)
    write_manifest(folder, msgspec.structs.replace(manifest, files={**manifest.files, "../outside": "0" * 64}))
    return folder


BAD: dict[str, tuple[Callable[[Path], Path], str]] = {
    "no-manifest": (without_manifest, "manifest.json: expected a manifest, found no such file"),
    "no-graph": (without_graph, "model.onnx: named by the manifest, found no such file"),
    "changed": (changed_graph, "model.onnx: expected SHA-256"),
    "escaping": (escaping, "points outside"),
    "features": (lambda folder: restated(folder, feature_hash="0" * 64), "live hash"),
    "feature-set": (lambda folder: restated(folder, feature_set="nobody_v9"), "nobody_v9"),
    "another-model": (lambda folder: restated(folder, model="another"), "expected"),
    "junk": (junk, ""),
    "other-answers": (other_answers, "golden vector"),
}


@pytest.mark.slow
def test_each_is_refused_with_its_reason_and_the_champion_goes_on(mlflow_uri: str, tmp_path: Path) -> None:
    registry, client = MlflowRegistry(mlflow_uri, timeout_s=30), MlflowClient(mlflow_uri, mlflow_uri)
    model = f"bad-{time.time_ns()}"

    def made(name: str) -> Path:
        return write_version(tmp_path / name, cautious, model=model, horizon_ns=1_000_000_000)

    registry.publish(model, made("champion"), tags={})
    registry.move_alias(model, "champion", 1)
    versions = {name: registry.publish(model, spoil(made(name)), tags={}) for name, (spoil, _) in BAD.items()}
    first = client.get_model_version(model, "1")
    nowhere = f"{first.source.rpartition('/')[0]}/nowhere"
    gone = client.create_model_version(model, nowhere, run_id=first.run_id, await_creation_for=0)
    versions["gone"] = int(gone.version)
    reasons = {name: reason for name, (_, reason) in BAD.items()} | {"gone": "expected its files"}
    tier = LiveTier(tmp_path, mlflow_uri, [model])
    try:
        shown = tier.until(lambda s: s.ready, "a champion")
        tier.start_feed(shown.workers[0].feed_port)
        for name, version in versions.items():
            client.set_registered_model_alias(model, f"shadow-{name}", str(version))
        told = {}

        def all_told(_: Snapshot) -> bool:
            told.update({name: registry.version(model, version).tags for name, version in versions.items()})
            return all(tags.get("ringcraft.status") == "refused" for tags in told.values())

        tier.until(all_told, "every one to be refused", seconds=90.0)
        for name, tags in told.items():
            assert reasons[name] in tags["ringcraft.reason"], (name, tags)
            assert str(tmp_path) not in tags["ringcraft.reason"]
        before = tier.snapshot().models[0].arms
        assert [(arm.arm, arm.version) for arm in before if arm.tier] == [("champion", 1)]
        tier.until(lambda s: s.models[0].arms[0].decisions > before[0].decisions, "more decisions")

        # An upload that was half done is taken up once it is whole.
        half = versions["no-manifest"]
        whole = made("whole")
        client.log_artifacts(client.get_model_version(model, str(half)).run_id, str(whole), FILES_PATH)
        tier.until(
            lambda s: any(arm.version == half and arm.arm == "shadow" and arm.tier for arm in s.models[0].arms),
            "the version that is whole now",
            seconds=90.0,
        )

        # A version that is deleted in MLflow takes its aliases with it.
        client.delete_model_version(model, str(half))
        tier.until(lambda s: half not in {arm.version for arm in s.models[0].arms}, "the shadow to go")
        assert tier.snapshot().ready
        # A model that MLflow forgets is served on: nobody has moved its alias.
        client.rename_registered_model(model, f"{model}-renamed")
        time.sleep(1.0)
        assert tier.snapshot().ready
        client.rename_registered_model(f"{model}-renamed", model)
        client.delete_model_version(model, "1")
        tier.until(lambda s: not s.ready and all(arm.arm != "champion" for arm in s.models[0].arms), "no champion")
    finally:
        assert tier.close() == 0
