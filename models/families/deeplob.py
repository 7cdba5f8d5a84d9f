"""Convolutions over time, an inception layer and a memory, after DeepLOB (Zhang, Zohren and Roberts 2019).

The paper's first convolutions pair price and size of each level of a raw book; here the columns are features already,
so the first one mixes them all and those that follow look along time.
"""

from typing import TYPE_CHECKING

import torch
from torch import nn

from models.families.sequence import SequenceConfig, SequenceFamily, suggested
from models.onnx_builder import GraphBuilder, Weights

if TYPE_CHECKING:
    import optuna

SLOPE = 0.01
"""Of the leaky ReLU, as in the paper."""


class DeepLobConfig(SequenceConfig, frozen=True, kw_only=True):
    """Channels of the convolutions, width of the memory."""

    channels: int = 16
    hidden: int = 32


class DeepLobNet(nn.Module):
    """Windows (n, w, d) to logits (n, 3), or moves (n, 1); time is w - 2 after two convolutions, and stays so."""

    def __init__(self, config: DeepLobConfig, width: int, outputs: int = 3) -> None:
        """Begin untaught."""
        super().__init__()
        channels, third = config.channels, config.channels
        self.mix = nn.Conv1d(width, channels, 1)
        self.short = nn.Conv1d(channels, channels, 3)
        self.narrow = nn.Conv1d(channels, third, 3, padding=1)
        self.wide = nn.Conv1d(channels, third, 5, padding=2)
        self.highest = nn.MaxPool1d(3, stride=1, padding=1)
        self.pooled = nn.Conv1d(channels, third, 1)
        self.lstm = nn.LSTM(3 * third, config.hidden, batch_first=True)
        self.head = nn.Linear(config.hidden, outputs)
        self.leaky = nn.LeakyReLU(SLOPE)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        values = self.leaky(self.short(self.leaky(self.mix(rows.transpose(1, 2)))))
        views = [self.narrow(values), self.wide(values), self.pooled(self.highest(values))]
        steps = self.leaky(torch.cat(views, dim=1)).transpose(1, 2)
        logits: torch.Tensor = self.head(self.lstm(steps)[0][:, -1])
        return logits

    def write(self, graph: GraphBuilder) -> str:
        """Add the layers, channels before time as ONNX has it."""
        weights = self.state_dict()
        values = graph.node("Transpose", graph.rows, perm=[0, 2, 1])
        for layer in ("mix", "short"):
            values = graph.node("LeakyRelu", _conv(graph, values, weights, layer), alpha=SLOPE)
        highest = graph.node("MaxPool", values, kernel_shape=[3], strides=[1], pads=[1, 1])
        views = [
            _conv(graph, values, weights, "narrow", pad=1),
            _conv(graph, values, weights, "wide", pad=2),
            _conv(graph, highest, weights, "pooled"),
        ]
        joined = graph.node("LeakyRelu", graph.node("Concat", *views, axis=1), alpha=SLOPE)
        said = graph.lstm(graph.node("Transpose", joined, perm=[2, 0, 1]), weights, "lstm")
        return graph.linear(graph.last_of(said), weights, "head")


def _conv(graph: GraphBuilder, values: str, weights: Weights, layer: str, pad: int = 0) -> str:
    kernel = weights[f"{layer}.weight"]
    names = [graph.constant(f"{layer}.weight", kernel), graph.constant(f"{layer}.bias", weights[f"{layer}.bias"])]
    return graph.node("Conv", values, *names, kernel_shape=[kernel.shape[2]], pads=[pad, pad])


class DeepLob(SequenceFamily):
    """Two convolutions, three views of time, one memory."""

    name = "deeplob"

    def suggest(self, trial: "optuna.Trial") -> DeepLobConfig:
        """Return the configuration that `trial` tries."""
        return DeepLobConfig(
            channels=trial.suggest_categorical("channels", [8, 16, 32]),
            hidden=trial.suggest_categorical("hidden", [16, 32, 64]),
            **suggested(trial),
        )

    def default(self) -> DeepLobConfig:
        """Return a cautious middle."""
        return DeepLobConfig()

    def build(self, config: DeepLobConfig, window: int, width: int, outputs: int = 3) -> nn.Module:  # noqa: ARG002  any will do
        """Return the net, untaught."""
        return DeepLobNet(config, width, outputs)


FAMILY = DeepLob()
