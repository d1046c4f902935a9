"""What a network makes of one picture: its maps where their shape changes, and its probabilities."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cnnviz._checks import _by, _count

MOST_LAYERS, MOST_MAPS, MOST_VALUES, LARGEST_MAP = 8, 16, 512, 32


@dataclass(frozen=True)
class Layer:
    """The last of the modules in a row whose output has one shape: what a convolution gives after its activation."""

    kinds: str  # such as "Conv2d, Tanh"
    shape: tuple[int, ...]  # (channels, height, width) or (features,)
    maps: np.ndarray  # (shown, height, width), at most 16 maps of 32 x 32; features stand as (1, 1, shown)

    @property
    def size(self) -> str:
        """The shape in words."""
        if len(self.shape) == 1:
            return f"{self.shape[0]} numbers"
        channels, height, width = self.shape
        return f"{_count(channels, 'map')} of {height}×{width}"


@dataclass(frozen=True)
class Answer:
    """Layers in order, and a probability for each class."""

    layers: tuple[Layer, ...]
    probabilities: np.ndarray


def ask(model: nn.Module, picture: Tensor, precise: bool = False) -> Answer:
    """Show a model one picture (1, size, size) and watch it, without touching it.

    A copy is asked: the model may be training in another thread at this moment, and a changed mode (`eval`), a batch
    norm that counts this picture or a hook would disturb it. `precise` computes in double precision, for texts and
    pictures that are the same on every machine.

    Raises
    ------
    ValueError
        If the model cannot take the picture, or gives no row of scores.
    """
    copied = copy.deepcopy(model).eval()
    copied = copied.double() if precise else copied
    parameter = next(copied.parameters(), torch.zeros(1))
    channels = next((m.in_channels for m in copied.modules() if isinstance(m, nn.Conv2d)), 1)
    batch = picture.to(parameter.device, parameter.dtype).expand(channels, -1, -1)[None]  # 1, channels, size, size
    seen: list[tuple[str, Tensor]] = []

    def watch(module: nn.Module, _: Any, output: Any) -> None:
        if isinstance(output, Tensor) and output.shape[0] == 1 and output.dim() in (2, 4):
            seen.append((type(module).__name__, output[0]))

    for module in copied.modules():
        if not any(module.children()):
            module.register_forward_hook(watch)
    try:
        with torch.no_grad():
            scores = copied(batch)
    except (RuntimeError, ValueError) as error:  # mostly a size that the network was not built for
        given = _by(batch.shape[1:], "×")
        reason = " ".join(str(error).split())
        raise ValueError(f"{type(model).__name__} cannot take a picture of {given}: {reason[:200]}") from error
    if not isinstance(scores, Tensor) or scores.dim() != 2 or scores.shape[0] != 1:
        shape = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
        raise ValueError(f"{type(model).__name__} answers with {shape}: the pad needs one score a class, (1, classes)")
    if not all(bool(output.isfinite().all()) for output in (scores, *(output for _, output in seen))):
        raise ValueError(f"{type(model).__name__} answers with numbers that are not finite: its weights have exploded")
    return Answer(tuple(_layers(seen)), scores[0].double().softmax(0).cpu().numpy())


def _layers(seen: list[tuple[str, Tensor]]) -> list[Layer]:
    """Join the modules in a row whose outputs have one shape, and keep at most eight layers, the last among them."""
    rows: list[tuple[list[str], Tensor]] = []
    for kind, output in seen:
        if rows and _plain(rows[-1][1].shape) == _plain(output.shape):
            rows[-1] = (rows[-1][0] + [kind] * (kind not in (*rows[-1][0], "Flatten", "Dropout")), output)
        else:
            rows.append(([kind], output))
    if len(rows) > MOST_LAYERS:
        rows = [rows[round(i)] for i in np.linspace(0, len(rows) - 1, MOST_LAYERS)]
    return [_layer(kinds, output) for kinds, output in rows]


def _plain(shape: torch.Size) -> tuple[int, ...]:
    """Return the shape; 120 maps of 1 x 1 are 120 numbers."""
    return tuple(shape[:1]) if tuple(shape[1:]) == (1, 1) else tuple(shape)


def _layer(kinds: list[str], output: Tensor) -> Layer:
    shape = _plain(output.shape)
    if len(shape) == 1:
        maps = output.reshape(1, 1, -1)[..., :MOST_VALUES]
    else:
        maps = output[:MOST_MAPS]
        if max(shape[1:]) > LARGEST_MAP:
            maps = nn.functional.adaptive_avg_pool2d(maps, tuple(min(LARGEST_MAP, side) for side in shape[1:]))
    named = kinds if len(kinds) < 4 else [*kinds[:2], "…", kinds[-1]]
    return Layer(", ".join(named), shape, maps.double().cpu().numpy())
