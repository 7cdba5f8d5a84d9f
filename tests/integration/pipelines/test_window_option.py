"""How many vectors sequence families read is asked for: another length, another version, and serving takes it."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from data_contracts.errors import UsageError
from data_contracts.manifest import read_golden, verify_files
from market_data.feature_sets import complete, feature_set
from market_data.reading import read_recordings
from market_data.simulator import simulate
from models.families import NAMES, family
from models.families.lstm import LstmConfig
from pipelines.identity import build_key, rows_key, tune_key
from pipelines.recipe import read_recipe
from pipelines.request import TrainRequest, changed
from pipelines.steps.dataset import vectors_read
from registry.memory import MemoryRegistry
from ringcraft.cli import ringcraft
from serving.slots import prepare_version

REQUEST = TrainRequest(model="windowed", families=("lstm",), folds=2, max_rows=2000, sequence=12)


def test_length_is_part_of_the_keys_of_study_and_version_and_not_of_the_rows() -> None:
    longer = changed(REQUEST, sequence=20)
    assert rows_key([], longer) == rows_key([], REQUEST)
    assert build_key("rows", longer, "lstm") != build_key("rows", REQUEST, "lstm")
    assert tune_key("rows", longer, "lstm") != tune_key("rows", REQUEST, "lstm")


def test_rows_look_back_as_far_as_is_asked() -> None:
    from pipelines.flows import settled

    assert settled(REQUEST).window == 12
    assert settled(changed(REQUEST, sequence=None)).window == 32
    mixed = settled(changed(REQUEST, families=("xgboost", "lstm")))
    assert mixed.window == 12
    assert {name: vectors_read(name, mixed) for name in NAMES} == {
        name: 12 if family(name).window > 1 else 1 for name in NAMES
    }
    again = settled(changed(mixed, families=("xgboost",)))  # as the version of one of them is made again
    assert again == changed(mixed, families=("xgboost",))


def test_length_is_refused_where_no_family_reads_windows_and_beyond_what_serving_holds(tmp_path: Path) -> None:
    from pipelines.flows import settled

    with pytest.raises(UsageError, match=r"window of 12 vectors: .*that reads windows, got xgboost, mlp"):
        settled(changed(REQUEST, families=("xgboost", "mlp")))
    done = CliRunner().invoke(ringcraft, ["train", str(tmp_path), "--model", "m", "--window", "129"])
    assert done.exit_code == 2
    assert "129 is not in the range 3<=x<=128" in done.output


def test_version_reads_so_many_and_serving_takes_it(tmp_path: Path) -> None:
    from pipelines.flows import Given, train_flow

    simulate(tmp_path / "day.itch", seed=3, events=4000)
    given = Given(
        recordings=read_recordings(tmp_path / "day.itch"),
        registry=MemoryRegistry(),
        configs={"lstm": LstmConfig(hidden=8, epochs=1)},
    )
    (made,) = train_flow(changed(REQUEST, work=str(tmp_path / "work")), given).versions
    manifest = verify_files(folder := Path(made.folder))
    assert manifest.window == 12
    assert {len(row) for row in read_golden(folder).inputs} == {12 * manifest.inputs}
    assert read_recipe(folder).request.sequence == 12
    ready = prepare_version(folder, model="windowed", live=complete(feature_set(manifest.feature_set)))
    assert ready.manifest == manifest
