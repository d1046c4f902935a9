"""The exercises of notebook 17; `cnnviz.exercises` lists them with the others."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnviz.exercises._grading import Question, Unreadable

RIGHT, BARE, WHOLE, SMALL, START, OTHER, CHANGED = range(7)  # what an answer to "17-euler-step" does


def _stepper(answer: Any, form: str) -> np.ndarray:
    """Run the answer on a branch whose steps are known, and name what it does."""
    import torch

    if not callable(answer):
        raise Unreadable(f"Give {form}, not its result.")

    def branch(x: torch.Tensor) -> torch.Tensor:
        return torch.sin(2 * x) + 0.5

    def walked(step: float, number: int) -> torch.Tensor:
        x = start.clone()
        for _ in range(number):
            x = x + step * branch(x)
        return x

    start, steps = torch.linspace(-1, 1, 24, dtype=torch.float64).reshape(1, 2, 3, 4), 4
    given = start.clone()
    try:
        with torch.no_grad():
            one, made = answer(branch, given, 1), answer(branch, start.clone(), steps)
            shapes = [tuple(part.shape) for part in (one, made)]
    except Exception as error:  # whatever a reader's own code raises
        raise Unreadable(f"The function fails when it is called: {str(error)[:120]}") from None
    if shapes != [tuple(start.shape)] * 2:
        raise Unreadable(f"Maps of the shape {tuple(start.shape)} came back as {shapes[0]}: the shape has to stay.")
    if not torch.equal(given, start):
        return np.array(CHANGED)
    known = {
        RIGHT: walked(1 / steps, steps),
        WHOLE: walked(1, steps),
        SMALL: walked(1 / steps, 1),
        START: start + branch(start),
    }
    if torch.allclose(one, branch(start)):
        return np.array(BARE)
    if not torch.allclose(one, walked(1, 1)):
        return np.array(OTHER)
    return np.array(next((kind for kind, x in known.items() if torch.allclose(made, x)), OTHER))


QUESTIONS = {
    "17-euler-step": Question(
        right=RIGHT,
        because="One step is x + branch(x): a residual block. Four steps are four blocks with the same weights, each a "
        "quarter as strong.",
        form="a function of a branch, maps and a number of steps",
        read=_stepper,
        mistakes=[
            (BARE, "One step gives branch(x) alone. A step starts from x: add it."),
            (WHOLE, "One step is right. But four steps end at time 4: each has to be a quarter as long."),
            (SMALL, "The length of the steps is right, but only one is taken. Repeat it."),
            (START, "The branch is asked at the first x every time, or just once. Ask it anew where each step begins."),
            (CHANGED, "The maps that were given are changed: += works in place on a tensor. Write x = x + ..."),
        ],
        otherwise="A step of length 1 / steps goes from x to x + branch(x) / steps. Take as many as were asked for.",
    ),
    "17-levels": Question(
        right=[28, 14, 7],
        because="Each level halves the one before it. P3 has the stride 8: 224 / 8 = 28, then 224 / 16 and 224 / 32.",
        form="three whole numbers: P3, P4, P5",
        mistakes=[
            ([7, 14, 28], "The right three, in the other order: P3 is the finest of them."),
            ([56, 28, 14], "These are P2 to P4. The number of a level is its power of two: P3 has the stride 2·2·2."),
            ([8, 16, 32], "These are the strides. How often does each fit into 224?"),
            ([112, 56, 28], "These are the strides 2, 4 and 8. P3 begins with 2·2·2 = 8."),
            ([75, 56, 45], "The number of a level is the power of two, not the stride: P3 has the stride 8."),
            ([784, 196, 49], "These are the places of a level. Asked is one side."),
        ],
        otherwise="P3 has one place for every 8 x 8 pixels, P4 for 16 x 16, P5 for 32 x 32.",
    ),
}
