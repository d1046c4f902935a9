"""A folder of the user's own pictures, one folder inside it for each class. Private.

What lies there may come from anywhere: only plain files inside the folder are opened, by the careful reader of
`images`; whatever cannot be read is left out and named.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cnnviz import images

MAX_VALUES = 250_000_000  # one gigabyte of float32


def read(path: str | os.PathLike[str], size: int) -> tuple[Tensor, Tensor, tuple[str, ...], tuple[str, ...]]:
    """Return pictures (N, 3, size, size), labels, the classes' names, and what was left out and why."""
    root = Path(path).expanduser()
    if not root.is_dir():
        raise ValueError(f"{str(path)!r} is not a folder; the current folder is {str(Path.cwd())!r}")
    pictures: dict[str, list[np.ndarray]] = {}
    skipped: list[str] = []
    for folder in _inside(root, root, skipped):
        if folder.is_dir():
            found = [_picture(file, root, size, skipped) for file in _inside(folder, root, skipped)]
            pictures[folder.name] = [picture for picture in found if picture is not None]
            if sum(map(len, pictures.values())) * 3 * size**2 > MAX_VALUES:
                raise ValueError(
                    f"{str(path)!r} holds more than a gigabyte of pictures at size={size}: use a smaller size"
                )
    return usable(pictures, skipped, f"{str(path)!r} needs two folders or more, one a class")


def usable(
    pictures: dict[str, list[np.ndarray]], skipped: list[str], needs: str
) -> tuple[Tensor, Tensor, tuple[str, ...], tuple[str, ...]]:
    """Pictures, labels, names and what was left out, of the classes that have two pictures or more."""
    usable = {name: listed for name, listed in pictures.items() if len(listed) > 1}
    skipped += [f"{name!r}: fewer than two pictures in it can be read" for name in pictures if name not in usable]
    if len(usable) < 2:
        why = f" ({'; '.join(skipped[:3])}{'; ...' * (len(skipped) > 3)})" if skipped else ""
        raise ValueError(f"{needs}, with two pictures or more each{why}")
    x = torch.from_numpy(np.stack([picture for listed in usable.values() for picture in listed]))
    y = torch.tensor([label for label, listed in enumerate(usable.values()) for _ in listed])
    return x, y, tuple(usable), tuple(skipped)


def _inside(folder: Path, root: Path, skipped: list[str]) -> list[Path]:
    """What lies in a folder, in order, without hidden files and without links that lead out of the root."""
    kept = []
    for entry in sorted(entry for entry in folder.iterdir() if not entry.name.startswith(".")):
        try:
            inside = entry.resolve().is_relative_to(root.resolve())
        except (OSError, RuntimeError):  # a link to itself
            inside = False
        if inside:
            kept.append(entry)
        else:
            skipped.append(f"{str(entry.relative_to(root))!r}: a link that leads out of the folder, or nowhere")
    return kept


def _picture(file: Path, root: Path, size: int, skipped: list[str]) -> np.ndarray | None:
    try:
        return square(images.open(file, size), size)
    except ValueError as error:
        reason = str(error).removeprefix(f"{os.fspath(file)!r} ")
        skipped.append(f"{str(file.relative_to(root))!r}: {reason}")
        return None


def square(picture: np.ndarray, size: int) -> np.ndarray:
    """A square (3, size, size) with the picture in its middle and zeros around."""
    square = np.zeros((3, size, size), dtype=np.float32)
    top, left = ((size - side) // 2 for side in picture.shape[1:])
    square[:, top : top + picture.shape[1], left : left + picture.shape[2]] = picture
    return square
