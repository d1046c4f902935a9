"""Train the bundled networks and write them: ``python -m tests.make_weights``, 60 s; prints their rows for the table.

LeNet-5 learns from the training scans and from simulated drawings, slightly turned, slanted and scaled, never moved.
The global-average net learns from the scans as they are.
"""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cnnviz.data import load
from cnnviz.models.bundled import FOLDER, NETWORKS
from tests.drawings import LEARNED, drawn


def bent(batch: Tensor, generator: torch.Generator) -> Tensor:
    """Turn by up to 7 degrees, slant by up to 0.15 and scale by up to 10 percent, each picture for itself."""
    angle, slant, wide, tall = (torch.rand((4, len(batch)), generator=generator) * 2 - 1) * torch.tensor(
        [[0.12], [0.15], [0.1], [0.1]]
    )
    theta = torch.zeros(len(batch), 2, 3)
    theta[:, 0, 0], theta[:, 0, 1] = angle.cos() * (1 + wide), (slant - angle.sin()) * (1 + tall)
    theta[:, 1, 0], theta[:, 1, 1] = angle.sin() * (1 + wide), angle.cos() * (1 + tall)
    grid = F.affine_grid(theta, list(batch.shape), align_corners=False)
    return F.grid_sample(batch, grid, align_corners=False)


def train(network: nn.Module, x: Tensor, y: Tensor, epochs: int, lr: float, bend: bool, seed: int) -> None:
    """Adam with a rate that falls along a cosine, 64 pictures a step."""
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(network.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for _ in range(epochs):
        for chosen in torch.randperm(len(x), generator=generator).split(64):
            batch = bent(x[chosen], generator) if bend else x[chosen]
            optimizer.zero_grad()
            F.cross_entropy(network(batch), y[chosen]).backward()
            optimizer.step()
        schedule.step()


def main() -> None:
    """Train both, write both, print what `NETWORKS` has to say of them."""
    torch.set_num_threads(1)
    data = load("digits")
    drawings, labels = drawn(LEARNED, each=64, seed=1)
    both = torch.cat([data.train_x, drawings]), torch.cat([data.train_y, labels])
    recipes = {
        "lenet5-digits": (both, {"epochs": 30, "lr": 3e-3, "bend": True}),
        "average-digits": ((data.train_x, data.train_y), {"epochs": 90, "lr": 5e-3, "bend": False}),
    }
    FOLDER.mkdir(exist_ok=True)
    for name, ((x, y), how) in recipes.items():
        torch.manual_seed(0)
        network = NETWORKS[name].build()
        train(network, x, y, seed=0, **how)
        path = FOLDER / f"{name}.pt"
        torch.save(network.eval().state_dict(), path)
        with torch.no_grad():
            right = (network(data.test_x).argmax(1) == data.test_y).float().mean()
        print(f'"{name}": "{hashlib.sha256(path.read_bytes()).hexdigest()}", {100 * right:.1f}', flush=True)


if __name__ == "__main__":
    main()
