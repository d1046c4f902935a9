"""What notebook 14 says of training, over five seeds: its own cells, run again from other starts."""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.benchmarks.rows import Row

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "14-groups-shuffle-squeeze.ipynb"
PAIRS = ("unit", "pairs-data", "pairs-show", "network-code", "train")
WEIGHTS = ("lenet", "layers", "prune", "prune-curve", "retrain", "round", "packed")
IMPORTS = """import torch
from torch import nn
from ipywidgets import IntSlider
from cnnviz import fit, load, models
from cnnviz.widgets.chart import *"""
WITHOUT = {
    "pairs-show": "figure, axes",
    "network-code": "for groups",
    "train": "runs = ",
}  # where a cell begins to draw or to train for the reader


def run(cells: tuple[str, ...], seed: int = 0) -> dict[str, Any]:
    """Run some cells of the notebook, by their ids, and return their names."""
    sources = {
        cell["id"]: "".join(cell["source"]) for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    }
    names: dict[str, Any] = {}
    exec(IMPORTS, names)
    for cell in cells:
        source = sources[cell].split(WITHOUT.get(cell, "\0"))[0].replace("seed = 0\n", f"seed = {seed}\n")
        pending = eval(compile(source, cell, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)
        if inspect.iscoroutine(pending):
            asyncio.run(pending)
    return names


def pairs(seeds: range) -> dict[str, list[float]]:
    """Per cent of the pairs right: two groups, two shuffled groups, one group."""
    train = run(PAIRS)["train_pairs"]
    kinds = {"2 groups": (2, False), "2 groups, shuffled": (2, True), "1 group": (1, False)}
    return {kind: [reached(train(*options, seed)) for seed in seeds] for kind, options in kinds.items()}


def single(seeds: range) -> dict[str, list[float]]:
    """The same units on single digits, eight groups of four maps, all of which see the digit."""
    import torch
    from torch import nn

    from cnnviz import fit, load

    build, digits = run(PAIRS)["network"], load("digits", size=16)

    def train(shuffle: bool, seed: int) -> Any:
        torch.manual_seed(seed)
        network = build(2, shuffle, 32)
        for unit in (network[2], network[4]):
            unit.__init__(32, 8, shuffle)
        network[0], network[-1] = nn.Conv2d(1, 32, 3, padding=1), nn.Linear(32, 10)
        return fit(network, digits, 6, lr=0.01, optimizer="adam", schedule="one-cycle", seed=seed)

    kinds = {"8 groups": False, "8 groups, shuffled": True}
    return {kind: [reached(train(shuffle, seed)) for seed in seeds] for kind, shuffle in kinds.items()}


def lighter(seed: int) -> dict[str, float]:
    """Per cent right of LeNet-5 as trained, cut, trained again and rounded; and its packed kilobytes."""
    names = run(WEIGHTS, seed)
    right, lenet, thin, rounded = (names[name] for name in ("right", "lenet", "thin", "rounded"))
    found = {"as trained": right(lenet)} | {
        f"{share:.0%} cut": right(names["pruned"](share)) for share in (0.5, 0.9, 0.98)
    }
    found |= {"90% cut, trained again": right(thin)} | {
        f"{bits} bits": right(rounded(lenet, bits)) for bits in (8, 4, 3, 2)
    }
    found |= {"90% cut, trained again, 8 bits": right(rounded(thin, 8))}
    packed = names["kilobytes"](lenet) / names["kilobytes"](rounded(thin, 8), 8)
    return {name: 100 * value for name, value in found.items()} | {"times smaller, packed": packed}


def reached(run: Any) -> float:
    return 100 * run.result().epochs[-1].test_accuracy


def measure(quick: bool = False) -> Iterator[Row]:
    """Measure everything that the notebook promises of training."""
    seeds = range(1 if quick else 5)
    yield from _rows("pairs of digits", pairs(seeds))
    yield from _rows("single digits", single(seeds))
    weights = [lighter(seed) for seed in seeds]
    yield from _rows("LeNet-5", {name: [one[name] for one in weights] for name in weights[0]})


def _rows(title: str, found: dict[str, list[float]]) -> Iterator[Row]:
    for name, values in found.items():
        yield Row.of_seeds(f"14: {title}, {name}", values, "" if "times" in name else "%")
