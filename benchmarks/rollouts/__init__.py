"""What rollouts must show on a live tier: real processes, real ONNX graphs, real MLflow, a planted market."""

import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from data_contracts.errors import UsageError


def run(experiments: Sequence[str] = (), seeds: int = 10) -> list[dict[str, Any]]:
    """Run the named experiments, all of them where none is named, over so many rollouts each.

    Raises:
        UsageError: there is no experiment of that name.
    """
    from benchmarks.rollouts.experiments import EXPERIMENTS

    for name in experiments:
        if name not in EXPERIMENTS:
            raise UsageError(f"experiment: expected one of {', '.join(EXPERIMENTS)}, got {name!r}")
    say, rows = Console(stderr=True), []
    for name in experiments or EXPERIMENTS:
        with tempfile.TemporaryDirectory(prefix=f"ringcraft-{name}-") as folder:
            rows.append(EXPERIMENTS[name](Path(folder), seeds, partial(_say, say, name)))
    return rows


def _say(console: Console, name: str, seed: int) -> None:
    console.print(f"{name}: rollout {seed + 1} is over")
