"""Another head on a trained network, frozen layers, published weights for small pictures, and what is read wrongly."""

import functools
import hashlib
import io

import numpy as np
import pytest
import torch
from torch import nn

from cnnviz import data, models, reuse
from cnnviz._mistakes import _shares
from cnnviz.data import Data, load
from cnnviz.models import _weights
from cnnviz.training import accuracy, fit, predict
from tests.small_runs import DIGITS, LEARNING, net

# Heads


def test_a_new_head_leaves_the_rest_and_the_original_as_they_were():
    trained = net()
    before = {name: value.clone() for name, value in trained.state_dict().items()}
    torch.manual_seed(5)
    chance = torch.get_rng_state()
    network = reuse.new_head(trained, num_classes=3, seed=1)
    assert torch.get_rng_state().equal(chance)
    assert network(torch.zeros(2, 1, 8, 8)).shape == (2, 3)
    after = network.state_dict()
    assert all(value.equal(before[name]) for name, value in trained.state_dict().items())
    assert {name for name, value in after.items() if not value.equal(before[name])} == {"4.weight", "4.bias"}
    assert after["4.weight"].equal(reuse.new_head(trained, 3, seed=1)[4].weight)
    assert not after["4.weight"].equal(reuse.new_head(trained, 3, seed=2)[4].weight)


@pytest.mark.parametrize("name", [
    "lenet5", "alexnet", "vgg11_bn", "googlenet", "resnet18", "densenet121", "squeezenet1_0", "mobilenet_v2", "nin",
])  # fmt: skip
def test_every_network_gets_as_many_scores_as_it_is_asked_for(name):
    with torch.device("meta"):
        network = reuse.new_head(models.create(name), num_classes=7)
        head = network.get_submodule(reuse.head(network))
    assert reuse.freeze(network) is network
    assert {head.weight, head.bias} - {None} == {weight for weight in network.parameters() if weight.requires_grad}
    assert head.weight.shape[0] == 7


class Backwards(nn.Module):
    """Its head is declared first, and a layer that it does not use last."""

    def __init__(self):
        super().__init__()
        self.fc, self.conv, self.spare = nn.Linear(4, 10), nn.Conv2d(1, 4, 3), nn.Linear(4, 10)

    def forward(self, x):
        return self.fc(self.conv(x).mean((2, 3)))


def test_the_head_is_the_layer_that_makes_the_scores_wherever_it_is_declared():
    assert reuse.head(Backwards()) == "fc"
    assert reuse.new_head(Backwards(), 3)(torch.zeros(2, 1, 9, 9)).shape == (2, 3)
    assert reuse.head(nn.Sequential(nn.Flatten(), nn.Linear(400, 30), nn.ReLU(), nn.Linear(30, 10))) == "3"  # 20 x 20


def test_a_convolution_as_head_keeps_all_that_is_not_its_number_of_outputs():
    given = {"stride": 2, "padding": 2, "dilation": 2, "groups": 2, "bias": False, "padding_mode": "reflect"}
    network = nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.Conv2d(8, 10, (3, 1), **given), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    assert repr(reuse.new_head(network, 4)[1]) == repr(nn.Conv2d(8, 4, (3, 1), **given))
    with pytest.raises(ValueError, match="num_classes 5 is no multiple of the head's 2 groups: use 6"):
        reuse.new_head(network, 5)


def test_auxiliary_heads_tell_the_same_classes_apart():
    network = reuse.new_head(models.create("googlenet", aux_logits=True, small=True), num_classes=4)
    made = network.train()(torch.randn(2, 3, 32, 32))
    assert [scores.shape for scores in (made.logits, *made.auxiliary)] == [(2, 4)] * 3


@pytest.mark.parametrize(("call", "message"), [
    (lambda: reuse.head("resnet18"), 'model "resnet18" is not a network: use models.create'),
    (lambda: reuse.head(nn.Sequential()), "Sequential has no layers: a head is a dense layer or a convolution"),
    (lambda: reuse.head(nn.Sequential(net(), nn.BatchNorm1d(10))), "Sequential ends in 1, a BatchNorm1d: a head is"),
    (lambda: reuse.new_head(models.create("lenet5_1998"), 5), "LeNet51998 ends in output, a RadialBasisOutput"),
    (lambda: reuse.head(nn.Sequential(nn.Conv2d(1, 4, 1), nn.Flatten(), nn.Linear(4096, 12), nn.Unflatten(1, (6, 2)))),
     "Sequential ends in 2, which gives 12 numbers, but the network gives 6 scores: a head is"),
    (lambda: reuse.new_head(net(), 1), "num_classes 1 is not a whole number from 2"),
    (lambda: reuse.new_head(net(), 5, seed=-1), "seed -1 is not a whole number"),
    (lambda: reuse.freeze(net(), "features"), 'part "features" is not known: use 0, 1'),
    (lambda: reuse.imagenet("lenet5"), "lenet5 has no published weights"),
    (lambda: reuse.imagenet(size=20), "size 20 is not a whole number from 32"),
])  # fmt: skip
def test_what_cannot_be_is_refused(call, message):
    with pytest.raises(ValueError) as refusal:
        call()
    assert str(refusal.value).startswith(message)


def test_named_parts_are_frozen_and_nothing_else():
    network = reuse.freeze(net(), "0")
    assert [name for name, weight in network.named_parameters() if not weight.requires_grad] == ["0.weight", "0.bias"]


def test_published_weights_take_small_grey_pictures_and_learn_another_task(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "cache"))
    file = io.BytesIO()
    torch.manual_seed(0)
    trained = models.create("squeezenet1_1")
    torch.save(trained.state_dict(), file)
    path = tmp_path / f"squeezenet1_1-{hashlib.sha256(file.getvalue()).hexdigest()[:8]}.pth"
    path.write_bytes(file.getvalue())
    published = _weights.PUBLISHED["squeezenet1_1"]
    monkeypatch.setitem(_weights.PUBLISHED, "squeezenet1_1", published._replace(url=path.as_uri()))
    network = reuse.imagenet("squeezenet1_1", size=48)
    x = DIGITS.test_x[:2]
    mean, std = (torch.tensor(values)[:, None, None] for values in (published.mean, published.std))
    large = nn.functional.interpolate(x, (48, 48), mode="bilinear", antialias=True).expand(-1, 3, -1, -1)
    assert torch.allclose(network.eval()(x), trained.eval()((large - mean) / std), atol=1e-5)
    tuned = reuse.freeze(reuse.new_head(network, num_classes=10))
    fit(tuned, DIGITS.few(1), epochs=1, lr_scale={reuse.head(tuned): 10}, **LEARNING).result()
    old, new = network.state_dict(), tuned.state_dict()
    changed = {name for name in old if old[name].shape != new[name].shape or not old[name].equal(new[name])}
    assert changed == {"network.classifier.1.weight", "network.classifier.1.bias"}


# Data of some classes, changed once


def test_some_classes_keep_their_pictures_under_new_labels():
    some = DIGITS.only(["7", "3"])
    assert some.classes == ("7", "3")
    for part in ("train", "test"):
        x, y = getattr(DIGITS, f"{part}_x"), getattr(DIGITS, f"{part}_y")
        found, labels = getattr(some, f"{part}_x"), getattr(some, f"{part}_y")
        assert found[labels == 0].equal(x[y == 7])
        assert found[labels == 1].equal(x[y == 3])
        assert len(found) == ((y == 7) | (y == 3)).sum()


@pytest.mark.parametrize("classes", ["7", ["7", "7"], ["7", "cat"], []])
def test_classes_that_are_not_there_are_refused(classes):
    with pytest.raises(ValueError, match=r"use two or more, each once, of 0, 1, .* or 9"):
        DIGITS.only(classes)


def test_all_pictures_are_changed_once_and_labels_are_not_mixed():
    hard = DIGITS.changed(data.shift(1), data.noise(0.1), seed=3)
    again = DIGITS.changed(data.shift(1), data.noise(0.1), seed=3)
    assert hard.test_x.equal(again.test_x)
    assert not hard.test_x.equal(DIGITS.test_x)
    assert hard.train_y.equal(DIGITS.train_y)
    with pytest.raises(ValueError, match=r"mixup\(0.2\) changes labels too: give it to fit"):
        DIGITS.changed(data.mixup())
    with pytest.raises(ValueError, match="a change changes labels too: give it to fit"):
        DIGITS.changed(functools.partial(data.mixup()))
    with pytest.raises(ValueError, match='seed "x" is not a whole number'):
        DIGITS.changed(data.shift(1), seed="x")


# What is read wrongly


@pytest.fixture(scope="module")
def run():
    run = fit(net(), DIGITS, epochs=2, **LEARNING)
    run.result()
    return run


def test_the_table_counts_every_test_picture_once(run):
    table = reuse.confusion(run)
    guessed = run.model(DIGITS.test_x).argmax(1)
    for is_, taken in ((0, 0), (3, 5), (8, 1)):
        assert table.values[is_, taken] == ((DIGITS.test_y == is_) & (guessed == taken)).sum()
    assert table.values.sum() == len(DIGITS.test_y)
    assert table.accuracy == pytest.approx(run.history.epochs[-1].test_accuracy)
    axes = table.plot().axes[0]
    assert sum(int(text.get_text()) for text in axes.texts) == len(DIGITS.test_y)


def test_the_worst_mistakes_come_first(run):
    found, probability = reuse.mistakes(run, most=7), predict(run)
    guessed = probability.argmax(1)
    wrong = (guessed != DIGITS.test_y).nonzero()[:, 0]
    surest = wrong[probability.max(1).values[wrong].argsort(descending=True)][:7]
    assert sorted(found.places) == sorted(surest.tolist())
    assert list(found.probabilities) == sorted(found.probabilities, reverse=True)
    assert found.guessed == [DIGITS.classes[label] for label in guessed[found.places]]
    assert np.array_equal(found.values, DIGITS.test_x[found.places])
    assert repr(found) == "the worst mistakes, at most 7"
    assert found._repr_png_().startswith(b"\x89PNG")


def test_no_mistakes_and_names_that_hold_markup_or_mathematics_are_drawn_too():
    names = ("<b>cat</b>$\\frac", "dog " * 40)
    x = torch.cat([torch.zeros(4, 1, 8, 8), torch.ones(4, 1, 8, 8)])
    y = torch.arange(8) // 4
    easy = Data(x, y, x, y, names)
    found = fit(nn.Sequential(nn.Flatten(), nn.Linear(64, 2)), easy, epochs=20)
    found.result()
    assert reuse.confusion(found).accuracy == 1
    for result in (reuse.confusion(found), reuse.mistakes(found), reuse.preview(easy, data.mixup())):
        assert result._repr_png_().startswith(b"\x89PNG")
        assert "<b>" not in repr(result)
    assert len(reuse.mistakes(found).values) == 0


def test_a_preview_shows_what_fit_gets():
    shown = reuse.preview(DIGITS, [data.shift(1), data.noise(0.1)], number=4, seed=2)
    assert shown.values.shape == (12, 1, 8, 8)
    some = torch.randperm(len(DIGITS.train_x), generator=torch.Generator().manual_seed(2))[:4]
    assert np.array_equal(shown.values[:4], DIGITS.train_x[some])
    generator = torch.Generator().manual_seed(2)
    first = data.noise(0.1)(data.shift(1)(DIGITS.train_x[some], generator), generator)
    assert np.array_equal(shown.values[4:8], first)
    assert reuse.preview(DIGITS).values.shape == (5, 1, 8, 8)
    assert repr(reuse.preview(DIGITS, [])) == "5 pictures, and two draws of no change: 15 x 1 x 8 x 8"
    assert repr(reuse.preview(DIGITS, functools.partial(lambda x, generator: x))).startswith(
        "5 pictures, and two draws of <la"
    )
    assert _shares(torch.tensor([0.25, 0.0, 0.75]), ("a", "b", "c")) == "75 % c\n25 % a"


@pytest.mark.parametrize(("call", "message"), [
    (lambda run: reuse.mistakes(run, most=0), "most 0 is not a whole number from 1"),
    (lambda run: reuse.confusion(None), "run None is not what fit returns: use one finished run, or a list of some"),
    (lambda run: reuse.mistakes([run, "x"]), 'run "x" is not what fit returns'),
    (lambda run: reuse.confusion(run.history), "run 2 epochs"),
    (lambda run: predict("best"), 'run "best" is not what fit returns'),
    (lambda run: accuracy([]), "runs is empty: use one finished run"),
    (lambda run: reuse.preview(DIGITS, seed="x"), 'seed "x" is not a whole number from 0'),
    (lambda run: reuse.preview(load), "data <function load"),
    (lambda run: reuse.preview(DIGITS, data.shift), "augment shift cannot be applied"),
    (lambda run: reuse.preview(DIGITS, number=1), "number 1 is not a whole number from 2 to 10"),
])  # fmt: skip
def test_what_cannot_be_shown_is_refused(call, message, run):
    with pytest.raises(ValueError) as refusal:
        call(run)
    assert str(refusal.value).startswith(message)
