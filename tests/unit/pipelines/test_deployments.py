"""What starts a scheduled flow, and what settings refuse."""

from pathlib import Path

import pytest

from data_contracts.errors import UsageError
from data_contracts.settings import ScheduledFlow, load_settings


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


@pytest.mark.parametrize("flow", ["validate", "tune", "compress", "train", "retrain"])
def test_families_are_those_named_or_those_of_a_plain_request(flow: str, tmp_path: Path) -> None:
    from pipelines.deployments import deployment_of
    from pipelines.request import TrainRequest
    from pipelines.scheduled import request_for

    entry = f"flow = '{flow}'\ncron = '0 2 * * *'\nsource = 'a'\nmodel = 'm'"
    for more, families in (("families = ['lstm']", ("lstm",)), ("", TrainRequest(model="m").families)):
        settings = load_settings(settings_file(tmp_path, f"{entry}\n{more}"))
        given = deployment_of(settings.schedules[0], settings).parameters
        request = request_for("a", "m", "uri", "work", None, None, 5.0, 1, given["families"])
        assert request.families == families


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("cron = '0 2 * * *'", "expected source and model"),
        ("source = 'a'\nmodel = 'm'", "expected cron, or on"),
        ("flow = 'drift'\nsource = 'a'\nmodel = 'm'\non = ['drift']", "goes with train and retrain"),
    ],
)
def test_entry_that_cannot_run_is_refused(entry: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=says):
        load_settings(settings_file(tmp_path, entry))
