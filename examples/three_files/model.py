"""The network: any torch.nn.Module. dojang passes in_channels, classes and image_size if the constructor takes them."""

from torch import nn


class CNN(nn.Module):
    def __init__(self, in_channels=1, classes=10):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, 16, 3, padding=1), nn.ReLU(),  # (B, 16, 8, 8)
            nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),  # (B, 32, 4, 4)
        )  # fmt: skip
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(32 * 4 * 4, classes))

    def forward(self, x):
        return self.head(self.features(x))
