"""Limit-order-book nets of the literature in PyTorch, with weights at random: what is timed, not what is traded.

Source:
    DeepLOB: Zhang, Zohren & Roberts (2019), IEEE Transactions on Signal Processing 67(11).
    BiN-CTABL: Tran, Kanniainen, Gabbouj & Iosifidis (2021), ICPR; TABL: the same (2019), IEEE TNNLS 30(5).
"""

import torch
from torch import Tensor, nn

LEVELS = 10
FEATURES = 4 * LEVELS


class DeepLob(nn.Module):
    """(batch, w, 40) to logits (batch, 3); w over 18, as no convolution pads the time before the inception."""

    def __init__(self, channels: int = 32, hidden: int = 64) -> None:
        super().__init__()

        def block(inputs: int, across: tuple[int, int], stride: tuple[int, int]) -> list[nn.Module]:
            layers: list[nn.Module] = [nn.Conv2d(inputs, channels, across, stride), nn.LeakyReLU(0.01)]
            for _ in range(2):
                layers += [nn.Conv2d(channels, channels, (4, 1)), nn.LeakyReLU(0.01)]
            return layers

        self.book = nn.Sequential(
            *block(1, (1, 2), (1, 2)), *block(channels, (1, 2), (1, 2)), *block(channels, (1, LEVELS), (1, 1))
        )
        one = (1, 1)
        self.short = nn.Sequential(
            nn.Conv2d(channels, 2 * channels, one),
            nn.LeakyReLU(0.01),
            nn.Conv2d(2 * channels, 2 * channels, (3, 1), padding=(1, 0)),
            nn.LeakyReLU(0.01),
        )
        self.long = nn.Sequential(
            nn.Conv2d(channels, 2 * channels, one),
            nn.LeakyReLU(0.01),
            nn.Conv2d(2 * channels, 2 * channels, (5, 1), padding=(2, 0)),
            nn.LeakyReLU(0.01),
        )
        self.pooled = nn.Sequential(
            nn.MaxPool2d((3, 1), (1, 1), (1, 0)), nn.Conv2d(channels, 2 * channels, one), nn.LeakyReLU(0.01)
        )
        self.lstm = nn.LSTM(6 * channels, hidden, batch_first=True)
        self.head = nn.Linear(hidden, 3)

    def forward(self, rows: Tensor) -> Tensor:
        """Return logits."""
        seen = self.book(rows.unsqueeze(1))
        joined = torch.cat([self.short(seen), self.long(seen), self.pooled(seen)], dim=1)
        steps = joined[:, :, :, 0].transpose(1, 2)
        states, _ = self.lstm(steps)
        logits: Tensor = self.head(states[:, -1])
        return logits


class BinCtabl(nn.Module):
    """(batch, w, 40) to logits (batch, 3): bilinear normalisation, two bilinear layers, one with attention."""

    def __init__(self, window: int, features: int = FEATURES) -> None:
        super().__init__()

        def weights(*sizes: int) -> nn.Parameter:
            return nn.Parameter(torch.randn(*sizes) / sizes[-1] ** 0.5)

        self.over_time = nn.ParameterList([weights(features, 1), weights(features, 1)])
        self.over_features = nn.ParameterList([weights(1, window), weights(1, window)])
        self.mix = weights(2)
        sizes = [(features, window), (60, window // 2), (120, window // 4), (3, 1)]
        pairs = list(zip(sizes, sizes[1:], strict=False))
        self.left = nn.ParameterList([weights(new[0], old[0]) for old, new in pairs])
        self.right = nn.ParameterList([weights(old[1], new[1]) for old, new in pairs])
        self.bias = nn.ParameterList([weights(*new) for _, new in pairs])
        self.attention = weights(sizes[-2][1], sizes[-2][1])
        self.share = weights(1)

    def forward(self, rows: Tensor) -> Tensor:
        """Return logits."""
        x = rows.transpose(1, 2)
        timed = self._normalised(x, 2) * self.over_time[0] + self.over_time[1]
        featured = self._normalised(x, 1) * self.over_features[0] + self.over_features[1]
        x = self.mix[0] * timed + self.mix[1] * featured
        for layer in range(2):
            x = torch.relu(self.left[layer] @ x @ self.right[layer] + self.bias[layer])
        x = self.left[2] @ x
        attended = x * torch.softmax(x @ self.attention, dim=2)
        x = self.share * x + (1 - self.share) * attended
        logits: Tensor = (x @ self.right[2] + self.bias[2]).flatten(1)
        return logits

    @staticmethod
    def _normalised(x: Tensor, axis: int) -> Tensor:
        centred = x - x.mean(dim=axis, keepdim=True)
        return centred / ((centred * centred).mean(dim=axis, keepdim=True) + 1e-4).sqrt()
