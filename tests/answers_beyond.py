"""The exercises of notebook 17: answers that test_exercises grades, with words of the hints."""

import torch

from cnnviz import models


def euler(branch, x, steps):
    for _ in range(steps):
        x = x + branch(x) / steps
    return x


def whole_steps(branch, x, steps):
    for _ in range(steps):
        x = x + branch(x)
    return x


def from_the_start(branch, x, steps):
    start = x
    for _ in range(steps):
        x = x + branch(start) / steps
    return x


def in_place(branch, x, steps):
    for _ in range(steps):
        x += branch(x) / steps
    return x


def bare(branch, x, steps):
    for _ in range(steps):
        x = branch(x) / steps
    return x


PYRAMID = models.create("fpn", width_mult=0.125, channels=4).eval().pyramid(torch.zeros(1, 3, 224, 224))
RIGHT = {"17-euler-step": [euler], "17-levels": [[PYRAMID[level].shape[-1] for level in ("P3", "P4", "P5")]]}
WRONG = {
    "17-euler-step": [
        (bare, "add it"),
        (whole_steps, "end at time 4"),
        (lambda branch, x, steps: x + branch(x) / steps, "Repeat it"),
        (lambda branch, x, steps: x + branch(x), "where each step begins"),
        (from_the_start, "where each step begins"),
        (in_place, "in place"),
        (lambda branch, x, steps: x, "goes from x to x + branch(x) / steps"),
        (lambda branch, x, steps: x + branch(x) / steps**2, "goes from x to x + branch(x) / steps"),
        (lambda branch, x: x, "fails when it is called"),
        (lambda branch, x, steps: 3.0, "fails when it is called"),
        (lambda branch, x, steps: x[0], "the shape has to stay"),
        (torch.ones(3), "not its result"),
    ],
    "17-levels": [
        ([7, 14, 28], "other order"),
        ([56, 28, 14], "P2 to P4"),
        ([8, 16, 32], "strides"),
        ([112, 56, 28], "2·2·2 = 8"),
        ([75, 56, 45], "power of two"),
        ([28**2, 14**2, 7**2], "one side"),
        (28, "three whole numbers"),
        ([28, 14, 8], "32 x 32"),
    ],
}
