"""How many parameters and multiply-adds the networks beyond torchvision have, against their papers.

Where no paper prints an exact count, it is that of a public table or derived by hand in the test. "Table" below is the
table in osmr/imgclsmob (pytorch/README.md), which lists parameters and multiply-adds of its own builds.
"""

import pytest
from torch.utils.flop_counter import FlopCounterMode

from cnnviz import models
from cnnviz.models import bn_inception
from tests.test_models_own import count, meta_picture, on_meta

pytestmark = pytest.mark.usefixtures("one_thread")

PUBLISHED = [
    # name, options, parameters, where the number stands
    ("lenet5", {}, 61_706, "FACTS B6: 156 + 2,416 + 48,120 + 10,164 + 850"),
    ("lenet5_1998", {}, 60_000, "LeCun et al. 1998, section II.B"),
    ("nin", {}, 966_986, "Table, NIN on CIFAR-10"),
    ("alexnet_2012", {}, 60_965_224, "FACTS; the paper says 60 million"),
    ("alexnet_2012", {"groups": 1}, 62_378_344, "FACTS B4"),
    ("zfnet", {}, 62_357_608, "FACTS B19, the paper's figure 3"),
    ("zfnet", {"form": "lecture"}, 107_627_624, "FACTS B19"),
    ("googlenet_2014", {}, 6_998_552, "FACTS B18; Keras Hub's inception_v1_imagenet"),
    ("googlenet_2014", {"aux_logits": True}, 13_378_280, "FACTS B18"),
    ("bn_inception", {"form": "caffe"}, 11_295_240, "Table, BN-Inception"),
    ("inception_v4", {}, 42_679_816, "Table, InceptionV4"),
    ("inception_resnet_v2", {}, 55_843_464, "Table, InceptionResNetV2"),
    ("resnet20_cifar", {}, 269_722, "FACTS; the paper's table 6 says 0.27M"),
    ("resnet32_cifar", {}, 464_154, "the paper's table 6 says 0.46M"),
    ("resnet44_cifar", {}, 658_586, "the paper's table 6 says 0.66M"),
    ("resnet56_cifar", {}, 853_018, "FACTS; the paper's table 6 says 0.85M"),
    ("resnet110_cifar", {}, 1_727_962, "FACTS; the paper's table 6 says 1.7M"),
    ("resnet20_cifar", {"reshape": "conv"}, 272_474, "Table, ResNet-20"),
    ("resnet56_cifar", {"reshape": "conv"}, 855_770, "Table, ResNet-56"),
    ("resnet110_cifar", {"reshape": "conv"}, 1_730_714, "Table, ResNet-110"),
    ("densenet_cifar", {}, 769_162, "Table, DenseNet-BC-100 (k=12); the paper's table 2 says 0.8M"),
]
PAPER_MILLIONS = [
    # DenseNet's table 2: L, k, bottleneck, compression, millions
    ({"depth": 40, "growth_rate": 12, "bottleneck": False, "compression": 1.0}, 1.0),
    ({"depth": 100, "growth_rate": 12, "bottleneck": False, "compression": 1.0}, 7.0),
    ({"depth": 100, "growth_rate": 24, "bottleneck": False, "compression": 1.0}, 27.2),
    ({"depth": 250, "growth_rate": 24}, 15.3),
    ({"depth": 190, "growth_rate": 40}, 25.6),
]


@pytest.mark.parametrize(("name", "options", "parameters", "source"), PUBLISHED, ids=lambda value: str(value)[:30])
def test_parameters_as_published(name, options, parameters, source):
    assert count(on_meta(name, **options)) == parameters, source


@pytest.mark.parametrize(("options", "millions"), PAPER_MILLIONS, ids=str)
def test_densenets_of_the_papers_table(options, millions):
    assert round(count(on_meta("densenet_cifar", **options)) / 1e6, 1) == millions


def test_lenet_of_1998_has_340908_connections():
    # Each output value of a layer has a connection to every value it reads, and one to its bias.
    net = models.create("lenet5_1998")
    c1, s2 = 28 * 28 * count(net.c1), 6 * 14 * 14 * (4 + 1)
    c3, s4 = 10 * 10 * count(net.c3), 16 * 5 * 5 * (4 + 1)
    c5, f6, output = count(net.c5), count(net.f6), net.output.codes.numel()
    assert (c1, s2, c3, s4, c5, f6, output) == (122_304, 5_880, 151_600, 2_000, 48_120, 10_164, 840)
    assert c1 + s2 + c3 + s4 + c5 + f6 + output == 340_908
    assert [count(part) for part in (net.c1, net.s2, net.c3, net.s4)] == [156, 12, 1_516, 32]  # as in the paper


def test_bn_inception_of_the_paper_is_the_caffe_count_less_what_caffe_added():
    # Pool projections of 128 in place of 96 in 4c and 4d: their own weights and norms, then 32 channels more into
    # 4d's, 4e's and 5a's 1x1 layers; and a bias for each of the channels that a convolution puts out.
    projections = (576 * 32 + 2 * 32) + (608 * 128 - 576 * 96 + 2 * 32)
    readers = 32 * (96 + 128 + 160) + 32 * (128 + 192) + 32 * (352 + 192 + 160 + 128)
    channels = 64 + 64 + 192 + 2 * 32  # stem; 32 more behind the two pools
    for row in bn_inception.MODULES.values():
        channels += row.one + row.three_reduce + row.three + row.double_reduce + 2 * row.double + row.pool_width
    assert count(on_meta("bn_inception")) == 11_295_240 - projections - readers - channels == 11_194_984


def test_inception_v2_by_hand_from_v3():
    def figure_5(entering, large, pooled):
        weights = entering * (64 + 48 + 64 + pooled) + large * large * 48 * 64 + 9 * 96 * (64 + 96)
        return weights + 2 * (64 + 48 + 64 + 64 + 96 + 96 + pooled)

    def figure_6(inner):
        return 768 * (2 * 192 + 2 * inner) + 7 * inner * (4 * inner + 2 * 192) + 2 * (4 * 192 + 6 * inner)

    v3_without_head = 23_834_568
    stem = (9 - 1) * 64 * 80 + 9 * 192 * 288 + 2 * 288  # a 3x3 where v3 has a 1x1, and one convolution more
    blocks = 3 * figure_5(288, 3, 64) - figure_5(192, 5, 32) - figure_5(256, 5, 64) - figure_5(288, 5, 64)
    assert count(on_meta("inception_v2")) == v3_without_head + stem + blocks + figure_6(192) == 26_405_192


def test_nin_for_imagenet_by_hand():
    # k*k*in*out weights and out biases for each of the twelve convolutions.
    layers = [
        (11, 3, 96), (1, 96, 96), (1, 96, 96), (5, 96, 256), (1, 256, 256), (1, 256, 256),
        (3, 256, 384), (1, 384, 384), (1, 384, 384), (3, 384, 1024), (1, 1024, 1024), (1, 1024, 1000),
    ]  # fmt: skip
    by_hand = sum(k * k * before * after + after for k, before, after in layers)
    assert count(on_meta("nin_imagenet")) == by_hand == 7_595_176


def test_fractalnet_by_hand():
    # A block of three columns has 1 + 2 + 4 convolutions: three of them read the block's input. Each has a norm.
    by_hand, before = 0, 3
    for channels in (64, 128, 256, 512, 512):
        by_hand += 9 * (3 * before * channels + 4 * channels * channels) + 7 * 2 * channels
        before = channels
    assert count(on_meta("fractalnet")) == by_hand + 512 * 10 + 10 == 33_724_618
    # osmr/imgclsmob (fractalnet_cifar.py) asserts the same number of its own build. The 38.6M of a FractalNet of depth
    # 21 are in table 2 of the DenseNet paper, which does not say how they were counted.


@pytest.mark.parametrize(
    ("columns", "millions"), [(1, 0.3), (2, 0.8), (3, 2.1), (4, 4.8), (5, 10.2), (6, 21.1)]
)  # fmt: skip
def test_fractalnets_5_to_160_deep_as_in_their_papers_table(columns, millions):
    # The ultra-deep networks, for CIFAR-100: 16, 32, 64, 128, 128 channels.
    net = on_meta("fractalnet", num_classes=100, columns=columns, width_mult=0.25)
    assert round(count(net) / 1e6, 1) == millions


def test_feature_pyramid_by_hand():
    # torchvision's resnet50 has 25,557,032 parameters, 2,049,000 of them in the dense layer that is not there.
    lateral = (256 + 512 + 1024 + 2048) * 256 + 4 * 256
    smooth, head = 4 * (9 * 256 * 256 + 256), 256 * 1000 + 1000
    assert count(on_meta("fpn", backbone="resnet50")) == 25_557_032 - 2_049_000 + lateral + smooth + head


def test_ode_net_by_hand():
    stem = (9 * 64 + 64) + 2 * (16 * 64 * 64 + 64) + 2 * 2 * 64
    derivative = 2 * (9 * 65 * 64 + 64) + 3 * 2 * 64  # one channel more, the time
    head = 2 * 64 + 64 * 10 + 10
    assert count(on_meta("odenet")) == stem + derivative + head == 208_266
    # The paper says 0.22M, and 0.60M with six residual blocks in place of the ODE. Its authors' example (torchdiffeq,
    # examples/odenet_mnist.py) has this stem as the default, and another of a convolution and two residual blocks with
    # shortcuts. With that one the residual network is the paper's, and the ODE net as far from 0.22M as ours.
    block = 2 * (9 * 64 * 64) + 2 * 2 * 64
    other_stem = (9 * 64 + 64) + 2 * (block + 64 * 64)
    assert other_stem + 6 * block + head == 601_482
    assert other_stem + derivative + head == 232_970


@pytest.mark.parametrize(
    ("name", "side", "millions"),
    [("inception_v4", 299, 12_304.93), ("inception_resnet_v2", 299, 13_188.64), ("nin", 32, 222.97)],
)
def test_multiply_adds_near_the_public_table(name, side, millions):
    with FlopCounterMode(display=False) as counter:
        on_meta(name).eval()(meta_picture(side))
    macs = counter.get_total_flops() / 2e6
    assert 0.995 * millions < macs < millions  # the table also counts norms, activations and pools
