"""The exercises of notebook 13: their answers computed, and the hint for each typical mistake."""

import pytest

from cnnviz import conv_cost, separable_cost
from cnnviz.exercises._depthwise import QUESTIONS
from cnnviz.measure import Lap

LAP = Lap(128, 28, macs=8.4, predicted=3.6, measured=3.0)


def saving(filters: int) -> float:
    return (
        conv_cost(16, filters, 3, 8, bias=False).macs / separable_cost(16, filters, 3, 8, bias=False).macs >= 8 - 1e-12
    )


def judged(name: str, answer: object):
    return QUESTIONS[name].judge(name, answer)


def test_the_computed_answers_are_right_and_placeholders_not_attempted():
    smallest = next(filters for filters in range(1, 200) if saving(filters))
    assert judged("13-eightfold", smallest)
    assert judged("13-latency", (LAP.predicted, LAP))
    assert judged("13-latency", [2.1, LAP])
    for name, answer in (("13-eightfold", ...), ("13-latency", (..., LAP))):
        assert judged(name, answer).status == "not attempted"


@pytest.mark.parametrize(
    ("name", "answer", "hint"),
    [
        ("13-eightfold", 64, "7.9 times"),
        ("13-eightfold", 8, "still to be added"),
        ("13-eightfold", 9, "4.5 times"),
        ("13-eightfold", 128, "A smaller number"),
        ("13-eightfold", 30, "1/8 or less"),
        ("13-latency", (8.4, LAP), "ratio of the multiply-adds"),
        ("13-latency", (5, LAP), "Too high"),
        ("13-latency", (1, LAP), "Too low"),
        ("13-latency", (-1, LAP), "above 0"),
        ("13-latency", 3, "such as (2.5, lap)"),
        ("13-latency", ("fast", LAP), "is not one number"),
        ("13-latency", (3, Lap(512, 112, 8.9, note="out of memory")), "not measured: out of memory"),
    ],
)
def test_a_typical_mistake_gets_its_hint(name, answer, hint):
    verdict = judged(name, answer)
    assert verdict.status == "not yet"
    assert hint in verdict.message
