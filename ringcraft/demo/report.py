"""What the demonstration leaves: summary.json and a table."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from data_contracts.manifest import Estimate, SeedSpread
from pipelines.request import TrainedVersion
from ringcraft.demo.live import Ending
from ringcraft.terminal import say, table, words
from serving.judge import RolloutVerdict


def summary(
    *,
    recording: dict[str, Any],
    versions: Sequence[TrainedVersion],
    rollouts: Sequence[dict[str, Any]],
    latency_us: dict[str, float | None],
    journal: Path,
    policy: Path,
    mlflow_uri: str,
    console_url: str,
) -> dict[str, Any]:
    """Return the document that build/demo/summary.json holds."""
    return {
        "recording": recording,
        "models": [
            {"family": v.family, "version": v.version, "metrics": msgspec.to_builtins(v.metrics)} for v in versions
        ],
        "compression": [_compression(v) for v in versions if v.compression is not None],
        "rollouts": list(rollouts),
        "latency_us": latency_us,
        "journal": str(journal),
        "policy": str(policy),
        "mlflow_uri": mlflow_uri,
        "console_url": console_url,
    }


def _compression(version: TrainedVersion) -> dict[str, Any]:
    found = version.compression
    assert found is not None  # noqa: S101  the caller chose versions that have one
    return {
        "family": version.family,
        "original_bytes": found.original_bytes,
        "compressed_bytes": found.compressed_bytes,
        "size_ratio": found.compressed_bytes / found.original_bytes,
        "metric": found.metric,
        "difference_low": found.difference_low,
        "difference_high": found.difference_high,
        "margin": found.margin,
        "not_inferior": found.not_inferior,
        "model_uri": version.model_uri,
    }


def rollout_entry(model: str, kind: str, rollout: Ending) -> dict[str, Any]:
    """Return one rollout as the summary tells it."""
    return {
        "model": model,
        "version": rollout.version,
        "kind": kind,
        "verdict": rollout.verdict,
        "guardrail": rollout.guardrail,
        "decision": rollout.decision,
        "reason": rollout.reason,
    }


def disagreements(rollouts: Sequence[dict[str, Any]], judged: Sequence[RolloutVerdict]) -> list[str]:
    """Say where the offline judge concludes otherwise than the tier did; nothing is what one wants to see."""
    # A promoted version is judged twice: on its way up, and while it bakes.
    said = {(v.version, v.kind): v for v in judged if v.verdict}
    lines = []
    for entry in rollouts:
        other = said.get((entry["version"], "challenger"))
        ours = (entry["verdict"], entry["guardrail"], entry["decision"])
        theirs = (other.verdict, other.guardrail, other.decision) if other is not None else None
        if ours != theirs:
            lines.append(f"version {entry['version']}: the tier concluded {ours}, the judge {theirs}")
    return lines


def write_summary(path: Path, document: dict[str, Any]) -> None:
    """Write the summary in one step, so that nobody reads half of it."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps(document, indent=2, allow_nan=False) + "\n")
    part.replace(path)


def show(document: dict[str, Any]) -> None:
    """Print the closing tables."""
    rows = [
        (
            c["family"],
            f"{c['original_bytes'] / 1024:.1f} -> {c['compressed_bytes'] / 1024:.1f} KiB",
            f"{1 / c['size_ratio']:.1f} times",
            f"{c['difference_low']:+.4f} to {c['difference_high']:+.4f}",
            f"+{c['margin']:g}",
            "yes" if c["not_inferior"] else "no: published as it was",
        )
        for c in document["compression"]
    ]
    columns = ("family", "size", "smaller", "change of log loss, 95 %", "allowed", "not inferior")
    table("Compression", columns, rows)
    rows = [
        (r["kind"], r["version"], words(r["verdict"]), words(r["guardrail"]) or "-", r["decision"], r["reason"])
        for r in document["rollouts"]
    ]
    table("Rollouts", ("kind", "version", "verdict", "guardrail", "decision", "reason"), rows)
    latency = document["latency_us"]
    say(
        f"The champion answers in {_us(latency['p50'])} (half of its decisions), {_us(latency['p99'])} (99 of 100), "
        "from an event's arrival to the action.",
        indent=0,
    )


def show_models(versions: Sequence[TrainedVersion]) -> None:
    """Print how the versions did on held-out rows, beside the baselines on the same rows."""
    rows = [_model_row(v.family, v.version, v.metrics, v.seeds) for v in versions]
    baselines = versions[0].baselines if versions else {}
    rows += [_model_row(f"baseline: {name}", "-", metrics) for name, metrics in baselines.items()]
    columns = ("family", "version", "MCC [95 %]", "PnL after costs, bps a decision [95 %]", "trades")
    table("On held-out rows, which nothing was learnt from", columns, rows)
    say("MCC: Matthews correlation of what was said and what came; 0 knows nothing, 1 everything.", indent=0)
    for version in versions:
        if version.seeds and not version.seeds.one_optimum:
            count, seed = len(version.seeds.seeds), version.seeds.published
            say(
                f"{version.family}: in braces lowest and highest of {count} seeds, before compression; "
                f"published is seed {seed}, which was named beforehand.",
                indent=0,
            )
    for version in versions:
        for note in version.notes:
            say(f"{version.family}: {note}", indent=0)


def _model_row(
    name: str, version: int | str, metrics: Mapping[str, Estimate], seeds: SeedSpread | None = None
) -> tuple[object, ...]:
    trades = metrics["trades"].value
    cells = (_interval(metrics[key]) + _over_seeds(key, seeds) for key in ("mcc", "net_pnl_bps"))
    return name, version, *cells, None if trades is None else int(trades)


def _over_seeds(key: str, seeds: SeedSpread | None) -> str:
    spread = seeds.held_out.get(key) if seeds and not seeds.one_optimum else None
    return f" {{{spread.low:+.3f}, {spread.high:+.3f}}}" if spread else ""


def _us(value: float | None) -> str:
    return "an unmeasured time" if value is None else f"{value:.0f} µs"


def _interval(estimate: Estimate) -> str:
    if estimate.value is None:
        return "-"
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:+.3f}"
    return f"{estimate.value:+.3f} [{estimate.low:+.3f}, {estimate.high:+.3f}]"
