"""ringcraft up."""

import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import click

from data_contracts.errors import UsageError
from data_contracts.settings import Settings, load_settings
from ringcraft.commands.options import config_option
from ringcraft.terminal import out


@click.command()
@config_option
def up(config: Path | None) -> None:
    """Run MLflow, the serving tier with its console, and scheduled flows together, until Ctrl-C.

    What runs is what ringcraft.toml names: [mlflow], [[serving.models]], [[schedules]].
    """
    settings = load_settings(config)
    from ringcraft.mlflow_server import MlflowServer
    from ringcraft.prefect_home import keep_prefect_in
    from ringcraft.prefect_server import PrefectServer

    with ExitStack() as stack:
        mlflow = stack.enter_context(MlflowServer(settings.mlflow.folder, port=_mlflow_port(settings)))
        out.print(f"MLflow   {mlflow.uri}")
        children = []
        if settings.schedules:
            keep_prefect_in(settings.state_dir)
            prefect = stack.enter_context(PrefectServer(settings.state_dir / "prefect", settings.prefect_port))
            out.print(f"Prefect  {prefect.url}")
            children.append(stack.enter_context(_child("schedule", config, prefect.environment)))
        children.append(stack.enter_context(_child("serve", config, {})))
        out.print(f"Console  http://{settings.serving.host}:{settings.serving.console_port}")
        out.print("Ctrl-C ends all of it.")
        _wait(children)


def _mlflow_port(settings: Settings) -> int:
    parts = urlsplit(settings.mlflow.uri)
    if parts.hostname not in ("127.0.0.1", "localhost") or parts.port is None:
        raise UsageError(
            f"mlflow.uri: expected http://127.0.0.1:PORT for a server of `up`'s own, got {settings.mlflow.uri}; "
            "with a server elsewhere, `ringcraft serve` is enough"
        )
    return parts.port


def _child(command: str, config: Path | None, environment: dict[str, str]) -> "_Child":
    return _Child(
        [sys.executable, "-m", "ringcraft.cli", command, *(["--config", str(config)] if config else [])], environment
    )


class _Child:
    """One of `ringcraft`'s own commands as a child that ends with the block."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        import os

        self.name = command[3]
        # A session of its own: Ctrl-C reaches `up` alone, which then ends its children in order.
        self.process = subprocess.Popen(command, env={**os.environ, **environment}, start_new_session=True)

    def __enter__(self) -> "_Child":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=15.0)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def _wait(children: list[_Child]) -> None:
    while all(child.process.poll() is None for child in children):
        time.sleep(0.2)
    ended = next(child for child in children if child.process.poll() is not None)
    raise UsageError(f"{ended.name} ended by itself with exit code {ended.process.returncode}; its last lines say why")
