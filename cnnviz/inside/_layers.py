"""Networks, layers, pictures and classes as users give them: found and made to fit, or refused. Private."""

from __future__ import annotations

import copy
import sys
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from cnnviz._checks import _by, _either, _short, _whole

SIDES = (32, 28, 64, 224, 227, 299, 48, 96, 128, 16, 8)  # of pictures that networks are built for, the usual ones first
GREY = (0.299, 0.587, 0.114)  # brightness of red, green and blue, as in `images`
NORMALISED = 8  # values above are no picture from 0 to 1, nor one with mean and deviation taken out (under 3)
LARGEST = 1024  # pixels across: more fill the memory with maps
Kinds = type[nn.Module] | tuple[type[nn.Module], ...]
Function = TypeVar("Function", bound=Callable[..., Any])
_copies: weakref.WeakSet[nn.Module] = weakref.WeakSet()  # what `quiet` made: not to be copied again


def quiet(model: nn.Module) -> nn.Module:
    """Return a copy in evaluation mode that shares the weights, to hook and to run while the model itself stays as is.

    >>> net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Dropout())
    >>> other = quiet(net)
    >>> other is net, other.training, net.training, other[0].weight.data_ptr() == net[0].weight.data_ptr()
    (False, False, True, True)
    """
    check_network(model)
    shared: dict[int, Any] = {}  # what deepcopy takes for copied already
    for module in model.modules():
        for tensor in (*vars(module).values(), *module._parameters.values(), *module._buffers.values()):
            if isinstance(tensor, Tensor):  # without autograd's count of changes: a run beside us makes steps
                same = _usable(tensor)
                shared[id(tensor)] = nn.Parameter(same, False) if isinstance(tensor, nn.Parameter) else same
    try:
        _copies.add(other := copy.deepcopy(model, shared).eval())
        return other
    except (TypeError, RuntimeError, AttributeError) as error:  # a lock, a file, a tensor in a list ...
        text = f"{called(model)} holds something that cannot be copied ({error})"
        raise ValueError(f"{text}: keep it outside of the network") from error


def _usable(tensor: Tensor) -> Tensor:
    """The numbers of a weight, shared; of one built under ``torch.inference_mode`` a copy: autograd refuses it."""
    with torch.inference_mode(False):
        return tensor.clone() if tensor.is_inference() else tensor.data


def with_gradients(function: Function) -> Function:
    """Decorate what needs gradients, so that it works inside of ``torch.no_grad()`` too."""
    return torch.inference_mode(False)(torch.enable_grad()(function))


def check_network(model: Any) -> None:
    if not isinstance(model, nn.Module):
        raise ValueError(f"model {_short(model)} is not a network: use models.create('lenet5'), or a torch nn.Module")


def convolutions(model: nn.Module) -> list[str]:
    """Return the names of a network's convolutions; one without is refused.

    >>> convolutions(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)))
    Traceback (most recent call last):
    ValueError: Sequential has no convolution: use a network with an nn.Conv2d, such as models.create('lenet5')
    """
    check_network(model)
    found = [name for name, layer in model.named_modules() if isinstance(layer, nn.Conv2d)]
    if not found:
        raise ValueError(
            f"{called(model)} has no convolution: use a network with an nn.Conv2d, such as models.create('lenet5')"
        )
    return found


def find_layer(model: nn.Module, layer: str | nn.Module, kinds: Kinds = nn.Conv2d) -> tuple[str, nn.Module]:
    """Return a layer's name and the layer; it may be given by either.

    Parameters
    ----------
    kinds
        The class, or classes, that it may be of; ``nn.Module`` for any.

    Examples
    --------
    >>> net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Conv2d(2, 2, 3))
    >>> find_layer(net, net[2])
    ('2', Conv2d(2, 2, kernel_size=(3, 3), stride=(1, 1)))
    >>> find_layer(net, "1")
    Traceback (most recent call last):
    ValueError: layer "1" of Sequential is ReLU, not a convolution: use 0 or 2
    """
    if kinds is nn.Conv2d:
        convolutions(model)
    check_network(model)
    named = dict(model.named_modules(remove_duplicate=False))
    known = [name for name, module in named.items() if name and isinstance(module, kinds)]
    if isinstance(layer, nn.Module):
        name = next((name for name, module in named.items() if module is layer), None)
        if name is None:
            raise ValueError(f"layer {_line(layer)} is not part of {called(model)}: use {_some(known)}")
    elif isinstance(layer, str) and layer in named:
        name = layer
    else:
        raise ValueError(f"{called(model)} has no layer {_short(layer)}: use {_some(known)}")
    if not isinstance(named[name], kinds):
        kind = "a convolution" if kinds is nn.Conv2d else _either(one.__name__ for one in _tuple(kinds))
        is_a = f"layer {_short(name)} of {called(model)} is {type(named[name]).__name__}"
        raise ValueError(f"{is_a}, not {kind}: use {_some(known)}")
    return name, named[name]


def find_channel(name: str, channel: Any, channels: int) -> int:
    """Return the number of a channel, or say how many the layer has."""
    try:
        return _whole("channel", channel, 0, channels - 1)
    except ValueError as error:
        raise ValueError(f"{error}: layer {name} has {channels} channels") from None


def find_target(scores: Tensor, target: Any = None) -> int:
    """Return the class to explain: the one given, or the one with the largest score.

    >>> find_target(torch.tensor([[0.1, 2.0]])), find_target(torch.tensor([[0.1, 2.0]]), 0)
    (1, 0)
    """
    if not isinstance(scores, Tensor) or scores.dim() != 2:
        shape = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
        raise ValueError(f"the network gives {shape}: use one that gives scores (N, classes)")
    if target is None:
        return int(scores[0].argmax())
    single = isinstance(target, Tensor) and target.numel() == 1
    return _whole("target", target.item() if single else target, 0, scores.shape[1] - 1)


def as_batch(picture: Any, model: nn.Module) -> Tensor:
    """Return a picture as a batch ``(1, C, H, W)`` that the network takes; what was changed is said by a warning."""
    batch, said = fitted(picture, model)
    if said:
        depth, frame = 1, sys._getframe()
        while frame.f_back and frame.f_globals.get("__name__", "").startswith(("cnnviz.", "torch.")):
            depth, frame = depth + 1, frame.f_back
        warnings.warn(said, stacklevel=depth)  # at the user's own line
    return batch


def fitted(picture: Any, model: nn.Module) -> tuple[Tensor, str]:
    """Return a picture as a batch ``(1, C, H, W)`` that the network takes, and what was changed ("": nothing).

    Parameters
    ----------
    picture
        A tensor, an array or a Pillow image: ``(H, W)``, ``(C, H, W)``, ``(H, W, C)`` or a batch of one. Bytes
        (also such that came as floats) are divided by 255, 16 bits by 65,535; colours become grey, and grey becomes
        colour, as the first convolution wants it; a size that the network refuses becomes the first usual one that it
        takes.

    Raises
    ------
    ValueError
        When it is no picture, or nothing makes it fit.

    Examples
    --------
    >>> net = nn.Sequential(nn.Conv2d(1, 2, 5), nn.Flatten(), nn.Linear(2 * 28 * 28, 10))
    >>> batch, said = fitted(np.zeros((3, 40, 40)), net)
    >>> print(tuple(batch.shape), said)
    (1, 1, 32, 32) the picture was made grey and resized from 40 x 40 to 32 x 32, as Sequential takes it
    """
    net = model if model in _copies else quiet(model)
    changes: list[str] = []
    weight = next(net.parameters(), torch.empty(0))
    x = _channels_first(_numbers(picture, changes), net, changes).to(weight)[None]
    before, longest = tuple(x.shape[2:]), max(x.shape[2:])
    if longest > LARGEST:
        x = _resized(x, *(max(1, round(side * LARGEST / longest)) for side in before))
    if fault := _fault(net, x):
        side = next((side for side in SIDES if not _fault(net, _resized(x, side, side))), None)
        if side is None:
            raise ValueError(f"a picture of {_by(x.shape[1:], ' x ')} does not fit {called(model)}: {fault}")
        x = _resized(x, side, side)
    if x.shape[2:] != before:
        changes.append(f"resized from {before[0]} x {before[1]} to {x.shape[2]} x {x.shape[3]}")
    return x, f"the picture was {_either(changes, 'and')}, as {called(model)} takes it" if changes else ""


def maps(model: nn.Module, batch: Tensor, names: Iterable[str]) -> dict[str, Tensor]:
    """Return the tensors that layers of a `quiet` network give for a batch, without gradients.

    >>> net = quiet(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()))
    >>> {name: tuple(found.shape) for name, found in maps(net, torch.zeros(1, 1, 5, 5), ["0"]).items()}
    {'0': (1, 2, 3, 3)}
    """
    found: dict[str, Tensor] = {}

    def keep(name: str, output: Any) -> None:
        if isinstance(output, Tensor):
            found[name] = output.clone()

    with looking(model, names, keep), torch.no_grad():
        model(batch)
    return found


@contextmanager
def looking(model: nn.Module, names: Iterable[str], see: Callable[[str, Any], None]) -> Iterator[None]:
    """Call `see` with a layer's name and its output whenever one of these layers has run."""

    def hook(name: str) -> Any:
        return lambda layer, given, output: see(name, output)

    handles = [model.get_submodule(name).register_forward_hook(hook(name)) for name in names]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def called(model: nn.Module) -> str:
    return getattr(model, "name", "") or type(model).__name__


def _numbers(picture: Any, changes: list[str]) -> Tensor:
    """The picture as float32 of two or three axes."""
    if getattr(picture, "mode", "") in ("F", "I"):  # Pillow's pictures of floats and of large whole numbers
        picture = np.asarray(picture)
    if hasattr(picture, "getbands"):  # Pillow's
        from cnnviz import images

        flat = images._flat(picture, max(picture.size))
        picture = np.asarray(flat.convert("L" if flat.mode == "L" else "RGB"))
    if isinstance(picture, str):
        raise ValueError(f"picture {_short(picture)} is a text: use images.open(path), or images.get(name)")
    try:
        given = torch.as_tensor(np.array(picture) if isinstance(picture, np.ndarray) else picture)
        if given.is_complex():
            raise TypeError
        x = given.detach().to(torch.float32, copy=True)
    except (TypeError, ValueError, RuntimeError):
        words = " ".join(_short(picture).split())
        raise ValueError(f"picture {words} is no array of numbers: use a tensor (C, H, W)") from None
    if x.numel() and (top := _white(given.dtype, float(x.min()), float(x.max()))):
        x /= top
        changes.append(f"divided by {top:,}")
    shape = _by(x.shape, " x ") or "one number"
    if x.dim() == 4 and len(x) == 1:
        x = x[0]
    if x.dim() not in (2, 3) or not x.numel():
        raise ValueError(f"the picture is {shape}: use one picture, (C, H, W) or (H, W)")
    if not torch.isfinite(x).all():
        raise ValueError(f"the picture of {shape} holds NaN or infinity: use finite numbers")
    return x if x.dim() == 3 else x[None]


def _white(dtype: torch.dtype, low: float, high: float) -> int:
    """The number that stands for white, where it cannot be 1; 0 where it can."""
    of_type = {torch.uint8: 255, torch.uint16: 65535}.get(dtype, 0)
    if of_type or low < 0 or not NORMALISED < high <= 65535:
        return of_type
    return 255 if high <= 255 else 65535


def _channels_first(x: Tensor, net: nn.Module, changes: list[str]) -> Tensor:
    """The picture with as many channels as the first convolution reads."""
    wanted = next((layer.in_channels for layer in net.modules() if isinstance(layer, nn.Conv2d)), len(x))
    if len(x) == wanted:
        return x
    if len(x) not in (1, 3, 4) and x.shape[2] in (1, 3, 4):
        x = x.permute(2, 0, 1)
        changes.append("turned from (H, W, C) to (C, H, W)")
    if len(x) == 4 and wanted in (1, 3):
        x = x[:3] * x[3] + 1 - x[3]
        changes.append("laid on white")
    if len(x) == 3 and wanted == 1:
        x = torch.einsum("chw,c->hw", x, x.new_tensor(GREY))[None]
        changes.append("made grey")
    elif len(x) == 1 and wanted == 3:
        x = x.expand(3, -1, -1)
        changes.append("given three equal channels")
    if len(x) != wanted:
        raise ValueError(f"the picture has {len(x)} channels, but {called(net)} reads {wanted}: use (C, H, W)")
    return x


def _fault(net: nn.Module, x: Tensor) -> str:
    """Why a network does not take a batch; "" if it does."""
    try:
        with torch.no_grad():
            net(x)
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        return str(error).partition("\n")[0] or type(error).__name__
    return ""


def _resized(x: Tensor, height: int, width: int) -> Tensor:
    return nn.functional.interpolate(x, size=(height, width), mode="bilinear", antialias=True)


def _line(layer: nn.Module) -> str:
    return repr(layer).partition("\n")[0][:60]


def _some(names: list[str]) -> str:
    """List what works, not a hundred of them."""
    return _either(names) if len(names) <= 12 else f"one of {', '.join(names[:11])} ... {names[-1]}"


def _tuple(kinds: Kinds) -> tuple[type[nn.Module], ...]:
    return kinds if isinstance(kinds, tuple) else (kinds,)


def listed(numbers: Sequence[int]) -> str:
    """Write numbers as "3, 5, 9", or as "3 to 9" where none between them is left out."""
    whole = len(numbers) > 1 and list(numbers) == list(range(numbers[0], numbers[-1] + 1))
    return f"{numbers[0]} to {numbers[-1]}" if whole else ", ".join(map(str, numbers))
