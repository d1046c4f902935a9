"""One training run as the view sees it: what is new since the last sending, thinned to a few hundred points."""

from __future__ import annotations

from typing import Any

import numpy as np

POINTS = 400  # of one curve: more than a panel has pixels to tell apart
LAST_STEPS = 20  # the gradient norms of one step jump about: the mean of these is shown
MAPS, SIDE = 12, 32  # of a snapshot: how many filters and maps, and how many pixels a side


class Curve:
    """Loss and accuracy side by side; when there are `POINTS` of them, neighbours are averaged and `per` doubles."""

    def __init__(self, start: float, spacing: float, expected: int = 0) -> None:
        self.start, self.spacing = start, spacing  # of the first value and between two values, in epochs
        self.per = 1  # values behind one point
        while expected > POINTS * self.per:
            self.per *= 2
        self.points: list[tuple[float, float]] = []
        self.open: list[tuple[float, float]] = []  # what the next point will be the mean of
        self.sent = 0

    def add(self, loss: float, accuracy: float) -> None:
        """Append one value of each."""
        self.open.append((loss, accuracy))
        if len(self.open) < self.per:
            return
        self.points.append(mean(self.open))
        self.open = []
        if len(self.points) == POINTS:
            self.points = [mean(pair) for pair in zip(self.points[::2], self.points[1::2], strict=True)]
            self.per, self.sent = 2 * self.per, 0

    def news(self, last: bool) -> tuple[list, list[tuple[float, float]]]:
        """Return where the unsent points belong and the points; the `last` one may be of fewer values."""
        points = self.points + ([mean(self.open)] if last and self.open else [])
        first, self.sent = self.sent, len(self.points)
        return [first, len(points) - first, self.start, self.spacing * self.per], points[first:]


class Track:
    """Follows a run, or shows a recorded history.

    Parameters
    ----------
    source
        A `Run`, or a `History`.
    name
        What the legend calls it; "": what was set differently from the defaults.
    """

    def __init__(self, source: Any, name: str = "") -> None:
        self.run = source if hasattr(source, "history") else None
        self.history = source if self.run is None else source.history
        self.name = name or getattr(self.run, "label", "") or ("defaults" if self.run else "recorded run")
        self.state = ""  # the run's, "recorded" for a history, "earlier" for what is left of a run
        self.head: dict[str, Any] = {}
        self.told = self.head
        self.restart()

    def restart(self) -> None:
        """Read the history from its beginning."""
        self.step = self.epoch = self.snapshot = 0  # how many of each were read
        self.norms: dict[str, float] = {}
        steps, epochs = len(self.history.steps), len(self.history.epochs)
        self.steps_planned = getattr(self.run, "steps", steps)
        self.epochs_planned = getattr(self.run, "epochs", epochs) or 1
        self.fine = steps > 0 or self.run is not None  # a file may hold the epochs alone
        spacing = self.epochs_planned / self.steps_planned if self.fine and self.steps_planned else 1
        self.steps = Curve(0, spacing, self.steps_planned)
        self.tests = Curve(0.5, 1)
        self.shots: list[tuple[dict, bytes]] = []

    def read(self) -> None:
        """Take in what the history has gained."""
        if self.history is None:
            return
        self.state = self.run.state if self.run else "recorded"  # before the reading: what has ended grows no more
        if self.run is not None and self.run.steps != self.steps_planned:  # `more` was asked for: another scale
            self.restart()
        recent = max(0, len(self.history.steps) - LAST_STEPS)
        steps, records, norms = self.history.since(self.step, self.epoch, norms_from=recent)
        if steps:
            self.norms = {layer: float(values.mean()) for layer, values in norms.items()}
        self.step, self.epoch = self.step + len(steps), self.epoch + len(records)
        for step in steps:
            self.steps.add(step.loss, step.accuracy)
        for record in records:
            self.tests.add(record.test_loss, record.test_accuracy)
            if not self.fine:
                self.steps.add(record.train_loss, record.train_accuracy)
        self.shots += [packed(*one) for one in self.history.snapshots[len(self.shots) :]]
        error = getattr(self.run, "error", None)
        self.head = {
            "name": self.name,
            "state": self.state,
            "error": "" if error is None else str(error) or type(error).__name__,
            "steps": self.steps_planned,
            "epochs": self.epochs_planned,
            "step": self.step,
            "left": self.seconds_left(),
            "lr": getattr(self.run, "lr", None),
            "layers": list(self.norms),
        }
        if self.shots:
            self.head["filters"] = filters_of(self.history)

    @property
    def going(self) -> bool:
        """Whether more was to be expected at the last reading."""
        return self.state in ("running", "paused")

    def news(self, whole: bool) -> tuple[dict[str, Any], list[float], bytes] | None:
        """Return what the view does not know yet: words and numbers, points, pictures; None when it knows all."""
        self.read()
        if whole:
            self.steps.sent = self.tests.sent = self.snapshot = 0
            self.told = {}
        news = {name: value for name, value in self.head.items() if self.told.get(name, ...) != value}
        self.told = self.head
        (at, steps), (at_tests, tests) = self.steps.news(not self.going), self.tests.news(not self.going)
        shots, self.snapshot = self.shots[self.snapshot :], len(self.shots)
        if not (news or steps or tests or shots):
            return None
        norms = list(self.norms.values()) if steps else []
        news |= {"curves": [at, at_tests], "norms": len(norms)}
        if shots:
            news["shots"] = [shape for shape, _ in shots]
        return news, [*flat(steps), *flat(tests), *norms], b"".join(pixels for _, pixels in shots)

    def seconds_left(self) -> float | None:
        """Estimate from the pace of the last steps, or None."""
        left = self.steps_planned - self.step
        if not self.going or self.step < 2:
            return None
        recent = self.history.steps[max(0, self.step - 100) : self.step]
        return round(left * (recent[-1].seconds - recent[0].seconds) / max(1, len(recent) - 1), 1)

    def end(self) -> None:
        """Keep the curves alone, as a ghost in later plots: no run, no network, no data."""
        self.read()
        self.run = self.history = None
        self.shots, self.state, self.told = [], "earlier", {}
        self.head |= {"state": "earlier", "left": None, "lr": None}


def mean(values: list[tuple[float, float]]) -> tuple[float, float]:
    """Mean of some (loss, accuracy)."""
    return sum(loss for loss, _ in values) / len(values), sum(accuracy for _, accuracy in values) / len(values)


def flat(points: list[tuple[float, float]]) -> list[float]:
    """Losses first, then accuracies."""
    return [loss for loss, _ in points] + [accuracy for _, accuracy in points]


def filters_of(history: Any) -> str:
    """Say which filters the snapshots show, and how much of them."""
    words = f"filters of {history.snapshots_of or 'the first layer'}"
    channels = np.shape(history.snapshots[0][1]["filters"])[1]
    return words if channels in (1, 3) else f"{words}, the first of {channels} channels"


def packed(epoch: int, snapshot: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """Pack a snapshot as one byte a pixel: filters centred at zero (128), maps from their least to their largest."""
    filters = np.asarray(snapshot["filters"], dtype=np.float32)[:MAPS]
    filters = filters.transpose(0, 2, 3, 1) if filters.shape[1] == 3 else filters[:, 0, ..., None]
    maps = np.asarray(snapshot["maps"], dtype=np.float32)
    maps = maps.reshape(-1, *maps.shape[-2:])[:MAPS]
    skip = -(-max(maps.shape[1:]) // SIDE)
    maps = maps[:, ::skip, ::skip]
    scale = float(np.abs(filters).max()) or 1.0
    low, span = float(maps.min()), float(np.ptp(maps)) or 1.0
    pixels = [128 + 127 * filters / scale, 255 * (maps - low) / span]
    shape = {"epoch": epoch, "filters": list(filters.shape), "maps": list(maps.shape), "scale": scale}
    return shape, b"".join(part.round().astype(np.uint8).tobytes() for part in pixels)
