"""The moving kernel: traits in Python, everything that moves in the browser."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anywidget
import numpy as np

from cnnviz import trace
from cnnviz._checks import _either
from cnnviz.widgets._drawing import Drawing
from cnnviz.widgets._errors import IllegalLayer, refused
from cnnviz.widgets.sliding_kernel import animation, arrays, layers, picture, presets, scene, settings, share
from cnnviz.widgets.sliding_kernel.code import format_code, parse_code
from cnnviz.widgets.sliding_kernel.traits import SettingsWidget

_MAY_BE_LEFT_OUT = ("image", "kernel", "kernel_size", "in_channels", "filters", "height", "width", "level")


class SlidingKernel(SettingsWidget):
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
    shuffle
        Level 3: a second layer of as many filters and groups behind this one (its wires, no numbers): True with the
        channels shuffled in between, False without, None for no second layer. As a trait "on", "off" and "".
    ink
        Level 3: the channel that a drop of ink falls into; the wires show where it arrives. None (-1): none.
    **look
        Further traits (`angle`, `position`, `fill`, `speed`, `reveal`, `heatmap`, `predict`, ...) and `layout`.

    Raises
    ------
    IllegalLayer
        A `ValueError` that names what is wrong and what would work.

    Examples
    --------
    >>> SlidingKernel(kernel_size=3, stride=2, padding=1).output.tolist()
    [[[6.0, 17.0, 3.0], [8.0, 17.0, 13.0], [6.0, 4.0, 4.0]]]
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
        shuffle: bool | None = None,
        ink: int | None = None,
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
        return scene.weights_of(self._now(), settings.layer_of(self._now()))

    @property
    def trace(self) -> trace.Trace:
        """The reference computation: every output value with the terms behind it, before `relu`."""
        return scene.traced(self._now(), settings.layer_of(self._now()), self.input, self.weights)

    @property
    def output(self) -> np.ndarray:
        """The output ``(channels, height, width)``, as the layer itself would give it."""
        output = self.trace.output
        return np.maximum(output, 0) if self.relu else output

    def __repr__(self) -> str:
        return scene.scene_of(self._now()).plain_text()

    def _still(self) -> Drawing:
        return picture.draw(scene.scene_of(self._now()))

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the widget to a file, and return its path; another ending or a missing folder is an error.

        Parameters
        ----------
        path
            The ending says what is written: .html, one page with live sliders that needs neither kernel nor network and
            takes a share string (`state`) behind its #; .gif, an animation with one frame for each output cell (for
            more than 100 cells, 100 steps), `speed` frames a second; .png or .svg, the picture as it stands.
        """
        return super().save(path)

    def _writers(self) -> dict[str, Callable[[Path], Any]]:
        html, *others = super()._writers().items()
        return dict([html, (".gif", lambda target: animation.write(scene.scene_of(self._now()), target)), *others])

    def _page_state(self) -> dict[str, Any]:
        return {**super()._page_state(), "playing": False}

    @property
    def code(self) -> str:
        """The line of PyTorch that builds the layer; setting it reads such a line, without ever evaluating it."""
        return format_code(self._now())

    @code.setter
    def code(self, line: str) -> None:
        self.set(**refused(parse_code, line))

    @property
    def state(self) -> str:
        """Everything but a large picture as a short text, for a link or a QR code; setting it opens such a text."""
        return share.encode_state(self._now())

    @state.setter
    def state(self, text: str) -> None:
        opened = refused(share.decode_state, text)
        kept = {"playing", "states", *(name for name, value in opened.items() if value is None)}
        fresh = {**settings.DEFAULTS, **opened}
        read = {name: settings.read(name, value) for name, value in fresh.items() if name not in kept}
        self._take(settings.settled({**self._now(), **read}))

    def reset(self) -> None:
        """Go back to what the widget was opened on."""
        self._take({**self._opened_on, "states": self.states})

    def bind(self, key: int | str, state: str | None = None) -> None:
        """Keep a state under a key from 1 to 9, which opens it when pressed on the picture.

        Parameters
        ----------
        key
            1 to 9.
        state
            A share string, the name of a preset, or None for the state that is shown.

        >>> w = SlidingKernel()
        >>> w.bind(1, "padding_strides")
        """
        if isinstance(key, bool) or str(key) not in tuple("123456789"):
            raise IllegalLayer(f"key {key!r} cannot be bound: use 1 to 9")
        if state is None:
            text = self.state
        elif state in presets.names():
            text = share.encode_state(settings.opening(presets.settings_of(state)))
        elif isinstance(state, str) and state.startswith(share.MARK):
            refused(share.decode_state, state)
            text = state
        else:
            works = f"use a text that begins with {share.MARK}, or {_either(presets.names())}"
            raise IllegalLayer(f"{arrays.shortened(state)} is neither a share string nor a preset: {works}")
        self.states = {**self.states, str(key): text}

    @classmethod
    def from_layer(cls, layer: Any, image: Any = None, **look: Any) -> SlidingKernel:
        """Show a torch layer with its own weights on a picture.

        Parameters
        ----------
        layer
            An `nn.Conv2d`, `nn.ConvTranspose2d`, `nn.MaxPool2d` or `nn.AvgPool2d`, with any of their options except a
            `padding_mode` other than "zeros".
        image
            A picture with as many channels as the layer reads; None: the lectures' small grid, in as many channels.
        **look
            Further arguments of `SlidingKernel`, such as `level` or `relu`.

        Raises
        ------
        IllegalLayer
            A `ValueError` that says why this layer cannot be shown.
        """
        return cls(**{**layers.settings_of(layer, image), **look})

    @classmethod
    def preset(cls, name: str, **look: Any) -> SlidingKernel:
        """Open one of the layers that `presets` lists.

        >>> SlidingKernel.preset("full_padding_no_strides").output.shape
        (1, 7, 7)
        """
        return cls(**{**refused(presets.settings_of, name), **look})

    @staticmethod
    def presets() -> tuple[str, ...]:
        """Names for `preset`: the fifteen animations of Dumoulin and Visin's guide, and four with numbers."""
        return presets.names()


_WIDGETS_OWN = frozenset(anywidget.AnyWidget.class_trait_names())
