"""JavaScript held to Python, and both to PyTorch, over the same thousands of random layers."""

import random
from collections import Counter
from functools import cache

import numpy as np
import pytest

from cnnviz import kernels, trace
from cnnviz.geometry import OPS, POOLS, read_layer
from tests.js.cases import (
    array_of,
    differences,
    is_legal,
    is_plain,
    legal_in_torch,
    numbers_of,
    pythons_answer,
    random_array,
    random_cases,
    torchs_output,
    traced,
)

pytestmark = pytest.mark.usefixtures("one_thread")

COUNT = 6000
same_padding = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")


@cache
def cases():
    return random_cases(COUNT)


@pytest.mark.browser
def test_javascript_answers_as_python_does(modules):
    compared, found = Counter(), []
    for case, answer in zip(cases(), modules.call("layers", cases()), strict=True):
        expected = pythons_answer(case)
        found += [f"{case['state']}\n  {text}" for text in differences(expected, answer)]
        compared["illegal" if "error" in expected else case["state"]["op"]] += 1
    assert not found, "\n".join([f"{len(found)} differences", *found[:5]])
    assert min(compared[op] for op in OPS) >= 300, compared
    assert compared["illegal"] >= 1000


MISTAKES = [
    ("geometry.js", "(ceil && (out - 1) * stride[at] >= size[at] + pads[at][0])", "(false)", ".shape"),
    ("geometry.js", "spans ${countOf(span[at], at)}", "spans ${span[at]}", ".error"),
    ("geometry.js", "if (more <= most) return;", "return;", ""),
    ("geometry.js", "Math.ceil(total(at) / 2)]", "Math.floor(total(at) / 2)]", ".cols.after"),
    ("geometry.js", "count === 0 && unread", "count === 1 && unread", ".rows.unread"),
    ("geometry.js", 'ceiling ? " − 1" : ""', 'ceiling ? " - 1" : ""', ".formulas"),
    ("arithmetic.js", "((r + down) % h)", "(r % h)", ".weights"),
    ("arithmetic.js", "return flipped ? taps.reverse() : taps;", "return taps;", ".output"),
    ("arithmetic.js", "w3 * plane[x + 3 * dilation]", "w3 * plane[x + 3]", ".output"),
    ("arithmetic.js", "+ (countIncludePad ? after : 0));", "+ after);", ".output"),
    ("arithmetic.js", "map[cell] < 0", "map[cell] < -1", ".output"),
    ("arithmetic.js", "const stride = cols.step * step;", "const stride = cols.step;", ".some"),
    ("arithmetic.js", "layer.kernelHeight - 1 - down.tap", "down.tap", ".misplaced"),
    ("arithmetic.js", "layer.divisor || list.length);\n    return", "list.length);\n    return", ".explain"),
    ("arithmetic.js", "term.weight = 1 / (layer.divisor || list.length)", "term.weight = 1", ".terms"),
    ("kernels.js", "middle - (y * c - x * s)", "middle - (y * c + x * s)", ".weights"),
    (
        "kernels.js",
        "(smooth[at - 2] ?? 0) - (smooth[at] ?? 0)",
        "(smooth[at] ?? 0) - (smooth[at - 2] ?? 0)",
        ".weights",
    ),
    ("number.js", "toExponential(3)", "toExponential(2)", ".explain"),
    ("code.js", '(pool && key === "stride")', "false", ".code"),
]


@pytest.mark.browser
@pytest.mark.parametrize(("module", "right", "wrong", "where"), MISTAKES)
def test_a_mistake_in_javascript_is_noticed(modules, module, right, wrong, where):
    some = cases()[:300]
    answers = modules.call("layers", some, replaced={module: (right, wrong)})
    found = [text for case, answer in zip(some, answers, strict=True) for text in differences(answers_of(case), answer)]
    assert any(text.startswith(f"{where}:") for text in found), found[:3]


_ANSWERS = {}


def answers_of(case):
    return _ANSWERS.setdefault(id(case), pythons_answer(case))


@same_padding
def test_python_answers_as_torch_does():
    compared = Counter()
    for case in cases():
        state = case["state"]
        try:
            layer = read_layer(state)
        except ValueError:
            if is_plain(state) and state["height"] < 17:
                assert not legal_in_torch(state), state
                compared["illegal"] += 1
            continue
        image, weights = numbers_of(state, layer)
        ours, theirs = traced(state, layer, image, weights).output, torchs_output(state, layer, image, weights)
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9, err_msg=str(state), strict=True)
        compared[layer.op] += 1
    assert min(compared[op] for op in OPS) >= 300, compared
    assert compared["illegal"] >= 1000


# ---- bounds of the sliders -------------------------------------------------------------------------------------------

PAIRS = ("kernel_size", "stride", "padding", "dilation", "output_padding")
CAPS = {"kernel_size": (1, 11), "stride": (1, 8), "padding": (0, 10), "dilation": (1, 6), "output_padding": (0, 7)}


def both(value):
    return list(value) if isinstance(value, (list, tuple)) else [value, value]


def is_unused(state, name):
    """Whether the operation has no such setting: it may hold anything."""
    only = {"output_padding": "transposed"}
    return state["op"] != only.get(name, state["op"]) or (name == "dilation" and state["op"] == "avg_pool")


def legal_states(count):
    states = [case["state"] for case in random_cases(2 * count, seed=3)]
    return [state for state in states if is_legal(state)]


@pytest.mark.browser
def test_whatever_lies_within_the_bounds_is_legal(modules):
    states = legal_states(600)
    for state, answer in zip(states, modules.call("bounds", states), strict=True):
        assert answer["broken"] == [], (state, answer["found"])
        assert_current_values_lie_within(state, answer["found"])


def assert_current_values_lie_within(state, found):
    pool = state["op"] in POOLS
    for name in ("height", "width"):
        assert found[name][0] <= state[name] <= found[name][1], (name, state)
    for name in PAIRS:
        if isinstance(state[name], str) or is_unused(state, name):
            continue
        for (low, high), now in zip(found[name], both(state[name]), strict=True):
            assert low <= now <= high, (name, state)
    for name in ("in_channels", "groups", "filters"):
        now = state["in_channels"] if pool and name == "filters" else state[name]
        assert now in found[name] or (pool and name == "groups"), (name, state)


@pytest.mark.browser
def test_bounds_are_as_wide_as_python_allows(modules):
    """One step further is illegal, or beyond what a slider offers."""
    states = legal_states(300)
    for state, answer in zip(states, modules.call("bounds", states), strict=True):
        for name in PAIRS:
            if isinstance(state[name], str) or is_unused(state, name):
                continue
            for axis, bounds in enumerate(answer["found"][name]):
                for further in (bounds[0] - 1, bounds[1] + 1):
                    if CAPS[name][0] <= further <= CAPS[name][1]:
                        changed = both(state[name])
                        changed[axis] = further
                        assert not is_legal({**state, name: changed}), (name, axis, further, state)


@pytest.mark.browser
def test_channels_offer_what_groups_allow(modules):
    state = {"op": "conv", "in_channels": 4, "filters": 6, "groups": 2}
    found = modules.call("bounds", [state])[0]["found"]
    assert (found["in_channels"], found["filters"], found["groups"]) == ([2, 4], [2, 4, 6, 8], [1, 2])


# ---- numbers, kernels, tiles -----------------------------------------------------------------------------------------


@pytest.mark.browser
def test_numbers_have_the_same_text(modules):
    rng = random.Random(5)
    numbers = [sign * rng.uniform(1, 10) * 10.0 ** rng.randint(-12, 14) for sign in (1, -1) for _ in range(2000)]
    numbers += (
        [n / 16 for n in range(-4000, 4000)] + [n / 1000 for n in range(-3000, 3000, 7)] + [0, -0.0, 1e300, 5e-324]
    )
    numbers += [rng.uniform(-1, 1) + rng.uniform(-1, 1) for _ in range(1000)] + [
        999999,
        1e6,
        999999.6,
        0.1 + 0.2,
        0.12345,
    ]
    for x, (text, factor, signed) in zip(numbers, modules.call("numbers", numbers), strict=True):
        assert text == trace.number_text(x), x
        assert factor == (f"({text})" if x < 0 else text)
        assert signed == ("" if x == 0 else f" {'−' if x < 0 else '+'} {trace.number_text(abs(x))}")


@pytest.mark.browser
def test_named_kernels_are_the_same_at_every_size_and_angle(modules):
    assert modules.call("kernelNames", None) == list(kernels.names())
    rng = random.Random(6)
    asked = [
        {"name": name, "h": h, "w": w, "angle": rng.choice([0, 90, -90, 180, 450, 30, rng.uniform(-720, 720)])}
        for name in kernels.names()
        for h in range(1, 12)
        for w in range(1, 12)
    ]
    for one, values in zip(asked, modules.call("kernels", asked), strict=True):
        expected = kernels.rotated(kernels.named(one["name"], (one["h"], one["w"])), one["angle"])
        np.testing.assert_allclose(values, expected.ravel(), rtol=1e-12, atol=1e-9, err_msg=str(one))


@pytest.mark.browser
def test_kernels_that_are_none_are_refused_with_the_same_text(modules):
    asked = [("laplace", 3, 3), ("box", 0, 3), ("box", 12, 12), ("edge", 2.5, 1), ("", 3, 3)]
    for (name, h, w), answer in zip(
        asked, modules.call("kernelErrors", [{"name": n, "h": h, "w": w} for n, h, w in asked]), strict=True
    ):
        with pytest.raises(ValueError, match=" is not ") as caught:
            kernels.named(name, (h, w))
        assert answer == {"error": str(caught.value)}


@pytest.mark.browser
def test_tiles_are_the_same(modules):
    rng = random.Random(7)
    asked = []
    for _ in range(500):
        base = random_array(rng, [rng.randint(1, 4) for _ in range(rng.randint(1, 4))])
        asked.append({"values": base["values"], "from": base["shape"], "to": [rng.randint(1, 9) for _ in range(4)]})
    for one, values in zip(asked, modules.call("tiles", asked), strict=True):
        expected = trace.tile(array_of({"shape": one["from"], "values": one["values"]}), one["to"])
        np.testing.assert_array_equal(values, expected.ravel())
