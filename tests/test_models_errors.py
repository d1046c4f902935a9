"""What ``cnnviz.models`` says to unknown names, impossible options and pictures that do not fit."""

import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from cnnviz import models
from cnnviz.models import _network, _registry


def on_meta(name, **options):
    with torch.device("meta"):
        return models.create(name, **options)


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
    assert len(models.names()) > 45
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


@pytest.mark.parametrize(
    ("name", "options", "plain"),
    [
        ("resnet_cifar", {"depth": np.int64(8), "width": np.int8(4)}, {"depth": 8, "width": 4}),
        ("mobilenet_v1", {"width_mult": np.float32(0.25)}, {"width_mult": 0.25}),
        ("shufflenet_v1", {"groups": np.int64(2)}, {"groups": 2}),
        ("vgg11", {"dropout": np.float32(0.5)}, {"dropout": 0.5}),
    ],
)
def test_numpys_numbers_count_in_every_option(name, options, plain):
    with torch.device("meta"):
        net, same = models.create(name, **options), models.create(name, **plain)
    assert str(net) == str(same)
    assert net.options == same.options


def test_an_unknown_option_is_answered_with_those_that_work():
    with pytest.raises(ValueError) as error:
        models.create("resnet18", depth=3)
    assert (
        str(error.value) == "resnet18 has no option depth: its options are num_classes, in_channels, small, width_mult"
    )


@pytest.mark.parametrize("value", [0, -1, 2.0, "3", True])
@pytest.mark.parametrize("option", ["num_classes", "in_channels"])
def test_a_count_that_is_none_is_refused(option, value):
    with pytest.raises(
        ValueError, match=re.escape(f"resnet18: {option} {value!r} is not a whole number of at least 1")
    ):
        models.create("resnet18", **{option: value})


@pytest.mark.parametrize("width_mult", [0, -1, "1", True, float("nan"), float("inf"), 1e6])
@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v2", "vgg11", "resnet18"])
def test_an_impossible_width_is_refused(name, width_mult):
    with pytest.raises(ValueError, match=r"width_mult .* is not a number above 0 and at most 8"):
        models.create(name, width_mult=width_mult)


def test_other_options_are_checked_too():
    with pytest.raises(
        ValueError, match=r"groups 5 is not one of those that the paper gives widths for: 1, 2, 3, 4, 8"
    ):
        models.create("shufflenet_v1", groups=5)
    for groups in ([], 3.0, None):
        with pytest.raises(ValueError, match="is not one of those that the paper gives widths for"):
            models.create("shufflenet_v1", groups=groups)
    with pytest.raises(ValueError, match="growth_rate 0 is not a whole number of at least 1"):
        models.create("densenet121", growth_rate=0)
    with pytest.raises(ValueError, match="resnet18: small 1 is not True or False"):
        models.create("resnet18", small=1)


@pytest.mark.parametrize(
    ("name", "option", "value", "wanted"),
    [
        ("googlenet", "aux_logits", "yes", "True or False"),
        ("resnet50", "stride_in_1x1", 1, "True or False"),
        ("alexnet_2012", "lrn", None, "True or False"),
        ("fractalnet", "dropout", 0.5, "True or False"),
        ("vgg16", "dropout", float("nan"), "a number from 0 to below 1"),
        ("googlenet", "dropout_aux", 1, "a number from 0 to below 1"),
        ("nin", "dropout", "0.5", "a number from 0 to below 1"),
    ],
)
def test_every_yes_or_no_and_every_dropout_is_checked(name, option, value, wanted):
    with pytest.raises(ValueError, match=re.escape(f"{name}: {option} {value!r} is not {wanted}")):
        models.create(name, **{option: value})


@pytest.mark.parametrize("name", models.names())
def test_a_width_of_zero_is_refused_and_a_hair_of_one_still_runs(name):
    for option in {"width_mult", "width", "channels", "growth_rate"} & models.options(name).keys():
        with pytest.raises(ValueError, match=f"{option} 0 is not a "):
            models.create(name, **{option: 0})
    if "width_mult" in models.options(name):
        side = {"alexnet_2012": 227, "zfnet": 224, "nin": 32, "fractalnet": 32}.get(name, 299)
        with torch.device("meta"):
            thin = models.create(name, width_mult=0.01, num_classes=3).eval()
        assert thin(torch.zeros(1, 3, side, side, device="meta")).shape == (1, 3)


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
        ("alexnet", 32, r"alexnet: layer features\.12 gets a picture of 1x1, smaller than its window of 3x3: "),
        ("vgg16", 16, r"vgg16: layer features\.30 gets a picture of 1x1, smaller than its window of 2x2: "),
        (
            "densenet121",
            16,
            r"densenet121: layer features\.transition3\.pool gets a picture of 1x1, smaller than .* 2x2: ",
        ),
        (
            "inception_v3",
            64,
            r"inception_v3: layer Mixed_7a\S+ gets a picture of \dx\d, smaller than its window of 3x3: ",
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
    text = "inception_v3: layer AuxLogits.conv1.conv gets a picture of 4x4, smaller than its window of 5x5: "
    advice = "use a larger picture than 298x298, the network's small=True, aux_logits=False or eval()"
    assert str(error.value) == text + advice
    network.eval()(torch.zeros(2, 3, 298, 298, device="meta"))
    on_meta("inception_v3", aux_logits=False).train()(torch.zeros(2, 3, 298, 298, device="meta"))


@pytest.mark.parametrize(
    ("shape", "sentence"),
    [
        ((1, 1, 64, 64), "resnet18: layer conv1 gets an input of 1 channels, but was built for 3"),
        ((3, 64, 64), "resnet18: layer bn1 gets an input of shape (64, 32, 32), not (N, C, H, W)"),
        ((2, 64), "resnet18: layer conv1 gets an input of shape (2, 64), not (N, C, H, W)"),
        (
            (1, 3, 20, 20),
            "resnet18: layer layer4.0.bn1 gets one value a channel, of which batch norm takes no variance: ",
        ),
    ],
)
def test_other_pictures_that_do_not_fit(shape, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        models.create("resnet18", num_classes=2).train()(torch.zeros(shape))


@pytest.mark.parametrize("name", models.names())
def test_every_network_takes_a_picture_or_names_the_layer_at_which_it_does_not(name):
    network = on_meta(name).train()
    for side in (3, 64):
        try:
            network(torch.zeros(2, models.options(name)["in_channels"], side, side, device="meta"))
        except ValueError as error:
            words = str(error).split()
            assert words[:2] == [f"{name}:", "layer"]
            assert words[2] in dict(network.named_modules())
            assert "use" in words


def test_nan_goes_in_and_comes_out():
    scores = models.create("lenet5").eval()(torch.full((1, 1, 32, 32), torch.nan))
    assert scores.shape == (1, 10)
    assert scores.isnan().all()


class Wrong(_network.Network):
    def __init__(self, part):
        super().__init__()
        self.part = part

    def forward(self, x):
        return self.part(x)


def test_a_dense_layer_that_does_not_fit_is_named_and_all_else_passes_unchanged():
    with pytest.raises(ValueError, match="Wrong: layer part gets 5 values, but was built for 4"):
        Wrong(nn.Linear(4, 2))(torch.zeros(1, 5))
    with pytest.raises(ValueError, match=r"layer part gets numbers of type torch.uint8: use x.float\(\), and divide"):
        Wrong(nn.Linear(4, 2))(torch.zeros(1, 4, dtype=torch.uint8))
    with pytest.raises(RuntimeError, match="dtype"):
        Wrong(nn.Linear(4, 2))(torch.zeros(1, 4, dtype=torch.double))
    with pytest.raises(RuntimeError, match="must match"):
        Wrong(lambda x: x + torch.zeros(3))(torch.zeros(2))
    with pytest.raises(TypeError):
        Wrong(nn.Linear(4, 2))()
