"""The moving kernel: traits in Python, everything that moves in the browser."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import traitlets

from cnnviz import kernels, trace
from cnnviz.widgets import _bundle
from cnnviz.widgets.sliding_kernel import arrays, settings
from cnnviz.widgets.sliding_kernel.errors import IllegalLayer

_HERE = Path(__file__).parent
_MAY_BE_LEFT_OUT = ("image", "kernel", "kernel_size", "in_channels", "filters", "height", "width", "level")


class Setting(traitlets.TraitType):
    """A trait that travels to the view and takes what `settings.read` takes."""

    def __init__(self, name: str) -> None:
        super().__init__(default_value=settings.DEFAULTS[name])
        self.tag(sync=True)

    def validate(self, obj: traitlets.HasTraits, value: Any) -> Any:  # noqa: D102
        return settings.read(self.name, value)


class ArraySetting(Setting):
    """A picture or a kernel: compared by its numbers, sent as a list or as bytes."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.tag(to_json=lambda array, _: arrays.to_wire(array))

    def set(self, obj: traitlets.HasTraits, value: Any) -> None:  # noqa: D102
        new, old = self._validate(obj, value), self.get(obj)
        if not np.array_equal(old, new):
            obj._trait_values[self.name] = new
            obj._notify_trait(self.name, old, new)


class _Settings(anywidget.AnyWidget):
    """The traits of the moving kernel, which change together or not at all."""

    _esm = traitlets.Unicode().tag(sync=True)
    _css = traitlets.Unicode().tag(sync=True)

    op = Setting("op")
    image = ArraySetting("image")
    kernel = ArraySetting("kernel")
    kernel_name = Setting("kernel_name")
    angle = Setting("angle")
    bias = Setting("bias")
    relu = Setting("relu")
    height = Setting("height")
    width = Setting("width")
    in_channels = Setting("in_channels")
    filters = Setting("filters")
    kernel_size = Setting("kernel_size")
    stride = Setting("stride")
    padding = Setting("padding")
    dilation = Setting("dilation")
    output_padding = Setting("output_padding")
    groups = Setting("groups")
    ceil_mode = Setting("ceil_mode")
    count_include_pad = Setting("count_include_pad")
    divisor_override = Setting("divisor_override")
    position = Setting("position")
    filter = Setting("filter")
    fill = Setting("fill")
    playing = Setting("playing")
    speed = Setting("speed")
    level = Setting("level")
    reveal = Setting("reveal")
    heatmap = Setting("heatmap")
    predict = Setting("predict")
    guess = Setting("guess")
    square = Setting("square")
    states = Setting("states")

    @traitlets.default("_esm")
    def _default_esm(self) -> str:
        return _bundle.join(_HERE / "view.js")

    @traitlets.default("_css")
    def _default_css(self) -> str:
        return _bundle.text(_HERE / "sliding_kernel.css")

    def set(self, **changes: Any) -> None:
        """Change several settings at once: all of them, or none with the reason.

        Raises
        ------
        IllegalLayer
            A `ValueError`: a setting that no layer can have, or settings that do not go together.

        >>> w = SlidingKernel()
        >>> w.set(kernel_size=5, padding=2)
        >>> w.set(kernel_size=9, padding=1)
        Traceback (most recent call last):
        ...
        cnnviz.widgets.sliding_kernel.errors.IllegalLayer: kernel_size 9 spans 9 rows, but the padded input has 7: ...
        >>> w.kernel_size, w.padding
        (5, 2)
        """
        new = settings.changed(self._now(), changes)
        if not self._cross_validation_lock:  # within hold_trait_notifications the whole is checked at the end
            new = settings.settled(new)
        self._take(new)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in settings.DEFAULTS:
            self.set(**{name: value})
        else:
            super().__setattr__(name, value)

    def _now(self) -> settings.State:
        return {name: getattr(self, name) for name in settings.DEFAULTS}

    def _take(self, new: Mapping[str, Any]) -> None:
        with self.hold_sync(), self.hold_trait_notifications():
            for name, value in new.items():
                if value is not getattr(self, name):
                    self.set_trait(name, value)

    @traitlets.validate(*settings.DEFAULTS)
    def _goes_together(self, proposal: dict) -> Any:
        settings.layer_of({**self._now(), proposal["trait"].name: proposal["value"]})
        return proposal["value"]

    def set_state(self, sync_data: dict[str, Any]) -> None:
        """Take what the view changed; refuse it as a whole, and say so there, when it is no layer."""
        try:
            super().set_state(sync_data)
            self._take(settings.settled(self._now()))
        except IllegalLayer as refusal:  # a jslink can bypass the sliders' bounds
            self.send_state([name for name in sync_data if name in settings.DEFAULTS])
            self.send({"kind": "refused", "message": str(refusal)})


class SlidingKernel(_Settings):
    """A kernel that slides over a picture, in the browser.

    Without arguments it opens on the first worked example of the lectures. Every argument is also a trait: it can be
    set, observed and linked afterwards.

    Parameters
    ----------
    image
        The picture: an array or nested list ``(height, width)`` or ``(channels, height, width)``, a torch tensor, a
        Pillow image, a path, or a name that `cnnviz.images.get` knows.
    kernel
        The weights in torch's layout, ``(height, width)`` for the same in all filters and channels, or a name that
        `cnnviz.kernels.names` lists.
    op
        "conv" (cross-correlation, as networks do it), "convolve" (true convolution), "transposed", "max_pool",
        "avg_pool"; "depthwise" is "conv" with as many groups as channels.
    kernel_size, stride, padding, dilation, groups, output_padding, ceil_mode, count_include_pad, divisor_override
        As in PyTorch; an int or an (h, w) pair. `stride` None: 1, and for pools the kernel's size.
    bias
        One number, or one for each filter.
    relu
        Whether negative outputs are set to 0.
    in_channels, filters, height, width
        Sizes that grow or crop the picture and the weights; filters is torch's out_channels.
    level
        1 kernel and picture, 2 with the geometry, 3 with channels and groups (None: the least that shows everything).
    **look
        Further traits (`angle`, `position`, `fill`, `speed`, `reveal`, `heatmap`, `predict`, ...) and `layout`.

    Raises
    ------
    IllegalLayer
        A `ValueError` that names what is wrong and what would work.

    Examples
    --------
    >>> SlidingKernel(kernel_size=3, stride=2, padding=1).output.tolist()
    [[[10.0, 11.0, 5.0], [15.0, 17.0, 8.0], [6.0, 4.0, 8.0]]]
    """

    def __init__(
        self,
        image: Any = None,
        kernel: Any = None,
        op: str = "conv",
        *,
        kernel_size: Any = None,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        output_padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = 0,
        bias: Any = 0,
        relu: bool = False,
        in_channels: int | None = None,
        filters: int | None = None,
        height: int | None = None,
        width: int | None = None,
        level: int | None = None,
        **look: Any,
    ) -> None:
        arguments = {name: value for name, value in locals().items() if name in settings.DEFAULTS}
        given = {name: value for name, value in arguments.items() if value is not None or name not in _MAY_BE_LEFT_OUT}
        given |= {name: value for name, value in look.items() if name not in _WIDGETS_OWN}
        self._opened_on = settings.opening(given)
        super().__init__(**self._opened_on, **{name: look[name] for name in look.keys() & _WIDGETS_OWN})

    @property
    def input(self) -> np.ndarray:
        """The picture as shown: `image` grown or cropped to ``(in_channels, height, width)``."""
        return trace.tile(self.image, (1, self.in_channels, self.height, self.width))[0]

    @property
    def weights(self) -> np.ndarray:
        """The weights in use, in torch's layout; a pool has none: an empty array."""
        shape = settings.layer_of(self._now()).weight_shape
        if not shape:
            return np.zeros((0,))
        return kernels.effective(self.kernel, shape, self.kernel_name, self.angle)

    @property
    def trace(self) -> trace.Trace:
        """The reference computation: every output value with the terms behind it, before `relu`."""
        layer, image = settings.layer_of(self._now()), self.input
        if layer.op == "max_pool":
            return trace.max_pool(image, layer.window)
        if layer.op == "avg_pool":
            return trace.avg_pool(image, layer.window, self.count_include_pad, self.divisor_override or None)
        bias = np.resize(np.asarray(self.bias, dtype=float), layer.filters)
        if layer.op == "transposed":
            return trace.transposed(image, self.weights, layer.window, bias, layer.groups, layer.output_padding)
        slide = trace.convolve if layer.op == "convolve" else trace.correlate
        return slide(image, self.weights, layer.window, bias, layer.groups)

    @property
    def output(self) -> np.ndarray:
        """The output ``(channels, height, width)``, as the layer itself would give it."""
        output = self.trace.output
        return np.maximum(output, 0) if self.relu else output

    def reset(self) -> None:
        """Go back to what the widget was opened on."""
        self._take(self._opened_on)


_WIDGETS_OWN = frozenset(anywidget.AnyWidget.class_trait_names())
