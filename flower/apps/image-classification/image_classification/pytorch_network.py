"""The network in PyTorch. This file needs nothing but PyTorch: with it an exported state dict loads anywhere."""

from collections import OrderedDict

from torch import nn


def network(height: int, width: int, channels: int, classes: int) -> nn.Sequential:
    """Two convolutions and two full layers; takes images by channels by rows by columns, 0 to 1; gives logits.

    Group norm has no counters, which an average of nodes would spoil.
    """
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(channels, 16, 3, padding=1),
            norm1=nn.GroupNorm(4, 16),
            relu1=nn.ReLU(),
            pool1=nn.MaxPool2d(2),
            conv2=nn.Conv2d(16, 32, 3, padding=1),
            norm2=nn.GroupNorm(4, 32),
            relu2=nn.ReLU(),
            pool2=nn.MaxPool2d(2),
            flatten=nn.Flatten(),
            full=nn.Linear(32 * (height // 4) * (width // 4), 64),
            relu3=nn.ReLU(),
            output=nn.Linear(64, classes),
        )
    )
