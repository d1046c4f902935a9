"""Pictures to learn from, whole in memory: digits, coloured shapes, three known sets, a folder of your own.

>>> from cnnviz import load
>>> load("digits")
digits: 1,442 pictures to learn from and 355 to test with, 1 x 32 x 32, 10 classes
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from cnnviz._checks import _either, _short, _whole
from cnnviz.data import _folder, _published, _shapes
from cnnviz.data._augment import (
    Augmentation,
    channel_shift,
    colour,
    crop,
    flip,
    mixup,
    noise,
    pca_colour,
    rotation,
    shear,
    shift,
    zoom,
)  # fmt: skip
from cnnviz.data._shapes import shapes

__all__ = [
    "Data", "channel_shift", "colour", "crop", "enlarge", "flip", "load", "mixup", "names",
    "noise", "pca_colour", "rotation", "shapes", "shear", "shift", "zoom",
]  # fmt: skip

DIGIT = 20  # pixels across a digit where there is room, as in MNIST: its pictures are 28 across
_PARTS = ("train_x", "train_y", "test_x", "test_y")


@dataclass(frozen=True, repr=False, eq=False)
class Data:
    """Pictures and their labels: some to learn from, some to test with.

    Parameters
    ----------
    train_x, test_x
        Pictures ``(N, C, H, W)``, tensors or arrays; kept as float32.
    train_y, test_y
        Labels ``(N,)``, places in `classes`; kept as int64.
    classes
        The classes' names.
    name
        What to call the set.
    skipped
        What was left out, and why.

    Raises
    ------
    ValueError
        When they do not fit together, are empty, or a label is out of range.

    Examples
    --------
    >>> import torch
    >>> Data(torch.zeros(6, 3, 8, 8), [0, 1] * 3, torch.zeros(2, 3, 8, 8), [0, 2], classes=("cat", "dog"))
    Traceback (most recent call last):
    ValueError: test_y holds the label 2, but there are 2 classes: use labels from 0 to 1
    """

    train_x: Tensor
    train_y: Tensor
    test_x: Tensor
    test_y: Tensor
    classes: tuple[str, ...]
    name: str = "own pictures"
    skipped: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.classes, (tuple, list)) or not self.classes:
            raise ValueError(f'classes {_short(self.classes)}: use a tuple of names, such as ("cat", "dog")')
        object.__setattr__(self, "classes", tuple(map(str, self.classes)))
        for part in ("train", "test"):
            x = pictures(f"{part}_x", getattr(self, f"{part}_x"))
            object.__setattr__(self, f"{part}_x", x)
            y = _labels(f"{part}_y", getattr(self, f"{part}_y"), len(x), len(self.classes))
            object.__setattr__(self, f"{part}_y", y.to(x.device))
        if self.train_x.shape[1:] != self.test_x.shape[1:]:
            shapes = [_extent(x) for x in (self.train_x, self.test_x)]
            raise ValueError(f"train_x has pictures of {shapes[0]} and test_x of {shapes[1]}: use one shape for both")

    def to(self, device: torch.device | str) -> Data:
        """Return the same data on another device."""
        return replace(self, **{part: getattr(self, part).to(device) for part in _PARTS})

    def few(self, per_class: int, seed: int = 0) -> Data:
        """Keep `per_class` training pictures a class, drawn by `seed`; the test set stays whole.

        >>> load("digits").few(5)
        digits: 50 pictures to learn from and 355 to test with, 1 x 32 x 32, 10 classes
        """
        _whole("per_class", per_class, 1, 10**9)
        _whole("seed", seed, 0, 2**63 - 1)
        generator, kept = torch.Generator().manual_seed(seed), []
        for label in range(len(self.classes)):
            places = (self.train_y == label).nonzero()[:, 0]
            kept.append(places[torch.randperm(len(places), generator=generator)[:per_class].to(places.device)])
        chosen = torch.cat(kept)
        return replace(self, train_x=self.train_x[chosen], train_y=self.train_y[chosen])

    def only(self, classes: Sequence[str]) -> Data:
        """Keep the pictures of some classes, whose labels then follow the order given.

        >>> load("digits").only("97").classes
        ('9', '7')
        """
        wanted = tuple(map(str, classes))
        unknown = [name for name in wanted if name not in self.classes]
        if unknown or len(set(wanted)) < max(2, len(wanted)):
            raise ValueError(f"classes {_short(wanted)}: use two or more, each once, of {_either(self.classes)}")
        parts = {}
        for part in ("train", "test"):
            x, y = getattr(self, f"{part}_x"), getattr(self, f"{part}_y")
            label = torch.full((len(self.classes),), -1, device=y.device)
            label[[self.classes.index(name) for name in wanted]] = torch.arange(len(wanted), device=y.device)
            kept = label[y] >= 0
            parts |= {f"{part}_x": x[kept], f"{part}_y": label[y[kept]]}
        return replace(self, classes=wanted, **parts)

    def changed(self, *changes: Augmentation, seed: int = 0) -> Data:
        """Change every picture once, test pictures too: a harder task, where `fit`'s `augment` makes more examples.

        >>> load("digits").changed(shift(6), noise(0.2)).name
        'digits, shift(6), noise(0.2)'
        """
        _whole("seed", seed, 0, 2**63 - 1)
        generator, changed = torch.Generator(self.train_x.device).manual_seed(seed), [self.train_x, self.test_x]
        for change in changes:
            changed = [change(x, generator) for x in changed]
            if not all(isinstance(x, Tensor) for x in changed):
                what = getattr(change, "__name__", "a change")
                raise ValueError(f"{what} changes labels too: give it to fit, as augment")
        name = ", ".join([self.name, *(getattr(change, "__name__", "changed") for change in changes)])
        return replace(self, train_x=changed[0], test_x=changed[1], name=name)

    def __repr__(self) -> str:
        text = f"{self.name}: {len(self.train_x):,} pictures to learn from and {len(self.test_x):,} to test with, "
        text += f"{_extent(self.train_x)}, {len(self.classes)} classes"
        return f"{text}; {len(self.skipped)} left out, see .skipped" if self.skipped else text


def names() -> tuple[str, ...]:
    """Every name that `load` knows.

    >>> names()
    ('digits', 'shapes', 'mnist', 'fashion_mnist', 'cifar10', 'folder')
    """
    return ("digits", "shapes", *_published.CLASSES, "folder")


def load(name: str, size: int | None = None, seed: int = 0, path: str | os.PathLike[str] | None = None) -> Data:
    """Return a data set; its values go from 0 to 1, and are not standardised.

    Parameters
    ----------
    name
        "digits": scikit-learn's 1,797 scans of 8 x 8, enlarged (see `enlarge`). The split is fixed whatever the seed:
        of each digit a fifth, drawn once, is for the test.
        "shapes": coloured shapes at random places, 2,000 and 500, of ten classes; made on the spot from `seed`.
        "mnist", "fashion_mnist", "cifar10": through torchvision, which downloads them at the first use.
        "folder": your own pictures, one folder a class; a fifth of each, drawn by `seed`, is for the test.
    size
        Pixels a side; by itself 32 (mnist, fashion_mnist: 28, and a frame of zeros around them where more is wanted).
    seed
        Of what is drawn at random.
    path
        Where the folder is; for the downloaded sets, where to keep them.

    Raises
    ------
    ValueError
        For an unknown name, a size that the set cannot have, or a folder that cannot be used.
    ModuleNotFoundError
        When torchvision is needed and missing.
    ConnectionError
        When a download is needed and fails; a file with a wrong checksum is a ValueError.

    Examples
    --------
    >>> load("shapes", seed=1).classes[:4]
    ('disc', 'ring', 'square', 'frame')
    """
    if name not in names():
        raise ValueError(f"there is no data set {_short(name)}: use {_either(names())}")
    _whole("seed", seed, 0, 2**32 - 1)
    if size is not None:
        _whole("size", size, 8, 512)
    if name in _published.CLASSES:
        return Data(*_published.read(name, size, path), name=name)
    number = {"digits": 1797, "shapes": 7500}.get(name, 0)  # grey pictures
    if number * (size or 32) ** 2 * 4 > 10**9:
        most = math.isqrt(10**9 // 4 // number)
        raise ValueError(f"{name} of size {size} take more than a gigabyte: use size={most} or less")
    if name == "folder":
        return _own(path, size or 32, seed)
    return _digits(size or 32) if name == "digits" else _shapes_data(size or 32, seed)


def enlarge(scans: Tensor, size: int) -> Tensor:
    """Draw 8 x 8 scans as ``load("digits", size)`` does: 20 pixels across, in the middle of a picture of `size`.

    Pictures of 20 pixels and less are filled by the digit; at 8 they are the scans themselves. Bilinear.

    >>> enlarge(torch.ones(1, 1, 8, 8), size=32)[0, 0, 16].sum()
    tensor(20.)
    """
    scale = size / min(size, DIGIT)
    theta = torch.tensor([[[scale, 0, 0], [0, scale, 0]]])
    grid = functional.affine_grid(theta, [1, 1, size, size], align_corners=False)
    return functional.grid_sample(scans, grid.expand(len(scans), -1, -1, -1), align_corners=False)


def _digits(size: int) -> Data:
    from sklearn.datasets import load_digits  # takes a second: the other sets do not wait for it

    scans = load_digits()
    x = enlarge(torch.from_numpy((scans.images / 16).astype(np.float32))[:, None], size)  # N, 1, size, size
    return split(x, torch.from_numpy(scans.target.astype(np.int64)), tuple("0123456789"), "digits", seed=0)


def _shapes_data(size: int, seed: int) -> Data:
    x, y = map(torch.from_numpy, _shapes.draw(2500, size, np.random.default_rng(seed)))
    return Data(x[:2000], y[:2000], x[2000:], y[2000:], _shapes.NAMES, "shapes")


def _own(path: str | os.PathLike[str] | None, size: int, seed: int) -> Data:
    if not isinstance(path, (str, os.PathLike)):
        raise ValueError('say where the folder is: load("folder", path="my-pictures")')
    x, y, classes, skipped = _folder.read(path, size)
    return split(x, y, classes, "folder", seed, skipped)


def split(x: Tensor, y: Tensor, classes: tuple[str, ...], name: str, seed: int, skipped: tuple[str, ...] = ()) -> Data:
    """A fifth of each class is for the test, one picture at least."""
    generator = torch.Generator().manual_seed(seed)
    test = torch.zeros(len(y), dtype=torch.bool)
    for label in range(len(classes)):
        places = (y == label).nonzero()[:, 0]
        test[places[torch.randperm(len(places), generator=generator)[: max(1, len(places) // 5)]]] = True
    return Data(x[~test], y[~test], x[test], y[test], classes, name, skipped)


def pictures(name: str, given: Any) -> Tensor:
    try:
        x = torch.as_tensor(np.ascontiguousarray(given) if isinstance(given, np.ndarray) else given).float()
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(f"{name} {_short(given)} is no array of pictures: use a tensor (N, C, H, W)") from None
    if x.dim() != 4 or not x.numel():
        raise ValueError(f"{name} has the shape {tuple(x.shape)}: use pictures (N, C, H, W), at least one")
    return x


def _labels(name: str, given: Any, number: int, classes: int) -> Tensor:
    try:
        y = given if isinstance(given, Tensor) else torch.from_numpy(_whole_numbers(given))
    except (TypeError, ValueError):
        raise ValueError(f"{name} {_short(given)}: use whole numbers, one for each of the {number} pictures") from None
    if y.dim() != 1 or len(y) != number or y.is_floating_point() or y.is_complex() or y.dtype == torch.bool:
        kind = f"shape {tuple(y.shape)} of {str(y.dtype).removeprefix('torch.')}"
        raise ValueError(f"{name} has the {kind}: use whole numbers, one for each of the {number} pictures")
    y = y.long()  # here: torch finds no extremes of unsigned numbers
    low, high = int(y.min()), int(y.max())
    if low < 0 or high >= classes:
        wrong = low if low < 0 else high
        text = f"{name} holds the label {wrong}, but there are {classes} classes"
        raise ValueError(f"{text}: use labels from 0 to {classes - 1}")
    return y


def _whole_numbers(given: Any) -> np.ndarray:
    """Of any width and byte order, as torch takes them; others as they are, for the message."""
    y = np.asarray(given)
    return y.astype(np.int64) if y.dtype.kind in "iu" else y


def _extent(x: Tensor) -> str:
    return " x ".join(map(str, x.shape[1:]))
