"""ringcraft demo."""

import select
import sys
from functools import partial
from pathlib import Path

import click

from ringcraft.commands.options import format_option
from ringcraft.demo.work import fresh
from ringcraft.exits import NOT_SO
from ringcraft.prefect_home import keep_prefect_in
from ringcraft.signals import ends_in_order
from ringcraft.terminal import out

LINGER_S = 900.0


@click.command()
@click.option("--data", type=click.Path(path_type=Path), help="A real recording; without it one is simulated.")
@format_option
@click.option("--instrument", default=None, help="VENUE:SYMBOL, where the recording holds several.")
@click.option(
    "--work",
    type=click.Path(path_type=Path),
    default=Path("build/demo"),
    show_default=True,
    help="Everything it makes.",
)
@click.option("--fast", is_flag=True, help="The same on less data.")
def demo(data: Path | None, format_name: str | None, instrument: str | None, work: Path, fast: bool) -> None:
    """Run the whole loop on one machine, in minutes.

    Reads a recording, refuses a broken copy of it, trains and compresses two models, registers them in
    MLflow, serves one, replays the rest as live, and moves the alias `challenger`: to an honest version,
    to one that trades at random and to one that is slow. The last two come off by themselves.
    """
    from data_contracts.errors import UsageError

    if data is not None and not data.exists():
        raise UsageError(f"--data {data}: no such file or folder")
    folder = fresh(work)
    keep_prefect_in(folder)
    from ringcraft.demo.run import Options, run_demo

    again = f"ringcraft up --config {work / 'ringcraft.toml'}"
    with ends_in_order():
        passed = run_demo(Options(data, format_name, instrument, folder, fast), partial(_linger, again))
    if not passed:
        sys.exit(NOT_SO)


def _linger(again: str, console_url: str, mlflow_uri: str) -> None:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        out.print(f"look around again (console {console_url}, MLflow {mlflow_uri}): {again}")
        return
    out.print(f"\nStill running: console [bold]{console_url}[/], MLflow [bold]{mlflow_uri}[/]")
    out.print("Move an alias in MLflow's model page and watch the console. Enter ends it (or a quarter of an hour).")
    out.print(f"Later: {again}")
    select.select([sys.stdin], [], [], LINGER_S)
