"""Is such a picture to be believed? Weights put at random, pixels taken away; and a step that fools a network. Private.

Adebayo et al.: Sanity Checks for Saliency Maps, 2018: a picture that looks the same after the weights were randomised
says nothing of what was learned. Samek et al.: Evaluating the Visualization of What a Deep Neural Network Has Learned,
2015: if the marked pixels matter, the class must go soon when they are taken away first.
"""

from __future__ import annotations

import copy
import io
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from cnnviz._checks import _by, _number, _one_of, _short, _whole
from cnnviz.inside._layers import as_batch, find_target, quiet, with_gradients
from cnnviz.inside._pictures import Pictures
from cnnviz.training._randomness import OwnRandomness

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STEPS, AT_ONCE = 128, 64


class Curve:
    """The probability of a class while pixels are taken away, made by `deletion`.

    Attributes
    ----------
    values
        The probabilities, ``(steps + 1,)``; the first is that of the whole picture.
    shares
        Which share of the pixels was gone.
    area
        The area under the curve, from 0 to 1; small where the pixels that went first matter.
    name, target
        What said which pixels go first; the class.
    """

    def __init__(self, name: str, target: int, shares: np.ndarray, values: np.ndarray) -> None:
        self.name, self.target, self.shares, self.values = name, target, shares, values
        self.area = float(np.trapezoid(values, shares))

    def __repr__(self) -> str:
        return f"class {self.target} while pixels go, {self.name} first: area {self.area:.3f}"

    def plot(self, *others: Curve) -> Figure:
        """Draw it with matplotlib, and others with it."""
        from matplotlib import pyplot

        for other in others:
            if not isinstance(other, Curve):
                raise ValueError(f"curve {_short(other)} is not what inside.deletion returns: use curve.plot(other)")
        figure, axes = pyplot.subplots(figsize=(6.4, 3.2), layout="constrained")
        pyplot.close(figure)  # the caller shows it: open, it would appear twice in a notebook
        for curve in (self, *others):
            axes.plot(curve.shares, curve.values, label=f"{curve.name}: area {curve.area:.3f}")
        axes.set(xlabel="share of the pixels taken away", ylabel=f"probability of class {self.target}", ylim=(0, 1.02))
        axes.legend()
        return figure

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.plot().savefig(buffer, format="png", dpi=100, metadata={"Software": None})
        return buffer.getvalue()


def deletion(
    model: nn.Module,
    picture: Any,
    ranking: Pictures | np.ndarray | Tensor | str,
    target: int | None = None,
    baseline: float = 0,
    seed: int = 0,
) -> Curve:
    """Take a picture's pixels away, those first that a ranking holds for important, and follow the class.

    Parameters
    ----------
    model, picture, target
        As of `inside.saliency`; the class is by itself the one that the network finds.
    ranking
        What one of `inside`'s attributions returned, or an array ``(H, W)`` or ``(C, H, W)`` (its largest channel
        counts). To compare with: "random", or "brightest" for the pixels of the largest values.
    baseline
        What is left where a pixel was.
    seed
        Of "random".

    Raises
    ------
    ValueError
        When the ranking has another size than the picture, or an argument makes no sense.

    Examples
    --------
    >>> from cnnviz import inside, load
    >>> from cnnviz.models import bundled
    >>> net, digit = bundled.load("lenet5-digits"), load("digits").test_x[0]
    >>> marked, by_chance = (inside.deletion(net, digit, by) for by in (inside.occlusion(net, digit), "random"))
    >>> marked.area < by_chance.area / 10
    True
    """
    net = quiet(model)
    batch = as_batch(picture, net)
    baseline, size = _number("baseline", baseline), tuple(batch.shape[2:])
    order = _ranks(ranking, batch[0].cpu(), _whole("seed", seed, 0, 2**63 - 1))
    if order.shape != size:
        text = f"the ranking is {_by(order.shape, ' x ')}, but the picture {_by(size, ' x ')}"
        raise ValueError(f"{text}: rank the pixels of the same picture")
    place = torch.empty(order.numel(), dtype=torch.long)
    place[order.flatten().argsort(descending=True, stable=True)] = torch.arange(order.numel())
    gone = torch.linspace(0, order.numel(), min(STEPS, order.numel()) + 1).round()
    masks = (place < gone[:, None]).view(-1, 1, *size).to(batch.device)
    with torch.no_grad():
        target = find_target(net(batch), target)
        parts = [net(batch.masked_fill(part, baseline)).float().softmax(1)[:, target] for part in masks.split(AT_ONCE)]
    return Curve(_called(ranking), target, (gone / order.numel()).numpy(), torch.cat(parts).cpu().numpy())


def agreement(one: Pictures | np.ndarray, other: Pictures | np.ndarray) -> float:
    """Return Spearman's rank correlation of two results: 1 for the same order of pixels, near 0 for unrelated ones.

    It is 0 where one of them has the same value everywhere, and so ranks nothing.

    >>> from cnnviz import inside
    >>> inside.agreement(np.array([1, 2, 3.0]), np.array([10, 20, 25.0]))
    1.0
    """
    first, second = _values("one", one).numpy(), _values("other", other).numpy()
    if first.shape != second.shape or not first.size:
        raise ValueError(f"results of the shapes {first.shape} and {second.shape} cannot be compared: use one shape")
    ranks = [_mean_ranks(values.ravel()) for values in (first, second)]
    a, b = (rank - rank.mean() for rank in ranks)
    scale = np.sqrt((a @ a) * (b @ b))
    return float(round(a @ b / scale, 12)) if scale else 0.0


def randomised(model: nn.Module, seed: int = 0) -> nn.Module:
    """Return a copy that has forgotten all: each layer starts anew, and what cannot is shuffled. In evaluation mode.

    >>> from cnnviz import inside
    >>> net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(4, 2))
    >>> other = inside.randomised(net, seed=1)
    >>> torch.equal(other[0].weight, net[0].weight), torch.equal(other[0].weight, inside.randomised(net, 1)[0].weight)
    (False, True)
    """
    seed = _whole("seed", seed, 0, 2**63 - 1)
    net = copy.deepcopy(quiet(model))
    with OwnRandomness(seed), torch.no_grad():
        for module in net.modules():
            if hasattr(module, "reset_parameters"):
                module.reset_parameters()
                continue
            for own in module.parameters(recurse=False):
                own.copy_(own.flatten()[torch.randperm(own.numel(), device=own.device)].view_as(own))
    return net.requires_grad_()


@with_gradients
def fool(model: nn.Module, picture: Any, size: float, target: int | None = None) -> Tensor:
    """Return the picture after one step against the network: each value moved by `size`, up or down.

    Goodfellow, Shlens, Szegedy: Explaining and Harnessing Adversarial Examples, 2014, section 4: the sign of the loss's
    gradient says which way. Values stay between the picture's own smallest and largest.

    Parameters
    ----------
    size
        How far each value moves: 0 leaves the picture as it is.
    target
        The class that it shall be taken for; by itself just away from the one that the network finds.

    Returns
    -------
    Tensor
        ``(C, H, W)``, as the network takes it.

    Examples
    --------
    >>> from cnnviz import inside, load
    >>> from cnnviz.models import bundled
    >>> net, digit = bundled.load("lenet5-digits"), load("digits").test_x[0]
    >>> [int(net(inside.fool(net, digit, size)[None]).argmax()) for size in (0, 0.5)]
    [1, 6]
    """
    size = _number("size", size, least=0)
    net = quiet(model)
    batch = as_batch(picture, net).requires_grad_()
    scores = net(batch)
    wanted = find_target(scores, target)
    (gradient,) = torch.autograd.grad(
        nn.functional.cross_entropy(scores.float(), scores.new_tensor([wanted]).long()), batch
    )
    step = size * gradient.sign() * (1 if target is None else -1)
    with torch.no_grad():
        return (batch + step).clamp(batch.min(), batch.max())[0]


def _ranks(ranking: Any, picture: Tensor, seed: int) -> Tensor:
    """How important each pixel is held to be, ``(H, W)``."""
    if isinstance(ranking, str):
        if _one_of("ranking", ranking, ("random", "brightest")) == "brightest":
            return picture.mean(0)
        return torch.rand(picture.shape[1:], generator=torch.Generator().manual_seed(seed))
    values = _values("ranking", ranking)
    return values.amax(0) if values.dim() == 3 else values


def _values(name: str, given: Any) -> Tensor:
    """The numbers of a result, or of an array."""
    values = given.values if isinstance(given, Pictures) else given
    try:
        return torch.as_tensor(values.detach() if isinstance(values, Tensor) else np.asarray(values)).cpu().double()
    except (TypeError, ValueError, RuntimeError):
        words = " ".join(_short(given).split())
        raise ValueError(f"{name} {words} is neither a result nor an array: use inside.occlusion(...)") from None


def _called(ranking: Any) -> str:
    if isinstance(ranking, str):
        return {"random": "random ones", "brightest": "the brightest"}[ranking]
    return ranking.about.partition(" of ")[0] if isinstance(ranking, Pictures) else "as ranked"


def _mean_ranks(values: np.ndarray) -> np.ndarray:
    """The rank of each value; equal ones share the mean of their ranks."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[which]
