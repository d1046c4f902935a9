"""Layers to start from: the animations of Dumoulin and Visin's guide to convolution arithmetic.

Names and sizes follow their collection (V. Dumoulin and F. Visin, "A guide to convolution arithmetic for deep
learning", 2016).
"""

from __future__ import annotations

from typing import Any

from cnnviz._checks import _one_of


def _layer(size: int, kernel_size: int, **settings: Any) -> dict[str, Any]:
    return {"height": size, "width": size, "kernel_size": kernel_size, **settings}


def _back(size: int, kernel_size: int, **settings: Any) -> dict[str, Any]:
    return _layer(size, kernel_size, op="transposed", **settings)


_PRESETS: dict[str, dict[str, Any]] = {
    "no_padding_no_strides": _layer(4, 3),
    "arbitrary_padding_no_strides": _layer(5, 4, padding=2),
    "same_padding_no_strides": _layer(5, 3, padding=1),
    "full_padding_no_strides": _layer(5, 3, padding=2),
    "no_padding_strides": _layer(5, 3, stride=2),
    "padding_strides": _layer(5, 3, stride=2, padding=1),
    "padding_strides_odd": _layer(6, 3, stride=2, padding=1),
    "no_padding_no_strides_transposed": _back(2, 3),
    "arbitrary_padding_no_strides_transposed": _back(6, 4, padding=2),
    "same_padding_no_strides_transposed": _back(5, 3, padding=1),
    "full_padding_no_strides_transposed": _back(7, 3, padding=2),
    "no_padding_strides_transposed": _back(2, 3, stride=2),
    "padding_strides_transposed": _back(3, 3, stride=2, padding=1),
    "padding_strides_odd_transposed": _back(3, 3, stride=2, padding=1, output_padding=1),
    "dilation": _layer(7, 3, dilation=2),
    "numerical_no_padding_no_strides": _layer(5, 3),
    "numerical_padding_strides": _layer(5, 3, stride=2, padding=1),
    "numerical_max_pooling": _layer(5, 3, op="max_pool"),
    "numerical_average_pooling": _layer(5, 3, op="avg_pool"),
}


def names() -> tuple[str, ...]:
    """Names of all presets.

    >>> len(names())
    19
    """
    return tuple(_PRESETS)


def settings_of(name: str) -> dict[str, Any]:
    """Return the settings of a preset (stride 1 is said, for a pool's own default is another).

    >>> settings_of("padding_strides")
    {'height': 5, 'width': 5, 'kernel_size': 3, 'stride': 2, 'padding': 1}
    """
    settings = _PRESETS[_one_of("preset", name, _PRESETS)]
    return settings | {"stride": settings.get("stride", 1)}
