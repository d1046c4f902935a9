"""What a class or a channel would like to see best: gradient ascent from noise. Private.

After Simonyan, Vedaldi and Zisserman, "Deep Inside Convolutional Networks", ICLR workshop 2014 (arXiv 1312.6034), and
Yosinski et al., "Understanding Neural Networks Through Deep Visualization", ICML workshop 2015 (arXiv 1506.06579), who
show what decay and blur are for: without them the ascent ends in noise that only this one network believes in.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from cnnviz._checks import _number, _short, _whole
from cnnviz.inside._layers import (
    called,
    find_channel,
    find_layer,
    find_target,
    fitted,
    listed,
    looking,
    quiet,
    with_gradients,
)
from cnnviz.inside._pictures import Group, Pictures

STEP = 0.05  # of the span between background and limit; tried on three networks of digits, as are the defaults below
NOISE = 0.25  # likewise: enough to wake units that are silent on a plain background
SHARE = 4  # of a map's units the strongest quarter counts
MOST = 64  # pictures at once


@with_gradients
def maximise(
    model: nn.Module,
    layer: str | nn.Module | None,
    channel: int | Iterable[int],
    size: int | None = None,
    steps: int = 200,
    seed: int = 0,
    *,
    limits: tuple[float, float] = (0.0, 1.0),
    background: float | None = None,
    jitter: int = 2,
    blur: float = 1.0,
    decay: float = 0.02,
) -> Pictures:
    """Make the picture that excites a class or a channel most, by climbing its gradient from noise.

    At each step the picture is moved by up to `jitter` pixels, the gradient is blurred, a step of fixed length is made
    along it, and the picture decays a little towards the background.

    Parameters
    ----------
    model
        Any torch network of pictures; it is left as it was.
    layer
        A layer, by name or itself: what grows is the mean over the strongest quarter of the channel's map. None: the
        score of a class.
    channel
        Number of the channel, or of the class; several make several pictures.
    size
        Side of the picture in pixels; None: the first usual one that the network takes.
    steps, seed
        How many steps, and the seed of the noise and of the jitter.
    limits
        Least and largest value of a pixel, as in the pictures that the network was trained on.
    background
        Value of a pixel that nothing asks for; None: the least for a grey picture, the middle for others.
    jitter, blur, decay
        Pixels; standard deviation of the blur in pixels at the end (it starts at twice that); share of the distance to
        the background that a step takes away. 0 switches off what it belongs to.

    Returns
    -------
    Pictures
        `values` (C, H, W), or (k, C, H, W) of several; `strengths`, what was maximised, at the end.

    Raises
    ------
    ValueError
        For a layer, channel or class that the network does not have, or a size that it does not take.

    Examples
    --------
    >>> from cnnviz import inside, models
    >>> inside.maximise(models.create("lenet5"), None, range(10), steps=5)
    what maximises classes 0 to 9 of lenet5: 10 x 1 x 32 x 32
    """
    start, net = _size(model, size), quiet(model)
    name = "" if layer is None else find_layer(net, _same(model, layer), nn.Module)[0]
    several = not isinstance(channel, (int, np.integer, Tensor)) or isinstance(channel, bool)
    numbers = _numbers(channel if several else [channel], name, _responses(net, start, name))
    low, high = _limits(limits)
    middle = low if start.shape[1] == 1 else (low + high) / 2
    level = middle if background is None else _number("background", background)
    span = max(high - level, level - low)
    draw = torch.Generator().manual_seed(_whole("seed", seed, 0, 2**63 - 1))
    x = level + NOISE * span * torch.randn((len(numbers), *start.shape[1:]), generator=draw)
    x = x.to(start).clamp(low, high)
    steps, jitter = _whole("steps", steps, 1, 100_000), _whole("jitter", jitter, 0, min(start.shape[2:]) - 1)
    blur, decay = _number("blur", blur, least=0), _number("decay", decay, least=0, below=1)
    places = torch.arange(len(numbers)), torch.tensor(numbers)
    for step in range(steps):
        moved = torch.randint(-jitter, jitter + 1, (2,), generator=draw).tolist()
        slope = _slope(net, x, name, places, moved)
        slope = blurred(slope, blur * (2 - step / steps))
        length = 3 * slope.square().mean((1, 2, 3), keepdim=True).sqrt() + 1e-12  # a few pixels make a full step
        x = (level + (1 - decay) * (x + STEP * span * slope / length - level)).clamp(low, high)
    strengths = _responses(net, x, name)[places].tolist()
    values = x.float().cpu().numpy()
    what = "channel" if name else "class"
    words = f"{what}{'es' if what == 'class' else 's'} {listed(numbers)}" if several else f"{what} {numbers[0]}"
    about = f"what maximises {words} of {name or called(model)}"
    titles = [f"{n}: {strength:.3g}" for n, strength in zip(numbers, strengths, strict=True)]
    group = Group(
        [one if len(one) == 3 else one[0] for one in values], f"{about}; below each how much", "picture", titles
    )
    return Pictures(values if several else values[0], about, group, strengths=strengths if several else strengths[0])


def _slope(net: nn.Module, x: Tensor, name: str, places: tuple[Tensor, Tensor], moved: list[int]) -> Tensor:
    """Gradient of what is maximised, at the pictures moved by some pixels."""
    x = x.clone().requires_grad_()
    response = _responses(net, x.roll(moved, (2, 3)), name)[places].sum()
    (slope,) = torch.autograd.grad(response, x)
    if not torch.isfinite(slope).all():
        raise ValueError(f"the gradient of {name or 'the scores'} is not a number: look at the network's weights")
    return slope


def _responses(net: nn.Module, x: Tensor, name: str) -> Tensor:
    """Scores ``(N, classes)``, or how strong each map of a layer is ``(N, C)``: an edge's whole map has no mean."""
    found: list[Any] = []
    with looking(net, [name], lambda _, output: found.append(output)):
        net(x)
    output = found[-1]
    if not isinstance(output, Tensor) or output.dim() < 2:
        raise ValueError(f"{_short(name) if name else called(net)} gives no channels (N, C, ...): use another layer")
    if output.dim() == 2:
        return output
    maps = output.flatten(2)
    return maps.topk(-(-maps.shape[2] // SHARE)).values.mean(2)


def blurred(x: Tensor, deviation: float) -> Tensor:
    """Blur pictures with a Gaussian, the edge repeated; no deviation leaves them as they are.

    >>> blurred(torch.ones(1, 1, 4, 4), 1.0).allclose(torch.ones(1, 1, 4, 4))
    True
    """
    reach = min(round(2 * deviation + 0.5), *(side - 1 for side in x.shape[2:]))
    if deviation == 0 or reach < 1:
        return x
    weights = torch.exp(-(torch.arange(-reach, reach + 1, dtype=x.dtype, device=x.device) ** 2) / (2 * deviation**2))
    weights = (weights / weights.sum()).expand(x.shape[1], 1, 1, -1)
    x = functional.pad(x, [reach] * 4, mode="replicate")
    x = functional.conv2d(x, weights, groups=x.shape[1])
    return functional.conv2d(x, weights.mT, groups=x.shape[1])


def _size(model: nn.Module, size: int | None) -> Tensor:
    """Return a batch with one black picture of the size."""
    side = 32 if size is None else _whole("size", size, 1, 4096)
    batch, _ = fitted(torch.zeros(1, side, side), model)
    if size is not None and batch.shape[2] != side:
        raise ValueError(f"size {side} does not fit {called(model)}: use size={batch.shape[2]}")
    return batch


def _same(model: nn.Module, layer: str | nn.Module) -> str | nn.Module:
    """Name of a layer that was given itself: the network that is hooked is a copy."""
    return find_layer(model, layer, nn.Module)[0] if isinstance(layer, nn.Module) else layer


def _numbers(channels: Iterable[Any], name: str, responses: Tensor) -> list[int]:
    if isinstance(channels, (str, bool)) or not isinstance(channels, Iterable):
        channels = [channels]
    checked = [find_channel(name, n, responses.shape[1]) if name else find_target(responses, n) for n in channels]
    if not 1 <= len(checked) <= MOST:
        raise ValueError(f"{len(checked)} channels: use 1 to {MOST}")
    return checked


def _limits(limits: Any) -> tuple[float, float]:
    if not isinstance(limits, (tuple, list)) or len(limits) != 2:
        raise ValueError(f"limits {_short(limits)} are not two numbers: use (0, 1)")
    low = _number("limits", limits[0])
    return low, _number("limits", limits[1], above=low)
