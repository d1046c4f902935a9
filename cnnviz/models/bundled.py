"""Small trained networks that come with the package, so that a notebook starts with one that knows something.

``python -m tests.make_weights`` trains them anew and prints what stands in the table below.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from cnnviz.models.lenet import lenet5

FOLDER = Path(__file__).parent / "weights"


class Bundled(NamedTuple):
    """How to build a network, the SHA-256 of its weights, and its accuracy on the 355 test scans, in percent."""

    build: Callable[[], nn.Module]
    sha256: str
    accuracy: float


def average_net() -> nn.Sequential:
    """Three convolutions and a pool over the whole map: it knows what is there, and not where. 23,946 parameters.

    >>> average_net()(torch.zeros(1, 1, 32, 32)).shape
    torch.Size([1, 10])
    """
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),  # 16, 16, 16
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),  # 32, 8, 8
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1),  # 64, 1, 1
        nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip


NETWORKS = {
    "lenet5-digits": Bundled(lenet5, "955bfbfba72f1b49433370d1d562cad3020dccaeed306a6978bc90143f3a6d21", 99.2),
    "average-digits": Bundled(average_net, "e9b849228f8a7610468d29c3d2efe771e9fac5999892722b3d11b8860c67dbd6", 95.5),
}


def load(name: str) -> nn.Module:
    """Return a network that has learned the digits of ``load("digits")``, in evaluation mode.

    "lenet5-digits" is LeNet-5. It also saw simulated drawings, since the writers of the scans cross their sevens and
    close their fours. "average-digits" is `average_net`, which learned from the scans alone. Both learned from digits
    in the middle of the picture only.

    Raises
    ------
    ValueError
        For another name, or when the file is not the one that was shipped.

    Examples
    --------
    >>> sum(p.numel() for p in load("lenet5-digits").parameters())
    61706
    """
    if name not in NETWORKS:
        raise ValueError(f"no network is called {name!r}: use {' or '.join(NETWORKS)}")
    build, sha256, _ = NETWORKS[name]
    path = FOLDER / f"{name}.pt"
    contents = path.read_bytes()
    if hashlib.sha256(contents).hexdigest() != sha256:
        raise ValueError(
            f"{path.name} is not the file that was shipped (its SHA-256 differs): install the package anew"
        )
    network = build()
    network.load_state_dict(torch.load(io.BytesIO(contents), map_location="cpu", weights_only=True))
    return network.eval()
