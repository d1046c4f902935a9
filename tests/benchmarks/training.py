"""LeNet-5 on the digits: what it reaches, and the pace of `fit` beside a loop with DataLoader, as textbooks have it.

Both loops do the same: the same network and batches, loss and accuracy of each batch, the test set after each epoch.
Each has a process of its own, in turns, so that neither profits from what the other has set.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from tests.benchmarks.rows import Row

LEARNING = {"epochs": 20, "lr": 0.1, "optimizer": "momentum", "schedule": "cosine"}
GPU_BAR, CPU_BAR = 5, 1.15


def textbook(epochs: int, device: str) -> float:
    """Samples a second of the loop that everybody writes first."""
    import torch
    from torch.nn import functional
    from torch.utils.data import DataLoader, TensorDataset

    from cnnviz import load, models

    digits, net = load("digits"), models.create("lenet5").to(device)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    train = DataLoader(TensorDataset(digits.train_x, digits.train_y), batch_size=64, shuffle=True)
    test = DataLoader(TensorDataset(digits.test_x, digits.test_y), batch_size=64)
    start = time.perf_counter()
    for _ in range(epochs):
        net.train()
        for x, y in train:
            x, y = x.to(device), y.to(device)
            optimiser.zero_grad()
            scores = net(x)
            loss = functional.cross_entropy(scores, y)
            loss.backward()
            optimiser.step()
            loss.item(), (scores.argmax(1) == y).sum().item()
        net.eval()
        with torch.no_grad():
            for x, y in test:
                (net(x.to(device)).argmax(1) == y.to(device)).sum().item()
    return epochs * len(digits.train_x) / (time.perf_counter() - start)


def ours(epochs: int, device: str) -> float:
    """Samples a second of `fit`."""
    from cnnviz import fit, load, models

    digits, net = load("digits"), models.create("lenet5")
    start = time.perf_counter()
    fit(net, digits, epochs=epochs, lr=0.05, optimizer="momentum", device=device).result()
    return epochs * len(digits.train_x) / (time.perf_counter() - start)


def measure(quick: bool = False) -> list[Row]:
    """Accuracy and time over five seeds, then the pace in pairs."""
    import torch

    seeds = range(1 if quick else 5)
    runs = [learned(seed) for seed in seeds]
    reached, seconds = zip(*runs, strict=True)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    name = torch.cuda.get_device_name() if device == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    pairs = [(paced("ours", device), paced("textbook", device)) for _ in range(1 if quick else 5)]
    return [
        Row("LeNet-5 on the digits, worst of five seeds", min(reached), "%", 97, more=True, note=f"{len(seeds)} seeds"),
        Row("  median", statistics.median(reached), "%", 98, more=True),
        Row("  a run of 20 epochs, median", statistics.median(seconds), "s"),
        Row("fit, samples a second, median", statistics.median(pair[0] for pair in pairs), "", note=name),
        Row("textbook loop with DataLoader, the same", statistics.median(pair[1] for pair in pairs), ""),
        Row(
            "  times as fast, median of pairs", statistics.median(one / other for one, other in pairs), "",
            CPU_BAR if device == "cpu" else GPU_BAR, more=True, note=f"{len(pairs)} pairs",
        ),
    ]  # fmt: skip


def learned(seed: int) -> tuple[float, float]:
    """Per cent of the test pictures right after a whole run, and its seconds."""
    import torch

    from cnnviz import fit, load, models

    torch.manual_seed(seed)
    start = time.perf_counter()
    history = fit(models.create("lenet5"), load("digits"), seed=seed, **LEARNING).result()
    return 100 * history.epochs[-1].test_accuracy, time.perf_counter() - start


def paced(loop: str, device: str) -> float:
    """Samples a second of one of the loops, in a new process, after a first epoch that does not count."""
    code = f"from tests.benchmarks.training import {loop}; {loop}(1, {device!r}); print({loop}(5, {device!r}))"
    return float(subprocess.check_output([sys.executable, "-c", code]))
