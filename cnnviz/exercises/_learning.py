"""The exercises of notebook 06: how large a step may be, and the gradient of a neuron."""

from __future__ import annotations

from cnnviz.exercises._grading import Question

QUESTIONS = {
    "06-stability": Question(
        right=1 / 3,
        because="The slope of 3w² is 6w, so the curvature is 6, and 6 · 1/3 = 2.",
        form="one number",
        mistakes=[
            (2 / 3, "3 is the number before w². The curvature is how fast the slope grows, and the slope is 6w."),
            (1, "1 is the limit for w², whose curvature is 2. This hill is three times as narrow."),
            (1 / 6, "With 1/6 a single step lands on the bottom. The limit is twice that."),
            (3, "This is curvature / 2. The limit is 2 / curvature."),
            (6, "6 is the curvature. Which rate makes rate × curvature equal to 2?"),
            (2, "rate × curvature = 2, and the curvature of 3w² is not 1."),
            (1.9 / 3, "This is the limit with a momentum of 0.9. Without momentum it is lower."),
            (lambda n: n.shape == () and 0.3 <= n < 0.34, "Close. Give it exactly: a fraction of two whole numbers."),
        ],
        otherwise="The slope of 3w² is 6w: how large is the curvature? Then rate × curvature = 2.",
    ),
    "06-neuron-gradient": Question(
        right=[-0.5, 0.25, -0.25],
        because="The error at z is 2·(0.5 − 1)·0.25 = −0.25, times what came in: 2, −1 and 1.",
        form="three numbers, for the two weights and the bias",
        mistakes=[
            ([0.5, -0.25, 0.25], "The signs: this is the way to step. The gradient points the other way."),
            ([-0.25, 0.125, -0.125], "Half of it: the slope of (a − 1)² is 2·(a − 1)."),
            ([-2, 1, -1], "The sigmoid is left out: it passes on a·(1 − a) = 0.25 of the error."),
            ([-0.25, -0.25, -0.25], "This is the error at z. Multiply it by what came in: 2, −1, and 1 for the bias."),
            ([-0.25, 0.25, -0.5], "The order: first weight, second weight, bias."),
            ([0.25, -0.5, -0.25], "The order: the first weight belongs to the input 2."),
            ([0.125, -0.0625, 0.0625], "(a − 1)² is the loss itself. What comes back is its slope, 2·(a − 1)."),
            ([-0.5, 0.25, 0], "The bias learns too: its input is always 1."),
            ([-0.5, 0.25], "The weights are right. The bias is missing; its input is always 1."),
        ],
        otherwise="Find z first, it is 0, then a = 0.5. The error at z is 2·(a − 1)·a·(1 − a). What came in?",
    ),
}
