"""The exercises of notebook 13; `cnnviz.exercises` lists them with the others."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnviz.exercises._grading import ONE_NUMBER, Question, Unreadable, numbers

NEAR = 1.5  # a prediction counts if it is not further off than this factor
HIT, COUNTED, TOO_HIGH, TOO_LOW = range(4)


def _prediction(answer: Any, form: str) -> np.ndarray:
    """Compare a predicted ratio with the cell of a race, and name how it is off."""
    if not isinstance(answer, (tuple, list)) or len(answer) != 2 or not hasattr(answer[1], "measured"):
        raise Unreadable(f"Give {form}.")
    said, lap = numbers(answer[0], ONE_NUMBER.replace("whole ", "")), answer[1]
    if said.ndim or said <= 0:
        raise Unreadable("The prediction is one number above 0: how many times as fast.")
    if lap.note:
        raise Unreadable(f"This cell was not measured: {lap.note}. Race a smaller one.")
    off = float(said) / lap.measured
    if 1 / NEAR <= off <= NEAR:
        return np.array(HIT)
    if off > 1 and abs(float(said) / lap.macs - 1) < 0.1:
        return np.array(COUNTED)
    return np.array(TOO_HIGH if off > 1 else TOO_LOW)


QUESTIONS = {
    "13-eightfold": Question(
        right=72,
        because="1/72 + 1/9 = 1/8. With 71 filters the sum is a little more, and the saving below 8.",
        form=ONE_NUMBER,
        mistakes=[
            (64, "1/64 + 1/9 = 0.127, a little more than 1/8: it saves 7.9 times."),
            (8, "1/8 alone is all that may be left. The 1/9 of the depthwise part is still to be added."),
            (9, "1/9 + 1/9 = 2/9: that saves 4.5 times."),
            (17, "1/8 = 1/N + 1/9: take 1/9 away from 1/8, and do not add the two."),
            (71, "Nearly: 1/71 + 1/9 is a little more than 1/8."),
            (73, "It saves 8 times, but one filter fewer does so exactly."),
            (lambda n: n.shape == () and n > 73, "This saves more than 8 times. A smaller number does too."),
        ],
        otherwise="1/N + 1/9 has to be 1/8 or less.",
    ),
    "13-latency": Question(
        right=HIT,
        because="Not further off than a factor of 1.5.",
        form="your prediction and the cell of the race, such as (2.5, lap)",
        read=_prediction,
        mistakes=[
            (COUNTED, "That is the ratio of the multiply-adds. The clock says less: what else takes time?"),
            (TOO_HIGH, "Too high. What does the depthwise part cost beside its few multiply-adds?"),
            (TOO_LOW, "Too low. Look at the measured ratios of the neighbours in the race above."),
        ],
    ),
}
