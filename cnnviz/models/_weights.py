"""Published ImageNet weights: where they are, how good they are, what pictures they expect, and how to fetch them."""

from __future__ import annotations

import hashlib
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import torch
from torch import Tensor, nn

SOURCE = "https://docs.pytorch.org/vision/stable/models.html"  # torchvision 0.29.1, the entries IMAGENET1K_V1
FOLDER = "https://download.pytorch.org/models/"


class Weights(NamedTuple):
    """One published file: its address, its accuracy on ImageNet's 50,000 validation pictures, and its preprocessing.

    Pictures (RGB, 0 to 1) are resized so that the shorter side is ``resize`` (bilinear, antialiased), cropped to
    ``crop`` in the centre, and have ``mean`` subtracted and are divided by ``std``, channel by channel.
    """

    url: str
    top1: float  # percent
    top5: float
    gmacs: float  # torchvision's figure for one picture of crop x crop
    resize: int = 256
    crop: int = 224
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    source: str = SOURCE  # of all these figures


# These are the first weights published for each network, from training much as in its paper. For some torchvision has
# better ones from a longer recipe; figures that compare architectures are fairer without them. A file's name ends in
# the first digits of its SHA-256. Shown are top-1, top-5 and billions of multiply-adds.
PUBLISHED = {
    "alexnet": Weights(FOLDER + "alexnet-owt-7be5be79.pth", 56.522, 79.066, 0.714),
    "vgg11": Weights(FOLDER + "vgg11-8a719046.pth", 69.02, 88.628, 7.609),
    "vgg13": Weights(FOLDER + "vgg13-19584684.pth", 69.928, 89.246, 11.308),
    "vgg16": Weights(FOLDER + "vgg16-397923af.pth", 71.592, 90.382, 15.47),
    "vgg19": Weights(FOLDER + "vgg19-dcbb9e9d.pth", 72.376, 90.876, 19.632),
    "vgg11_bn": Weights(FOLDER + "vgg11_bn-6002323d.pth", 70.37, 89.81, 7.609),
    "vgg13_bn": Weights(FOLDER + "vgg13_bn-abd245e5.pth", 71.586, 90.374, 11.308),
    "vgg16_bn": Weights(FOLDER + "vgg16_bn-6c64b313.pth", 73.36, 91.516, 15.47),
    "vgg19_bn": Weights(FOLDER + "vgg19_bn-c79401a0.pth", 74.218, 91.842, 19.632),
    "googlenet": Weights(FOLDER + "googlenet-1378be20.pth", 69.778, 89.53, 1.498),
    "inception_v3": Weights(FOLDER + "inception_v3_google-0cc3c7bd.pth", 77.294, 93.45, 5.713, resize=342, crop=299),
    "resnet18": Weights(FOLDER + "resnet18-f37072fd.pth", 69.758, 89.078, 1.814),
    "resnet34": Weights(FOLDER + "resnet34-b627a593.pth", 73.314, 91.42, 3.664),
    "resnet50": Weights(FOLDER + "resnet50-0676ba61.pth", 76.13, 92.862, 4.089),
    "resnet101": Weights(FOLDER + "resnet101-63fe2227.pth", 77.374, 93.546, 7.801),
    "resnet152": Weights(FOLDER + "resnet152-394f9c45.pth", 78.312, 94.046, 11.514),
    "resnext50_32x4d": Weights(FOLDER + "resnext50_32x4d-7cdf4587.pth", 77.618, 93.698, 4.23),
    "resnext101_32x8d": Weights(FOLDER + "resnext101_32x8d-8ba56ff5.pth", 79.312, 94.526, 16.414),
    "wide_resnet50_2": Weights(FOLDER + "wide_resnet50_2-95faca4d.pth", 78.468, 94.086, 11.398),
    "wide_resnet101_2": Weights(FOLDER + "wide_resnet101_2-32ee1156.pth", 78.848, 94.284, 22.753),
    "densenet121": Weights(FOLDER + "densenet121-a639ec97.pth", 74.434, 91.972, 2.834),
    "densenet161": Weights(FOLDER + "densenet161-8d451a50.pth", 77.138, 93.56, 7.728),
    "densenet169": Weights(FOLDER + "densenet169-b2777c0a.pth", 75.6, 92.806, 3.36),
    "densenet201": Weights(FOLDER + "densenet201-c1103571.pth", 76.896, 93.37, 4.291),
    "squeezenet1_0": Weights(FOLDER + "squeezenet1_0-b66bff10.pth", 58.092, 80.42, 0.819),
    "squeezenet1_1": Weights(FOLDER + "squeezenet1_1-b8a52dc0.pth", 58.178, 80.624, 0.349),
    "mobilenet_v2": Weights(FOLDER + "mobilenet_v2-b0353104.pth", 71.878, 90.286, 0.301),
    "shufflenet_v2_x1_0": Weights(FOLDER + "shufflenetv2_x1-5666bf0f80.pth", 69.362, 88.316, 0.145),
}

# Options that may differ from a network's own when weights are loaded: no parameter depends on them.
FREE = {"dropout", "dropout_aux", "aux_logits", "transform_input"}
HEADS = ("aux1.", "aux2.", "AuxLogits.")  # parameters of heads are in the file whether the network has them or not


def pretrained(
    name: str, kind: object, build: Callable[..., nn.Module], known: dict[str, Any], given: dict[str, Any]
) -> nn.Module:
    """Build a network with published weights; ``known`` are its options, ``given`` those that the user set."""
    if kind != "imagenet":
        raise ValueError(f"{name}: weights {kind!r} are not known: use 'imagenet', or None for an untrained network")
    if name not in PUBLISHED:
        raise ValueError(f"{name} has no published weights; these have: {', '.join(sorted(PUBLISHED))}")
    changed = [key for key in known if key not in FREE and given.get(key, known[key]) != known[key]]
    if changed:
        belong = ", ".join(f"{key}={known[key]!r}" for key in changed)
        text = f"the weights of {name} belong to {belong}"
        raise ValueError(f"{text}: load them so, then replace the layers that should differ")
    if "transform_input" in known:
        given = {"transform_input": True, **given}  # trained on pictures from -1 to 1
    state = renamed(fetch(name))
    with torch.device("meta"):
        network = build(**given)  # no time for random weights that would be thrown away
    own = network.state_dict()
    state = {key: value for key, value in state.items() if key in own or not key.startswith(HEADS)}
    network.load_state_dict(state, assign=True)
    return network.to(torch.get_default_device())


def fetch(name: str) -> dict[str, Tensor]:
    """Return the published file's content, downloaded into torch's cache unless it is there; the hash is checked.

    Raises
    ------
    ConnectionError
        If the address cannot be reached.
    ValueError
        If what came is not what was published.
    """
    url = PUBLISHED[name].url
    instead = f"try again, or build {name} with weights=None, untrained"
    forget_damaged(url)
    try:
        return torch.hub.load_state_dict_from_url(url, map_location="cpu", check_hash=True, weights_only=True)
    except OSError as error:
        place = urlsplit(url).netloc or url
        reason = getattr(error, "reason", error)
        raise ConnectionError(f"the weights of {name} cannot be fetched from {place} ({reason}): {instead}") from None
    except RuntimeError as error:
        if "invalid hash" not in str(error):
            raise
        file = Path(urlsplit(url).path).name
        text = f"the download of {file} is damaged, its hash is not the one in its name: {instead}"
        raise ValueError(text) from None
    except pickle.UnpicklingError:
        raise ValueError(f"the file at {url} holds more than numbers, and none of it was run: {instead}") from None


def forget_damaged(url: str) -> None:
    """Delete the file from torch's cache if its hash is wrong: torch looks at the hash of new downloads only."""
    file = Path(torch.hub.get_dir(), "checkpoints", Path(urlsplit(url).path).name)
    expected = re.search(r"-([0-9a-f]{8,})\.", file.name)
    if file.exists() and expected:
        with file.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        if not digest.startswith(expected[1]):
            file.unlink()


def renamed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the parameters under today's names: the DenseNet files still say norm.1 for norm1."""
    return {re.sub(r"(denselayer\d+\.(?:norm|conv))\.([12])\.", r"\1\2.", key): value for key, value in state.items()}
