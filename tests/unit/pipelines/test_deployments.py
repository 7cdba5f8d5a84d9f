"""What starts a scheduled flow, and what settings refuse."""

import json
from pathlib import Path

import pytest

from data_contracts.errors import UsageError
from data_contracts.schedule import ScheduledFlow
from data_contracts.settings import load_settings
from models.labels import LabelConfig
from pipelines.request import TrainRequest, changed

DRIFT = "flow = 'drift'\nsource = 'a'\nmodel = 'm'\ncron = '0 2 * * *'"
TRAIN = "source = 'a'\nmodel = 'm'\ncron = '0 2 * * *'"


def settings_file(tmp_path: Path, entry: str) -> Path:
    path = tmp_path / "ringcraft.toml"
    path.write_text(f"[[schedules]]\nname = 'n'\n{entry}\n")
    return path


def test_events_that_start_retraining_are_those_of_its_model() -> None:
    from pipelines.deployments import triggers_of

    entry = ScheduledFlow(name="again", flow="retrain", on=("rollback", "drift"), source=Path("a"), model="tilt")
    triggers = triggers_of(entry)
    assert [sorted(one.expect) for one in triggers] == [
        ["ringcraft.rollout.rolled_back"],
        ["ringcraft.drift.found"],
        ["ringcraft.alarm"],
    ]
    assert {one.match.model_dump()["prefect.resource.id"] for one in triggers} == {"ringcraft.model.tilt"}
    assert triggers[2].match.model_dump()["ringcraft.guardrail"] == "drift"


@pytest.mark.parametrize("flow", list(ScheduledFlow.model_fields["flow"].annotation.__args__))
def test_every_flow_has_parameters_that_it_takes(flow: str, tmp_path: Path) -> None:
    from pipelines.deployments import deployment_of

    what = "source = 'a'\nmodel = 'm'" if flow != "retention" else ""
    settings = load_settings(settings_file(tmp_path, f"flow = '{flow}'\ncron = '0 2 * * *'\n{what}"))
    deployment = deployment_of(settings.schedules[0], settings)
    assert deployment.name == "n"
    assert deployment.concurrency_limit == 1
    assert [str(one.schedule.cron) for one in deployment.schedules] == ["0 2 * * *"]


LEARNING = ("validate", "tune", "compress", "train", "retrain")
STATED = """
families = ['lstm', 'xgboost']
target = 'move'
label = 'triple_barrier'
label_spreads = 2
horizon_s = 3
window = 16
folds = 6
folds_by = 'day'
seeds = 5
trials = 4
"""
MEANT = {
    "families": ("lstm", "xgboost"),
    "target": "move",
    "label": LabelConfig(kind="triple_barrier", spreads=2.0),
    "horizon_ns": 3_000_000_000,
    "sequence": 16,
    "folds": 6,
    "folds_by": "day",
    "seeds": 5,
    "trials": 4,
}


def parameters_of(flow: str, more: str, tmp_path: Path) -> dict:
    from pipelines.deployments import deployment_of

    entry = f"flow = '{flow}'\ncron = '0 2 * * *'\nsource = 'a'\nmodel = 'm'\n{more}"
    settings = load_settings(settings_file(tmp_path, entry))
    return deployment_of(settings.schedules[0], settings).parameters


@pytest.mark.parametrize("flow", LEARNING)
def test_what_a_schedule_states_of_learning_is_what_is_asked_for(flow: str, tmp_path: Path) -> None:
    from pipelines.scheduled import request_for

    asked = parameters_of(flow, STATED, tmp_path)["asked"]
    assert json.loads(json.dumps(asked)) == asked  # as Prefect keeps it
    request = request_for("a", "m", "uri", "work", None, None, asked)
    assert {name: getattr(request, name) for name in MEANT} == MEANT
    plain = request_for("a", "m", "uri", "work", None, None, parameters_of(flow, "", tmp_path)["asked"])
    unsaid = ("families", "target", "label", "folds", "folds_by", "seeds")
    assert all(getattr(plain, name) == getattr(TrainRequest(model="m"), name) for name in unsaid)
    assert (plain.horizon_ns, plain.trials) == (5_000_000_000, 10)


def test_retraining_asks_for_what_its_champion_was_asked_for_and_for_what_is_stated_instead() -> None:
    from pipelines.scheduled import stated

    former = TrainRequest(
        model="m", families=("lstm",), label=LabelConfig(kind="spread_aware", spreads=3.0), sequence=12, window=12
    )
    assert stated(former, {}) == former
    assert stated(former, {"label": {"spreads": 2.0}, "folds": 7}) == changed(
        former, label=LabelConfig(kind="spread_aware", spreads=2.0), folds=7
    )
    assert stated(former, {"families": ["xgboost"]}) == changed(former, families=("xgboost",), window=0)
    in_events = changed(former, label=LabelConfig(horizon_events=5))
    assert stated(in_events, {"horizon_ns": 9}) == changed(former, label=LabelConfig(), horizon_ns=9)
    for asked in ({"folds": 1}, {"fold": 3}, {"label": {"kind": "up"}}):
        with pytest.raises(UsageError, match="asked of a training"):
            stated(former, asked)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("families = ['lsmt']", "lsmt"),
        ("families = ['xgboost']\nwindow = 16", "window of 16 vectors: expected a family that reads windows"),
        ("window = 16", "window of 16 vectors: expected a family that reads windows, got xgboost, mlp"),
    ],
)
def test_families_that_cannot_do_what_is_stated_are_refused_before_anything_is_served(
    more: str, says: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=says):
        parameters_of("train", more, tmp_path)
    assert parameters_of("retrain", "window = 16", tmp_path)["asked"] == {"sequence": 16}  # its champion may read them


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("cron = '0 2 * * *'", "expected source and model"),
        ("source = 'a'\nmodel = 'm'", "expected cron, or on"),
        ("flow = 'drift'\nsource = 'a'\nmodel = 'm'\non = ['drift']", "goes with train and retrain"),
        (f"{DRIFT}\ntarget = 'move'", "target: goes with validate, tune, compress, train, retrain, got flow drift"),
        (f"{TRAIN}\nhorizon_s = 2\nhorizon_events = 3", "expected horizon_s or horizon_events, got both"),
        (f"{TRAIN}\nlabel_spreads = 2\nlabel = 'markout'", "label_spreads: goes with spread_aware, triple_barrier"),
        (f"{TRAIN}\nlabel_bps = 2\nlabel = 'spread_aware'", "label_bps: goes with mid_move, smoothed_mid, markout"),
        (f"{TRAIN}\nlabel = 'up'", "schedules.0.label: Input should be 'mid_move'"),
        (f"{TRAIN}\nfolds = 1", "schedules.0.folds: Input should be greater than or equal to 2, got 1"),
        (f"{TRAIN}\nwindow = 2", "schedules.0.window: Input should be greater than or equal to 3, got 2"),
        (f"{TRAIN}\nseeds = 0", "schedules.0.seeds: Input should be greater than or equal to 1, got 0"),
    ],
)
def test_entry_that_cannot_run_is_refused(entry: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=says):
        load_settings(settings_file(tmp_path, entry))
