"""Deletion curves, agreement, randomised weights and the step that fools, against what they are defined as."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import auc
from torch import nn

from cnnviz import inside, load
from cnnviz.models import bundled


@pytest.fixture(scope="module")
def net():
    return bundled.load("lenet5-digits")


@pytest.fixture(scope="module")
def digit():
    return load("digits").test_x[40]


class Marked(nn.Module):
    """Its score for class 1 is the value of one pixel."""

    def __init__(self):
        super().__init__()
        self.unused = nn.Conv2d(1, 1, 1)

    def forward(self, x):
        return torch.stack([0 * x[:, 0, 0, 0], 20 * x[:, 0, 2, 3]], dim=1)


def test_a_deletion_curve_takes_the_pixels_in_the_order_of_the_ranking():
    x, ranking = torch.ones(5, 6), np.arange(30.0).reshape(5, 6)
    place = 2 * 6 + 3
    first, last = (inside.deletion(Marked(), x, order * ranking, target=1) for order in (1, -1))
    assert first.shares.tolist() == pytest.approx([n / 30 for n in range(31)])
    assert first.values.tolist() == pytest.approx([1] * (30 - place) + [0.5] * (place + 1), abs=1e-6)
    assert last.values.tolist() == pytest.approx([1] * (place + 1) + [0.5] * (30 - place), abs=1e-6)
    assert first.area == pytest.approx(auc(first.shares, first.values))
    assert inside.deletion(Marked(), x, ranking, 1, baseline=1).values.tolist() == pytest.approx([1] * 31)


def test_brightest_and_random_orders(net, digit):
    brightest = inside.deletion(net, digit, "brightest")
    assert brightest.values.tolist() == inside.deletion(net, digit, digit).values.tolist()
    by_chance = [inside.deletion(net, digit, "random", seed=seed).values.tolist() for seed in (0, 0, 1)]
    assert by_chance[0] == by_chance[1] != by_chance[2]
    assert repr(brightest).startswith(f"class {brightest.target} while pixels go, the brightest first: area 0.")


def test_occlusion_marks_pixels_that_matter(net):
    for x in load("digits").test_x[:8]:
        marked, by_chance, brightest = (
            inside.deletion(net, x, by).area for by in (inside.occlusion(net, x), "random", "brightest")
        )
        assert marked < by_chance / 10
        assert marked < brightest


def test_curves_are_drawn_together(net, digit):
    curves = [inside.deletion(net, digit, by) for by in (inside.saliency(net, digit), "random")]
    axes = curves[0].plot(curves[1]).axes[0]
    assert [line.get_ydata().tolist() for line in axes.lines] == [curve.values.tolist() for curve in curves]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        f"saliency: area {curves[0].area:.3f}", f"random ones: area {curves[1].area:.3f}"
    ]  # fmt: skip
    assert curves[0]._repr_png_().startswith(b"\x89PNG")


@pytest.mark.parametrize(("other", "words"), [
    (3, "curve 3 is"), ("brightest", 'curve "brightest" is'), (None, "curve None is"), ([], "curve () is"),
])  # fmt: skip
def test_only_curves_are_drawn_with_a_curve(net, digit, other, words):
    curve = inside.deletion(net, digit, "random")
    with pytest.raises(ValueError) as refusal:
        curve.plot(other)
    assert str(refusal.value) == f"{words} not what inside.deletion returns: use curve.plot(other)"


@pytest.mark.parametrize("given", ["saliency", None, ["a", "b"], [1, None]])
def test_only_numbers_agree(given):
    with pytest.raises(ValueError, match=r"is neither a result nor an array: use inside\.occlusion"):
        inside.agreement(given, given)


def test_agreement_is_spearmans_rank_correlation():
    rng = np.random.default_rng(0)
    for _ in range(50):
        a, b = rng.integers(0, 9, (2, 30)).astype(float)  # with ties: the mean of their ranks
        ranks = [[np.mean(np.flatnonzero(np.sort(row) == one)) for one in row] for row in (a, b)]
        assert inside.agreement(a, b) == pytest.approx(np.corrcoef(*ranks)[0, 1])
    assert inside.agreement(a, -a) == -1
    assert inside.agreement(a, np.ones(30)) == 0


def test_randomised_forgets_everything_and_leaves_the_network_alone(net):
    before = {name: value.clone() for name, value in net.state_dict().items()}
    state = torch.random.get_rng_state()
    other, again = inside.randomised(net, 3), inside.randomised(net, 3)
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name])
        assert not torch.equal(other.state_dict()[name], value)
        assert torch.equal(other.state_dict()[name], again.state_dict()[name])
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(p.requires_grad for p in other.parameters())


def test_randomised_shuffles_what_has_no_start_of_its_own():
    net = nn.Module()
    net.scale = nn.Parameter(torch.arange(50.0))
    other = inside.randomised(net).scale
    assert not torch.equal(other, net.scale)
    assert torch.equal(other.sort().values, net.scale)


def test_fool_moves_each_value_by_the_size_against_the_loss(net, digit):
    stepped = inside.fool(net, digit, 0.1)
    x = digit[None].clone().requires_grad_()
    scores = net(x)
    (gradient,) = torch.autograd.grad(-scores.log_softmax(1)[0, scores.argmax()], x)
    assert torch.equal(stepped, (digit + 0.1 * gradient[0].sign()).clamp(digit.min(), digit.max()))
    assert torch.equal(inside.fool(net, digit, 0), digit)


def test_fool_lowers_the_class_and_raises_a_chosen_one(net):
    before, away, towards = 0.0, 0.0, 0.0
    chosen = 3
    for x in load("digits").test_x[:20]:
        found = int(net(x[None]).argmax())
        before += _probability(net, x, chosen)
        away += _probability(net, inside.fool(net, x, 0.2), found)
        towards += _probability(net, inside.fool(net, x, 0.2, target=chosen), chosen)
    assert away / 20 < 0.2
    assert towards > before + 5


def _probability(net, x, label):
    with torch.no_grad():
        return float(net(x[None]).softmax(1)[0, label])


def test_saliency_of_a_randomised_network_differs(net, digit):
    """The sanity check itself: two trained views of one network agree wholly, a randomised one does not."""
    ours = inside.saliency(net, digit, 4)
    assert inside.agreement(ours, inside.saliency(net, digit, 4)) == 1
    assert inside.agreement(ours, inside.saliency(inside.randomised(net), digit, 4)) < 0.8
