"""A trained network put to another task: a new head, frozen layers, and a look at what it gets wrong.

>>> from cnnviz import fit, load, models, reuse
>>> trained = models.create("lenet5")
>>> network = reuse.freeze(reuse.new_head(trained, num_classes=5))
>>> history = fit(network, load("digits").only("56789").few(5), epochs=2, lr=0.05).result()
>>> torch.equal(network.features[0].weight, trained.features[0].weight)
True
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

from cnnviz import models
from cnnviz._checks import _one_of, _whole
from cnnviz._mistakes import confusion, mistakes, preview
from cnnviz.inside._layers import check_network, fitted, quiet
from cnnviz.training._trainer import outputs

__all__ = ["Prepared", "confusion", "freeze", "head", "imagenet", "mistakes", "new_head", "preview"]

AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")  # heads of GoogLeNet and Inception v3 that only training uses


def head(model: nn.Module) -> str:
    """Return the name of the layer that gives the scores: the last one with weights that a picture goes through.

    Where none of the usual sizes of pictures fits the network, it is the last one with weights that it declares.

    >>> from cnnviz import models
    >>> head(models.create("resnet18")), head(models.create("vgg11")), head(models.create("squeezenet1_1"))
    ('fc', 'classifier.6', 'classifier.1')
    """
    layers, scores = _way(model)
    name, last = layers[-1] if layers else ("", None)
    fault = f"ends in {name}, a {type(last).__name__}" if name else "has no layers"
    if isinstance(last, (nn.Linear, nn.Conv2d)):
        if scores in (None, _outputs(last)):
            return name
        fault = f"ends in {name}, which gives {_outputs(last)} numbers, but the network gives {scores} scores"
    raise ValueError(f"{type(model).__name__} {fault}: a head is a dense layer or a convolution inside the network")


def new_head(model: nn.Module, num_classes: int, seed: int = 0) -> nn.Module:
    """Return a copy of the network for other classes: the same layers with their weights, under a fresh head.

    Parameters
    ----------
    model
        Any network with a `head`; it stays as it is.
    num_classes
        How many classes the new head tells apart.
    seed
        Of the new head's weights, which start as torch starts them.

    >>> from cnnviz import models
    >>> new_head(models.create("resnet18"), num_classes=3).fc
    Linear(in_features=512, out_features=3, bias=True)
    """
    _whole("num_classes", num_classes, 2, 10**6)
    name, network = head(model), copy.deepcopy(model)
    scores = _outputs(network.get_submodule(name))
    groups = getattr(model.get_submodule(name), "groups", 1)
    if num_classes % groups:
        works = groups * (num_classes // groups + 1)
        raise ValueError(f"num_classes {num_classes} is no multiple of the head's {groups} groups: use {works}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_whole("seed", seed, 0, 2**63 - 1))
        for other, layer in list(network.named_modules()):
            if other == name or (other.startswith(AUXILIARY) and _outputs(layer) == scores):
                network.set_submodule(other, _fresh(layer, num_classes))
    return network


def freeze(model: nn.Module, *parts: str) -> nn.Module:
    """Keep weights as they are in later trainings: of the named parts, or of all but the head. Returns the network.

    `fit` leaves them alone, with the statistics of their batch norms; ``model.requires_grad_(True)`` takes it back.

    >>> from cnnviz import models
    >>> network = freeze(models.create("lenet5"))
    >>> [name for name, weights in network.named_parameters() if weights.requires_grad]
    ['classifier.3.weight', 'classifier.3.bias']
    """
    last = head(model)
    known = [name for name, _ in model.named_modules() if name]
    for part in [_one_of("part", part, known) for part in parts] or [""]:
        model.get_submodule(part).requires_grad_(False)
    if not parts:
        model.get_submodule(last).requires_grad_(True)
    return model


class Prepared(nn.Module):
    """A network behind what its pictures need: as many channels, the size and the scale that it was trained with.

    >>> from cnnviz import models
    >>> small = models.create("resnet18", num_classes=5)
    >>> Prepared(small, size=64, mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2))(torch.zeros(2, 1, 32, 32)).shape
    torch.Size([2, 5])
    """

    def __init__(self, network: nn.Module, size: int, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("mean", torch.tensor(mean)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(std)[:, None, None], persistent=False)
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """Return the network's scores of pictures (N, C, H, W) with values from 0 to 1, grey or in colour."""
        x = functional.interpolate(x, (self.size, self.size), mode="bilinear", antialias=True)
        return self.network((x - self.mean) / self.std)  # one channel becomes three here


def imagenet(name: str = "resnet18", size: int = 64) -> Prepared:
    """Return a network with its published ImageNet weights, for pictures of any size, grey or in colour.

    They are brought to `size` pixels a side: 224, as in its training, costs twelve times as much as 64.

    Raises
    ------
    ValueError
        For a network without published weights.
    ConnectionError
        Without a network connection, the first time; later the weights come from torch's cache.
    """
    _whole("size", size, 32, 512)
    network = models.create(name, weights="imagenet")
    known = models.published()[name]
    return Prepared(network, size, known.mean, known.std)


def _way(model: nn.Module) -> tuple[list[tuple[str, nn.Module]], int | None]:
    """The layers with weights in the order in which a picture comes to them, and how many scores it gets.

    In the order in which they are declared, and None, where no picture goes through.
    """
    check_network(model)
    layers = [(name, layer) for name, layer in model.named_modules() if name and _holds_numbers(layer)]
    came: list[tuple[str, nn.Module]] = []
    try:
        net = quiet(model)
        with torch.device("cpu"):  # whatever is the default: from there the picture is taken to the network's own
            batch, _ = fitted(torch.zeros(1, 32, 32), net)
        for one in layers:
            net.get_submodule(one[0]).register_forward_pre_hook(lambda *_, one=one: came.append(one))
        with torch.no_grad():
            scores = outputs(net(batch))[0]
    except (ValueError, TypeError):
        return layers, None
    return came, scores.shape[1] if scores.dim() > 1 else None


def _holds_numbers(layer: nn.Module) -> bool:
    return any(True for tensors in (layer.parameters, layer.buffers) for _ in tensors(recurse=False))


def _outputs(layer: nn.Module) -> int | None:
    return getattr(layer, "out_features", None) or getattr(layer, "out_channels", None)


def _fresh(layer: nn.Module, number: int) -> nn.Module:
    """A layer of the same kind and place, with random weights."""
    place = {"device": layer.weight.device, "dtype": layer.weight.dtype}
    if isinstance(layer, nn.Linear):
        return nn.Linear(layer.in_features, number, layer.bias is not None, **place)
    kept = {name: getattr(layer, name) for name in ("stride", "padding", "dilation", "groups", "padding_mode")}
    return nn.Conv2d(layer.in_channels, number, layer.kernel_size, bias=layer.bias is not None, **kept, **place)
