"""ringcraft promote, rollback, pause, resume: ask the running tier to move a rollout."""

import getpass
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from data_contracts.settings import load_settings
from ringcraft.commands.options import config_option, json_option
from ringcraft.console_client import RefusedError, command, console_of
from ringcraft.exits import NOT_SO
from ringcraft.terminal import print_json


def _verb(name: str, about: str) -> click.Command:
    @click.command(name, help=about)
    @click.argument("model")
    @click.option("--dry-run", is_flag=True, help="Say what would happen; change nothing.")
    @click.option(
        "--why", default="by hand, on the command line", show_default=True, help="Kept in the history beside your name."
    )
    @config_option
    @json_option
    def run(model: str, dry_run: bool, why: str, config: Path | None, as_json: bool) -> None:
        settings = load_settings(config)
        try:
            answer = command(console_of(settings), model, name, dry_run=dry_run, why=why, who=getpass.getuser())
        except RefusedError as refusal:
            _answer({"done": False, "text": str(refusal)}, as_json)
            sys.exit(NOT_SO)
        _answer(answer, as_json)

    return run


def _answer(answer: dict[str, Any], as_json: bool) -> None:
    show: Callable[[], None] = (lambda: print_json(answer)) if as_json else (lambda: click.echo(str(answer["text"])))
    show()


promote = _verb("promote", "Make MODEL's challenger its champion now.")
rollback = _verb("rollback", "Take MODEL's challenger off; where there is none, bring the former champion back.")
pause = _verb("pause", "Return every share of MODEL to its champion and hold the rollout.")
resume = _verb("resume", "Go on with MODEL's paused rollout.")
