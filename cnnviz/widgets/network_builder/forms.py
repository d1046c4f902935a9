"""Small networks to start from: the plain form of three that the lectures tell of."""

from __future__ import annotations

from typing import Any


def conv(out_channels: int, kernel_size: int = 3, stride: int = 1, padding: int = 1) -> dict[str, Any]:
    """Return a convolution."""
    window = {"kernel_size": kernel_size, "stride": stride, "padding": padding}
    return {"kind": "conv", "out_channels": out_channels, **window}


def linear(out_features: int) -> dict[str, Any]:
    """Return a dense layer."""
    return {"kind": "linear", "out_features": out_features}


FORMS: dict[str, dict[str, Any]] = {
    # LeCun et al., Gradient-Based Learning Applied to Document Recognition, 1998, as it is taught today: 61,706.
    "LeNet-5": {
        "input_size": (1, 32, 32),
        "layers": [
            *(conv(6, 5, padding=0), "relu", "avg_pool"),
            *(conv(16, 5, padding=0), "relu", "avg_pool"),
            *(conv(120, 5, padding=0), "relu", "flatten"),
            *(linear(84), "relu", linear(10)),
        ],
    },
    # Simonyan and Zisserman, 2014: two 3x3 and a pool, twice the channels, again.
    "small VGG": {
        "input_size": (3, 32, 32),
        "layers": [
            *(item for n in (32, 64, 128) for item in (conv(n), "relu", conv(n), "relu", "max_pool")),
            *("flatten", linear(256), "relu", "dropout", linear(10)),
        ],
    },
    # Springenberg et al., Striving for Simplicity, 2014: strides instead of pools, an average instead of dense layers.
    "small all-convolutional": {
        "input_size": (3, 32, 32),
        "layers": [
            *(conv(48), "relu", conv(48, stride=2), "relu"),
            *(conv(96), "relu", conv(96, stride=2), "relu"),
            *(conv(96), "relu", conv(96, 1, padding=0), "relu", conv(10, 1, padding=0)),
            *("global_avg_pool", "flatten"),
        ],
    },
}
