"""The exercises of notebook 13: answers that test_exercises grades, with words of the hints."""

from cnnviz import conv_cost, separable_cost
from cnnviz.measure import Lap

LAP = Lap(128, 28, macs=8.4, predicted=3.6, measured=3.0)


def saving(filters: int) -> float:
    return (
        conv_cost(16, filters, 3, 8, bias=False).macs / separable_cost(16, filters, 3, 8, bias=False).macs >= 8 - 1e-12
    )


RIGHT = {
    "13-eightfold": [next(filters for filters in range(1, 200) if saving(filters))],
    "13-latency": [(LAP.predicted, LAP), [2.1, LAP]],
}
UNTRIED = {"13-latency": [(..., LAP)]}
WRONG = {
    "13-eightfold": [
        (64, "7.9 times"),
        (8, "still to be added"),
        (9, "4.5 times"),
        (128, "A smaller number"),
        (30, "1/8 or less"),
        (17, "take 1/9 away"),
        (71, "Nearly"),
        (73, "one filter fewer"),
    ],
    "13-latency": [
        ((8.4, LAP), "ratio of the multiply-adds"),
        ((5, LAP), "Too high"),
        ((1, LAP), "Too low"),
        ((-1, LAP), "above 0"),
        (3, "such as (2.5, lap)"),
        (("fast", LAP), "is not one number"),
        ((3, Lap(512, 112, 8.9, note="out of memory")), "not measured: out of memory"),
    ],
}
