"""MNIST, Fashion-MNIST and CIFAR-10, fetched and read by torchvision. Private.

torchvision compares what it downloads with a checksum, but later reads MNIST's unpacked files without looking. So the
unpacked files are removed before each use: it then unpacks its archives anew, after their checksums.
"""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path
from typing import Any
from urllib.error import URLError

import torch
from torch import Tensor
from torch.nn import functional

CLASSES = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST", "cifar10": "CIFAR10"}
_INSTEAD = 'use load("digits") or load("shapes"), which come with the package'
_Parts = tuple[Tensor, Tensor, Tensor, Tensor, tuple[str, ...]]


def read(name: str, size: int | None, path: str | os.PathLike[str] | None) -> _Parts:
    """Return train_x, train_y, test_x, test_y and the classes' names."""
    try:
        from torchvision import datasets
    except (ImportError, RuntimeError):  # RuntimeError: a torchvision built for another torch
        text = f'load("{name}") needs torchvision, which cannot be imported here: install it, or {_INSTEAD}'
        raise ModuleNotFoundError(text) from None
    kind = getattr(datasets, CLASSES[name])
    root = Path(path or "~/.cache/cnnviz").expanduser()
    _forget_unpacked(root / CLASSES[name] / "raw")
    train, test = (_fetched(name, kind, root, train) for train in (True, False))
    return (*_tensors(train, size), *_tensors(test, size), tuple(map(str, train.classes)))


def _forget_unpacked(folder: Path) -> None:
    for archive in folder.glob("*.gz"):
        archive.with_suffix("").unlink(missing_ok=True)


def _fetched(name: str, kind: type, root: Path, train: bool) -> Any:
    try:
        return kind(root, train=train, download=True)
    except (OSError, RuntimeError, ValueError, AssertionError) as error:
        raise _in_a_sentence(name, kind, root, error) from None


def _in_a_sentence(name: str, kind: type, root: Path, error: Exception) -> Exception:
    """What to raise: torchvision fetches an archive again when it finds it altered, and then knows of no network."""
    said, offline = str(error).strip() or type(error).__name__, _is_about_network(error)
    reason = said.splitlines()[-1]  # it lists its mirrors, and what each of them said
    wanted = re.match("Error downloading (.*):", said)
    folder = root if hasattr(kind, "filename") else root / CLASSES[name]  # CIFAR-10 has no folder of its own
    archive = root / kind.filename if hasattr(kind, "filename") else folder / "raw" / (wanted[1] if wanted else "")
    if "corrupted" in said or (offline and archive.is_file()):
        text = f'load("{name}") refuses a file whose checksum is not the published one ({reason}): delete '
        return ValueError(f"{text}{str(archive)!r} and load again, or {_INSTEAD}")
    if offline:
        text = f'load("{name}") cannot fetch its files ({reason}): torchvision is there, the network is not'
        return ConnectionError(f"{text}; {_INSTEAD}")
    text = f'load("{name}") cannot read or write its files in {str(folder)!r} ({reason}): delete these, give another '
    return ValueError(f"{text}folder as path, or {_INSTEAD}")


def _is_about_network(error: Exception) -> bool:
    """An error of the disk names a file, or says that there is no room; torchvision wraps others in RuntimeErrors."""
    if isinstance(error, URLError):
        return True
    if isinstance(error, OSError):
        return error.filename is None and error.errno != errno.ENOSPC
    return isinstance(error, RuntimeError) and "downloading" in str(error)


def _tensors(dataset: Any, size: int | None) -> tuple[Tensor, Tensor]:
    """Pictures (N, C, size, size) from 0 to 1, with a frame of zeros where more than their own size is wanted."""
    x = torch.as_tensor(dataset.data).float() / 255
    x = x[:, None] if x.dim() == 3 else x.permute(0, 3, 1, 2).contiguous()
    room = (size or x.shape[-1]) - x.shape[-1]
    if room < 0:
        raise ValueError(f"size {size}: these pictures are {x.shape[-1]} across and are not shrunk, use that or more")
    x = functional.pad(x, (room // 2, room - room // 2) * 2)
    return x, torch.as_tensor(dataset.targets).long()
