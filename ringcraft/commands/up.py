"""ringcraft up."""

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol, TypeVar
from urllib.parse import urlsplit

import click

from data_contracts.errors import MissingDependencyError, UsageError
from data_contracts.settings import Settings, load_settings
from ringcraft.child import Child, own_command
from ringcraft.commands.options import config_option
from ringcraft.terminal import out

_POLL_S = 0.2


class _Running(Protocol):
    @property
    def alive(self) -> bool: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...


@click.command()
@config_option
def up(config: Path | None) -> None:
    """Run MLflow, the serving tier with its console, and scheduled flows together, until Ctrl-C.

    What runs is what ringcraft.toml names: [mlflow], [[serving.models]], [[schedules]]. Ctrl-C and SIGTERM end all of
    it in order, with exit code 0; started again on the same state folder, it goes on where it was. Exit code 2: a
    port is taken, or settings are wrong; 3: a part of it did not start, or ended by itself.
    """
    from ringcraft.signals import ends_in_order

    settings = load_settings(config)
    try:
        with ends_in_order():
            _run(settings, config)
    except KeyboardInterrupt:
        out.print("ended")


def _run(settings: Settings, config: Path | None) -> None:
    from ringcraft.mlflow_server import MlflowServer
    from ringcraft.prefect_server import PrefectServer

    mlflow = MlflowServer(settings.mlflow.folder, port=_mlflow_port(settings))
    prefect = PrefectServer(settings.state_dir / "prefect", settings.prefect_port) if settings.schedules else None
    _ports_must_be_free(settings)
    with ExitStack() as stack:
        running: dict[str, _Running] = {f"mlflow server (log: {mlflow.log})": _start(stack, mlflow)}
        if prefect is not None:  # both servers take seconds, so they start side by side
            running[f"prefect server (log: {prefect.log})"] = _start(stack, prefect)
        mlflow.wait_ready()
        out.print(f"MLflow   {mlflow.uri}")
        running["serve"] = _start(stack, Child(own_command("serve", config), name="serve", stop_limit_s=6.0))
        out.print(f"Console  {_console(settings)}")
        if prefect is not None:
            prefect.wait_ready()
            out.print(f"Prefect  {prefect.uri}")
            schedule = Child(
                own_command("schedule", config), name="schedule", environment=prefect.environment, stop_limit_s=4.0
            )
            running["schedule"] = _start(stack, schedule)
        out.print("Ctrl-C ends all of it.")
        _wait(running)


_Part = TypeVar("_Part", bound=_Running)


def _start(stack: ExitStack, part: _Part) -> _Part:
    stack.callback(part.stop)
    part.start()
    return part


def _console(settings: Settings) -> str:
    serving = settings.serving
    if not serving.console_port:
        return f"on a free port: see console_url in {settings.state_dir / 'supervisor.json'}"
    return serving.console_url()


def _ports_must_be_free(settings: Settings) -> None:
    """Refuse before anything is started."""
    from ringcraft.ports import must_be_free, serving_ports_must_be_free

    must_be_free("mlflow.uri", _mlflow_port(settings))
    serving_ports_must_be_free(settings.serving)
    if settings.schedules:
        must_be_free("prefect_port", settings.prefect_port)


def _mlflow_port(settings: Settings) -> int:
    try:
        parts = urlsplit(settings.mlflow.uri)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme != "http" or parts.hostname not in ("127.0.0.1", "localhost") or not port:
        raise UsageError(
            f"mlflow.uri: expected http://127.0.0.1:PORT for a server of `up`'s own, got {settings.mlflow.uri}; "
            "with a server elsewhere, `ringcraft serve` is enough"
        )
    return port


def _wait(running: dict[str, _Running]) -> None:
    while all(part.alive for part in running.values()):
        time.sleep(_POLL_S)
    ended = next(name for name, part in running.items() if not part.alive)
    raise MissingDependencyError(f"{ended} ended by itself; its last lines say why")
