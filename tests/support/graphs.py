"""Versions with small graphs over touch_v1: one that never trades, one that always does, one that is slow."""

from pathlib import Path

import numpy as np
from onnx import helper

from benchmarks.versions import WIDTH, save_graph


def cautious(path: Path) -> None:
    """Expects a move of 0.02 bps or so: below every threshold."""
    _dense(path, layers=0, size=1, scale=1e-3)


def restless(path: Path) -> None:
    """Expects large moves either way, from nothing: trades across the spread at every decision."""
    _dense(path, layers=0, size=1, scale=1e3)


def slow(path: Path) -> None:
    """As cautious as the first, after milliseconds of dense layers."""
    _dense(path, layers=6, size=1400, scale=1e-6)


def _dense(path: Path, *, layers: int, size: int, scale: float) -> None:
    random = np.random.default_rng(2)
    weights = {"w_out": random.normal(0, scale, (size if layers else WIDTH, 1)).astype(np.float32)}
    nodes, last = [], "features"
    if layers:
        weights["w_in"] = random.normal(0, 0.1, (WIDTH, size)).astype(np.float32)
        nodes.append(helper.make_node("MatMul", ["features", "w_in"], ["h0"]))
        last = "h0"
    for layer in range(layers):
        weights[f"w{layer}"] = random.normal(0, 1 / size**0.5, (size, size)).astype(np.float32)
        nodes.append(helper.make_node("MatMul", [last, f"w{layer}"], [f"m{layer}"]))
        nodes.append(helper.make_node("Tanh", [f"m{layer}"], [f"h{layer + 1}"]))
        last = f"h{layer + 1}"
    nodes.append(helper.make_node("MatMul", [last, "w_out"], ["output"]))
    save_graph(path, nodes, weights)
