"""Notebook 15: what augmentation and transfer bring when pictures are few, over five seeds, by its own cells."""

from __future__ import annotations

import asyncio
import inspect
import json
from ast import PyCF_ALLOW_TOP_LEVEL_AWAIT
from collections.abc import Iterator
from pathlib import Path
from statistics import mean
from typing import Any

from tests.benchmarks.rows import Row

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "15-transfer-augmentation.ipynb"
CELLS = ("data", "network", "network-built", "train", "pretrain", "pretrained", "ways", "own-folder", "own-cut")
ONE_PICTURE = 0.5  # per cent of the 177 test pictures, and a little less
GENTLE = "[data.flip(), data.shift(3), data.colour(0.2)]"
CHANGES = (
    "None", "data.crop(4)", "data.shift(6)", "data.flip()", "data.rotation(15)", "data.shear(20)", "data.zoom(0.2)",
    "data.noise(0.2)", "data.channel_shift(0.3)", "data.colour(0.3)", "data.pca_colour(0.5)", "data.mixup(0.4)",
)  # fmt: skip


def names_of() -> dict[str, Any]:
    """Run the cells that build, and pre-train once; return their names."""
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    sources = {cell["id"]: "".join(cell["source"]) for cell in cells}
    names: dict[str, Any] = {"display": lambda *_: None}
    exec("from cnnviz import data, load, reuse", names)
    for cell in CELLS:
        pending = eval(compile(sources[cell], cell, "exec", flags=PyCF_ALLOW_TOP_LEVEL_AWAIT), names)
        if inspect.iscoroutine(pending):
            asyncio.run(pending)
    return names


def measure(quick: bool = False) -> Iterator[Row]:
    """Measure scratch against frozen and tuned, each augmentation, and photographs as the target."""
    names, seeds = names_of(), range(1 if quick else 5)

    def right(call: str) -> list[float]:
        """Per cent right of the run that this text makes, for each seed."""
        return [100 * eval(call, names, {"seed": seed}).result().epochs[-1].test_accuracy for seed in seeds]

    for few in (5, 10, 20):
        found = {way: right(f"{way}(task.few({few}, seed), seed)") for way in ("scratch", "frozen", "tuned")}
        found["scratch, twice as long"] = right(f"scratch(task.few({few}, seed), seed, epochs=12)")
        for way, values in found.items():
            yield _mean(f"15: {few} a class, {way}", values)
        gains = [tuned - scratch for tuned, scratch in zip(found["tuned"], found["scratch"], strict=True)]
        yield Row.of_seeds(
            f"15: {few} a class, least gain of tuned over scratch", gains, "", ONE_PICTURE if few < 20 else None
        )
        yield _mean(f"15: {few} a class, mean gain of tuned over scratch", gains)
    for way in ("scratch", "tuned"):
        yield _mean(f"15: 5 a class, {way} and shift", right(f"{way}(task.few(5, seed), seed, augment=data.shift(6))"))
    for change in CHANGES:
        call = f"train(network(seed=seed), task.few(10, seed), seed, augment={change})"
        yield _mean(f"15: 10 a class, from scratch, {change}", right(call))
    for way in ("scratch", "tuned"):
        for change in ("None", GENTLE):
            call = f"{way}(own.few(5, seed), seed, augment={change})"
            yield _mean(
                f"15: photographs, 5 a class, {way}, {'augmented' if change != 'None' else 'as they are'}", right(call)
            )


def _mean(name: str, values: list[float]) -> Row:
    return Row(name, mean(values), "%", note="mean; seeds: " + ", ".join(f"{value:.0f}" for value in values))
