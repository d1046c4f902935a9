"""Networks to start from: the small forms (for 32x32, ten classes) of those in `cnnviz.models` that are a plain stack.

They are data, so that the view has them without torch; a test holds each to the module that `models.create` builds.
"""

from __future__ import annotations

from typing import Any

Layers = list[Any]
OVERLAPPING = {"kernel_size": 3, "stride": 2, "ceil_mode": True}
WIDE = ((512, 2), *[(512, 1)] * 5)  # the middle of MobileNet: channels, stride


def conv(out_channels: int, kernel_size: int = 3, padding: int = 1) -> Layers:
    """Return a convolution and its ReLU."""
    return [{"kind": "conv", "out_channels": out_channels, "kernel_size": kernel_size, "padding": padding}, "relu"]


def dense(out_features: int) -> dict[str, Any]:
    """Return a dense layer."""
    return {"kind": "linear", "out_features": out_features}


def lenet5() -> Layers:
    """Two convolutions with pools, one that leaves a single pixel, two dense layers: 61,706 parameters."""
    maps = [part for n in (6, 16) for part in (conv(n, 5, 0)[0], "tanh", "avg_pool")]
    return [*maps, conv(120, 5, 0)[0], "tanh", "flatten", dense(84), "tanh", dense(10)]


def alexnet() -> Layers:
    """The average pool from 3x3 to 3x3 does nothing and is left out."""
    pool = {"kind": "max_pool", "kernel_size": 3, "stride": 2}
    maps = [*conv(64), pool, *conv(192, 5, 2), pool, *conv(384), *conv(256), *conv(256), pool]
    return [*maps, "flatten", "dropout", dense(512), "relu", "dropout", dense(512), "relu", dense(10)]


def vgg(*depths: int, batch_norm: bool = False) -> Layers:
    """Return that many convolutions before each of five pools."""
    layers: Layers = []
    for out_channels, depth in zip((64, 128, 256, 512, 512), depths, strict=True):
        convolution, relu = conv(out_channels)
        layers += [convolution, *["batch_norm"] * batch_norm, relu] * depth + ["max_pool"]
    top = [part for _ in range(2) for part in (dense(512), "relu", "dropout")]
    return [*layers, "global_avg_pool", "flatten", *top, dense(10)]


def nin() -> Layers:
    """Three convolutions, each with two of 1x1 behind it; the last one's maps, averaged, are the scores."""
    first = [*conv(192, 5, 2), *conv(160, 1, 0), *conv(96, 1, 0), {"kind": "max_pool", **OVERLAPPING}, "dropout"]
    second = [*conv(192, 5, 2), *conv(192, 1, 0), *conv(192, 1, 0), {"kind": "avg_pool", **OVERLAPPING}, "dropout"]
    return [*first, *second, *conv(192), *conv(192, 1, 0), *conv(10, 1, 0), "global_avg_pool", "flatten"]


def nin_imagenet() -> Layers:
    """The same plan with four convolutions and wider."""
    layers: Layers = []
    for out_channels, kernel_size in ((96, 3), (256, 5), (384, 3)):
        layers += [*conv(out_channels, kernel_size, kernel_size // 2), *conv(out_channels, 1, 0) * 2]
        layers += [{"kind": "max_pool", **OVERLAPPING}, "dropout"]
    return [*layers, *conv(1024), *conv(1024, 1, 0), *conv(10, 1, 0), "global_avg_pool", "flatten"]


def mobilenet_v1() -> Layers:
    """Return one convolution, then thirteen pairs: 3x3 on each channel alone, 1x1 over all; batch norm behind each."""
    plain = {"kind": "conv", "padding": 1, "bias": False}
    layers: Layers = [{**plain, "out_channels": 32}, "batch_norm", "relu"]
    channels = 32
    for out_channels, stride in ((64, 1), (128, 1), (128, 1), (256, 2), (256, 1), *WIDE, (1024, 2), (1024, 1)):
        layers += [{**plain, "out_channels": channels, "groups": channels, "stride": stride}, "batch_norm", "relu"]
        layers += [{**plain, "out_channels": out_channels, "kernel_size": 1, "padding": 0}, "batch_norm", "relu"]
        channels = out_channels
    return [*layers, "global_avg_pool", "flatten", dense(10)]


FORMS: dict[str, Layers] = {
    "lenet5": lenet5(),
    "alexnet": alexnet(),
    "nin": nin(),
    "nin_imagenet": nin_imagenet(),
    "mobilenet_v1": mobilenet_v1(),
    "vgg11": vgg(1, 1, 2, 2, 2),
    "vgg13": vgg(2, 2, 2, 2, 2),
    "vgg16": vgg(2, 2, 3, 3, 3),
    "vgg19": vgg(2, 2, 4, 4, 4),
    "vgg11_bn": vgg(1, 1, 2, 2, 2, batch_norm=True),
    "vgg13_bn": vgg(2, 2, 2, 2, 2, batch_norm=True),
    "vgg16_bn": vgg(2, 2, 3, 3, 3, batch_norm=True),
    "vgg19_bn": vgg(2, 2, 4, 4, 4, batch_norm=True),
}


def input_size(name: str) -> tuple[int, int, int]:
    """Return what a form was made for."""
    return (1, 32, 32) if name == "lenet5" else (3, 32, 32)
