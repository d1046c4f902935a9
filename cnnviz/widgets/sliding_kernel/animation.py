"""A moving kernel as an animation: one frame for each output cell."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cnnviz.widgets import _animation
from cnnviz.widgets._drawing import WINDOW
from cnnviz.widgets.sliding_kernel import picture
from cnnviz.widgets.sliding_kernel.scene import Scene

FRAMES = 100  # of an animation; larger outputs are walked in larger steps


def write(scene: Scene, target: Path) -> None:
    """Write a GIF, `speed` frames a second; the output fills in as the kernel moves."""
    cells = scene.output.shape[1] * scene.output.shape[2]
    positions = np.unique(np.linspace(0, cells - 1, min(cells, FRAMES)).round().astype(int)).tolist()
    filling = scene.with_state(fill=True)
    drawings = [picture.draw(filling.with_state(position=position), described=False) for position in positions]
    _animation.write(drawings, 1000 / scene.state["speed"], [WINDOW], target)
