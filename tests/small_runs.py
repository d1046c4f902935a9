"""A network and data so small that a test can train them many times."""

import asyncio
import time
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import nn

from cnnviz.data import load

DIGITS = load("digits", size=8).few(13)  # 130 pictures
LEARNING = {"lr": 0.05, "optimizer": "momentum", "batch_size": 32}


def net(seed=0, dropout=0.0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Dropout(dropout), nn.Linear(144, 10))


def weights(model):
    return torch.cat([parameter.detach().flatten().clone() for parameter in model.parameters()])


def wait_for(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.002)


def in_a_loop(cell: Coroutine) -> Any:
    """Run a coroutine in an event loop of its own: in this thread Playwright's may be running."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, cell).result()
