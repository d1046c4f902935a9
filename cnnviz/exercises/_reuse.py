"""The exercises of notebook 15: learning from few pictures with something to start from, and what still learns."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnviz.exercises._grading import ONE_NUMBER, Question, Unreadable

BEATS, CLOSE, WORSE, MANY, OTHER, SAME = range(6)  # what the second of two runs is beside the first
POINTS, A_CLASS = 0.1, 5


def _two_runs(answer: Any, form: str) -> np.ndarray:
    """Compare two finished runs: on the same test pictures, each with at most five different pictures a class."""
    from cnnviz.training import Run, accuracy

    if not isinstance(answer, list | tuple) or len(answer) != 2 or not all(isinstance(run, Run) for run in answer):
        raise Unreadable(f"Give {form}, as `fit` returns them: [from_scratch, better].")
    if any(run.state in ("running", "paused") for run in answer):
        raise Unreadable("A run is still going. Wait for both with await, then check again.")
    first, second = (run.data for run in answer)
    if answer[0] is answer[1]:
        return np.array(SAME)
    if first.test_x.shape != second.test_x.shape or not (first.test_x == second.test_x).all():
        return np.array(OTHER)
    if max(_a_class(first), _a_class(second)) > A_CLASS:
        return np.array(MANY)
    gain = accuracy(answer[1]) - accuracy(answer[0])
    return np.array(BEATS if gain >= POINTS - 1e-9 else WORSE if gain < 0 else CLOSE)


def _a_class(data: Any) -> int:
    """The most different training pictures that a class has: one that is repeated counts once."""
    labels = data.train_y.unique()
    return max(len(data.train_x[data.train_y == label].flatten(1).unique(dim=0)) for label in labels)


QUESTIONS = {
    "15-beat-scratch": Question(
        right=BEATS,
        because="Ten points and more from the same five examples a class.",
        form="two finished runs, the one from scratch first",
        read=_two_runs,
        mistakes=[
            (
                CLOSE,
                "Better, but by less than ten points. Which section brought more: augmentation, transfer, or both?",
            ),
            (WORSE, "The second run is worse than the first. Is the one from scratch the first of the two?"),
            (MANY, "One of the runs learned from more than five pictures of a class: use task.few(5) for both."),
            (OTHER, "The two runs were tested with different pictures: give both the same data."),
            (SAME, "That is one and the same run, twice."),
        ],
    ),
    "15-trainable": Question(
        right=2565,
        because="512 features for each of 5 classes, and 5 biases: 512·5 + 5.",
        form=ONE_NUMBER,
        mistakes=[
            (2560, "These are the weights. Each of the 5 classes has a bias too."),
            (513000, "This is the old head, for 1000 classes. The new one has 5."),
            (11689512, "This is the whole network with its old head. Everything but the new head is frozen."),
            (11179077, "This is the whole network with the new head. Which part of it is not frozen?"),
            (11176512, "These are the parameters that are frozen. Asked for is the rest."),
            (325, "325 = 64·5 + 5 is the small network of this notebook. ResNet-18 hands 512 features to its head."),
            (2561, "A bias for each class, not one for all."),
            (3072, "A bias for each class: 5, not one for each feature."),
        ],
        otherwise="A dense layer from 512 features to 5 classes: its weights, and its biases.",
    ),
}
