"""Which pixels a score, or a channel, hangs on: five methods of captum, wired so that they do what their papers say.

captum 0.9 leaves three things to its user. Its deconvnet and its guided backpropagation change the gradient at modules
of class ``nn.ReLU`` only, so a functional ReLU, or a relative such as GELU, passes the plain gradient without a word:
refused here. They also hang the change on the ReLU's input, which is wrong where something else reads that input too (a
skip connection), or where one module serves two branches: each ReLU is given a copy of its input here. Private;
`inside` shows it.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from captum import attr
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from cnnviz._checks import _number, _whole
from cnnviz.inside._layers import as_batch, called, find_channel, find_layer, find_target, maps, quiet, with_gradients
from cnnviz.inside._pictures import Group, Pictures

RELATIVES = ("gelu", "silu", "leaky_relu", "elu", "celu", "prelu", "rrelu", "hardswish", "mish", "softplus")
AT_ONCE = 64  # occluded pictures that go through the network together


@with_gradients
def saliency(model: nn.Module, picture: Any, target: int | None = None) -> Pictures:
    """Return how strongly each pixel moves a class's score: the largest |gradient| of its channels, ``(H, W)``.

    Simonyan, Vedaldi, Zisserman: Deep Inside Convolutional Networks, 2013, section 3.1.

    Parameters
    ----------
    model
        Any network that gives scores ``(N, classes)``.
    picture
        ``(C, H, W)`` or ``(H, W)``; converted, with a warning, where the network takes it in no other way.
    target
        The class; by itself the one that the network finds. The result's ``.target`` says which.

    Raises
    ------
    ValueError
        When it is no network, no picture, or no class of it.

    Examples
    --------
    >>> from cnnviz import inside, load
    >>> from cnnviz.models import bundled
    >>> net = bundled.load("lenet5-digits")
    >>> inside.saliency(net, load("digits").test_x[0])
    saliency of class 1: 32 x 32
    """
    net, batch, target = _asked(model, picture, target)
    values = attr.Saliency(net).attribute(batch, target)[0].amax(0)
    return _beside(batch, values, f"saliency of class {target}", "heat", target=target)


@with_gradients
def guided_backpropagation(model: nn.Module, picture: Any, target: int | None = None) -> Pictures:
    """Return the gradient of a class's score, of which each ReLU lets only positive parts back: ``(C, H, W)``.

    Springenberg, Dosovitskiy, Brox, Riedmiller: Striving for Simplicity, 2014, section 3.4. Parameters: see `saliency`.

    Raises
    ------
    ValueError
        As `saliency`, and for a network with a functional ReLU, with a relative of ReLU (GELU, SiLU, LeakyReLU, ReLU6
        ...), or without any ReLU: there the plain gradient would go back.

    Notes
    -----
    Each operation is looked at in one pass of the picture. A rectifier that is put together from several, such as
    ``(x + x.abs()) / 2`` or ``torch.where(x > 0, x, 0.1 * x)``, is not noticed, and passes its plain gradient.

    Examples
    --------
    >>> from cnnviz import inside, models
    >>> inside.guided_backpropagation(models.create("lenet5", activation="relu"), torch.ones(32, 32), target=7)
    guided backpropagation of class 7: 1 x 32 x 32
    """
    net, batch, target = _asked(model, picture, target)
    values = _through_relus(net, batch, attr.GuidedBackprop(net), target)[0]
    return _beside(batch, values, f"guided backpropagation of class {target}", "signed", target=target)


@with_gradients
def deconvnet(model: nn.Module, picture: Any, layer: str | nn.Module, channel: int) -> Pictures:
    """Return what excites a channel where it answers most, sent back to the pixels by ZFNet's deconvnet: ``(C, H, W)``.

    Zeiler, Fergus: Visualizing and Understanding Convolutional Networks, 2014, section 2.1: back through each pool to
    where its largest value came from, through a ReLU at each ReLU, through each filter transposed. It starts with the
    channel's largest value, at its place, and is zero where that is not positive. Made for ReLUs and max pooling.

    Parameters
    ----------
    layer
        Its name, or the module: one that gives maps.
    channel
        Which of its maps. The result has the place ``(row, column)`` as ``.place`` and its value as ``.strength``.

    Raises
    ------
    ValueError
        When layer or channel are not there, or for a network that `guided_backpropagation` refuses.

    Examples
    --------
    >>> from cnnviz import inside, models
    >>> _ = torch.manual_seed(1)  # with other weights the channel may be silent
    >>> net = models.create("lenet5", activation="relu", pool="max")
    >>> inside.deconvnet(net, torch.eye(32), "features.3", channel=5)
    deconvnet of features.3, channel 5: 1 x 32 x 32
    """
    name, _ = find_layer(model, layer, nn.Module)
    net = quiet(model)
    batch = as_batch(picture, net)
    found = _maps(net, batch, name)
    channel = find_channel(name, channel, len(found))
    row, column = divmod(int(found[channel].argmax()), found.shape[2])
    method = attr.NeuronDeconvolution(net, net.get_submodule(name))
    strength = float(found[channel, row, column])
    values = _through_relus(net, batch, method, (channel, row, column), name)[0] * max(strength, 0)
    about = f"deconvnet of {name}, channel {channel}{', silent here' if strength <= 0 else ''}"
    return _beside(batch, values, about, "signed", place=(row, column), strength=strength)


def occlusion(
    model: nn.Module,
    picture: Any,
    target: int | None = None,
    window: int | None = None,
    stride: int | None = None,
    baseline: float = 0,
) -> Pictures:
    """Return how far a class's score falls while a patch covers each pixel, the mean over such patches: ``(H, W)``.

    Zeiler, Fergus: Visualizing and Understanding Convolutional Networks, 2014, section 4.2. The score is the one before
    softmax. Parameters: see `saliency`, and:

    Parameters
    ----------
    window, stride
        Side of the square patch and its step in pixels; by themselves an eighth of the picture's shorter side, and half
        the window.
    baseline
        What the patch is filled with.

    Raises
    ------
    ValueError
        As `saliency`, and for a window larger than the picture or a stride larger than the window.

    Examples
    --------
    >>> from cnnviz import inside, models
    >>> inside.occlusion(models.create("lenet5"), torch.eye(32), target=1, window=8, stride=8).values.shape
    (32, 32)
    """
    net, batch, target = _asked(model, picture, target)
    channels, side = batch.shape[1], min(batch.shape[2:])
    window = max(1, side // 8) if window is None else _whole("window", window, 1, side)
    stride = max(1, window // 2) if stride is None else _whole("stride", stride, 1, window)
    with torch.no_grad():
        values = attr.Occlusion(net).attribute(
            batch,
            target=target,
            sliding_window_shapes=(channels, window, window),
            strides=(channels, stride, stride),
            baselines=_number("baseline", baseline),
            perturbations_per_eval=AT_ONCE,
        )[0, 0]
    about = f"occlusion of class {target}, window {window}, stride {stride}"
    return _beside(batch, values, about, "signed", target=target)


@with_gradients
def grad_cam(model: nn.Module, picture: Any, layer: str | nn.Module, target: int | None = None) -> Pictures:
    """Return a layer's maps, weighted by their mean gradients, summed, without what is negative: ``(H, W)``.

    Selvaraju et al.: Grad-CAM, 2017, section 3. Enlarged to the picture, bilinear. Parameters: see `saliency`, and:

    Parameters
    ----------
    layer
        Its name, or the module: one that gives maps, mostly the last that does.

    Raises
    ------
    ValueError
        As `saliency`, and when there is no such layer or its output is no maps.

    Examples
    --------
    >>> from cnnviz import inside, models
    >>> inside.grad_cam(models.create("resnet18"), torch.rand(3, 64, 64), "layer3", target=5)
    Grad-CAM of class 5 at layer3: 64 x 64
    """
    name, _ = find_layer(model, layer, nn.Module)
    net, batch, target = _asked(model, picture, target)
    _maps(net, batch, name)
    method = attr.LayerGradCam(net, net.get_submodule(name))
    values = method.attribute(batch, target, relu_attributions=True)
    values = nn.functional.interpolate(values, size=batch.shape[2:], mode="bilinear")[0, 0]
    return _beside(batch, values, f"Grad-CAM of class {target} at {name}", "heat", target=target)


def _asked(model: nn.Module, picture: Any, target: Any) -> tuple[nn.Module, Tensor, int]:
    """A copy to work on, the picture as it takes it, ready for gradients, and the class."""
    net = quiet(model)
    batch = as_batch(picture, net)
    with torch.no_grad():
        target = find_target(net(batch), target)
    return net, batch.requires_grad_(), target


def _maps(net: nn.Module, batch: Tensor, name: str) -> Tensor:
    """The maps of a layer, ``(C, H, W)``."""
    found = maps(net, batch, [name]).get(name)
    if found is None or found.dim() != 4:
        gives = "is not used" if found is None else f"gives {tuple(found.shape)}, no maps"
        whole = f"layer {name} of {called(net)}" if name else called(net)
        raise ValueError(f"{whole} {gives}: use a layer that gives (N, channels, height, width)")
    return found[0]


def _through_relus(net: nn.Module, batch: Tensor, method: Any, target: Any, layer: str | None = None) -> Tensor:
    """What a method says that goes by the ReLUs; a network is refused in which captum does not find them."""
    relus = [module for module in net.modules() if isinstance(module, nn.ReLU)]
    unseen = _unseen(net, batch.detach(), layer)
    places = [where for what, where in unseen if what == "relu"]
    if places:
        text = f"{called(net)} calls ReLU as a function {' and '.join(places[:3])}, where captum cannot change its "
        raise ValueError(f"{text}gradient: make it a module, self.relu = nn.ReLU(), or use saliency")
    if unseen:
        text = f"{called(net)} calls {' and '.join(' '.join(one) for one in unseen[:3])}, but guided backpropagation "
        text += "and the deconvnet are made for ReLU alone"
        raise ValueError(f"{text}: use saliency, or a network with nn.ReLU in its place")
    if not relus:
        text = f"{called(net)} has no nn.ReLU, so this would be the plain gradient"
        raise ValueError(f"{text}: use saliency, or a network with ReLU, such as lenet5 with activation='relu'")
    for relu in relus:  # a tensor of its own, since captum replaces the whole gradient of what it reads
        relu.register_forward_pre_hook(lambda module, given: (given[0].clone(),))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Setting backward hooks on ReLU")
        return method.attribute(batch.requires_grad_(), target)


def _unseen(net: nn.Module, batch: Tensor, layer: str | None) -> list[tuple[str, str]]:
    """Rectifiers that captum does not see, and where, before the layer's output if one is given, in a forward pass."""
    names = {module: name for name, module in net.named_modules()}
    inside, last, found, done = [net], "", [], False

    def enter(module: nn.Module, given: Any) -> None:
        inside.append(module)

    def leave(module: nn.Module, given: Any, output: Any) -> None:
        nonlocal last, done
        inside.pop()
        last = last if next(module.children(), None) else names[module]
        done |= names[module] == layer

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = kwargs or {}
            if done or isinstance(inside[-1], nn.ReLU):
                return func(*args, **kwargs)
            before = [one.clone() if func._schema.is_mutable and isinstance(one, Tensor) else one for one in args]
            output = func(*args, **kwargs)
            if what := _rectifier(func, before, kwargs, output):
                where = [f"in {names[inside[-1]]}"] * bool(names[inside[-1]]) + [f"behind layer {last}"] * bool(last)
                found.append((what, " ".join(where)))
            return output

    handles = [module.register_forward_pre_hook(enter) for module in names]
    handles += [module.register_forward_hook(leave) for module in names]
    with torch.no_grad(), Watch():
        net(batch)
    for handle in handles:
        handle.remove()
    return found


def _rectifier(func: Any, args: list, kwargs: dict[str, Any], output: Any) -> str:
    """The name of ReLU or of a relative, if an operation is one; "" for any other."""
    name, numbers = func.overloadpacket.__name__.rstrip("_"), [*args[1:], *kwargs.values()]
    if name in ("clamp_min", "clamp", "threshold", "hardtanh") and not isinstance(numbers[0], Tensor):
        low, above = numbers[0], numbers[1:]
        return "" if low != 0 else "relu" if set(above) <= {0, None} else "relu6" if above == [6] else ""
    name = name.strip("_").removesuffix("_kernel").removesuffix("_with_noise")  # prelu's and rrelu's
    if name in ("relu", *RELATIVES):
        return name
    return "relu" if any(_is_relu_of(one, output) for one in args) else ""


def _is_relu_of(before: Any, after: Any) -> bool:
    """Whether an operation, whatever its name, took the negative values of a tensor away, and nothing else."""
    if not all(isinstance(one, Tensor) and one.is_floating_point() for one in (before, after)):
        return False
    rectified = before.clamp(min=0)
    return before.shape == after.shape and bool((before < 0).any() and rectified.any()) and rectified.equal(after)


def _beside(batch: Tensor, values: Tensor, about: str, palette: str, **facts: Any) -> Pictures:
    """The result, drawn beside the picture."""
    picture, values = (t.detach().float().cpu().numpy() for t in (batch[0], values))
    shown = picture if len(picture) == 3 else picture[0]
    tile = values if values.ndim == 2 or len(values) == 3 else values[0]
    return Pictures(values, about, Group([shown, tile], about, palette=("picture", palette), alone=True), **facts)
