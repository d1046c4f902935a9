"""The networks that torchvision has too, MobileNet v1, ShuffleNet v1, DenseNet-264: counts, shapes, errors, weights.

That they are torchvision's networks is tested in against_torchvision/, which has an environment of its own.
"""

import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from cnnviz import models
from cnnviz.models import _network, _registry
from cnnviz.models.mobilenet import by_eights
from cnnviz.models.shufflenet import ChannelShuffle

# FACTS B13 (in millions, as the lecture gives them) and, to the last digit, B1, B4, B14, B15, B18 and torchvision's
# published counts. With the auxiliary heads off in googlenet and on in inception_v3, as both are shipped.
PARAMETERS = {
    "alexnet": 61_100_840,
    "vgg11": 132_863_336,
    "vgg13": 133_047_848,
    "vgg16": 138_357_544,
    "vgg19": 143_667_240,
    "vgg11_bn": 132_868_840,
    "vgg13_bn": 133_053_736,
    "vgg16_bn": 138_365_992,
    "vgg19_bn": 143_678_248,
    "googlenet": 6_624_904,
    "inception_v3": 27_161_264,
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    "resnext50_32x4d": 25_028_904,
    "resnext101_32x8d": 88_791_336,
    "wide_resnet50_2": 68_883_240,
    "wide_resnet101_2": 126_886_696,
    "densenet121": 7_978_856,
    "densenet161": 28_681_000,
    "densenet169": 14_149_480,
    "densenet201": 20_013_928,
    "densenet264": 33_337_704,
    "squeezenet1_0": 1_248_424,
    "squeezenet1_1": 1_235_496,
    "mobilenet_v1": 4_231_976,
    "mobilenet_v2": 3_504_872,
    "shufflenet_v1": 1_865_728,  # derived by hand below, for every number of groups
    "shufflenet_v2_x1_0": 2_278_604,
}
ONE_OF_EACH = (
    "alexnet", "vgg11", "vgg11_bn", "googlenet", "inception_v3", "resnet18", "resnext50_32x4d", "densenet121",
    "squeezenet1_0", "squeezenet1_1", "mobilenet_v1", "mobilenet_v2", "shufflenet_v1", "shufflenet_v2_x1_0",
)  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread():
    """With more threads than idle cores, small tensors take torch ten times longer."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def on_meta(name, **options):
    with torch.device("meta"):
        return models.create(name, **options)


def parameters(network):
    return sum(parameter.numel() for parameter in network.parameters())


def macs(network, size=224, channels=3):
    """Multiply-adds of convolutions and dense layers, by torch's own formulas: all, those of convolutions."""
    with FlopCounterMode(display=False) as counter:
        network.eval()(torch.zeros(1, channels, size, size, device="meta"))
    counts = counter.get_flop_counts()["Global"]
    return sum(counts.values()) // 2, counts[torch.ops.aten.convolution] // 2


# --- counts ---


@pytest.mark.parametrize("name", PARAMETERS)
def test_published_number_of_parameters(name):
    assert parameters(on_meta(name)) == PARAMETERS[name]


def test_parts_of_alexnet_and_vgg16():  # FACTS B1, B4, B5: what lies in the dense layers
    assert parameters(on_meta("alexnet").classifier) == 58_631_144
    vgg16 = on_meta("vgg16")
    assert (parameters(vgg16.features), parameters(vgg16.classifier)) == (14_714_688, 123_642_856)
    biases = sum(layer.bias.numel() for layer in vgg16.modules() if isinstance(layer, (nn.Conv2d, nn.Linear)))
    assert PARAMETERS["vgg16"] - biases == 138_344_128


def test_auxiliary_heads_can_be_had_or_left_out():  # FACTS B18
    assert parameters(on_meta("googlenet", aux_logits=True)) == 13_004_888
    assert parameters(on_meta("inception_v3", aux_logits=False)) == 23_834_568


@pytest.mark.parametrize("name", sorted(models.published()))
def test_multiply_adds_to_the_rounding_of_torchvisions_figures(name):  # FACTS B13
    weights = models.published(name)
    assert round(macs(on_meta(name), weights.crop)[0] / 1e9, 3) == weights.gmacs


@pytest.mark.parametrize(
    ("name", "in_1x1", "in_3x3"),
    [("resnet50", 3.858, 4.089), ("resnet101", 7.570, 7.801), ("resnet152", 11.282, 11.514)],
)
def test_resnet_with_its_stride_where_the_paper_had_it(name, in_1x1, in_3x3):  # FACTS B12
    assert round(macs(on_meta(name, stride_in_1x1=True))[0] / 1e9, 3) == in_1x1
    assert round(macs(on_meta(name))[0] / 1e9, 3) == in_3x3


def test_inception_v3_at_another_size():  # FACTS B13
    assert round(macs(on_meta("inception_v3"), 224)[0] / 1e9, 3) == 2.838


@pytest.mark.parametrize(
    ("width_mult", "millions", "parameter_millions"),
    [(1, 569, 4.2), (0.75, 325, 2.6), (0.5, 149, 1.3), (0.25, 41, 0.5)],
)
def test_mobilenet_v1_width_multipliers(width_mult, millions, parameter_millions):  # FACTS B14, table 6 of the paper
    network = on_meta("mobilenet_v1", width_mult=width_mult)
    assert abs(macs(network)[0] / 1e6 - millions) < 1
    assert round(parameters(network) / 1e6, 1) == parameter_millions


@pytest.mark.parametrize(("resolution", "millions"), [(224, 569), (192, 418), (160, 290), (128, 186)])
def test_mobilenet_v1_resolutions(resolution, millions):  # FACTS B14, table 7 of the paper
    assert abs(macs(on_meta("mobilenet_v1"), resolution)[0] / 1e6 - millions) < 1


@pytest.mark.parametrize(("groups", "millions"), [(1, 143), (2, 140), (3, 137), (4, 133), (8, 137)])
def test_shufflenet_v1_costs_what_table_1_of_its_paper_says(groups, millions):
    assert round(macs(on_meta("shufflenet_v1", groups=groups))[1] / 1e6) == millions  # of convolutions only


@pytest.mark.parametrize(("groups", "width"), [(1, 144), (2, 200), (3, 240), (4, 272), (8, 384)])
def test_shufflenet_v1_parameters_derived_by_hand(groups, width):
    def unit(before, after, made, groups_of_first):
        inner = after // 4
        weights = before * inner // groups_of_first + 9 * inner + inner * made // groups
        return weights + 2 * (inner + inner + made)  # and scale and shift of three batch norms

    expected = 3 * 9 * 24 + 2 * 24
    before = 24
    for after, depth in ((width, 4), (2 * width, 8), (4 * width, 4)):
        expected += unit(before, after, after - before, 1 if before == 24 else groups)
        expected += (depth - 1) * unit(after, after, after, groups)
        before = after
    assert parameters(on_meta("shufflenet_v1", groups=groups)) == expected + 1000 * before + 1000


def test_squeezenet_is_fifty_times_smaller_than_alexnet():  # FACTS B15
    assert round(62_378_344 / PARAMETERS["squeezenet1_0"], 1) == 50.0
    assert round(PARAMETERS["alexnet"] / PARAMETERS["squeezenet1_0"], 1) == 48.9


# --- shapes and training ---


@pytest.mark.parametrize("name", PARAMETERS)
def test_scores_of_published_and_of_small_form(name):
    pictures = torch.zeros(2, 3, *([299, 299] if name == "inception_v3" else [224, 224]), device="meta")
    assert on_meta(name).eval()(pictures).shape == (2, 1000)
    small = on_meta(name, num_classes=10, in_channels=1, small=True)
    output = small.train()(torch.zeros(2, 1, 32, 32, device="meta"))
    assert (output.logits if isinstance(output, tuple) else output).shape == (2, 10)


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_small_form_keeps_a_map_of_more_than_one_pixel(name):
    network = on_meta(name, small=True).eval()
    sizes = []
    for module in network.modules():
        if isinstance(module, nn.AdaptiveAvgPool2d):
            module.register_forward_pre_hook(lambda _, inputs: sizes.append(tuple(inputs[0].shape[-2:])))
    network(torch.zeros(1, 3, 32, 32, device="meta"))
    assert sizes[-1] >= ((1, 1) if name.startswith("vgg") else (2, 2))  # VGG has five pools by design


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_one_step_on_small_pictures_lowers_the_loss_and_reaches_every_parameter(name):
    torch.manual_seed(0)
    options = {key: 0.0 for key in models.options(name) if key.startswith("dropout")}
    network = models.create(name, num_classes=2, in_channels=1, small=True, **options).train()
    x, y = torch.randn(2, 1, 32, 32), torch.tensor([0, 1])

    def loss():
        output = network(x)
        every = [output.logits, *output.auxiliary] if isinstance(output, tuple) else [output]
        return sum(nn.functional.cross_entropy(logits, y) for logits in every)

    before = loss()
    before.backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in network.parameters())
    torch.optim.Adam(network.parameters(), lr=1e-4).step()
    with torch.no_grad():
        assert loss() < before


def test_googlenet_and_inception_v3_return_their_heads_scores_in_training_mode_only():
    googlenet = on_meta("googlenet", aux_logits=True)
    pictures = torch.zeros(2, 3, 224, 224, device="meta")
    assert [tuple(scores.shape) for scores in googlenet.train()(pictures).auxiliary] == [(2, 1000)] * 2
    assert googlenet.eval()(pictures).shape == (2, 1000)
    output = on_meta("inception_v3").train()(torch.zeros(2, 3, 299, 299, device="meta"))
    assert [tuple(scores.shape) for scores in output.auxiliary] == [(2, 1000)]


def test_shuffling_twice_with_the_complementary_groups_gives_back_the_picture():
    x = torch.randn(2, 12, 3, 3)
    assert torch.equal(ChannelShuffle(4)(ChannelShuffle(3)(x)), x)
    assert not torch.equal(ChannelShuffle(3)(x), x)
    assert torch.equal(ChannelShuffle(3)(x), nn.functional.channel_shuffle(x, 3))


def test_widths_in_eights_lose_a_tenth_at_most():
    assert [by_eights(channels) for channels in (1, 8, 11.9, 12, 16.8, 24, 320 * 0.35)] == [8, 8, 16, 16, 16, 24, 112]
    assert all(by_eights(channels) % 8 == 0 and by_eights(channels) >= 0.9 * channels for channels in range(1, 999))


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_every_relu_is_a_module_of_its_own_so_that_hooks_see_each(name):
    network = on_meta(name, small=True)
    seen = []
    for module in network.modules():
        if isinstance(module, (nn.ReLU, nn.ReLU6)):
            assert not module.inplace
            module.register_forward_hook(lambda module, *_: seen.append(id(module)))
    network.eval()(torch.zeros(1, 3, 32, 32, device="meta"))
    assert len(seen) == len(set(seen)) > 0


# --- names, options ---


def test_importing_the_room_does_not_load_torch_nor_does_building_on_meta_load_its_compiler():
    code = (
        "import sys; from cnnviz import models; print('torch' in sys.modules); import torch; torch.set_default_device"
    )
    code += "('meta'); [models.create(name) for name in models.names()]; print('torch._dynamo' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "False\nFalse\n"


def test_names_are_sorted_and_all_take_the_common_options():
    assert models.names() == sorted(models.names())
    assert PARAMETERS.keys() <= set(models.names())
    for name in models.names():
        assert {"num_classes", "in_channels"} <= models.options(name).keys()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("resnet51", "network 'resnet51' is not known: did you mean resnet"),
        ("VGG-16", "network 'VGG-16' is not known: did you mean vgg16"),
        ("DenseNet121", "network 'DenseNet121' is not known: did you mean densenet121"),
        ("", "network '' is not known: use ["),
        (None, "network None is not known: "),
        (["resnet18"], r"network ['resnet18'] is not known: "),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(name, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        models.create(name)


def test_numpys_whole_numbers_count():
    assert models.create("squeezenet1_1", num_classes=np.int64(7)).classifier[1].out_channels == 7


def test_an_unknown_option_is_answered_with_those_that_work():
    with pytest.raises(ValueError) as error:
        models.create("resnet18", depth=3)
    assert str(error.value) == "resnet18 has no option depth: its options are num_classes, in_channels, small"


@pytest.mark.parametrize("value", [0, -1, 2.0, "3", True])
@pytest.mark.parametrize("option", ["num_classes", "in_channels"])
def test_a_count_that_is_none_is_refused(option, value):
    with pytest.raises(
        ValueError, match=re.escape(f"resnet18: {option} {value!r} is not a whole number of at least 1")
    ):
        models.create("resnet18", **{option: value})


@pytest.mark.parametrize("width_mult", [0, -1, "1", True, float("nan"), float("inf"), 1e6])
@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v2"])
def test_an_impossible_width_is_refused(name, width_mult):
    with pytest.raises(ValueError, match=f"{name}: width_mult .* is not a number above 0 and up to 16"):
        models.create(name, width_mult=width_mult)


def test_other_options_are_checked_too():
    with pytest.raises(
        ValueError, match=r"groups 5 is not one of those that the paper gives widths for: 1, 2, 3, 4, 8"
    ):
        models.create("shufflenet_v1", groups=5)
    with pytest.raises(ValueError, match="resnet18: small 1 is not True or False"):
        models.create("resnet18", small=1)


def test_a_family_that_registers_badly_is_told_so():
    def half(num_classes=10):
        raise NotImplementedError

    with pytest.raises(ValueError, match="half needs num_classes and in_channels, and a default for every option"):
        _registry.register(half)
    assert "half" not in models.names()
    with pytest.raises(ValueError, match="two networks are called 'resnet18'"):
        _registry.register_each({"resnet18": None})(lambda row, num_classes=1, in_channels=1: row)


# --- pictures that do not fit ---


@pytest.mark.parametrize(
    ("name", "size", "sentence"),
    [
        ("alexnet", 32, r"AlexNet: layer features\.12 gets a picture of 1x1, smaller than its window of 3x3: "),
        ("vgg16", 16, r"VGG: layer features\.30 gets a picture of 1x1, smaller than its window of 2x2: "),
        (
            "densenet121",
            16,
            r"DenseNet: layer features\.transition3\.pool gets a picture of 1x1, smaller than .* 2x2: ",
        ),
        (
            "inception_v3",
            64,
            r"Inception3: layer Mixed_7a\S+ gets a picture of \dx\d, smaller than its window of 3x3: ",
        ),
    ],
)
def test_a_picture_that_is_too_small_is_refused_at_a_named_layer(name, size, sentence):
    advice = f"use a larger picture than {size}x{size} or the network's small=True"
    with pytest.raises(ValueError, match=sentence + re.escape(advice)):
        on_meta(name).eval()(torch.zeros(1, 3, size, size, device="meta"))


def test_inception_v3s_head_needs_299_in_training_mode():
    network = on_meta("inception_v3")
    network.train()(torch.zeros(2, 3, 299, 299, device="meta"))
    with pytest.raises(ValueError) as error:
        network(torch.zeros(2, 3, 298, 298, device="meta"))
    text = "Inception3: layer AuxLogits.conv1.conv gets a picture of 4x4, smaller than its window of 5x5: "
    assert str(error.value) == text + "use a larger picture than 298x298 or the network's small=True"
    network.eval()(torch.zeros(2, 3, 298, 298, device="meta"))


@pytest.mark.parametrize(
    ("shape", "sentence"),
    [
        ((1, 1, 64, 64), "ResNet: layer conv1 gets an input of 1 channels, but was built for 3"),
        ((3, 64, 64), "ResNet: layer bn1 gets an input of shape (64, 32, 32), not (N, C, H, W)"),
        ((2, 64), "ResNet: layer conv1 gets an input of shape (2, 64), not (N, C, H, W)"),
        (
            (1, 3, 20, 20),
            "ResNet: layer layer4.0.bn1 gets one value a channel, of which batch norm takes no variance: ",
        ),
    ],
)
def test_other_pictures_that_do_not_fit(shape, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        models.create("resnet18", num_classes=2).train()(torch.zeros(shape))


class Wrong(_network.Network):
    def __init__(self, part):
        super().__init__()
        self.part = part

    def forward(self, x):
        return self.part(x)


def test_a_dense_layer_that_does_not_fit_is_named_and_all_else_passes_unchanged():
    with pytest.raises(ValueError, match="Wrong: layer part gets 5 values, but was built for 4"):
        Wrong(nn.Linear(4, 2))(torch.zeros(1, 5))
    with pytest.raises(RuntimeError, match="dtype"):
        Wrong(nn.Linear(4, 2))(torch.zeros(1, 4, dtype=torch.long))
    with pytest.raises(RuntimeError, match="must match"):
        Wrong(lambda x: x + torch.zeros(3))(torch.zeros(2))
    with pytest.raises(TypeError):
        Wrong(nn.Linear(4, 2))()
