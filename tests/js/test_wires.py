"""The wires of grouped layers: JavaScript held to Python over every small layer."""

import pytest

from cnnviz.geometry import read_layer
from cnnviz.widgets.sliding_kernel.wires import wires_of


def small_layers():
    for filters in (2, 4, 6, 12):
        for channels in (2, 4, 6, 12):
            for groups in (1, 2, 3, 4, 6, 12):
                if channels % groups == 0 and filters % groups == 0:
                    yield {"op": "conv", "in_channels": channels, "filters": filters, "groups": groups}
    yield {"op": "max_pool", "in_channels": 4, "filters": 4}


def cases():
    return [
        (read_layer(state), shuffle, ink)
        for state in small_layers()
        for shuffle in ("", "off", "on")
        for ink in (-1, 0, state["in_channels"] - 1, 20)
    ]


def pythons_answer(layer, shuffle, ink):
    found = wires_of(layer, shuffle, ink)
    joints = [[list(wire) for wire in joint] for joint in found.joints]
    inked = [sorted(row) for row in found.inked]
    return {"counts": list(found.counts), "joints": joints, "order": found.order, "inked": inked, "text": found.text}


def asked(layer, shuffle, ink):
    plain = {"op": layer.op, "inChannels": layer.in_channels, "filters": layer.filters, "groups": layer.groups}
    return {"layer": plain, "shuffle": shuffle, "ink": ink}


@pytest.mark.browser
def test_javascript_wires_as_python_does(modules):
    answers = modules.call("wires", [asked(*case) for case in cases()])
    assert len(answers) > 300
    for case, answer in zip(cases(), answers, strict=True):
        assert answer == pythons_answer(*case), case


@pytest.mark.browser
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("(place % groups) * each + Math.floor(place / groups)", "(place % each) * groups + Math.floor(place / each)"),
        ("pool ? inChannels : groups", "groups"),
        ("Math.min(ink, inChannels - 1)", "ink"),
    ],
)
def test_a_mistake_in_the_wires_is_noticed(modules, right, wrong):
    answers = modules.call("wires", [asked(*case) for case in cases()], replaced={"wires.js": (right, wrong)})
    assert any(answer != pythons_answer(*case) for case, answer in zip(cases(), answers, strict=True))
