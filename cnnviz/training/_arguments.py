"""The arguments of `fit`: read, tried out on two pictures, or refused with a text that repeats them. Private."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from cnnviz._checks import _by, _flag, _number, _one_of, _short, _whole
from cnnviz._memory import is_about_memory
from cnnviz.data import Data
from cnnviz.data._augment import Augmentation, Mixed
from cnnviz.training._optimisers import OPTIMISERS, SCHEDULES
from cnnviz.training._randomness import OwnRandomness
from cnnviz.training._trainer import Settings, outputs


def check_model(model: nn.Module, data: Data) -> None:
    if not isinstance(model, nn.Module):
        raise ValueError(f"model {_short(model)} is not a network: use models.create('lenet5'), or a torch nn.Module")
    if not isinstance(data, Data):
        raise ValueError(f"data {_short(data)} is not a Data: use load('digits'), or Data(train_x, ...) of your own")
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ValueError(f"{type(model).__name__} has no weights that may change: set requires_grad_(True) on some")
    if any(tensor.is_inference() for tensor in (*model.parameters(), *model.buffers())):
        text = f"{type(model).__name__} was built under torch.inference_mode, so its weights cannot learn"
        raise ValueError(f"{text}: build it outside, or use copy.deepcopy(network) outside")


def read_settings(model: nn.Module, given: dict[str, Any]) -> Settings:
    """Every argument read, or refused with a text that repeats it."""
    optimizer = _one_of("optimizer", given["optimizer"], OPTIMISERS)
    weight_decay, clip = _number("weight_decay", given["weight_decay"], least=0), given["clip"]
    if optimizer == "lbfgs" and (weight_decay or clip is not None):
        raise ValueError("lbfgs searches along a line: it takes neither weight_decay nor clip, use 0 and None")
    scales = rate_scales(model, given["lr_scale"])
    if optimizer == "lbfgs" and given["lr_scale"]:
        raise ValueError("lbfgs takes one learning rate for all weights: use another optimizer with lr_scale")
    return Settings(
        batch_size=_whole("batch_size", given["batch_size"], 1, 10**9),
        seed=_whole("seed", given["seed"], 0, 2**63 - 2**20),
        optimizer=optimizer,
        schedule=_one_of("schedule", given["schedule"], SCHEDULES),
        weight_decay=weight_decay,
        clip=None if clip is None else _number("clip", clip, above=0),
        label_smoothing=_number("label_smoothing", given["label_smoothing"], least=0, below=1),
        augment=augmentations(given["augment"]),
        average=_flag("average", given["average"]),
        snapshots=snapshot_layer(model, given["snapshots"]),
        precision=given["precision"] and _one_of("precision", given["precision"], ("float32", "bfloat16")),
        scales=scales,
    )


def rate_scales(model: nn.Module, given: Any) -> dict[str, float]:
    """For each weight that may change, its share of the rate; where several prefixes fit, the longest counts."""
    weights = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    given = {} if given is None else given
    if not isinstance(given, Mapping):
        raise ValueError(f'lr_scale {_short(given)} is not a dictionary: use {{"{weights[0].split(".")[0]}": 0.1}}')
    factors = {}
    for prefix, factor in given.items():
        if not any(_begins(name, prefix) for name in weights):
            known = ", ".join(dict.fromkeys(name.split(".")[0] for name in weights))
            text = f"lr_scale names {_short(prefix)}, but no weights that may change are called so"
            raise ValueError(f"{text}: use the beginning of a name, here {known} or a part of one of them")
        factors[prefix] = _number(f"lr_scale of {_short(prefix)}:", factor, above=0)
    chosen = {name: max((p for p in factors if _begins(name, p)), key=len, default=None) for name in weights}
    return {name: factors.get(prefix, 1.0) for name, prefix in chosen.items()}


def _begins(name: str, prefix: Any) -> bool:
    return isinstance(prefix, str) and f"{name}.".startswith(f"{prefix}.")


def augmentations(given: Any) -> tuple[Augmentation, ...]:
    listed = () if given is None else (given,) if callable(given) else given
    if not isinstance(listed, (tuple, list)) or not all(map(callable, listed)):
        raise ValueError(
            f"augment {_short(given)} is not a function or a list of them: use [data.crop(2), data.flip()]"
        )
    return tuple(listed)


def snapshot_layer(model: nn.Module, wanted: Any) -> str | None:
    convolutions = [name for name, layer in model.named_modules() if isinstance(layer, nn.Conv2d)]
    if wanted is None or wanted is False:
        return None
    if not convolutions:
        raise ValueError(f"{type(model).__name__} has no convolution to take snapshots of: use snapshots=None")
    return convolutions[0] if wanted is True else _one_of("snapshots", wanted, convolutions)


def chosen_device(wanted: Any) -> torch.device:
    """The device as tensors there call it: "cuda" is "cuda:0" to them, and the run's chance is kept by that name."""
    if wanted is None:
        wanted = f"cuda:{os.environ.get('LOCAL_RANK', 0)}" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.empty(0, device=wanted).device
        if device.type == "meta":
            raise RuntimeError("nothing is computed there")
        return device
    except (RuntimeError, AssertionError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"device {_short(wanted)} is not to be had here ({reason}): use 'cpu', or leave it out"
        ) from None


def try_out(model: nn.Module, data: Data) -> None:
    """Two pictures through the network, here and not in the thread: what does not fit is said by `fit` itself."""
    name, classes = type(model).__name__, len(data.classes)
    try:
        with torch.no_grad(), OwnRandomness(seed=0):
            scores = outputs(model.eval()(data.test_x[:2]))[0]
    except (RuntimeError, ValueError, TypeError) as error:
        if is_about_memory(error):
            raise
        shape = _by(data.test_x.shape[1:], " x ")
        raise ValueError(f"the pictures are {shape}, and do not fit {name}: {error}") from error
    if scores.dim() != 2 or scores.shape[1] < classes:
        number = _by(scores.shape[1:], " x ")
        text = f"{name} gives {number} scores a picture, but the data have {classes} classes"
        raise ValueError(f"{text}: use num_classes={classes}")


def try_changes(changes: Sequence[Augmentation], x: torch.Tensor) -> None:
    for change in changes:
        try:
            changed = change(x, torch.Generator(x.device).manual_seed(0))
        except (TypeError, ValueError, RuntimeError) as error:
            raise ValueError(
                f"augment {named(change)} cannot be applied to a batch and a generator: {error}"
            ) from error
        changed = changed.pictures if isinstance(changed, Mixed) else changed
        if not isinstance(changed, torch.Tensor) or (changed.shape, changed.dtype) != (x.shape, x.dtype):
            raise ValueError(
                f"augment {named(change)} has to return a batch of the same shape and type as it was given"
            )


def named(value: Any) -> str:
    """Text of an argument in a label: of a function its name, since its repr holds an address."""
    if isinstance(value, (tuple, list)):
        return "+".join(map(named, value))
    if isinstance(value, functools.partial):
        return named(value.func)
    return getattr(value, "__name__", type(value).__name__) if callable(value) else str(value)
