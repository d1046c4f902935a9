"""What finished runs say of pictures: alone, together, and looking several times. `training` shows it. Private."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from cnnviz._checks import _flag, _short, _whole
from cnnviz.data import pictures
from cnnviz.data._augment import moved
from cnnviz.training._trainer import evaluated_at_once, outputs

if TYPE_CHECKING:
    from cnnviz.training import Run


def predict(
    runs: Run | Sequence[Run], x: Tensor | np.ndarray | None = None, crops: int = 0, flip: bool = False
) -> Tensor:
    """Return the probability of each class, ``(N, classes)``; the mean over several runs is an ensemble's.

    Parameters
    ----------
    runs
        One finished run or several.
    x
        Pictures ``(N, C, H, W)``, a tensor or an array; by itself the test set of the first run.
    crops
        If not 0, the mean over five crops of the picture padded by so many pixels: the middle and the four corners.
    flip
        Whether to add the mirror image of each, as AlexNet did (Krizhevsky et al. 2012, section 4.1).

    Examples
    --------
    >>> from cnnviz import fit, load, models
    >>> digits = load("digits").few(10)
    >>> runs = [fit(models.create("lenet5"), digits, epochs=1, seed=seed) for seed in range(2)]
    >>> for run in runs:
    ...     _ = run.result()
    >>> predict(runs, crops=1).shape
    torch.Size([355, 10])
    """
    runs = finished(runs)
    _whole("crops", crops, 0, 1000)
    _flag("flip", flip)
    x = runs[0].data.test_x if x is None else pictures("x", x)
    return torch.stack([_probabilities(run, x, crops, flip) for run in runs]).mean(0)


def accuracy(runs: Run | Sequence[Run], crops: int = 0, flip: bool = False) -> float:
    """Return the share of the first run's test pictures that `predict` gets right.

    >>> from cnnviz import fit, load, models
    >>> run = fit(models.create("lenet5"), load("digits"), epochs=1)
    >>> run.result().epochs[-1].test_accuracy == accuracy(run)
    True
    """
    labels = finished(runs)[0].data.test_y
    right = predict(runs, None, crops, flip).argmax(1)
    return int((right == labels.to(right.device)).sum()) / len(labels)


def finished(runs: Run | Sequence[Run]) -> list[Run]:
    """Return one run or several as a list; what is none, or still goes, is refused."""
    from cnnviz.training import Run

    listed = list(runs) if isinstance(runs, Sequence) and not isinstance(runs, str) else [runs]
    if not listed:
        raise ValueError("runs is empty: use one finished run, or a list of some")
    for run in listed:
        if not isinstance(run, Run):
            raise ValueError(f"run {_short(run)} is not what fit returns: use one finished run, or a list of some")
        if run.state in ("running", "paused"):
            raise RuntimeError("a run is still going: wait for it, or stop it")
        if run.data.classes != listed[0].data.classes:
            known = " and ".join(_short(one.data.classes) for one in (listed[0], run))
            raise ValueError(f"the runs know different classes, {known}: use runs of one data set together")
    return listed


@torch.no_grad()
def _probabilities(run: Run, x: Tensor, crops: int, flip: bool) -> Tensor:
    network = run.averaged.eval()
    device = next(network.parameters()).device
    size = evaluated_at_once(device)
    looks = [
        torch.cat([outputs(network(part.to(device)))[0].softmax(1).cpu() for part in seen.split(size)])
        for seen in _views(x, crops, flip)
    ]
    return torch.stack(looks).mean(0)


def _views(x: Tensor, crops: int, flip: bool) -> Iterator[Tensor]:
    corners = [(crops * down, crops * across) for down in (-1, 1) for across in (-1, 1)]
    for down, across in [(0, 0), *(corners if crops else [])]:
        by = torch.tensor([down, across], device=x.device)[:, None].expand(2, len(x))
        seen = moved(x, *by, crops)
        yield seen
        if flip:
            yield seen.flip(3)
