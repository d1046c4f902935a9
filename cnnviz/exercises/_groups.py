"""The exercises of notebook 14; `cnnviz.exercises` lists them with the others."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnviz.exercises._grading import ONE_NUMBER, Question, numbers

CHANNELS, GROUPS = 12, 3
EACH = CHANNELS // GROUPS
START = np.arange(CHANNELS)


def _row(answer: Any, form: str) -> np.ndarray:
    """Read an order of channels, written in one row or in a row for each place that was dealt."""
    values = numbers(answer, form)
    return values.ravel() if values.size == CHANNELS else values


def _is_no_order(row: np.ndarray) -> bool:
    return row.shape == START.shape and sorted(row) != START.tolist()


QUESTIONS = {
    "14-shuffle": Question(
        right=START.reshape(GROUPS, EACH).T.ravel(),
        because="The first of every group (0, 4, 8), then the second of every group (1, 5, 9), and so on.",
        form=f"{CHANNELS} numbers from 0 to {CHANNELS - 1}, in their new order",
        read=_row,
        mistakes=[
            (START, "Nothing has moved: each group would still read itself alone."),
            (
                START.reshape(EACH, GROUPS).T.ravel(),
                "This steps by 3. A group has 12 / 3 = 4 channels, so the first of each are 4 apart: 0, 4, 8.",
            ),
            (START.reshape(GROUPS, EACH).T.ravel() + 1, "The order is right. The channels are counted from 0."),
            (START[::-1], "This is backwards. Deal: one channel of each group, then again one of each."),
            (
                np.roll(START, EACH),
                "Whole groups have changed places. Still each group reads one group of channels.",
            ),
            (np.roll(START, -EACH), "Whole groups have changed places. Still each group reads one group of channels."),
            (_is_no_order, "Every channel from 0 to 11 has to stand there once: a shuffle loses none."),
            (
                lambda row: row.shape == START.shape and (row[:GROUPS] == [0, 4, 8]).all(),
                "It begins well: 0, 4, 8. Then comes the second channel of every group.",
            ),
        ],
        otherwise="Write the groups as three rows of four, and read the columns, from the left.",
    ),
    "14-fire": Question(
        right=11_920,
        because="96·16 + 16, then 16·64 + 64 for the 1x1 and 9·16·64 + 64 for the 3x3: 1,552 + 1,088 + 9,280.",
        form=ONE_NUMBER,
        mistakes=[
            (11_776, "These are the weights. The 16 + 64 + 64 biases belong to it."),
            (10_368, "The two expansions are right. The squeeze in front of them has parameters too."),
            (10_832, "The expansion by 1x1 is missing: 64 filters on the 16 squeezed channels."),
            (2_640, "The expansion by 3x3 is missing: 64 filters, each with 9·16 weights."),
            (3_728, "Half of the expansion has kernels of 3x3: nine weights for a wire, not one."),
            (63_120, "The expansions read the 16 squeezed channels, not the 96 that came in."),
            (110_720, "This is one 3x3 from 96 to 128 channels: what the fire module replaces."),
            (22_288, "Each of the two expansions has 64 filters; together they make the 128 maps."),
            (20_112, "Only one of the two expansions has kernels of 3x3."),
        ],
        otherwise="Three convolutions: 96 to 16 (1x1), 16 to 64 (1x1), 16 to 64 (3x3), each filter with a bias.",
    ),
}
