"""One suite for every driver of registry.port.ModelRegistry."""

import itertools
import os
from pathlib import Path

import pytest

from data_contracts.errors import (
    AliasNotSetError,
    ModelNotFoundError,
    RegistryError,
    UsageError,
    VersionNotFoundError,
)
from registry.memory import MemoryRegistry
from registry.port import ModelRegistry

FILES = {"model.onnx": b"\x08\x09 not a real graph", "manifest.json": b"{}", "plots/pnl.svg": b"<svg/>"}
_names = (f"contract-{os.getpid()}-{number}" for number in itertools.count())


@pytest.fixture(scope="module", params=["memory", "mlflow"])
def registry(request: pytest.FixtureRequest) -> ModelRegistry:
    if request.param == "memory":
        return MemoryRegistry()
    from registry.mlflow_registry import MlflowRegistry

    return MlflowRegistry(request.getfixturevalue("mlflow_uri"), timeout_s=30)


@pytest.fixture
def model() -> str:
    return next(_names)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "version"
    for name, content in FILES.items():
        path = made / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return made


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_published_versions_count_from_one(registry: ModelRegistry, model: str, folder: Path) -> None:
    assert [registry.publish(model, folder, tags={}) for _ in range(2)] == [1, 2]
    assert [version.version for version in registry.versions(model)] == [1, 2]
    assert model in registry.models()
    assert registry.models() == sorted(registry.models())


def test_published_version_carries_its_tags(registry: ModelRegistry, model: str, folder: Path) -> None:
    version = registry.publish(model, folder, tags={"family": "xgboost", "note": ""})
    got = registry.version(model, version)
    assert (got.model, got.version, got.tags) == (model, 1, {"family": "xgboost", "note": ""})
    assert got.run_id


def test_fetched_files_equal_published_ones(registry: ModelRegistry, model: str, folder: Path, tmp_path: Path) -> None:
    version = registry.publish(model, folder, tags={})
    registry.fetch(model, version, tmp_path / "deep" / "down")
    assert files_in(tmp_path / "deep" / "down") == FILES


def test_two_versions_from_one_run_keep_their_own_files(
    registry: ModelRegistry, model: str, folder: Path, tmp_path: Path
) -> None:
    first = registry.publish(model, folder, tags={})
    run = registry.version(model, first).run_id
    (folder / "model.onnx").write_bytes(b"another graph")
    second = registry.publish(model, folder, tags={}, run_id=run)
    registry.fetch(model, first, tmp_path / "first")
    registry.fetch(model, second, tmp_path / "second")
    assert (tmp_path / "first" / "model.onnx").read_bytes() == FILES["model.onnx"]
    assert (tmp_path / "second" / "model.onnx").read_bytes() == b"another graph"
    assert registry.version(model, second).run_id == run


def test_fetch_into_a_folder_with_files_is_refused(registry: ModelRegistry, model: str, folder: Path) -> None:
    version = registry.publish(model, folder, tags={})
    with pytest.raises(UsageError, match="empty"):
        registry.fetch(model, version, folder)


def test_publishing_an_empty_folder_is_refused(registry: ModelRegistry, model: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="found none"):
        registry.publish(model, tmp_path, tags={})


def test_moved_alias_returns_what_it_held(registry: ModelRegistry, model: str, folder: Path) -> None:
    for _ in range(2):
        registry.publish(model, folder, tags={})
    assert registry.aliases(model) == {}
    assert registry.move_alias(model, "champion", 1) is None
    assert registry.move_alias(model, "champion", 2) == 1
    assert registry.resolve(model, "champion") == 2


def test_rollback_is_a_move_with_the_returned_version(registry: ModelRegistry, model: str, folder: Path) -> None:
    for _ in range(2):
        registry.publish(model, folder, tags={})
    registry.move_alias(model, "champion", 1)
    before = registry.move_alias(model, "champion", 2)
    assert before is not None
    assert registry.move_alias(model, "champion", before) == 2
    assert registry.aliases(model) == {"champion": 1}


def test_deleted_alias_is_gone_and_says_what_it_held(registry: ModelRegistry, model: str, folder: Path) -> None:
    registry.publish(model, folder, tags={})
    registry.move_alias(model, "shadow-long_horizon", 1)
    assert registry.delete_alias(model, "shadow-long_horizon") == 1
    assert registry.delete_alias(model, "shadow-long_horizon") is None
    with pytest.raises(AliasNotSetError, match="shadow-long_horizon"):
        registry.resolve(model, "shadow-long_horizon")


def test_alias_is_swapped_only_from_what_was_expected(registry: ModelRegistry, model: str, folder: Path) -> None:
    for _ in range(3):
        registry.publish(model, folder, tags={})
    registry.move_alias(model, "challenger", 1)
    left = registry.swap_alias(model, "challenger", expected=(2,), target=None)
    assert (left.held, left.made) == (1, False)
    assert registry.aliases(model) == {"challenger": 1}
    done = registry.swap_alias(model, "challenger", expected=(1,), target=3)
    assert (done.held, done.made, done.between) == (1, True, ())
    assert registry.aliases(model) == {"challenger": 3}
    again = registry.swap_alias(model, "challenger", expected=(1,), target=3)
    assert (again.held, again.made) == (3, False)
    assert registry.swap_alias(model, "challenger", expected=(3,), target=None).made
    assert registry.aliases(model) == {}
    assert registry.swap_alias(model, "challenger", expected=(None,), target=2).made
    assert registry.aliases(model) == {"challenger": 2}
    with pytest.raises(VersionNotFoundError):
        registry.swap_alias(model, "challenger", expected=(2,), target=7)
    with pytest.raises(ModelNotFoundError):
        registry.swap_alias("nobody", "challenger", expected=(2,), target=None)


def test_a_model_s_own_tags_are_seen_with_its_aliases(registry: ModelRegistry, model: str, folder: Path) -> None:
    registry.publish(model, folder, tags={"family": "mlp"})
    registry.move_alias(model, "champion", 1)
    registry.set_model_tags(model, {"ringcraft.policy.rollout.on_success": "wait", "note": "a"})
    registry.set_model_tags(model, {"note": "b"})
    look = registry.look(model)
    assert look.aliases == {"champion": 1}
    assert look.tags == {"ringcraft.policy.rollout.on_success": "wait", "note": "b"}
    for _ in range(2):
        registry.delete_model_tag(model, "note")
    assert registry.model_tags(model) == {"ringcraft.policy.rollout.on_success": "wait"}
    with pytest.raises(ModelNotFoundError):
        registry.set_model_tags("nobody", {"a": "b"})


def test_tags_are_set_and_overwritten(registry: ModelRegistry, model: str, folder: Path) -> None:
    registry.publish(model, folder, tags={"ringcraft.status": "checking", "family": "mlp"})
    registry.set_version_tags(model, 1, {"ringcraft.status": "ab:10%", "ringcraft.reason": "late: 12 of 900 > 500 µs"})
    tags = registry.version(model, 1).tags
    assert tags == {"ringcraft.status": "ab:10%", "ringcraft.reason": "late: 12 of 900 > 500 µs", "family": "mlp"}


def test_model_without_tags_of_its_own_has_none(registry: ModelRegistry, model: str, folder: Path) -> None:
    registry.publish(model, folder, tags={"family": "mlp"})
    assert registry.model_tags(model) == {}


def test_evidence_is_kept_and_its_place_is_named(registry: ModelRegistry, model: str, folder: Path) -> None:
    registry.publish(model, folder, tags={})
    assert "verdict.json" in registry.log_evidence(model, 1, "verdict.json", b'{"verdict": "rolled_back"}')


@pytest.mark.parametrize("alias", ["", "canary:10", "latest", "v3", "a b"])
def test_alias_that_mlflow_refuses_is_refused(registry: ModelRegistry, model: str, folder: Path, alias: str) -> None:
    registry.publish(model, folder, tags={})
    with pytest.raises(RegistryError):
        registry.move_alias(model, alias, 1)
    assert registry.aliases(model) == {}


@pytest.mark.parametrize("name", ["a/b", "a:b", " "])
def test_model_name_that_mlflow_refuses_is_refused(registry: ModelRegistry, folder: Path, name: str) -> None:
    with pytest.raises(RegistryError):
        registry.publish(name, folder, tags={})


def test_unknown_model_is_said_to_be_unknown(registry: ModelRegistry, tmp_path: Path) -> None:
    for call in (registry.versions, registry.aliases, registry.model_tags, registry.look):
        with pytest.raises(ModelNotFoundError, match="nobody"):
            call("nobody")
    with pytest.raises(ModelNotFoundError):
        registry.resolve("nobody", "champion")
    with pytest.raises(ModelNotFoundError):
        registry.delete_alias("nobody", "champion")
    for use in (
        lambda: registry.version("nobody", 1),
        lambda: registry.move_alias("nobody", "champion", 1),
        lambda: registry.fetch("nobody", 1, tmp_path / "f"),
    ):
        with pytest.raises(VersionNotFoundError):
            use()


def test_unknown_version_is_said_to_be_unknown(
    registry: ModelRegistry, model: str, folder: Path, tmp_path: Path
) -> None:
    registry.publish(model, folder, tags={})
    for use in (
        lambda: registry.version(model, 7),
        lambda: registry.move_alias(model, "champion", 7),
        lambda: registry.set_version_tags(model, 7, {"a": "b"}),
        lambda: registry.set_version_tags(model, 7, {}),
        lambda: registry.fetch(model, 7, tmp_path / "f"),
        lambda: registry.log_evidence(model, 7, "verdict.json", b"{}"),
    ):
        with pytest.raises(VersionNotFoundError, match="no version 7"):
            use()


def test_version_that_a_person_deletes_takes_its_aliases_with_it(
    registry: ModelRegistry, model: str, folder: Path
) -> None:
    first, second = (registry.publish(model, folder, tags={}) for _ in range(2))
    registry.move_alias(model, "champion", first)
    registry.move_alias(model, "challenger", second)
    if isinstance(registry, MemoryRegistry):
        registry.delete_version(model, second)
    else:
        registry._client.delete_model_version(model, str(second))
    assert registry.aliases(model) == {"champion": first}
    with pytest.raises(VersionNotFoundError):
        registry.version(model, second)
