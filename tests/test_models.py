"""The networks that torchvision has too, MobileNet v1, ShuffleNet v1, DenseNet-264: counts, shapes, training.

That they are torchvision's networks is tested in against_torchvision/, which has an environment of its own.
"""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from cnnviz import models
from cnnviz.models.mobilenet import by_eights
from cnnviz.models.shufflenet import ChannelShuffle

pytestmark = pytest.mark.usefixtures("one_thread")

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


def test_a_width_or_growth_rate_of_the_users_own_changes_every_layer():
    for name, option in [("vgg11", "width_mult"), ("resnet18", "width_mult"), ("densenet121", "growth_rate")]:
        half = on_meta(name, **{option: 16 if option == "growth_rate" else 0.5}).state_dict()
        kernels = {key: whole for key, whole in on_meta(name).state_dict().items() if whole.dim() == 4}
        assert all(2 * len(half[key]) == len(kernel) for key, kernel in kernels.items())
    assert on_meta("vgg11", small=True, width_mult=0.5).classifier[0].out_features == 256


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
