"""Runs a demonstration and checks what it left: bad versions off, the journal and MLflow agreeing on why."""

import json
from pathlib import Path
from typing import Any

from registry.mlflow_registry import MlflowRegistry
from ringcraft.mlflow_server import MlflowServer
from support.cli import ringcraft

KEYS = {"recording", "models", "compression", "rollouts", "latency_us", "journal", "policy", "mlflow_uri"}


def run_demo(data: Path, work: Path, *more: str) -> dict[str, Any]:
    # Ports of its own: the README's commands, which may run beside it, need the usual ones.
    work.parent.mkdir(parents=True, exist_ok=True)
    (work.parent / "ringcraft.toml").write_text("[serving]\nfeed_port = 0\nrest_port = 0\nconsole_port = 0\n")
    result = ringcraft("demo", "--fast", "--data", data, "--work", work, *more, cwd=work.parent)
    assert result.returncode == 0, result.stdout + result.stderr
    summary: dict[str, Any] = json.loads((work / "summary.json").read_text())
    return summary


def check(summary: dict[str, Any], work: Path) -> None:
    assert summary.keys() >= KEYS
    rollouts = {rollout["kind"]: rollout for rollout in summary["rollouts"]}
    assert rollouts["honest"]["verdict"] in ("promoted", "inconclusive", "rolled_back")
    assert (rollouts["harmful"]["verdict"], rollouts["harmful"]["guardrail"]) == ("rolled_back", "pnl")
    assert rollouts["slow"]["verdict"] == "rolled_back"
    assert "late" in rollouts["slow"]["guardrail"]
    check_judge(summary, rollouts)
    check_mlflow(work, rollouts)


def check_judge(summary: dict[str, Any], rollouts: dict[str, dict[str, Any]]) -> None:
    judged = ringcraft("judge", summary["journal"], "--policy", summary["policy"], "--json")
    assert judged.returncode == 1  # versions were taken off
    verdicts = {row["version"]: row for row in json.loads(judged.stdout)["rollouts"] if row["verdict"]}
    for rollout in rollouts.values():
        other = verdicts[rollout["version"]]
        for key in ("verdict", "guardrail", "decision"):
            assert other[key] == rollout[key]


def check_mlflow(work: Path, rollouts: dict[str, dict[str, Any]]) -> None:
    with MlflowServer(work / "mlflow") as server:
        registry = MlflowRegistry(server.uri)
        aliases = registry.aliases("demo")
        for kind in ("harmful", "slow"):
            version = rollouts[kind]["version"]
            tags = registry.version("demo", version).tags
            assert tags["ringcraft.status"] == "rolled_back"
            assert str(rollouts[kind]["decision"]) in tags["ringcraft.reason"] or tags["ringcraft.reason"]
            assert tags["ringcraft.evidence"]
            assert version not in aliases.values()
        assert aliases["champion"] not in (rollouts["harmful"]["version"], rollouts["slow"]["version"])
