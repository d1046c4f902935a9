"""What notebook 07 says of several seeds: its own cells, run again from other starts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.benchmarks.rows import Row

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "07-inside.ipynb"
EDGES = ("def pieces", "def whiten", "def sparse", "def learn", "def oriented")  # a word of each cell that is run
SHAPES = ("shapes, net = load", "def same_shape")
IMPORTS = "import numpy as np, torch\nfrom cnnviz import images, inside, load\n"
TALK = "\n\n\nfor title, network", "\n\n\nnoise = whiten"  # where a cell begins to print


def run(words: tuple[str, ...], seed: int = 0) -> dict[str, Any]:
    """Run the cells that hold these words, and return their names."""
    cells = ["".join(cell["source"]) for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]]
    names: dict[str, Any] = {}
    exec(IMPORTS, names)
    for word in words:
        (source,) = (cell for cell in cells if word in cell)
        for talk in TALK:
            source = source.split(talk)[0]
        exec(source.replace("manual_seed(0)", f"manual_seed({seed})"), names)
    return names


def edges(seeds: range) -> dict[str, list[float]]:
    """Oriented filters of 64 after 200 steps of sparse coding, on photographs and on noise."""
    names = run(EDGES)
    noise = names["whiten"](names["np"].random.default_rng(1).random((10_000, 144)))
    pieces = {"photographs": names["white"], "noise": noise}
    return {of: [names["oriented"](names["learn"](x, seed=seed)[-1]) for seed in seeds] for of, x in pieces.items()}


def same_shape(seed: int) -> dict[str, float]:
    """Of the nine pictures that excite a channel most, how many show one shape, the mean over a layer's channels."""
    names = run(SHAPES, seed)
    asyncio.run(_finished(names["run"]))
    networks = {"trained": names["net"].eval(), "random weights": names["inside"].randomised(names["net"], seed)}
    layers = ("layer1", "layer2", "layer3")
    return {f"{of}, {at}": names["same_shape"](net, at) for of, net in networks.items() for at in layers}


async def _finished(run: Any) -> None:
    await run


def measure(quick: bool = False) -> Iterator[Row]:
    """Measure what the notebook promises of edges and of layers."""
    seeds = range(1 if quick else 5)
    for of, counts in edges(seeds).items():
        yield Row.of_seeds(f"oriented filters of 64 after {of}", counts, bar=41 if of == "photographs" else None)
    found = [same_shape(seed) for seed in seeds]
    for name in found[0]:
        yield Row.of_seeds(f"pictures of nine with one shape: {name}", [one[name] for one in found])
