"""The networks beyond torchvision: shapes against their papers, options, small runs, errors; counts are next door."""

import copy
import pickle

import pytest
import torch
from torch import nn

from cnnviz import models
from cnnviz.models import inception_resnet, resnet_cifar
from cnnviz.models.zfnet import FORMS as ZFNET_FORMS

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = [
    # name, options, channels in: what notebooks train on 32x32
    ("lenet5", {}, 1),
    ("lenet5_1998", {}, 1),
    ("nin", {"width_mult": 0.5}, 3),
    ("nin_imagenet", {"small": True, "width_mult": 0.25}, 3),
    ("alexnet_2012", {"small": True, "width_mult": 0.25}, 3),
    ("zfnet", {"small": True, "width_mult": 0.25}, 3),
    ("googlenet_2014", {"small": True, "width_mult": 0.5}, 3),
    ("bn_inception", {"small": True, "width_mult": 0.5}, 3),
    ("inception_v2", {"small": True, "width_mult": 0.25}, 3),
    ("inception_v4", {"small": True, "modules": (1, 1, 1), "width_mult": 0.25}, 3),
    ("inception_resnet_v2", {"small": True, "blocks": (1, 1, 1), "width_mult": 0.25}, 3),
    ("inception_resnet_v2", {"small": True, "form": "paper", "blocks": (1, 1, 1), "width_mult": 0.25}, 3),
    ("resnet20_cifar", {}, 3),
    ("resnet_cifar", {"depth": 8, "plain": True}, 3),
    ("fractalnet", {"width_mult": 0.25, "drop_path": 0.0, "global_share": 0.0}, 3),
    ("densenet_cifar", {"depth": 40}, 3),
    ("densenet_cifar", {"depth": 22, "combine": "add"}, 3),
    ("fpn", {"small": True, "channels": 32}, 3),
    ("odenet", {}, 1),
]
NAMES = sorted({name for name, *_ in SMALL} | set(resnet_cifar.DEPTHS))


def on_meta(name, **options):
    with torch.device("meta"):
        return models.create(name, **options)


def count(model):
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def meta_picture(side, channels=3):
    return torch.zeros(1, channels, side, side, device="meta")


def outputs(model, side, kinds, channels=3):
    """Sides of the maps that layers of some kinds put out, in the order of the calls."""
    seen = []
    for layer in model.modules():
        if isinstance(layer, kinds):
            layer.register_forward_hook(lambda layer, inputs, output: seen.append(tuple(output.shape[1:])))
    model.eval()(meta_picture(side, channels))
    return seen


def layers_of(net):
    return [(name, net.eval().get_submodule(name)) for name in net.order]


# Shapes


def test_alexnet_of_2012_maps():
    assert outputs(on_meta("alexnet_2012"), 227, (nn.Conv2d, nn.MaxPool2d)) == [
        (96, 55, 55), (96, 27, 27), (256, 27, 27), (256, 13, 13),
        (384, 13, 13), (384, 13, 13), (256, 13, 13), (256, 6, 6),
    ]  # fmt: skip


@pytest.mark.parametrize("form", ZFNET_FORMS)
def test_zfnet_maps(form):
    third, fourth, fifth = ZFNET_FORMS[form]
    assert outputs(on_meta("zfnet", form=form), 224, (nn.Conv2d, nn.MaxPool2d)) == [
        (96, 110, 110), (96, 55, 55), (256, 26, 26), (256, 13, 13),
        (third, 13, 13), (fourth, 13, 13), (fifth, 13, 13), (fifth, 6, 6),
    ]  # fmt: skip


def walk(layers, side):
    x, shapes = meta_picture(side), {}
    for name, layer in layers:
        x = layer(x)
        shapes[name] = tuple(x.shape[1:])
    return shapes


def test_googlenet_of_2014_module_outputs_are_those_of_its_table_1():
    shapes = walk(layers_of(on_meta("googlenet_2014")), 224)
    assert {name.removeprefix("inception"): shape for name, shape in shapes.items() if name[0] == "i"} == {
        "3a": (256, 28, 28), "3b": (480, 28, 28),
        "4a": (512, 14, 14), "4b": (512, 14, 14), "4c": (512, 14, 14), "4d": (528, 14, 14), "4e": (832, 14, 14),
        "5a": (832, 7, 7), "5b": (1024, 7, 7),
    }  # fmt: skip


def test_bn_inception_module_outputs_are_those_of_the_papers_figure_5():
    shapes = walk(layers_of(on_meta("bn_inception")), 224)
    assert shapes["maxpool2"] == (192, 28, 28)
    assert {name.removeprefix("inception"): shape for name, shape in shapes.items() if name[0] == "i"} == {
        "3a": (256, 28, 28), "3b": (320, 28, 28), "3c": (576, 14, 14),
        "4a": (576, 14, 14), "4b": (576, 14, 14), "4c": (576, 14, 14), "4d": (576, 14, 14), "4e": (1024, 7, 7),
        "5a": (1024, 7, 7), "5b": (1024, 7, 7),
    }  # fmt: skip


def test_inception_v2_is_table_1_of_its_paper():
    shapes = walk(layers_of(on_meta("inception_v2")), 299)
    stem = [(32, 149, 149), (32, 147, 147), (64, 147, 147), (64, 73, 73), (80, 71, 71), (192, 35, 35), (288, 35, 35)]
    blocks = [(288, 35, 35)] * 3 + [(768, 17, 17)] * (1 + 5) + [(1280, 8, 8)] + [(2048, 8, 8)] * 2
    assert list(shapes.values()) == stem + blocks


def test_inception_v2_splits_5x5_into_3x3_and_these_and_7x7_into_rows_and_columns():
    net = on_meta("inception_v2")
    kernels = {name: {m.kernel_size for m in net.get_submodule(name).modules() if isinstance(m, nn.Conv2d)}
               for name in net.order}  # fmt: skip
    assert kernels["figure5_1"] == {(1, 1), (3, 3)}
    assert kernels["figure6_1"] == {(1, 1), (1, 7), (7, 1)}
    assert kernels["figure7_1"] == {(1, 1), (1, 3), (3, 1), (3, 3)}


def test_inception_v4_module_outputs_are_those_of_the_papers_figure_9():
    shapes = walk(layers_of(on_meta("inception_v4")), 299)
    assert list(shapes.values()) == ([(384, 35, 35)] * (1 + 4) + [(1024, 17, 17)] * (1 + 7) + [(1536, 8, 8)] * (1 + 3))


def test_inception_v4_stem_is_that_of_figure_3():
    stem = on_meta("inception_v4").eval().stem
    assert list(walk(stem.named_children(), 299).values()) == [
        (32, 149, 149), (32, 147, 147), (64, 147, 147), (160, 73, 73), (192, 71, 71), (384, 35, 35),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("form", "counts", "a", "b", "c"),
    [("released", (10, 20, 10), 320, 1088, 2080), ("paper", (5, 10, 5), 384, 1152, 2144)],
)
def test_inception_resnet_maps(form, counts, a, b, c):
    # The paper prints 1154 and 2048 for the last two; its own branches sum to 384 * 3 and 384 + 288 + 320 + 1152.
    net, (one, two, three) = on_meta("inception_resnet_v2", form=form).eval(), counts
    ends = [(1536, 8, 8)] if form == "released" else []
    shapes = [(a, 35, 35)] * (1 + one) + [(b, 17, 17)] * (1 + two) + [(c, 8, 8)] * (1 + three) + ends
    assert list(walk(layers_of(net), 299).values()) == shapes
    scales = [block.scale for block in net.modules() if isinstance(block, inception_resnet.Residual)]
    assert scales[:-1] == [0.17] * one + [0.10] * two + [0.20] * (three - 1)
    assert scales[-1] == (1.0 if form == "released" else 0.20)


def test_cifar_resnets_are_6n_plus_2_deep_on_32_16_and_8():
    for name, depth in resnet_cifar.DEPTHS.items():
        net = on_meta(name)
        maps = outputs(net, 32, nn.Conv2d)
        assert len(maps) + 1 == depth  # and the dense layer
        n = (depth - 2) // 6
        assert maps == [(16, 32, 32)] * (1 + 2 * n) + [(32, 16, 16)] * (2 * n) + [(64, 8, 8)] * (2 * n)


def test_pyramid_at_224():
    net = on_meta("fpn", backbone="resnet50", channels=256)
    assert {level: tuple(maps.shape[1:]) for level, maps in net.pyramid(meta_picture(224)).items()} == {
        "P2": (256, 56, 56), "P3": (256, 28, 28), "P4": (256, 14, 14), "P5": (256, 7, 7),
    }  # fmt: skip


# Small runs


@pytest.mark.parametrize(("name", "options", "channels"), SMALL, ids=lambda value: str(value)[:40])
def test_trains_on_32x32(name, options, channels):
    torch.manual_seed(0)
    net = models.create(name, num_classes=7, in_channels=channels, **options)
    scores = net(torch.randn(2, channels, 32, 32))
    assert scores.shape == (2, 7)
    nn.functional.cross_entropy(scores, torch.tensor([1, 5])).backward()
    assert [name for name, p in net.named_parameters() if p.grad is None or not p.grad.isfinite().all()] == []


@pytest.mark.parametrize("name", models.names())
def test_every_network_runs_small_on_grey_pictures_of_32x32(name):
    net = on_meta(name, num_classes=7, in_channels=1, small=True).train()
    scores = net(torch.zeros(2, 1, 32, 32, device="meta"))
    assert (scores.logits if isinstance(scores, tuple) else scores).shape == (2, 7)


@pytest.mark.parametrize("name", NAMES)
def test_can_be_copied_and_pickled_and_repeats_itself_in_eval_mode(name):
    options = next((options for known, options, _ in SMALL if known == name), {"width": 4})
    net = models.create(name, num_classes=3, **options).eval()
    x = torch.randn(1, models.options(name)["in_channels"], 32, 32)
    with torch.no_grad():
        expected = net(x)
        for other in (net, copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
            assert torch.equal(other(x), expected)


@pytest.mark.parametrize("name", ["nin", "alexnet_2012", "zfnet", "googlenet_2014"])
def test_scores_of_the_nets_without_batch_norm_differ_from_picture_to_picture_at_the_start(name):
    torch.manual_seed(0)
    small = {"small": True} if "small" in models.options(name) else {}
    net = models.create(name, 10, width_mult=0.125, **small).eval()
    assert net(torch.randn(8, 3, 32, 32)).std(dim=0).mean() > 1e-3  # with torch's own start 1e-5 to 1e-9


def test_both_heads_of_googlenet_speak_in_training_only():
    net = models.create("googlenet_2014", 5, small=True, aux_logits=True, width_mult=0.25)
    result = net(torch.randn(2, 3, 32, 32))
    assert [tuple(scores.shape) for scores in (result.logits, *result.auxiliary)] == [(2, 5)] * 3
    assert net.eval()(torch.randn(2, 3, 32, 32)).shape == (2, 5)


# Errors


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("lenet5", {"pool": "min"}, "pool 'min' is not known: use 'average' or 'max'"),
        ("lenet5", {"activation": None}, "activation None is not known: use 'relu' or 'tanh' or 'sigmoid'"),
        ("lenet5", {"padding": -1}, "padding -1 is not a whole number of at least 0"),
        ("lenet5_1998", {"pool": "max"}, "lenet5_1998 has no option pool: its options are num_classes, in_channels"),
        ("lenet5_1998", {"small": 1}, "lenet5_1998: small 1 is not True or False"),
        ("nin", {"one_by_ones": 3}, "one_by_ones 3 is more than the 2 of the paper: use 0, 1 or 2"),
        ("nin", {"dropout": 1.0}, "nin: dropout 1.0 is not a number from 0 to below 1"),
        ("alexnet_2012", {"groups": 3}, "groups 3 is not an AlexNet of the paper: use 1 or 2"),
        ("alexnet_2012", {"groups": True}, "groups True is not a whole number of at least 1"),
        ("alexnet_2012", {"width_mult": 0}, "width_mult 0 is not a number above 0 and at most 8"),
        ("alexnet_2012", {"init": "zeros"}, "init 'zeros' is not known: use 'torch' or 'he' or 'xavier' or 'paper'"),
        ("zfnet", {"form": "1"}, "form '1' is not known: use 'paper' or 'lecture'"),
        ("bn_inception", {"double_convs": 0}, "double_convs 0 is not a whole number of at least 1"),
        ("inception_v4", {"modules": 3},
         "modules 3 is not three numbers, those of the modules A, B and C: use (4, 7, 3)"),
        ("inception_resnet_v2", {"blocks": (1, 0, 1)}, "blocks 0 is not a whole number of at least 1"),
        ("inception_resnet_v2", {"blocks": 0},
         "blocks 0 is not three numbers, those of the blocks A, B and C: use (5, 10, 5)"),
        ("inception_resnet_v2", {"blocks": []},
         "blocks [] is not three numbers, those of the blocks A, B and C: use (5, 10, 5)"),
        ("resnet_cifar", {"depth": 21}, "depth 21 is not 6n + 2: use 20 or 26"),
        ("resnet_cifar", {"depth": 2}, "depth 2 is not a whole number of at least 8"),
        ("resnet_cifar", {"survival": 0}, "survival 0 is not a number above 0 and at most 1"),
        ("resnet_cifar", {"survival": 0.5, "shortcut": "conv"},
         "survival 0.5 is stochastic depth, which needs shortcut 'identity', not 'conv'"),
        ("resnet_cifar", {"plain": True, "shortcut": "conv"},
         "plain=True has no shortcuts: leave shortcut, reshape and survival alone, or plain=False"),
        ("resnet_cifar", {"reshape": "C"}, "reshape 'C' is not known: use 'pad' or 'conv'"),
        ("resnet_cifar", {"width": 0}, "width 0 is not a whole number of at least 1"),
        ("fractalnet", {"columns": 7}, "columns 7 and blocks 5 is too large: use at most 6 and 5"),
        ("fractalnet", {"drop_path": 1}, "drop_path 1 is not a number from 0 to below 1"),
        ("densenet_cifar", {"depth": 41}, "depth 41 is not 6n + 4: use 40 or 46"),
        ("densenet_cifar", {"depth": 41, "bottleneck": False}, "depth 41 is not 3n + 4: use 40 or 43"),
        ("densenet_cifar", {"combine": "multiply"}, "combine 'multiply' is not known: use 'concatenate' or 'add'"),
        ("odenet", {"steps": 0}, "steps 0 is not a whole number of at least 1"),
        ("odenet", {"tolerance": 0}, "tolerance 0 is not a number between 0 and 1"),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_illegal_options_say_what_would_work(name, options, message):
    with pytest.raises(ValueError) as error:
        models.create(name, **options)
    assert str(error.value) == message


def test_errors_with_long_lists_name_every_value():
    with pytest.raises(ValueError, match=r"order 'random' is not known: use 'original' or .* or 'full_preactivation'"):
        models.create("resnet_cifar", order="random")
    with pytest.raises(ValueError, match=r"shortcut 'a' is not known: use 'identity' or 'constant' or .* or 'dropout'"):
        models.create("resnet_cifar", shortcut="a")
    with pytest.raises(ValueError, match=r"method 'leapfrog' is not known: use 'euler' or .*'dopri5'"):
        models.create("odenet", method="leapfrog")
    with pytest.raises(ValueError, match=r"backbone 'vgg16' is not known: use 'resnet18' or .*'resnet50'"):
        models.create("fpn", backbone="vgg16")
    with pytest.raises(ValueError, match="column 3 is not one of this network's: use 0 to 2"):
        models.create("fractalnet", width_mult=0.05).column(torch.zeros(1, 3, 32, 32), 3)


@pytest.mark.parametrize(
    ("name", "options", "shape", "layer"),
    [
        ("lenet5", {}, (1, 1, 28, 28), "features.6"),  # 4x4 for a kernel of 5: FACTS B9
        ("lenet5_1998", {}, (1, 1, 28, 28), "c5.0"),
        ("nin", {}, (1, 1, 32, 32), "features.block1.0"),  # one channel for three
        ("alexnet_2012", {"width_mult": 0.1}, (1, 3, 32, 32), "features.7"),  # 2x2 for the pool
        ("googlenet_2014", {"aux_logits": True, "width_mult": 0.1}, (2, 3, 64, 64), "aux1.pool"),
        ("inception_v4", {"width_mult": 0.05, "modules": (1, 1, 1)}, (2, 3, 32, 32), "reduction_a.pool"),
        ("resnet_cifar", {"depth": 8}, (1, 1, 32, 32), "stem.0"),
        ("fractalnet", {"width_mult": 0.05, "global_share": 0.0}, (2, 3, 16, 16), "shrink.4.0"),
        ("odenet", {"channels": 4}, (1, 3, 28, 28), "stem.0"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_picture_that_does_not_fit_is_refused_at_a_named_layer(name, options, shape, layer):
    net = models.create(name, **options)
    with pytest.raises(ValueError, match=rf"layer {layer}\b"):
        net.train()(torch.zeros(shape))


def test_alexnet_says_that_its_224_needs_227():
    net = models.create("alexnet_2012", width_mult=0.1)
    with pytest.raises(ValueError) as error:
        net(torch.zeros(1, 3, 224, 224))
    assert str(error.value) == (
        "alexnet_2012: layer classifier.1 gets maps of 5x5, but was built for 6x6: use pictures of 227x227, not 224x224"
    )
