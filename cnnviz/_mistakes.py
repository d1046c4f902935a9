"""Pictures with their labels, shown: what augmentations make of them, and where a network goes wrong. Private."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from cnnviz._checks import _short, _whole
from cnnviz.data import Data
from cnnviz.data._augment import Augmentation, Mixed
from cnnviz.inside._pictures import EDGE, WIDTH, Group, Pictures
from cnnviz.training._arguments import augmentations, named, try_changes
from cnnviz.training._predictions import finished, predict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from cnnviz.training import Run

LONGEST = 14  # letters of a class's name: names of folders may be of any length


class Confusion(Pictures):
    """How often pictures of each class (rows) were taken for each class (columns); made by `confusion`.

    Attributes
    ----------
    values
        Counts, ``(classes, classes)``.
    classes
        Their names.
    accuracy
        The share that was right.
    """

    def plot(self) -> Figure:
        """Draw the counts as a table, shaded by the share of each row."""
        from matplotlib import pyplot

        number = len(self.classes)
        names = [_clipped(name) for name in self.classes]
        side = min(6.4, 1.6 + 0.36 * number)
        figure, axes = pyplot.subplots(figsize=(side + 0.08 * max(map(len, names)), side), layout="constrained")
        pyplot.close(figure)  # the caller shows it
        share = self.values / self.values.sum(1, keepdims=True).clip(1)
        axes.imshow(share, cmap="Greens", vmin=0, vmax=1)
        axes.set(xlabel="taken for", ylabel="is", xticks=range(number), yticks=range(number))
        axes.set_xticklabels(names, rotation=90 if max(map(len, names)) > 3 else 0, parse_math=False)
        axes.set_yticklabels(names, parse_math=False)
        for (row, column), count in np.ndenumerate(self.values):
            if count and number <= 30:
                colour = "white" if share[row, column] > 0.6 else "black"
                axes.text(column, row, str(count), ha="center", va="center", color=colour)
        return figure


def confusion(run: Run | Sequence[Run]) -> Confusion:
    """Return how often the test pictures of each class were taken for each class.

    >>> from cnnviz import fit, load, models
    >>> run = fit(models.create("lenet5"), load("digits").only("17").few(10), epochs=1)
    >>> _ = run.result()
    >>> confusion(run)
    test pictures of each class (rows), taken for each class (columns): 2 x 2
    """
    guessed, labels, _, data = _judged(run)
    number = len(data.classes)
    counts = np.bincount(number * labels + guessed, minlength=number**2).reshape(number, number)
    about = "test pictures of each class (rows), taken for each class (columns)"
    return Confusion(counts, about, classes=data.classes, accuracy=float((guessed == labels).mean()))


class Mistakes(Pictures):
    """Wrongly read test pictures; how many there are is left to chance, and so not in the text that nbval compares."""

    def __repr__(self) -> str:
        return self.about


def mistakes(run: Run | Sequence[Run], most: int = 12) -> Mistakes:
    """Return the test pictures that were taken for something else with the highest probability, worst first.

    Attributes of the result are `places` in the test set, `guessed` (names) and `probabilities`.

    >>> from cnnviz import fit, load, models
    >>> run = fit(models.create("lenet5"), load("digits").few(2), epochs=1)
    >>> _ = run.result()
    >>> mistakes(run, most=5)
    the worst mistakes, at most 5
    """
    _whole("most", most, 1, 100)
    guessed, labels, probability, data = _judged(run)
    wrong = np.flatnonzero(guessed != labels)
    places = wrong[np.argsort(-probability[wrong], kind="stable")][:most]
    guesses = [data.classes[label] for label in guessed[places]]
    titles = [
        f"{_clipped(data.classes[labels[place]])} as {_clipped(name)}, {100 * probability[place]:.0f} %"
        for place, name in zip(places, guesses, strict=True)
    ]
    x = data.test_x[torch.from_numpy(places)].cpu().numpy()
    tiles, titles = (_tiles(x), titles) if titles else ([np.full((8, 8), np.nan)], ["no mistakes"])
    group = Group(tiles, palette="picture", titles=titles, columns=_columns(titles))
    found = {"places": places, "guessed": guesses, "probabilities": probability[places]}
    return Mistakes(x, f"the worst mistakes, at most {most}", group, **found)


def preview(
    data: Data, augment: Augmentation | Sequence[Augmentation] | None = None, number: int = 5, seed: int = 0
) -> Pictures:
    """Return training pictures, and under them what `fit` would show the network in two passes over them.

    Without `augment` the pictures alone.

    >>> from cnnviz import load
    >>> from cnnviz.data import rotation
    >>> preview(load("shapes"), rotation(30), number=4)
    4 pictures, and two draws of rotation(30): 12 x 3 x 32 x 32
    """
    if not isinstance(data, Data):
        raise ValueError(f"data {_short(data)} is not a Data: use load('shapes')")
    changes = augmentations(augment)
    _whole("number", number, 2, 10)
    _whole("seed", seed, 0, 2**63 - 1)
    try_changes(changes, data.train_x[:2])
    some = torch.randperm(len(data.train_x), generator=torch.Generator().manual_seed(seed))[:number]
    first, labels = data.train_x[some.to(data.train_x.device)], data.train_y[some.to(data.train_x.device)]
    generator = torch.Generator(first.device).manual_seed(seed)
    number, rows = len(first), [first]
    room = "" if augment is None else "\n"  # for a mixture's second line: nothing moves when there is one
    titles = [_clipped(data.classes[label]) + room for label in labels.tolist()]
    for _ in range(0 if augment is None else 2):
        x, y = first, labels
        for change in changes:
            x = change(x, generator)
            if isinstance(x, Mixed):
                x, y = x.pictures, x.labels(y, len(data.classes))
        rows.append(x)
        titles += [_shares(row, data.classes) for row in y] if y.dim() > 1 else titles[:number]
    pictures = torch.cat(rows).cpu().numpy()
    made = ", ".join(map(named, changes)) or "no change"
    about = f"{number} pictures" + (f", and two draws of {made}" if augment is not None else "")
    tiles = _tiles(pictures.clip(float(first.min()), float(first.max())))
    across = 0 if augment is None else (WIDTH - 2 * EDGE) // number
    return Pictures(pictures, about, Group(tiles, "", "picture", titles, columns=number, across=across))


def _judged(run: Run | Sequence[Run]) -> tuple[np.ndarray, np.ndarray, np.ndarray, Data]:
    """Guessed labels and true ones, the probability of the guess, and the data."""
    probabilities = predict(run)
    data = finished(run)[0].data
    best, guessed = probabilities[:, : len(data.classes)].max(1)
    return guessed.numpy(), data.test_y.cpu().numpy(), best.numpy(), data


def _tiles(x: np.ndarray) -> list[np.ndarray]:
    """Grey or in colour, whatever the number of channels."""
    return [picture if len(picture) == 3 else picture.mean(0) for picture in x]


def _shares(row: torch.Tensor, classes: Sequence[str]) -> str:
    two = row.topk(min(2, len(row)))
    parts = zip(two.values.tolist(), two.indices.tolist(), strict=True)
    return "\n".join(f"{100 * share:.0f} % {_clipped(classes[label])}" for share, label in parts if share > 0.005)


def _clipped(name: str) -> str:
    return name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"


def _columns(titles: Sequence[str]) -> int:
    return max(2, min(8, 85 // max(map(len, titles))))
