"""Bilinear normalisation of a window over its own time and its own features (Tran et al. 2021, "BiN")."""

import torch
from torch import nn

from models.onnx_builder import GraphBuilder, Weights

FLOOR = 1e-4
"""Of a variance: what does not move within the window is not blown up."""


class BilinearNorm(nn.Module):
    """Windows (n, w, d): a learnt mix of each feature's z-scores over time and each vector's over features."""

    def __init__(self, window: int, width: int) -> None:
        """Begin as an even mix."""
        super().__init__()
        self.time_scale = nn.Parameter(torch.ones(width))
        self.time_shift = nn.Parameter(torch.zeros(width))
        self.feature_scale = nn.Parameter(torch.ones(window, 1))
        self.feature_shift = nn.Parameter(torch.zeros(window, 1))
        self.share = nn.Parameter(torch.tensor([0.5, 0.5]))

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the normalised windows, as large."""
        over_time = _standard(rows, 1) * self.time_scale + self.time_shift
        over_features = _standard(rows, 2) * self.feature_scale + self.feature_shift
        # Shares below nothing would turn a feature round; the paper holds them at 0 as well.
        share = self.share.clamp(min=0.0)
        return share[0] * over_time + share[1] * over_features


def write_norm(graph: GraphBuilder, rows: str, weights: Weights, layer: str) -> str:
    """Add the normalisation, its shares multiplied into scale and shift."""
    share = weights[f"{layer}.share"].clamp(min=0.0)
    parts = []
    for index, (kind, axis) in enumerate((("time", 1), ("feature", 2))):
        centred = graph.node("Sub", rows, graph.node("ReduceMean", rows, graph.axes(axis)))
        variance = graph.node("ReduceMean", graph.node("Mul", centred, centred), graph.axes(axis))
        spread = graph.node("Sqrt", graph.node("Add", variance, graph.scalar(FLOOR)))
        scaled = graph.node(
            "Mul",
            graph.node("Div", centred, spread),
            graph.constant(f"{layer}.{kind}_scale", weights[f"{layer}.{kind}_scale"] * share[index]),
        )
        shift = graph.constant(f"{layer}.{kind}_shift", weights[f"{layer}.{kind}_shift"] * share[index])
        parts.append(graph.node("Add", scaled, shift))
    return graph.node("Add", *parts)


def _standard(rows: torch.Tensor, axis: int) -> torch.Tensor:
    centred = rows - rows.mean(dim=axis, keepdim=True)
    return centred / torch.sqrt((centred * centred).mean(dim=axis, keepdim=True) + FLOOR)
