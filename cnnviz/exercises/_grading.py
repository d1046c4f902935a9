"""How an exercise is graded: a `Question` judges an answer and returns a `Verdict`.

A question knows its right answer and why it is right, and the wrong answers that people give with the hint for each.
Answers are compared as arrays of numbers, so that a number, a nested list, a NumPy array and a torch tensor all do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

TOLERANCE = 1e-6
ONE_NUMBER = "one whole number"  # the form of most answers


@dataclass(frozen=True)
class Verdict:
    """What `check` returns: shown as one line, and true exactly when the answer was right.

    Examples
    --------
    >>> Verdict("02-unread-rows", "right", "Row 6 is never read.")
    ✓ 02-unread-rows: right. Row 6 is never read.
    """

    name: str
    status: str  # "right", "not yet" or "not attempted"
    message: str

    def __bool__(self) -> bool:
        return self.status == "right"

    def __repr__(self) -> str:
        mark = {"right": "✓", "not yet": "✗"}.get(self.status, "○")
        return f"{mark} {self.name}: {self.status}. {self.message}"


class NotAttempted(Exception):
    """The answer is still the placeholder."""


class Unreadable(Exception):
    """The answer has not the form that was asked for; the text says which form that is."""


def untouched(answer: Any) -> bool:
    """Tell whether the answer is `None` or `...`, or a list in which one of them is left."""
    if answer is None or answer is Ellipsis:
        return True
    return isinstance(answer, list | tuple) and any(untouched(part) for part in answer)


def numbers(answer: Any, form: str) -> np.ndarray:
    """Turn an answer into an array of finite numbers, or raise `Unreadable` with the form that was asked for."""
    if hasattr(answer, "detach"):  # a torch tensor, or a layer's weight that still asks for gradients
        answer = answer.detach().cpu()
    try:
        values = np.asarray(answer, dtype=float)
    except (TypeError, ValueError):
        raise Unreadable(f"{shown(answer)} is not {form}.") from None
    if not np.isfinite(values).all():
        raise Unreadable(f"{shown(answer)} is not {form}: every number must be finite.")
    return values


def shown(answer: Any) -> str:
    """Repeat an answer in at most 60 characters, on one line."""
    text = " ".join(repr(answer).split())
    return text if len(text) <= 60 else text[:57] + "..."


def same(values: np.ndarray, wanted: Any) -> bool:
    """Tell whether two answers are the same numbers in the same arrangement."""
    wanted = np.asarray(wanted, dtype=float)
    return values.shape == wanted.shape and bool(np.allclose(values, wanted, rtol=0, atol=TOLERANCE))


@dataclass(frozen=True)
class Question:
    """One exercise: its answer as numbers, why that is right, and the hints for the wrong answers people give.

    `mistakes` pairs a wrong answer, or a test that recognises one, with its hint; the first that fits is given.
    """

    right: Any
    because: str
    form: str
    mistakes: Sequence[tuple[Any, str]] = ()
    otherwise: str = "Open the first hint below the exercise."
    read: Callable[[Any, str], np.ndarray] = field(default=numbers)

    def judge(self, name: str, answer: Any) -> Verdict:
        """Compare one answer with the right one, then with the mistakes in their order."""
        try:
            if untouched(answer):
                raise NotAttempted(f"Replace the ... by {self.form}, then run this cell again.")
            values = self.read(answer, self.form)
        except NotAttempted as reason:
            return Verdict(name, "not attempted", str(reason))
        except Unreadable as reason:
            return Verdict(name, "not yet", str(reason))
        while values.ndim > np.ndim(self.right) and values.shape[0] == 1:
            values = values[0]  # a single channel or filter in front
        if same(values, self.right):
            return Verdict(name, "right", self.because)
        for wrong, hint in self.mistakes:
            if wrong(values) if callable(wrong) else same(values, wrong):
                return Verdict(name, "not yet", hint)
        if values.shape != np.shape(self.right):
            return Verdict(name, "not yet", f"Asked for was {self.form}; this has the shape {values.shape}.")
        return Verdict(name, "not yet", self.otherwise)
