"""Do the marked pixels matter? LeNet-5 on the digits: the deletion curves of each method, and of two plain orders.

Both LeNets: with tanh and average pooling, as the package has it, and with ReLU and max pooling, which alone has
something for guided backpropagation to change. Areas are means over test pictures, so are the ratios of such means.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from cnnviz import fit, inside, load, models
from cnnviz.inside import Curve
from tests.benchmarks.rows import Row
from tests.test_inside_attribution import largest_difference

KINDS = {"tanh, average pool": {}, "ReLU, max pool": {"activation": "relu", "pool": "max"}}
RATES = {"tanh, average pool": 0.1, "ReLU, max pool": 0.03}


def measure(quick: bool = False) -> Iterator[Row]:
    """Definitions first, then the deletion curves and the sanity checks."""
    nets = 20 if quick else 200
    for method, worst in largest_difference(range(nets)).items():
        yield Row(f"{method}, farthest from its definition", worst, "", 1e-6, note=f"{nets} nets")
    digits, threads = load("digits"), torch.get_num_threads()
    torch.set_num_threads(1)
    chosen = torch.randperm(len(digits.test_x), generator=torch.Generator().manual_seed(0))[: 5 if quick else 60]
    for kind in KINDS:
        trained = [_trained(kind, seed) for seed in range(2 if quick else 5)]
        yield from _deletions(kind, trained, digits.test_x[chosen])
        if kind.startswith("ReLU"):
            yield from _sanity(trained, digits.test_x[chosen[:20]])
            yield from _fooled(trained, digits.test_x[chosen], digits.test_y[chosen])
    torch.set_num_threads(threads)


def _trained(kind: str, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    net = models.create("lenet5", **KINDS[kind])
    fit(net, load("digits"), epochs=20, lr=RATES[kind], optimizer="momentum", schedule="cosine", seed=seed).result()
    return net.eval()


def _deletions(kind: str, trained: list[nn.Module], pictures: Tensor) -> Iterator[Row]:
    curves: dict[str, list[list[Curve]]] = {}  # what ranks -> seed -> picture
    for net in trained:
        for name, ranking in _rankings(kind).items():
            ranked = [ranking(net, x, None) if callable(ranking) else ranking for x in pictures]
            ours = [inside.deletion(net, x, by) for x, by in zip(pictures, ranked, strict=True)]
            curves.setdefault(name, []).append(ours)
    area = {name: [statistics.mean(one.area for one in few) for few in seeds] for name, seeds in curves.items()}
    for name, values in area.items():
        yield Row.of_seeds(f"LeNet-5, {kind}: deletion area, {name}", values)
    for name, bar in (("random", 10), ("brightest", 2), ("saliency", None)):
        ratios = [others / ours for others, ours in zip(area[name], area["occlusion"], strict=True)]
        yield Row.of_seeds(f"  times smaller with occlusion than with {name}", ratios, bar=bar)
    for name in ("occlusion", "brightest"):
        lost = [statistics.median(map(_pixels_to_lose, few)) for few in curves[name]]
        yield Row.of_seeds(f"  pixels of 1,024 until the class is below one half, {name}", lost)


def _rankings(kind: str) -> dict[str, str | Callable]:
    rankings = {
        "random": "random",
        "brightest": "brightest",
        "occlusion": inside.occlusion,
        "saliency": inside.saliency,
        "Grad-CAM at C3": lambda net, x, target: inside.grad_cam(net, x, "features.4", target),
        "Grad-CAM at C1": lambda net, x, target: inside.grad_cam(net, x, "features.1", target),
    }
    guided = {"guided backpropagation": inside.guided_backpropagation} if kind.startswith("ReLU") else {}
    return rankings | guided


def _pixels_to_lose(curve: Curve) -> float:
    return 1024 * float(curve.shares[(curve.values < 0.5).argmax()])


def _sanity(trained: list[nn.Module], pictures: Tensor) -> Iterator[Row]:
    """Rank correlation of each method's picture with that of the randomised network, and of another seed."""
    for name, method in _rankings("ReLU").items():
        if callable(method):
            for what, others in (
                ("weights randomised", [inside.randomised(net) for net in trained]),
                ("another seed", [*trained[1:], trained[0]]),
            ):
                found = [_agreement(method, net, other, pictures) for net, other in zip(trained, others, strict=True)]
                yield Row.of_seeds(f"  {name}, agreement with {what}", found)


def _agreement(method: Callable, net: nn.Module, other: nn.Module, pictures: Tensor) -> float:
    asked = [(x, int(net(x[None]).argmax())) for x in pictures]
    return statistics.mean(inside.agreement(method(net, *ask), method(other, *ask)) for ask in asked)


def _fooled(trained: list[nn.Module], x: Tensor, y: Tensor) -> Iterator[Row]:
    for size in (0.05, 0.1, 0.2):
        stepped = [_right(net, torch.stack([inside.fool(net, one, size) for one in x]), y) for net in trained]
        yield Row.of_seeds(f"  right after a step of {size} against the network", stepped, "%")
        signs = torch.randn(x.shape, generator=torch.Generator().manual_seed(0)).sign()
        noise = [_right(net, (x + size * signs).clamp(0, 1), y) for net in trained]
        yield Row.of_seeds("    after random signs of that size", noise, "%")


def _right(net: nn.Module, x: Tensor, y: Tensor) -> float:
    with torch.no_grad():
        return 100 * float((net(x).argmax(1) == y).float().mean())
