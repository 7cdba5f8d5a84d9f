"""The command line. Each command lives in ringcraft/commands; it is imported when it is asked for.

Help must come in a blink, so nothing heavy is imported here.
"""

import importlib
import math
import signal
import sys
from typing import Final

import click

from data_contracts.errors import RingcraftError
from ringcraft.exits import INTERRUPTED, WRONG_USE, fail

COMMANDS: Final = {
    "init": ("ringcraft.commands.init", "Write a commented ringcraft.toml and policy.toml here."),
    "demo": ("ringcraft.commands.demo", "Run the whole loop: market data to live decisions and back out again."),
    "up": ("ringcraft.commands.up", "Run MLflow, the serving tier, scheduled flows and the console together."),
    "tune": ("ringcraft.commands.tune", "Look for the best configurations; train takes them up."),
    "compress": ("ringcraft.commands.tune", "Tune, fit and compress, and publish nothing."),
    "train": ("ringcraft.commands.train", "Train, validate, compress and publish models from a recording."),
    "evaluate": ("ringcraft.commands.evaluate", "Hold models to recordings of several days, with costs and controls."),
    "backtest": ("ringcraft.commands.backtest", "Trade decisions against recorded depth: queue, latency, fees."),
    "fit-features": ("ringcraft.commands.fit_features", "Fit a feature set on a recording: Stoikov's microprice."),
    "drift": ("ringcraft.commands.drift", "Compare recordings: features, predictions, earnings, the feed itself."),
    "retention": ("ringcraft.commands.retention", "Clean up old versions and runs that nothing points at."),
    "publish": ("ringcraft.commands.publish", "Publish an ONNX model of your own."),
    "schedule": (
        "ringcraft.commands.schedule",
        "Serve flows as Prefect deployments: by cron, rollback, drift.",
    ),
    "replay": ("ringcraft.commands.replay", "Read a recording: book, features, or into a running tier."),
    "record": ("ringcraft.commands.record", "Record a crypto venue's live feed, and hand it to a running tier."),
    "backfill": ("ringcraft.commands.backfill", "Compute a feature set over the archive of recordings."),
    "ingest": ("ringcraft.commands.ingest", "Bring a recording into the archive, stores and buses."),
    "export": ("ringcraft.commands.export", "Tell stores and buses what the tier decides and earns."),
    "simulate": ("ringcraft.commands.simulate", "Write a simulated recording, with what is true of it beside it."),
    "receive": ("ringcraft.commands.receive", "Receive a live feed: books, a recording, a bus, a running tier."),
    "serve": ("ringcraft.commands.serve", "Run the serving tier: supervisor, controller, worker."),
    "status": ("ringcraft.commands.status", "Show what is serving, how its rollouts stand, what happened."),
    "history": ("ringcraft.commands.history", "Show every alias change that was seen or made."),
    "promote": ("ringcraft.commands.rollout", "Make the challenger the champion now."),
    "rollback": ("ringcraft.commands.rollout", "Take the challenger off, or bring the former champion back."),
    "pause": ("ringcraft.commands.rollout", "Return every share to the champion and hold the rollout."),
    "resume": ("ringcraft.commands.rollout", "Go on with a paused rollout."),
    "pnl": ("ringcraft.commands.pnl", "Show what every version earned, on paper and realised."),
    "decisions": ("ringcraft.commands.decisions", "Show decisions with what came of them, of journal and archive."),
    "compact": ("ringcraft.commands.compact", "Bring closed segments of the journal into Parquet, by day."),
    "judge": ("ringcraft.commands.judge", "Replay a journal offline: what a policy would have done."),
    "bench": ("ringcraft.commands.bench", "Measure something against a peer in the same run."),
}


class _Lazy(click.Group):
    """A group that imports a command only to run it or to show its own help."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(COMMANDS[cmd_name][0])
        command = getattr(module, cmd_name.replace("-", "_"))
        if not isinstance(command, click.Command):
            raise TypeError(f"{module.__name__}.{cmd_name} is not a command")
        for param in command.params:
            if isinstance(param.type, click.types.FloatParamType) and param.callback is None:
                param.callback = _refuse_nan
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


def _refuse_nan(ctx: click.Context, param: click.Parameter, value: object) -> object:
    # It is neither below nor above a range's ends, so click lets it pass.
    for number in value if isinstance(value, tuple) else (value,):
        if isinstance(number, float) and math.isnan(number):
            raise click.BadParameter("expected a number, got nan", ctx, param)
    return value


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="ringcraft")
def ringcraft() -> None:
    """Take trading models from market data to live decisions and back out again.

    Start with `ringcraft demo`. Exit codes: 0 done, 1 the thing asked about is not so,
    2 wrong use or bad input, 3 something needed is not there, 130 interrupted.
    """


def main() -> None:
    """Run the command line; every error made on purpose is one line, never a traceback."""
    _end_in_order()
    try:
        code = ringcraft.main(prog_name="ringcraft", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        code = WRONG_USE
    except click.ClickException as error:
        where = f" (see `{error.ctx.command_path} --help`)" if isinstance(error, click.UsageError) and error.ctx else ""
        click.echo(f"ringcraft: {' '.join(error.format_message().split())}{where}", err=True)
        code = WRONG_USE
    except RingcraftError as error:
        fail(error)
    except ModuleNotFoundError as error:
        click.echo(f"ringcraft: {error.name} is not installed: pip install 'ringcraft[training]' brings it", err=True)
        code = 3
    except (click.Abort, KeyboardInterrupt):
        click.echo("ringcraft: interrupted", err=True)
        code = INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        code = 0
    except OSError as error:
        if error.filename is None:  # no file of the user's: a fault here, to be seen whole
            raise
        click.echo(f"ringcraft: {error.filename}: {error.strerror or error}", err=True)
        code = WRONG_USE
    sys.exit(code if isinstance(code, int) else 0)


def _end_in_order() -> None:
    """Let a closed terminal and a polite kill end a command as Ctrl-C does, so that it stops what it started."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:  # under nohup a hang-up stays ignored
            signal.signal(number, signal.default_int_handler)


if __name__ == "__main__":
    main()
