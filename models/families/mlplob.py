"""Multi-layer perceptrons over features and over time in turn (Berti and Kasneci 2025, "TLOB", its MLPLOB)."""

from math import sqrt
from typing import TYPE_CHECKING

import torch
from torch import nn

from models.families.normalising import BilinearNorm, write_norm
from models.families.sequence import SequenceConfig, SequenceFamily, suggested
from models.onnx_builder import GraphBuilder, Weights

if TYPE_CHECKING:
    import optuna

_FLOOR = 1e-5
"""Of the layer normalisation's variance; torch's and ONNX's default."""


class MlpLobConfig(SequenceConfig, frozen=True, kw_only=True):
    """Width of a step, and how often features and time are mixed."""

    hidden: int = 32
    blocks: int = 2


class Mixer(nn.Module):
    """(n, a, b) to the same shape: a perceptron along the last axis, added to what came in, normalised."""

    def __init__(self, size: int) -> None:
        """Begin untaught."""
        super().__init__()
        self.up = nn.Linear(size, 2 * size)
        self.down = nn.Linear(2 * size, size)
        self.norm = nn.LayerNorm(size, eps=_FLOOR)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Return the mixed values."""
        mixed: torch.Tensor = self.norm(values + self.down(nn.functional.gelu(self.up(values))))
        return mixed


class MlpLobNet(nn.Module):
    """Windows (n, w, d) to logits (n, 3), or moves (n, 1)."""

    def __init__(self, config: MlpLobConfig, window: int, width: int, outputs: int = 3) -> None:
        """Begin untaught."""
        super().__init__()
        self.norm = BilinearNorm(window, width)
        self.embed = nn.Linear(width, config.hidden)
        self.over_features = nn.ModuleList(Mixer(config.hidden) for _ in range(config.blocks))
        self.over_time = nn.ModuleList(Mixer(window) for _ in range(config.blocks))
        self.pool = nn.Linear(window, 1)
        self.head = nn.Linear(config.hidden, outputs)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        values = self.embed(self.norm(rows))
        for features, time in zip(self.over_features, self.over_time, strict=True):
            values = time(features(values).transpose(1, 2)).transpose(1, 2)
        logits: torch.Tensor = self.head(self.pool(values.transpose(1, 2)).squeeze(2))
        return logits

    def write(self, graph: GraphBuilder) -> str:
        """Add the layers."""
        weights = self.state_dict()
        values = _linear(graph, write_norm(graph, graph.rows, weights, "norm"), weights, "embed")
        for number in range(len(self.over_features)):
            values = _mixer(graph, values, weights, f"over_features.{number}")
            values = graph.node("Transpose", values, perm=[0, 2, 1])
            values = _mixer(graph, values, weights, f"over_time.{number}")
            values = graph.node("Transpose", values, perm=[0, 2, 1])
        pooled = _linear(graph, graph.node("Transpose", values, perm=[0, 2, 1]), weights, "pool")
        return graph.linear(graph.node("Squeeze", pooled, graph.axes(2)), weights, "head")


def _linear(graph: GraphBuilder, values: str, weights: Weights, layer: str) -> str:
    turned = graph.constant(f"{layer}.weight", weights[f"{layer}.weight"].T.contiguous())
    bias = graph.constant(f"{layer}.bias", weights[f"{layer}.bias"])
    return graph.node("Add", graph.node("MatMul", values, turned), bias)


def _mixer(graph: GraphBuilder, values: str, weights: Weights, layer: str) -> str:
    up = _linear(graph, values, weights, f"{layer}.up")
    bent = graph.node("Erf", graph.node("Mul", up, graph.scalar(1 / sqrt(2))))
    halved = graph.node("Mul", up, graph.scalar(0.5))
    gelu = graph.node("Mul", halved, graph.node("Add", bent, graph.scalar(1.0)))
    added = graph.node("Add", values, _linear(graph, gelu, weights, f"{layer}.down"))
    names = [graph.constant(f"{layer}.norm.{part}", weights[f"{layer}.norm.{part}"]) for part in ("weight", "bias")]
    return graph.node("LayerNormalization", added, *names, axis=-1, epsilon=_FLOOR)


class MlpLob(SequenceFamily):
    """Blocks of two perceptrons."""

    name = "mlplob"

    def suggest(self, trial: "optuna.Trial") -> MlpLobConfig:
        """Return the configuration that `trial` tries."""
        return MlpLobConfig(
            hidden=trial.suggest_categorical("hidden", [16, 32, 64]),
            blocks=trial.suggest_int("blocks", 1, 3),
            **suggested(trial),
        )

    def default(self) -> MlpLobConfig:
        """Return a cautious middle."""
        return MlpLobConfig()

    def build(self, config: MlpLobConfig, window: int, width: int, outputs: int = 3) -> nn.Module:
        """Return the net, untaught."""
        return MlpLobNet(config, window, width, outputs)


FAMILY = MlpLob()
