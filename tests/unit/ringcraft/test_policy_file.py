"""A policy written is the policy read."""

from pathlib import Path

from data_contracts.policy import Decisions, Guardrails, LatencyGuard, Policy, Rollout, Step, read_policy
from ringcraft.policy_file import write_policy


def test_policy_written_is_read_back_equal(tmp_path: Path) -> None:
    policy = Policy(
        rollout=Rollout(
            steps=(Step(share=0.0, min_decisions=7), Step(share=0.25, min_decisions=9, min_seconds=1.5)),
            on_success="promote_if_superior",
        ),
        guardrails=Guardrails(latency=LatencyGuard(budget_us=1500.0)),
        decisions=Decisions(min_interval_ms=500.0),
    )
    write_policy(tmp_path / "policy.toml", policy)
    assert read_policy(tmp_path / "policy.toml") == policy
