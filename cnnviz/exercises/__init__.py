"""The exercises of the notebooks: `check` grades an answer and says what to try next.

>>> check("02-unread-rows", 0)
✗ 02-unread-rows: not yet. Rounding down hides it: two windows of 3 rows cover rows 0 to 5, and the picture has row 6.
"""

from __future__ import annotations

import difflib
from typing import Any

import numpy as np

from cnnviz.exercises import _beyond, _depthwise, _drawing, _groups, _inside, _learning, _modern, _networks, _reuse
from cnnviz.exercises._grading import ONE_NUMBER, TOLERANCE, NotAttempted, Question, Unreadable, Verdict, numbers

__all__ = ["Verdict", "check", "names"]

THREE_BY_THREE = "three rows of three numbers"


def _output_size(widget: Any, form: str) -> np.ndarray:
    """Read the output size of a `SlidingKernel` as (height, width)."""
    shape = np.shape(getattr(widget, "output", None))
    if len(shape) != 3:
        raise Unreadable(f"Give the widget itself, {form}.")
    if shape[1:] == (3, 3):
        raise NotAttempted("The output is still 3x3. Drag a slider of the widget, then run this cell again.")
    return np.array(shape[1:], dtype=float)


def _kernel_and_stride(answer: Any, form: str) -> np.ndarray:
    """Read a pair of a 2x2 kernel and a stride as five numbers."""
    if not isinstance(answer, list | tuple) or len(answer) != 2:
        raise Unreadable(f"Give {form}.")
    kernel, stride = numbers(answer[0], form), numbers(answer[1], form)
    if kernel.shape[-2:] != (2, 2) or kernel.size != 4:
        raise Unreadable(f"The kernel has the shape {kernel.shape}, but AvgPool2d(2) averages 2x2 numbers.")
    if stride.ndim > 1 or stride.size not in (1, 2) or stride.max() != stride.min():
        raise Unreadable("The stride is one whole number, the same in both directions.")
    return np.array([*kernel.ravel(), stride.max()])


def _one_at(row: int, column: int) -> np.ndarray:
    """Return a 3x3 kernel of zeros with a single 1."""
    kernel = np.zeros((3, 3))
    kernel[row, column] = 1
    return kernel


_WINDOWS = {  # notebooks 00 to 04
    "00-four-by-four": Question(
        right=[4, 4],
        because="The window fits at 4 places a side: 5 − 2 + 1 with a kernel of 2, or 6 − 3 + 1 with a larger picture.",
        form="the widget whose output you made 4x4",
        read=_output_size,
        mistakes=[
            (
                lambda size: size[0] != size[1],
                "The two sides differ: set the lock called square, or bring the other side along.",
            ),
            ([5, 5], "Padding 1 adds two places a side, and 3 + 2 = 5. Take it back and try another slider."),
            ([2, 2], "Only 2 places a side: a stride of 2 skips places, a larger kernel loses them. Go the other way."),
            (
                [1, 1],
                "The window covers everything and fits at one place only. A smaller window has more room to move.",
            ),
        ],
        otherwise="A kernel one larger takes one place away, a picture one larger adds one, one more padding adds two.",
    ),
    "01-shift-right": Question(
        right=_one_at(1, 0),
        because="Each output takes the pixel on its left, so everything moves one column to the right.",
        form=THREE_BY_THREE,
        mistakes=[
            (
                _one_at(1, 2),
                "This takes the pixel on the right: the picture moves left. Put the 1 where the pixel comes from.",
            ),
            (_one_at(0, 1), "This takes the pixel above: the picture moves down. Rows come first, columns second."),
            (_one_at(2, 1), "This takes the pixel below: the picture moves up. Rows come first, columns second."),
            (_one_at(1, 1), "This is the identity: every pixel stays where it is."),
            (
                lambda kernel: kernel.shape == (3, 3) and np.count_nonzero(kernel) > 1,
                "A shift reads one pixel only, so one weight is enough.",
            ),
            (
                lambda kernel: kernel.shape == (3, 3) and np.count_nonzero(kernel) == 1 and kernel.sum() != 1,
                "The right number of weights; its value must be 1, or the brightness changes.",
            ),
            (
                lambda kernel: kernel.shape == (3, 3) and kernel.sum() == 1,
                "A corner moves the picture along both axes. Stay in the middle row.",
            ),
        ],
        otherwise="Eight weights are 0 and one is 1: the one where the pixel comes from.",
    ),
    "01-true-convolution": Question(
        right=[[18, 20, 19], [10, 9, 17], [11, 8, 14]],
        because="The kernel turned by 180 degrees is [2 1 0], [0 2 2], [2 1 0]; then slide and add as before.",
        form=THREE_BY_THREE,
        mistakes=[
            (
                [[12, 12, 17], [10, 17, 19], [9, 6, 14]],
                "This is the cross-correlation, which CNNs call convolution: the kernel was not flipped.",
            ),
            (
                [[14, 6, 9], [19, 17, 10], [17, 12, 12]],
                "You turned the output. The kernel is what turns, before it slides.",
            ),
            (
                [[17, 15, 20], [11, 13, 19], [8, 6, 12]],
                "You swapped rows and columns (a transpose). Turn the kernel by 180 degrees instead.",
            ),
        ],
        otherwise="Write the kernel down turned by 180 degrees; then the first output is 2·3 + 1·3 + 0·2 + 0·0 + ... .",
    ),
    "02-same-padding": Question(
        right=6,
        because="The window spans 3·(5 − 1) + 1 = 13 rows and loses 12; 6 on each side give them back.",
        form=ONE_NUMBER,
        mistakes=[
            (2, "2 is right for kernel 5 without dilation. With steps of 3 the window spans more than 5 rows."),
            (12, "12 is the total. Padding is counted on each side."),
            (6.5, "The window spans 13 rows, but it loses 12: its first row costs nothing."),
            (7, "15 is not the span: 5 rows have 4 gaps between them, not 5. The window spans 3·(5 − 1) + 1 rows."),
            (13, "13 is the span of the window. It loses one row less than that, shared between two sides."),
            (4, "A dilation of 3 means steps of 3, not gaps of 2: the window spans 3·(5 − 1) + 1 rows."),
            (5, "Padding by the kernel size is a habit that fits no case. How many rows does the window span?"),
        ],
        otherwise="Find the span of the window first: 3·(5 − 1) + 1 rows. The output loses the span less 1.",
    ),
    "02-unread-rows": Question(
        right=1,
        because="Windows start at rows 0 and 3 and cover rows 0 to 5, so row 6 is never read.",
        form=ONE_NUMBER,
        mistakes=[
            (0, "Rounding down hides it: two windows of 3 rows cover rows 0 to 5, and the picture has row 6."),
            (2, "2 is the size of the output, or a row and a column together. Count the unread rows only."),
            (6, "Row 6 is the one; the question is how many there are."),
            (3, "A third window would need rows 6, 7 and 8, but the picture has only one of these."),
        ],
        otherwise="Write down the rows that each window covers: the first takes 0, 1 and 2.",
    ),
    "03-average-as-convolution": Question(
        right=[0.25, 0.25, 0.25, 0.25, 2],
        because="Four weights of 1/4 make a mean, and stride 2 keeps the windows apart. Each channel gets its own.",
        form="a pair: a 2x2 kernel, then a stride",
        read=_kernel_and_stride,
        mistakes=[
            ([1, 1, 1, 1, 2], "Weights of 1 add the four numbers. A mean also divides by how many there are."),
            ([0.5, 0.5, 0.5, 0.5, 2], "1/2 each gives twice the mean: the four weights must add up to 1."),
            (
                [0.25, 0.25, 0.25, 0.25, 1],
                "The kernel is right. With stride 1 the windows overlap; AvgPool2d(2) steps by its own size.",
            ),
            (
                lambda seen: np.ptp(seen[:4]) > TOLERANCE,
                "A mean treats its four numbers alike, so the four weights are equal.",
            ),
        ],
        otherwise="The weights must add up to 1, and the stride of AvgPool2d(2) is 2.",
    ),
    "03-smallest-shift": Question(
        right=2,
        because="The pixel in column 6 leaves its window (columns 4 to 7) at column 8; the other needs 3 steps.",
        form=ONE_NUMBER,
        mistakes=[
            (
                1,
                "After 1 step the pixels stand in columns 2 and 7: both are still in their windows, 0 to 3 and 4 to 7.",
            ),
            (3, "At 3 the first pixel crosses. The second one stands closer to the edge of its window."),
            (
                4,
                "4, the width of a window, is the most that any pixel can stand. Look for the one nearest to its edge.",
            ),
            (0, "A shift of 0 changes nothing."),
        ],
        otherwise="Windows cover columns 0 to 3, 4 to 7 and 8 to 11. How far is each pixel from leaving its own?",
    ),
    "04-parameters": Question(
        right=34944,
        because="96 filters, each with 3·11·11 = 363 weights and one bias: 96·364.",
        form=ONE_NUMBER,
        mistakes=[
            (34848, "These are the weights. Each of the 96 filters has a bias too."),
            (34849, "Not one bias for all: each of the 96 filters has its own."),
            (34851, "The biases belong to the filters, not to the input channels: there are 96."),
            (363, "This is the number of weights of one filter. There are 96 filters, each with a bias."),
            (364, "This is one filter with its bias. There are 96."),
            (11712, "A filter looks at all 3 input channels, so it has 3·11·11 weights."),
            (3264, "The window is 11x11: 121 weights a channel, not 11."),
            (3168, "The window is 11x11: 121 weights a channel, not 11. And each filter has a bias."),
            (
                105415200,
                "This counts the multiply-adds: weights times 55·55 places. Parameters are shared by all places.",
            ),
            (105705600, "Parameters do not depend on the size of the map: all 55·55 places share them."),
        ],
        otherwise="One filter has 3·11·11 weights and one bias. How many filters are there?",
    ),
    "04-redness": Question(
        right=[1, -0.5, -0.5],
        because="Red counts fully and the mean of green and blue is taken away, so every grey gives 0.",
        form="three numbers, for red, green and blue",
        mistakes=[
            (
                [1, -1, -1],
                "This takes away the sum of green and blue. Their mean is half of it, and grey should give 0.",
            ),
            ([1, 0.5, 0.5], "The signs: green and blue are taken away."),
            ([-1, 0.5, 0.5], "This is the opposite: it is largest where green and blue are."),
            ([-0.5, -0.5, 1], "This is the blueness: the order of the channels is red, green, blue."),
            ([-0.5, 1, -0.5], "This is the greenness: the order of the channels is red, green, blue."),
            ([1, 0, 0], "Red alone is large on white too. Take the mean of green and blue away."),
            (
                lambda weights: weights.shape == (3,) and weights[1] == weights[2] == -weights[0] / 2,
                "The right mixture, times a number. Red itself has weight 1.",
            ),
        ],
        otherwise="Red minus the mean of green and blue: 1·red + ?·green + ?·blue.",
    ),
}
_OTHERS = (
    _drawing,
    _networks,
    _learning,
    _inside,
    _modern,
    _depthwise,
    _groups,
    _reuse,
    _beyond,
)
_ALL = [*_WINDOWS.items(), *(pair for module in _OTHERS for pair in module.QUESTIONS.items())]
QUESTIONS = dict(sorted(_ALL, key=lambda pair: pair[0][:2]))  # by notebook; within one as they were written


def names() -> tuple[str, ...]:
    """Return the names of all exercises, in teaching order.

    Examples
    --------
    >>> names()[:2]
    ('00-four-by-four', '00-seven')
    """
    return tuple(QUESTIONS)


def check(name: str, answer: Any) -> Verdict:
    """Grade the answer to one exercise of the notebooks.

    Parameters
    ----------
    name
        The name of the exercise, such as ``"02-unread-rows"``; `names` lists all.
    answer
        What the exercise asks for: a number, a nested list, an array or a widget. ``...`` and `None` mean that
        nobody has tried yet.

    Returns
    -------
    Verdict
        True when the answer is right. Its text is the reason, the hint for that mistake, or "not attempted".

    Raises
    ------
    ValueError
        When there is no exercise of that name.

    Examples
    --------
    >>> check("02-unread-rows", ...)
    ○ 02-unread-rows: not attempted. Replace the ... by one whole number, then run this cell again.
    >>> bool(check("02-unread-rows", 1))
    True
    """
    if name not in QUESTIONS:
        close = difflib.get_close_matches(str(name), QUESTIONS, n=1, cutoff=0.5)
        hint = f"did you mean {close[0]!r}?" if close else f"the exercises are {', '.join(QUESTIONS)}"
        raise ValueError(f"no exercise is called {name!r}: {hint}")
    return QUESTIONS[name].judge(name, answer)
