import numpy as np
import pytest
import torch
from torch import nn

from cnnviz import SlidingKernel
from cnnviz.widgets.sliding_kernel import IllegalLayer

# ---- layers --------------------------------------------------------------------------------------------------------


def random_layer(rng: np.random.Generator) -> tuple[nn.Module, torch.Tensor]:
    def pair(low: int, high: int) -> tuple[int, int]:
        return int(rng.integers(low, high + 1)), int(rng.integers(low, high + 1))

    groups = int(rng.choice([1, 1, 2]))
    channels, filters = (groups * int(rng.integers(1, 4)) for _ in range(2))
    kernel, stride, dilation, some = pair(1, 4), pair(1, 3), pair(1, 2), bool(rng.integers(2))
    kind = rng.choice(["conv", "same", "transposed", "max", "avg"])
    if kind == "conv":
        layer = nn.Conv2d(channels, filters, kernel, stride, pair(0, 2), dilation, groups, some)
    elif kind == "same":
        odd = kernel[0] // 2 * 2 + 1, kernel[1] // 2 * 2 + 1  # torch warns that it copies for even ones
        layer = nn.Conv2d(channels, filters, odd, 1, str(rng.choice(["same", "valid"])), dilation, groups, some)
    elif kind == "transposed":
        more = int(rng.integers(0, max(1, min(stride))))
        layer = nn.ConvTranspose2d(channels, filters, kernel, stride, pair(0, 1), more, groups, some, dilation)
    elif kind == "max":
        layer = nn.MaxPool2d(kernel, stride if some else None, min(kernel) // 2, dilation, False, bool(rng.integers(2)))
    else:
        divisor = int(rng.integers(1, 5)) if some else None
        layer = nn.AvgPool2d(kernel, stride, min(kernel) // 2, bool(rng.integers(2)), bool(rng.integers(2)), divisor)
    return layer, torch.from_numpy(rng.normal(size=(channels, *pair(7, 12))).astype(np.float32))


@pytest.mark.parametrize("seed", range(60))
def test_a_torch_layer_shows_its_own_output(seed):
    torch.manual_seed(seed)
    layer, picture = random_layer(np.random.default_rng(seed))
    with torch.no_grad():
        try:
            expected = layer(picture[None])[0].numpy()
        except RuntimeError:  # torch has no output of this size either
            with pytest.raises(ValueError, match="use"):
                SlidingKernel.from_layer(layer, picture)
            return
    w = SlidingKernel.from_layer(layer, picture)
    assert w.output.shape == expected.shape
    assert np.allclose(w.output, expected, atol=1e-4)
    w.code = w.code  # the line says all of it
    w.state = w.state
    assert np.allclose(w.output, expected, atol=1e-4)


def test_a_layer_may_be_a_subclass_in_half_precision_or_wrapped():
    class Own(nn.Conv2d):
        pass

    picture = torch.ones(1, 4, 4)
    for layer in (
        Own(1, 2, 3),
        nn.Conv2d(1, 2, 3).to(torch.bfloat16),
        nn.utils.parametrizations.weight_norm(Own(1, 2, 3)),
    ):
        w = SlidingKernel.from_layer(layer, picture)
        assert np.allclose(
            w.output[:, 0, 0], layer(picture.to(layer.weight.dtype)).detach().double()[:, 0, 0], atol=0.02
        )


def test_a_layer_without_a_picture_opens_on_a_small_grid():
    w = SlidingKernel.from_layer(nn.Conv2d(3, 4, 7))
    assert w.output.shape == (4, 3, 3)
    assert SlidingKernel.from_layer(nn.MaxPool2d(2), relu=True).relu


def test_a_layer_with_many_channels_is_shown_too():
    layer, picture = nn.Conv2d(256, 512, 3, padding=1), torch.ones(256, 7, 7)
    w = SlidingKernel.from_layer(layer, picture)
    assert np.allclose(w.output, layer(picture).detach().numpy(), atol=1e-4)


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (nn.Conv1d(1, 1, 3), "Conv1d does not slide over a picture"),
        (nn.AvgPool3d(2), "AvgPool3d does not slide over a picture"),
        (nn.LazyConv2d(2, 3), "LazyConv2d has no weights yet"),
        (nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect"), 'padding_mode "reflect"'),
        (nn.Conv2d(1, 1, 3, device="meta"), "meta device"),
        (nn.Linear(3, 3), "Linear is not a layer that slides a window: use an nn.Conv2d"),
        (nn.Sequential(nn.Conv2d(1, 1, 3)), "one layer of your model at a time"),
        (nn.Conv2d(3, 1, 3), "reads 3 channels, but the image of shape (1, 5, 5) has 1"),
        (3, "int is not a layer"),
    ],
)
def test_a_layer_that_cannot_be_shown_is_refused_with_the_reason(layer, words):
    with pytest.raises(IllegalLayer, match=r"(?s).+") as refusal:
        SlidingKernel.from_layer(layer, np.ones((5, 5)))
    assert words in str(refusal.value)


# ---- presets -------------------------------------------------------------------------------------------------------

GUIDE = {  # i, k, s, p -> o as in the captions of the guide's animations; transposed: also the bottom-right addition
    "no_padding_no_strides": (4, 3, 1, 0, 2),
    "arbitrary_padding_no_strides": (5, 4, 1, 2, 6),
    "same_padding_no_strides": (5, 3, 1, 1, 5),
    "full_padding_no_strides": (5, 3, 1, 2, 7),
    "no_padding_strides": (5, 3, 2, 0, 2),
    "padding_strides": (5, 3, 2, 1, 3),
    "padding_strides_odd": (6, 3, 2, 1, 3),
}


@pytest.mark.parametrize("name", GUIDE)
def test_presets_have_the_sizes_of_the_guide(name):
    i, k, s, p, o = GUIDE[name]
    w = SlidingKernel.preset(name)
    assert (w.height, w.width, w.kernel_size, w.stride, w.padding) == (i, i, k, s, p)
    assert w.output.shape == (1, o, o)
    assert o == (i + 2 * p - k) // s + 1  # relationship 6
    back = SlidingKernel.preset(f"{name}_transposed")
    assert (back.op, back.kernel_size, back.stride, back.padding) == ("transposed", k, s, p)
    a = (i + 2 * p - k) % s  # relationship 14
    assert (back.height, back.output_padding) == (o, a)
    assert back.output.shape == (1, i, i)
    assert i == s * (o - 1) + a + k - 2 * p


def test_there_are_the_fifteen_animations_and_those_with_numbers():
    names = SlidingKernel.presets()
    assert len([name for name in names if not name.startswith("numerical")]) == 15
    assert SlidingKernel.preset("dilation").output.shape == (1, 3, 3)
    first = {name: SlidingKernel.preset(name).output[0, 0].tolist() for name in names if name.startswith("numerical")}
    assert first == {
        "numerical_no_padding_no_strides": [12, 12, 17],
        "numerical_padding_strides": [6, 17, 3],
        "numerical_max_pooling": [3, 3, 3],
        "numerical_average_pooling": pytest.approx([15 / 9, 15 / 9, 15 / 9], abs=0.2),
    }


def test_an_unknown_preset_is_named_with_those_that_exist():
    with pytest.raises(IllegalLayer, match=r'preset "dilated" is not known: use no_padding_.* or numerical_'):
        SlidingKernel.preset("dilated")
