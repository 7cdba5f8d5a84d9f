"""A long short-term memory over the window, read at its last step (Hochreiter and Schmidhuber 1997)."""

from typing import TYPE_CHECKING

import torch
from torch import nn

from models.families.sequence import SequenceConfig, SequenceFamily, suggested
from models.onnx_builder import GraphBuilder

if TYPE_CHECKING:
    import optuna


class LstmConfig(SequenceConfig, frozen=True, kw_only=True):
    """Width of the memory."""

    hidden: int = 32
    layers: int = 1


class LstmNet(nn.Module):
    """Windows (n, w, d) to logits (n, 3), or moves (n, 1)."""

    def __init__(self, config: LstmConfig, width: int, outputs: int = 3) -> None:
        """Begin untaught."""
        super().__init__()
        self.lstm = nn.LSTM(width, config.hidden, config.layers, batch_first=True)
        self.head = nn.Linear(config.hidden, outputs)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        logits: torch.Tensor = self.head(self.lstm(rows)[0][:, -1])
        return logits

    def write(self, graph: GraphBuilder) -> str:
        """Add the layers, time first as ONNX has it."""
        weights = self.state_dict()
        values = graph.node("Transpose", graph.rows, perm=[1, 0, 2])
        for number in range(self.lstm.num_layers):
            said = graph.lstm(values, weights, "lstm", number)
            if number + 1 < self.lstm.num_layers:
                values = graph.node("Squeeze", said, graph.axes(1))
        return graph.linear(graph.last_of(said), weights, "head")


class Lstm(SequenceFamily):
    """One or two layers."""

    name = "lstm"

    def suggest(self, trial: "optuna.Trial") -> LstmConfig:
        """Return the configuration that `trial` tries."""
        return LstmConfig(hidden=trial.suggest_categorical("hidden", [16, 32, 64]), **suggested(trial))

    def default(self) -> LstmConfig:
        """Return a cautious middle."""
        return LstmConfig()

    def build(self, config: LstmConfig, window: int, width: int, outputs: int = 3) -> nn.Module:  # noqa: ARG002  any will do
        """Return the net, untaught."""
        return LstmNet(config, width, outputs)


FAMILY = Lstm()
