"""The whole tier in real processes: MLflow, supervisor, controller, worker, a feed; aliases moved as a person does."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.graphs import cautious, restless, slow
from support.live_tier import MODEL, LiveTier

from benchmarks.versions import write_version
from data_contracts.policy import read_policy
from registry.mlflow_registry import MlflowRegistry
from ringcraft.mlflow_server import MlflowServer
from serving.console.snapshot import Snapshot
from serving.judge import judge_journal

LATE = ("latency", "limit:late_or_failed")
"""Either may come first, by how many of a slow version's scores are dropped in shadow."""


def ended(version: int) -> Callable[[Snapshot], bool]:
    def met(snapshot: Snapshot) -> bool:
        rollout = snapshot.models[0].rollout
        return rollout is not None and rollout.version == version and bool(rollout.verdict)

    return met


@pytest.mark.slow
def test_bad_versions_come_off_by_themselves_and_the_judge_agrees(tmp_path: Path) -> None:
    graphs = {"cautious": cautious, "restless": restless, "slow": slow}
    with MlflowServer(tmp_path / "mlflow") as server:
        registry = MlflowRegistry(server.uri)
        versions = {
            name: registry.publish(
                MODEL, write_version(tmp_path / name, graph, model=MODEL, horizon_ns=1_000_000_000), tags={}
            )
            for name, graph in graphs.items()
        }
        registry.move_alias(MODEL, "champion", versions["cautious"])
        tier = LiveTier(tmp_path, server.uri)
        try:
            snapshot = tier.until(lambda s: s.ready, "a champion")
            tier.start_feed(snapshot.workers[0].feed_port)
            expected = []
            for name, guardrails in (("restless", ("pnl",)), ("slow", LATE)):
                registry.move_alias(MODEL, "challenger", versions[name])
                if name == "restless":  # a controller that dies takes up where it was
                    tier.until(lambda s: bool(s.models[0].rollout and s.models[0].rollout.folded), "a rollout")
                    os.kill(tier.pids()["controller"], signal.SIGKILL)
                shown = tier.until(ended(versions[name]), f"{name} to come off").models[0]
                rollout = shown.rollout
                assert [(a.version, a.status, a.share) for a in shown.arms][1:] == [
                    (versions[name], "rolled_back", 0.0)
                ]
                assert rollout.verdict == "rolled_back", rollout
                assert rollout.guardrail in guardrails, rollout
                assert [alarm.name for alarm in rollout.watches][:2] == ["share", "latency"]
                overall, *by_instrument = [row for row in shown.divergence if row.version == versions[name]]
                assert overall.against == versions["cautious"]
                assert overall.count > 0
                assert (overall.mean_difference or 0.0) > 0.0 or name == "slow"
                assert by_instrument
                assert not [row.instrument for row in by_instrument if row.instrument.startswith("#")]
                expected.append((rollout.rollout_id, rollout.version, rollout.decision, rollout.reason))
                wait_for_tag(registry, versions[name], "rolled_back")
                assert "challenger" not in registry.aliases(MODEL)
        finally:
            code = tier.close()
        assert code == 0
        judged = judge_journal(tier.state / "journal", read_policy(tier.policy))
        assert [(v.rollout_id, v.version, v.decision, v.reason) for v in judged] == expected


def wait_for_tag(registry: MlflowRegistry, version: int, status: str) -> None:
    end = time.monotonic() + 10
    while registry.version(MODEL, version).tags.get("ringcraft.status") != status:
        assert time.monotonic() < end, registry.version(MODEL, version).tags
        time.sleep(0.1)
