"""Filters, maps, patches and maximised pictures, held to torch and to what the networks themselves say."""

import copy
import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional

from cnnviz import History, geometry, inside, load, models
from cnnviz._mistakes import Confusion
from cnnviz.inside._pictures import Group, Pictures, paint, painted
from cnnviz.models import bundled


def small(in_channels=1):
    """A network with the traps: in-place ReLU, batch norm, dropout."""
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(in_channels, 6, 5), nn.BatchNorm2d(6), nn.ReLU(inplace=True), nn.MaxPool2d(2),
        nn.Conv2d(6, 8, 3, groups=2), nn.ReLU(inplace=True), nn.Dropout(), nn.Flatten(), nn.Linear(8 * 144, 10),
    )  # fmt: skip


PICTURES = torch.rand(30, 1, 32, 32, generator=torch.Generator().manual_seed(0))
LOOKS = {
    "filters": lambda net: inside.filters(net),
    "feature_maps": lambda net: inside.feature_maps(net, PICTURES[0]),
    "top_patches": lambda net: inside.top_patches(net, PICTURES, "4", 3),
    "maximise": lambda net: inside.maximise(net, "4", 3, steps=3),
    "explore": lambda net: inside.explore(net, PICTURES).best,
}


@pytest.mark.parametrize("look", LOOKS)
def test_the_network_is_left_as_it_was(look):
    net = small().train()
    net[4].eval()  # modes that are not all the same
    handle = net[0].register_forward_hook(lambda *_: None)
    before, modes = copy.deepcopy(net.state_dict()), [part.training for part in net.modules()]
    random = torch.get_rng_state()
    LOOKS[look](net)
    assert [part.training for part in net.modules()] == modes
    assert list(net[0]._forward_hooks) == [handle.id]
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in [net, *net[1:]])
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in net.parameters())
    assert torch.equal(torch.get_rng_state(), random)


@pytest.mark.parametrize("look", LOOKS)
def test_a_network_of_half_precision_is_looked_into_too(look):
    LOOKS[look](small().bfloat16())


@pytest.mark.parametrize("look", LOOKS)
def test_a_network_built_in_inference_mode_is_looked_into_like_any_other(look):
    with torch.inference_mode():
        built = small()
        LOOKS[look](built)
    found, wanted = LOOKS[look](built), LOOKS[look](small())
    np.testing.assert_equal(*(one.values if isinstance(one, Pictures) else one for one in (found, wanted)))


# ---- filters -------------------------------------------------------------------------------------------------------


def test_filters_are_sorted_by_norm():
    net = models.create("resnet18")
    found = inside.filters(net, "layer2.0.conv1")
    norms = net.layer2[0].conv1.weight.detach().flatten(1).norm(dim=1)
    np.testing.assert_allclose(found.norms, norms.sort(descending=True).values, rtol=1e-5)
    np.testing.assert_array_equal(found.values, net.layer2[0].conv1.weight.detach()[found.order])
    assert inside.filters(net.conv1).groups[0].tiles[0].shape == (3, 7, 7)  # in colour
    assert repr(inside.filters(net)) == "filters of conv1, strongest first: 64 x 3 x 7 x 7"


def test_the_kernels_of_a_transposed_convolution_are_what_a_dot_becomes():
    layer = nn.ConvTranspose2d(4, 6, 3, groups=2, bias=False)
    found = inside.filters(layer)
    for place, output in enumerate(found.order):
        for channel in range(2):
            dot = torch.zeros(1, 4, 1, 1)
            dot[0, channel + 2 * (output // 3)] = 1  # of the group that the output belongs to
            np.testing.assert_allclose(found.values[place, channel], layer(dot)[0, output].detach(), rtol=1e-6)


def test_the_signed_palette_is_centred_at_zero():
    weak, strong = painted(Group([np.array([[0.0, 0.1]]), np.array([[-1.0, 0.5]])]))
    assert weak[0, 0].tolist() == [255, 255, 255]
    assert strong[0, 0].tolist() == [43, 108, 176]  # the largest weight of all is blue, as it is negative
    assert paint(np.array([0.5]), "signed", -1, 0.5).tolist() == paint(np.array([0.5]), "signed", -0.5, 1).tolist()
    assert painted(Group([np.zeros((3, 1, 1)), np.full((3, 1, 1), 2.0)]))[0].tolist() == [[[128, 128, 128]]]
    assert painted(Group([np.array([[np.nan, 1.0]])], palette="picture"))[0][0, 0].tolist() == [214, 217, 222]


# ---- feature maps --------------------------------------------------------------------------------------------------


def test_maps_are_those_of_each_layer_also_before_one_that_works_in_place():
    net = small().eval()
    found, x = inside.feature_maps(net.train(), PICTURES[0]), PICTURES[:1]
    for number, layer in enumerate(net.eval()[:6]):
        x = layer(x.clone())
        np.testing.assert_allclose(found.values[str(number)], x[0].detach(), atol=1e-6)
    assert list(found.values) == ["0", "1", "2", "3", "4", "5"]
    np.testing.assert_array_equal(inside.feature_maps(net, PICTURES[0], net[4]).values, found.values["4"])


def test_a_dead_channel_is_crossed_and_one_that_wakes_elsewhere_is_not():
    net = nn.Sequential(nn.Conv2d(1, 3, 1), nn.ReLU())
    net[0].weight.data[:] = 1
    net[0].bias.data = torch.tensor([0.0, -0.5, -9.0])  # always, for bright pictures, never
    dim, bright = 0.1 * PICTURES[0] + 0.1, PICTURES[1]
    alone = inside.feature_maps(net, dim, "1")
    assert alone.dead == [1, 2]
    assert list(alone.groups[-1].crossed) == [1, 2]
    assert "2 dead here" in alone.groups[-1].heading
    assert inside.feature_maps(net, dim, "1", among=[bright]).dead == [2]
    assert inside.feature_maps(net, dim).dead == {"0": [], "1": [1, 2]}


def test_a_walk_through_a_deep_network_draws_what_fits_and_holds_all():
    found = inside.feature_maps(models.create("resnet50", num_classes=10), torch.rand(3, 64, 64))
    assert len(found.values) > 100
    assert len(found.groups) <= 25
    assert len(found._repr_png_()) < 150_000


# ---- patches -------------------------------------------------------------------------------------------------------


def test_a_patch_alone_excites_the_channel_as_much_as_in_its_picture():
    net = small().eval()
    for layer, channel in (("0", 2), ("4", 5)):
        found = inside.top_patches(net, PICTURES, layer, channel)
        part = net[: int(layer) + 1]
        assert part(torch.tensor(found.values))[:, channel].flatten().tolist() == pytest.approx(
            found.strengths, rel=1e-4
        )
        every = part(PICTURES)[:, channel].flatten(1).max(1).values
        assert found.strengths == pytest.approx(every.sort(descending=True).values[:9].tolist(), rel=1e-4)
    windows = [geometry.Window(5), geometry.Window(2, stride=2), geometry.Window(3)]
    assert found.boxes[0][2:] == geometry.receptive_field(windows).size


def test_a_patch_that_reaches_over_the_edge_is_empty_there():
    net = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1))
    net[0].weight.data = torch.zeros(1, 1, 3, 3)
    net[0].weight.data[0, 0, 1, 1] = 1
    corner = torch.zeros(1, 1, 8, 8)
    corner[0, 0, 0, 7] = 1
    found = inside.top_patches(net, corner, "0", 0, k=1)
    assert (found.places, found.boxes) == ([(0, 0, 7)], [(-1, 6, 3, 3)])
    np.testing.assert_array_equal(np.isnan(found.values[0, 0]), [[1, 1, 1], [0, 0, 1], [0, 0, 1]])
    whole = inside.top_patches(models.create("resnet18"), torch.rand(2, 3, 32, 32), "layer4", 0)
    assert whole.values.shape == (2, 3, 32, 32)  # it sees more than that


# ---- maximised -----------------------------------------------------------------------------------------------------


def read_by(judge, found):
    with torch.no_grad():
        return int((judge.eval()(torch.tensor(found.values)).argmax(1) == torch.arange(10)).sum())


def roughness(found):
    return np.abs(np.diff(found.values, axis=3)).sum() / found.values.sum()


def test_another_network_reads_the_digits_and_not_those_of_a_bare_ascent():
    net, judge, digits = (
        bundled.load("lenet5-digits"),
        models.create("lenet5", activation="relu", pool="max"),
        load("digits"),
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        optimizer = torch.optim.Adam(judge.parameters(), 0.003)
        for step in range(100):
            some = slice(64 * step % 1408, 64 * step % 1408 + 64)
            optimizer.zero_grad()
            functional.cross_entropy(judge(digits.train_x[some]), digits.train_y[some]).backward()
            optimizer.step()
    good = inside.maximise(net, None, range(10))
    bare = inside.maximise(net, None, range(10), jitter=0, blur=0, decay=0)
    assert read_by(net, good) == read_by(net, bare) == 10
    assert read_by(judge, good) >= 8
    assert read_by(judge, good) > read_by(judge, bare)
    without = [inside.maximise(net, None, range(10), **{part: 0}) for part in ("jitter", "blur", "decay")]
    assert all(1.05 * roughness(good) < roughness(other) for other in without)  # each of the three smooths


def test_a_channel_grows_and_a_seed_gives_the_same_picture():
    net = bundled.load("lenet5-digits")
    first, again, other = (inside.maximise(net, "features.3", 5, steps=20, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.values, again.values)
    assert not np.array_equal(first.values, other.values)
    assert first.values.shape == (1, 32, 32)
    assert 0 <= first.values.min() < first.values.max() <= 1
    assert first.strengths > inside.maximise(net, "features.3", 5, steps=1, seed=3).strengths + 1


# ---- pictures ------------------------------------------------------------------------------------------------------


def test_a_result_is_a_small_png_and_a_text_and_takes_no_word_for_a_formula():
    result = Pictures(np.zeros((1, 2, 2)), "dots", Group([np.eye(2)], r"$\frac{<b>", titles=["$_"]), found=3)
    assert Image.open(io.BytesIO(result._repr_png_())).size[0] < 200
    assert (repr(result), result.found) == ("dots: 1 x 2 x 2", 3)
    from matplotlib import pyplot

    assert pyplot.get_fignums() == []


@pytest.mark.parametrize("heading", ["", "a heading of some length, wider than a few tiles"])
@pytest.mark.parametrize(("count", "title"), [(1, "flower as china, 100 %"), (3, "7: 0.93"), (12, "7"), (40, "")])
def test_a_picture_ends_where_its_tiles_and_words_do(count, title, heading):
    tiles = [np.linspace(-1, 1, 64).reshape(8, 8)] * count
    result = Pictures(np.zeros(1), "", Group(tiles, heading, titles=[title] * count if title else ()))
    pixels = np.asarray(Image.open(io.BytesIO(result._repr_png_())).convert("L"))
    ink = (pixels < 128).any(axis=0).nonzero()[0]
    assert 5 <= pixels.shape[1] - 1 - ink.max() <= max(24, 0.2 * pixels.shape[1])  # no word is cut off


def words_of(figure):
    """(text, height of a letter in pixels, place) of every word in a figure."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.text import Text

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    texts = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    return [
        (t.get_text(), t.get_fontsize() * figure.dpi / 72, t.get_window_extent(canvas.get_renderer())) for t in texts
    ]


@pytest.mark.parametrize("filters", [10, 32])
def test_titles_have_14_pixels_and_none_reaches_into_another(filters):
    words = words_of(inside.filters(nn.Conv2d(1, filters, 5)).plot())
    assert len(words) == filters + 1
    assert min(size for _, size, _ in words) > 13.9
    boxes = [box for *_, box in words]
    assert not any(box.overlaps(other) for at, box in enumerate(boxes) for other in boxes[:at])


def test_other_figures_have_words_as_large():
    for figure in (History().plot(), Confusion(np.eye(3), "", classes=("a", "b", "c")).plot()):
        assert min(round(size) for _, size, _ in words_of(figure)) >= 14


# ---- what cannot be ------------------------------------------------------------------------------------------------

NET = small()
WRONG = {
    "no convolution": (lambda: inside.filters(nn.Sequential(nn.Linear(2, 2))), "Sequential has no convolution"),
    "no layer": (lambda: inside.filters(NET, "nine"), 'Sequential has no layer "nine"'),
    "another layer": (lambda: inside.filters(NET, "2"), 'layer "2" of Sequential is ReLU, not a convolution'),
    "alone": (lambda: inside.filters(nn.ReLU()), "ReLU() is not a convolution"),
    "lazy": (lambda: inside.filters(nn.LazyConv2d(3, 3)), "has no weights yet"),
    "no maps": (lambda: inside.feature_maps(NET, PICTURES[0], "8"), 'layer "8" of Sequential makes no maps'),
    "a batch": (lambda: inside.feature_maps(NET, PICTURES), "the picture is 30 x 1 x 32 x 32: use one picture"),
    "no network": (lambda: inside.feature_maps("lenet5", PICTURES[0]), 'model "lenet5" is not a network'),
    "channel": (lambda: inside.top_patches(NET, PICTURES, "0", 6), "from 0 to 5: layer 0 has 6 channels"),
    "none": (lambda: inside.top_patches(NET, [], "0", 1), "pictures () are none"),
    "class": (lambda: inside.maximise(NET, None, 10), "target 10 is not a whole number from 0 to 9"),
    "size": (lambda: inside.maximise(NET, None, 1, size=20), "size 20 does not fit Sequential: use size=32"),
    "limits": (lambda: inside.maximise(NET, None, 1, limits=(1, 0)), "limits 0 is not a number above 1"),
    "decay": (lambda: inside.maximise(NET, None, 1, decay=1), "decay 1 is not a number of 0 or more and below 1"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_is_said(case):
    call, message = WRONG[case]
    with pytest.raises(ValueError) as refusal:
        call()
    assert message in str(refusal.value)


def test_a_picture_that_does_not_fit_is_converted_and_that_is_said():
    with pytest.warns(UserWarning, match="the picture was made grey and resized from 40 x 50 to 32 x 32"):
        found = inside.feature_maps(NET, torch.rand(3, 40, 50), "0")
    assert found.values.shape == (6, 28, 28)
