"""ringcraft judge."""

import sys
from pathlib import Path

import click
import msgspec

from data_contracts.errors import JournalError
from data_contracts.policy import read_policy
from ringcraft.commands.options import json_option
from ringcraft.exits import NOT_SO
from ringcraft.terminal import print_json, table
from serving.judge import judge_journal

NEGATIVE = ("rolled_back", "refused")


@click.command()
@click.argument("journal", type=click.Path(path_type=Path))
@click.option(
    "--policy",
    "policy_file",
    type=click.Path(path_type=Path),
    help="Judge every rollout by this policy, to see what would have been; without it, each by the one it had.",
)
@json_option
def judge(journal: Path, policy_file: Path | None, as_json: bool) -> None:
    """Replay JOURNAL offline and say how each rollout ends by its policy.

    Same journal, same policy, same verdict and same decision number as the live tier.
    Exit code 1: at least one version was taken off.
    """
    if not journal.exists():
        raise JournalError(f"{journal}: expected a journal folder or segment, found no such path")
    verdicts = judge_journal(journal, read_policy(policy_file) if policy_file else None)
    if as_json:
        print_json({"rollouts": msgspec.to_builtins(verdicts)})
    else:
        rows = [
            (v.rollout_id, v.model, v.version, v.verdict or "running", v.guardrail, v.decision, v.reason)
            for v in verdicts
        ]
        table(
            f"Verdicts on {journal}",
            ("rollout", "model", "version", "verdict", "guardrail", "decision", "reason"),
            rows,
        )
    if any(v.verdict in NEGATIVE for v in verdicts):
        sys.exit(NOT_SO)
