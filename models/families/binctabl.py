"""Bilinear layers with attention over time (Tran et al. 2019, "TABL") behind a normalisation of the window ("BiN")."""

from typing import TYPE_CHECKING

import torch
from torch import nn

from models.families.normalising import BilinearNorm, write_norm
from models.families.sequence import SequenceConfig, SequenceFamily, suggested
from models.onnx_builder import GraphBuilder, Weights

if TYPE_CHECKING:
    import optuna


class BinCtablConfig(SequenceConfig, frozen=True, kw_only=True):
    """Sizes of the two hidden bilinear layers: features by time."""

    features: int = 32
    steps: int = 8


class Bilinear(nn.Module):
    """(n, w, d) to (n, steps, features): columns mixed from the right, time from the left."""

    def __init__(self, window: int, width: int, steps: int, features: int) -> None:
        """Begin untaught."""
        super().__init__()
        self.columns = nn.Parameter(torch.empty(width, features))
        self.time = nn.Parameter(torch.empty(steps, window))
        self.bias = nn.Parameter(torch.zeros(steps, features))
        nn.init.kaiming_uniform_(self.columns, a=5**0.5)
        nn.init.kaiming_uniform_(self.time, a=5**0.5)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the mixed windows."""
        return self.time @ (rows @ self.columns) + self.bias


class Attention(nn.Module):
    """(n, w, d) to logits (n, 3), or moves (n, 1): a bilinear layer whose steps are weighed for each output apart."""

    def __init__(self, window: int, width: int, outputs: int) -> None:
        """Begin with even attention."""
        super().__init__()
        self.columns = nn.Parameter(torch.empty(width, outputs))
        self.energy = nn.Parameter(torch.zeros(window, window))
        self.mixing = nn.Parameter(torch.tensor(0.5))
        self.time = nn.Parameter(torch.full((1, window), 1.0 / window))
        self.bias = nn.Parameter(torch.zeros(1, outputs))
        nn.init.kaiming_uniform_(self.columns, a=5**0.5)

    def weights(self) -> torch.Tensor:
        """Return the energies with 1/w held on the diagonal, as the paper has it."""
        size = len(self.energy)
        even = torch.eye(size, device=self.energy.device)
        return self.energy * (1 - even) + even / size

    def share(self) -> torch.Tensor:
        """Return how much attention is mixed in, in [0, 1]."""
        return self.mixing.clamp(0.0, 1.0)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        said = rows @ self.columns
        attention = torch.softmax(self.weights() @ said, dim=1)
        share = self.share()
        mixed = said * (attention * share + (1 - share))
        return (self.time @ mixed + self.bias).squeeze(1)


class BinCtablNet(nn.Module):
    """Windows (n, w, d) to logits (n, 3), or moves (n, 1)."""

    def __init__(self, config: BinCtablConfig, window: int, width: int, outputs: int = 3) -> None:
        """Begin untaught."""
        super().__init__()
        self.norm = BilinearNorm(window, width)
        self.first = Bilinear(window, width, 2 * config.steps, config.features)
        self.second = Bilinear(2 * config.steps, config.features, config.steps, config.features)
        self.last = Attention(config.steps, config.features, outputs)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        values = torch.relu(self.first(self.norm(rows)))
        logits: torch.Tensor = self.last(torch.relu(self.second(values)))
        return logits

    def write(self, graph: GraphBuilder) -> str:
        """Add the layers."""
        weights = self.state_dict()
        values = write_norm(graph, graph.rows, weights, "norm")
        for layer in ("first", "second"):
            values = graph.node("Relu", _bilinear(graph, values, weights, layer))
        said = graph.node("MatMul", values, graph.constant("last.columns", weights["last.columns"]))
        share = self.last.share().detach()
        energy = graph.node("MatMul", graph.constant("last.energy", self.last.weights()), said)
        scaled = graph.node("Mul", graph.node("Softmax", energy, axis=1), graph.constant("last.share", share))
        weighed = graph.node("Mul", said, graph.node("Add", scaled, graph.constant("last.rest", 1 - share)))
        summed = graph.node("MatMul", graph.constant("last.time", weights["last.time"]), weighed)
        logits = graph.node("Add", summed, graph.constant("last.bias", weights["last.bias"]))
        return graph.node("Squeeze", logits, graph.axes(1))


def _bilinear(graph: GraphBuilder, values: str, weights: Weights, layer: str) -> str:
    columns = graph.node("MatMul", values, graph.constant(f"{layer}.columns", weights[f"{layer}.columns"]))
    steps = graph.node("MatMul", graph.constant(f"{layer}.time", weights[f"{layer}.time"]), columns)
    return graph.node("Add", steps, graph.constant(f"{layer}.bias", weights[f"{layer}.bias"]))


class BinCtabl(SequenceFamily):
    """Two bilinear layers and one with attention."""

    name = "binctabl"

    def suggest(self, trial: "optuna.Trial") -> BinCtablConfig:
        """Return the configuration that `trial` tries."""
        return BinCtablConfig(
            features=trial.suggest_categorical("features", [16, 32, 64]),
            steps=trial.suggest_categorical("steps", [4, 8]),
            **suggested(trial),
        )

    def default(self) -> BinCtablConfig:
        """Return a cautious middle."""
        return BinCtablConfig()

    def build(self, config: BinCtablConfig, window: int, width: int, outputs: int = 3) -> nn.Module:
        """Return the net, untaught."""
        return BinCtablNet(config, window, width, outputs)


FAMILY = BinCtabl()
