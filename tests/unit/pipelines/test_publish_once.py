"""A version is registered once a build, and made again only from the data that made it."""

from pathlib import Path

import msgspec
import pytest
from support.tier import version_folder

from data_contracts.errors import ModelError, UsageError
from data_contracts.manifest import DataRange
from pipelines.identity import build_key, rows_key
from pipelines.recipe import read_recipe, write_recipe
from pipelines.reproduce import learnt_here, must_be_the_data, resolve
from pipelines.request import TrainRequest, changed
from pipelines.steps.publish import publish_once
from registry.memory import MemoryRegistry

REQUEST = TrainRequest(model="m", source="a")


def test_second_publication_of_a_build_gives_the_first_ones_version(tmp_path: Path) -> None:
    registry, folder = MemoryRegistry(), version_folder(tmp_path / "v")
    assert publish_once(registry, folder, build="b1")[:2] == (1, True)
    assert publish_once(registry, folder, build="b1")[:2] == (1, False)
    assert publish_once(registry, folder, build="b2")[:2] == (2, True)
    registry.delete_version("m", 1)
    assert publish_once(registry, folder, build="b1")[:2] == (3, True)


def test_key_of_rows_follows_what_is_asked_and_not_where() -> None:
    key = rows_key([], REQUEST)
    assert rows_key([], changed(REQUEST, source="b", work="w", families=("mlp",), trials=3)) == key
    assert rows_key([], changed(REQUEST, horizon_ns=3)) != key
    assert build_key(key, REQUEST, "mlp") != build_key(key, changed(REQUEST, trials=3), "mlp")
    assert build_key(key, REQUEST, "mlp") != build_key(key, REQUEST, "mlp", {"hidden": 3})


def test_recipe_comes_back_typed_and_a_stranger_has_none(tmp_path: Path) -> None:
    from models.families import family

    config = family("xgboost").default()
    write_recipe(tmp_path, REQUEST, "xgboost", config, "b" * 64)
    recipe = read_recipe(tmp_path)
    assert recipe.request == REQUEST
    assert recipe.typed_config() == config
    with pytest.raises(UsageError, match="not made by ringcraft train"):
        read_recipe(tmp_path / "nothing")
    other = msgspec.structs.replace(recipe, config={"trees": "many"})
    with pytest.raises(UsageError, match="configured otherwise today"):
        other.typed_config()


def test_other_data_are_refused_in_one_line() -> None:
    made = DataRange(
        source="a.zip", instrument="V:S", fingerprint="a" * 64, first_event_ns=0, last_event_ns=9, events=10
    )
    other = msgspec.structs.replace(made, fingerprint="b" * 64, events=11)
    must_be_the_data("models:/m/7", [made], [made])
    with pytest.raises(ModelError, match=r"recording 1 of 1: expected V:S a.zip, 10 events.*got V:S a.zip, 11 events"):
        must_be_the_data("models:/m/7", [made], [other])
    with pytest.raises(ModelError, match=r"recording 2 of 2: .*got none"):
        must_be_the_data("models:/m/7", [made, made], [made])


@pytest.mark.parametrize("uri", ["m/7", "models:/m", "models:/m/seven", "runs:/m/7"])
def test_address_that_names_no_version_is_refused(uri: str) -> None:
    with pytest.raises(UsageError, match="expected models:/NAME/VERSION"):
        resolve(uri, MemoryRegistry())


def test_version_made_again_asks_neither_the_cluster_nor_the_storage_of_then() -> None:
    cluster = {"runner": "dask", "workers": 3, "cluster": "tcp://gone:1", "tuners": 2, "storage": "postgresql://gone"}
    asked = changed(REQUEST, **cluster)
    assert learnt_here(asked) == REQUEST
    assert build_key("rows", asked, "mlp") == build_key("rows", learnt_here(asked), "mlp")
