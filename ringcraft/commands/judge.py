"""ringcraft judge."""

import sys
from pathlib import Path

import click
import msgspec

from data_contracts.errors import JournalError
from data_contracts.policy import Policy, read_policy
from ringcraft.commands.options import json_option
from ringcraft.exits import NOT_SO
from ringcraft.terminal import out, print_json, table
from serving.decision_table import SUFFIXES, read_decision_table
from serving.judge import judge_journal, removed_rollouts
from serving.judge_table import TableVerdict, judge_table
from serving.outcomes.taken import read_taken_file

NEGATIVE = ("rolled_back", "refused")


@click.command()
@click.argument("source", metavar="JOURNAL_OR_TABLE", type=click.Path(path_type=Path))
@click.option(
    "--policy",
    "policy_file",
    type=click.Path(path_type=Path),
    help="Judge by this policy, to see what would have been; without it, each rollout by the one it had, "
    "a table by the default.",
)
@click.option(
    "--outcomes",
    "outcomes_file",
    type=click.Path(path_type=Path),
    help="Posted outcomes in the order in which they were taken; without it, outcomes.jsonl beside the journal.",
)
@json_option
def judge(source: Path, policy_file: Path | None, outcomes_file: Path | None, as_json: bool) -> None:
    """Replay a journal, or a table of decisions, offline and say what a policy makes of it.

    A journal: how each rollout ends; same journal, same policy, same verdict and same decision number as the live
    tier. A table (.parquet, .csv; docs/guardrails.md has its columns): what each guardrail says, and at which row.
    Exit code 1: at least one version was taken off, or one guardrail tripped.
    """
    if not source.exists():
        expected = "a journal folder or segment, or a .parquet or .csv table"
        raise JournalError(f"{source}: expected {expected}, found no such path")
    policy = read_policy(policy_file) if policy_file else None
    if source.suffix not in SUFFIXES or not source.is_file():
        _judge_journal(source, policy, outcomes_file, as_json=as_json)
    elif outcomes_file:
        raise click.UsageError(f"--outcomes: goes with a journal, got the table {source}")
    else:
        _judge_table(source, policy or Policy(), as_json=as_json)


def _judge_journal(journal: Path, policy: Policy | None, outcomes_file: Path | None, *, as_json: bool) -> None:
    outcomes = read_taken_file(outcomes_file) if outcomes_file else None
    verdicts = judge_journal(journal, policy, outcomes)
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
        gone = sorted(set(removed_rollouts(journal)) - {v.rollout_id for v in verdicts})
        if gone:
            said = ", ".join(map(str, gone))
            out.print(
                f"note: of rollouts {said} nothing is left in the journal; their evidence lies beside the versions"
            )
    if any(v.verdict in NEGATIVE for v in verdicts):
        sys.exit(NOT_SO)


def _judge_table(path: Path, policy: Policy, *, as_json: bool) -> None:
    found = judge_table(read_decision_table(path), policy)
    if as_json:
        print_json({"table": str(path), "verdict": _word(found), **msgspec.to_builtins(found)})
    else:
        rows = [(g.name, "tripped" if g.tripped else "none", g.row, g.decision_ns, g.detail) for g in found.guardrails]
        title = f"{path}: {_word(found).replace('_', ' ')}; {found.folded:,} of {found.rows:,} rows have an outcome"
        table(title, ("guardrail", "verdict", "row", "decision_ns", "what it saw"), rows)
        for note in found.notes:
            out.print(f"note: {note}")
    if found.first:
        sys.exit(NOT_SO)


def _word(found: TableVerdict) -> str:
    return "rolled_back" if found.first else "kept"
