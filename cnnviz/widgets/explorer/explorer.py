"""The explorer: Python runs the network, the browser draws what a layer makes of a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
import traitlets
from torch import Tensor, nn
from torch.nn import functional

from cnnviz._checks import _by, _short, _whole
from cnnviz.inside._layers import called, convolutions, find_layer, fitted, quiet
from cnnviz.inside._maps import constant, walk
from cnnviz.inside._patches import box_of, cut, fields_of, fit
from cnnviz.inside._pictures import Group, painted
from cnnviz.widgets._drawing import Drawing
from cnnviz.widgets._errors import IllegalLayer, refused
from cnnviz.widgets._shown import ShownWidget
from cnnviz.widgets.draw_pad.picture import percent
from cnnviz.widgets.explorer import picture as still

MOST = 48  # pictures: as many thumbnails as stand below a widget
THUMB = 32  # pixels a side
BEST = 9  # pieces of pictures
KEPT = 4  # pictures whose maps are remembered
AT_ONCE = 16  # pictures, while the strongest places are looked for
LARGEST = 32767  # of the whole numbers that values travel as
MOST_VALUES = 1 << 20  # of one layer: of larger maps every second row and column is sent, or fewer
LARGEST_PAGE = 6_000_000  # bytes of maps
FEW_WEIGHTS = 2_000_000  # a network with more is not doubled for a still picture


class Explorer(ShownWidget):
    """Choose a layer, a channel and a picture: see the maps, what a unit sees, and what excites a channel most.

    Parameters
    ----------
    model
        Any torch network of pictures, also one that is training at this moment; it is left as it was.
    pictures
        ``(N, C, H, W)``, a list of pictures, or what `load` returned: its test pictures. The first 48 are taken. What
        does not fit the network is converted, and the widget says so.
    classes
        Names of the classes; by default those of the data, or 0, 1, ...
    layer, channel, picture
        What is shown first: a layer that makes maps, by name or itself (None: the first), and two numbers.
    layout
        The widget's `ipywidgets.Layout`, or its settings.

    Raises
    ------
    ValueError
        For a network without convolutions, no pictures, or a layer, channel or picture that is not there.

    Examples
    --------
    >>> from cnnviz import inside, load, models
    >>> explorer = inside.explore(models.create("lenet5"), load("digits"))
    >>> explorer
    Explorer of lenet5: 8 layers with maps, 48 pictures
    features.0 (Conv2d) of picture 0: 6 maps of 28 x 28; channel 0
    >>> explorer.layer = "features.3"
    >>> explorer.maps.shape
    (16, 10, 10)
    """

    _folder = Path(__file__).parent
    layer = traitlets.Any().tag(sync=True)
    channel = traitlets.Any(0).tag(sync=True)
    picture = traitlets.Any(0).tag(sync=True)
    _fixed = traitlets.Dict().tag(sync=True)  # what the view has to know once
    _seen = traitlets.Dict().tag(sync=True)  # the maps of a layer for a picture
    _best = traitlets.Dict().tag(sync=True)  # what excites a channel most

    def __init__(
        self,
        model: nn.Module,
        pictures: Any,
        classes: Sequence[str] | None = None,
        layer: str | nn.Module | None = None,
        channel: int = 0,
        picture: int = 0,
        layout: Any = None,
    ) -> None:
        convolutions(model)  # refuses a network without
        self.model = model
        self._classes = [str(name) for name in (getattr(pictures, "classes", ()) if classes is None else classes)]
        self._pictures, said = _read(pictures, model)
        self._fields: dict[tuple, dict] = {}
        self._kept: dict[tuple, tuple[dict[str, Tensor], str]] = {}
        self._found: tuple[int, dict[str, tuple[Tensor, Tensor]]] = (-1, {})
        net = quiet(model)
        self._layers = {name: tuple(maps.shape[1:]) for name, maps in walk(net, self._batch(0)).items()}
        layers = [[name, type(net.get_submodule(name)).__name__, shape[0]] for name, shape in self._layers.items()]
        thumbs = b"".join(_thumb(one) for one in self._pictures)
        fixed = {"title": called(model), "said": said, "layers": layers, "count": len(self._pictures), "thumbs": thumbs}
        start = {"layer": next(iter(layers))[0] if layer is None else layer, "channel": channel, "picture": picture}
        super().__init__(_fixed=fixed, **start, **({} if layout is None else {"layout": layout}))
        self.on_msg(self._told)
        self.refresh()

    # ---- what is chosen --------------------------------------------------------------------------------------------

    def _named(self, layer: Any) -> str:
        """Return the name of a layer that makes maps."""
        if not isinstance(layer, str) or layer not in self._layers:
            layer = refused(lambda one: find_layer(self.model, one, nn.Module)[0], layer)
        if layer not in self._layers:
            some = ", ".join([*self._layers][:12])
            why = f"layer {_short(layer)} of {called(self.model)} makes no maps (N, C, H, W): use one of {some}"
            raise IllegalLayer(why)
        return layer

    @traitlets.validate("layer")
    def _is_layer(self, proposal: Any) -> str:
        return self._named(proposal["value"])

    @traitlets.validate("channel")
    def _is_channel(self, proposal: Any) -> int:
        layer = self._named(self.layer)  # which may have come together with the channel
        last = self._layers[layer][0] - 1
        return refused(lambda channel: _whole(f"channel of layer {layer}", channel, 0, last), proposal["value"])

    @traitlets.validate("picture")
    def _is_picture(self, proposal: Any) -> int:
        return refused(lambda number: _whole("picture", number, 0, len(self._pictures) - 1), proposal["value"])

    @traitlets.observe("layer", "picture")
    def _chosen(self, _: Any) -> None:
        if self.channel >= self._layers[self.layer][0]:
            self.channel = 0
        self.refresh()

    def _told(self, _: Any, content: Any, __: Any) -> None:
        try:
            if content.get("kind") == "best":
                self._best = self._best_now()
            elif content.get("kind") == "again":
                self.refresh()
        except Exception as error:  # it would show nowhere
            self.refuse(f"{type(error).__name__}: {error}")

    # ---- what is seen ----------------------------------------------------------------------------------------------

    @property
    def maps(self) -> np.ndarray:
        """The maps that are shown, (C, h, w)."""
        return self._walked()[0][self.layer][0].cpu().numpy()

    @property
    def best(self) -> list[tuple[int, float]]:
        """The pictures at which the channel is strongest, each with how strong."""
        best = self._best_now()
        return list(zip(best["numbers"], best["strengths"], strict=True))

    def refresh(self) -> None:
        """Show the network as it is now; nothing is done if neither it nor the choice has changed."""
        try:
            now = [self.layer, self.picture, self._version()]
            if self._seen.get("of") != now:
                self._seen = {"of": now, **self._seen_of(self.layer)}
        except Exception as error:  # a user's model may raise anything
            self._seen = {"of": [], "error": f"{type(error).__name__}: {error}"[:300]}

    def _version(self) -> int:
        """Return a number that grows with each change of the weights."""
        return sum(0 if one.is_inference() else one._version for one in self.model.parameters())

    def _batch(self, number: int) -> Tensor:
        return self._pictures[number].to(next(self.model.parameters()))

    def _walked(self) -> tuple[dict[str, Tensor], str]:
        """Return the maps of all layers for the picture, and what the network says to it."""
        key = self.picture, self._version()
        if key not in self._kept:
            net, said = quiet(self.model), []
            net.register_forward_hook(lambda _, __, output: said.append(self._words(output)))
            self._kept[key] = walk(net, self._batch(self.picture)), said[-1]
            while len(self._kept) > KEPT:
                del self._kept[next(iter(self._kept))]
        return self._kept[key]

    def _words(self, output: Any) -> str:
        """Write the two likeliest classes, if the output is scores."""
        if not isinstance(output, Tensor) or output.dim() != 2 or output.shape[1] < 2:
            return ""
        shares, numbers = output[0].float().softmax(0).topk(2)
        names = [self._classes[n][:20] if n < len(self._classes) else str(n) for n in numbers.tolist()]
        both = [f"{name} ({percent(share)})" for name, share in zip(names, shares.tolist(), strict=True)]
        return " or ".join(both if shares[1] >= 0.005 else both[:1])

    def _seen_of(self, layer: str) -> dict[str, Any]:
        walked, said = self._walked()
        maps = walked[layer][0].nan_to_num()
        skip = math.ceil(math.sqrt(maps.numel() / MOST_VALUES))
        sent = maps[:, ::skip, ::skip]
        scale = float(maps.abs().max()) or 1.0
        values = (sent * (LARGEST / scale)).round().to(torch.int16).cpu().numpy()
        batch = self._pictures[self.picture]
        field = self._field(batch, layer)
        return {
            "shape": list(values.shape),
            "skip": skip,
            "scale": scale,
            "signed": bool((maps < 0).any()),
            "dead": sorted(constant(maps)),
            "field": None if field is None else [list(part) for part in field],
            "said": said,
            "size": list(batch.shape[2:]),
            "input": _colours(batch[0].float().cpu().numpy()).tobytes(),
            "maps": values.astype("<i2").tobytes(),
        }

    def _field(self, batch: Tensor, layer: str) -> Any:
        """Return what a unit of a layer sees of a picture of this size."""
        size = tuple(batch.shape)
        if size not in self._fields:
            self._fields[size] = fields_of(quiet(self.model), batch.to(self._batch(0)), list(self._layers))
        return self._fields[size][layer]

    def _best_now(self) -> dict[str, Any]:
        if self._found[0] != self._version():
            self._found = self._version(), self._strongest()
        values, places = (part[:, self.channel] for part in self._found[1][self.layer])
        order = values.argsort(descending=True, stable=True)[:BEST].tolist()
        pieces = [self._piece(n, int(places[n])) for n in order]
        side = tuple(max(sides) for sides in zip(*(piece.shape[1:] for piece in pieces), strict=True))
        pixels = [_colours(cut(piece, (0, 0, *side))) for piece in pieces]
        return {
            "of": [self.layer, self.channel],
            "numbers": order,
            "strengths": values[order].tolist(),
            "side": list(side),
            "pixels": np.stack(pixels).tobytes(),
        }

    def _strongest(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Return for each layer how strong each channel is at most, (pictures, channels), and the unit where."""
        net, found = quiet(self.model), {name: [] for name in self._layers}
        for _, same in groupby(range(len(self._pictures)), lambda n: (self._pictures[n].shape, n // AT_ONCE)):
            for name, maps in walk(net, torch.cat([self._batch(n) for n in same])).items():
                units = torch.arange(maps[0, 0].numel(), device=maps.device).view(maps.shape[2:])
                at = maps.flatten(2).argmax(2)
                rows, columns = at // units.shape[1], at % units.shape[1]
                found[name].append((maps.flatten(2).amax(2).cpu(), (rows << 16 | columns).cpu()))
        return {name: tuple(map(torch.cat, zip(*parts, strict=True))) for name, parts in found.items()}

    def _piece(self, number: int, place: int) -> np.ndarray:
        batch = self._pictures[number]
        box = box_of(self._field(batch, self.layer), divmod(place, 1 << 16), batch.shape[2:])
        return cut(batch[0].float().cpu().numpy(), box)

    # ---- for pages without a kernel --------------------------------------------------------------------------------

    def __repr__(self) -> str:
        channels, *size = self._layers[self.layer]
        kind = type(self.model.get_submodule(self.layer)).__name__
        maps = f"{channels} maps of {_by(size, ' x ')}"
        head = f"Explorer of {called(self.model)}: {len(self._layers)} layers with maps, {len(self._pictures)} pictures"
        return f"{head}\n{self.layer} ({kind}) of picture {self.picture}: {maps}; channel {self.channel}"

    def _page_state(self) -> dict[str, Any]:
        """Add what Python would be asked for: all layers of the picture, if they are not too much for a page."""
        of_all = {name: self._seen_of(name) for name in self._layers}
        small = sum(len(seen["maps"]) for seen in of_all.values()) < LARGEST_PAGE
        return {**super()._page_state(), "_best": self._best_now(), "_of_all": of_all if small else {}}

    def _still(self) -> Drawing:
        net, batch = quiet(self.model), self._pictures[self.picture]
        if sum(parameter.numel() for parameter in net.parameters()) < FEW_WEIGHTS:
            net, batch = net.double(), batch.double()  # every machine draws the same
        maps = walk(net, batch.to(next(net.parameters()).device), self.layer)[self.layer][0].cpu().numpy()
        return still.draw(repr(self), _colours(batch[0].float().cpu().numpy()), maps, self.channel)


def explore(model: nn.Module, pictures: Any, **start: Any) -> Explorer:
    """Return an `Explorer` of a network: layers, channels and pictures to choose from, hover and zoom."""
    return Explorer(model, pictures, **start)


def _read(pictures: Any, model: nn.Module) -> tuple[list[Tensor], str]:
    """Return the pictures as batches of one that the network takes, and what was changed."""
    pictures = getattr(pictures, "test_x", pictures)
    if isinstance(pictures, (str, nn.Module)) or not hasattr(pictures, "__len__") or not len(pictures):
        raise ValueError(f"pictures {_short(pictures)} are none: use a tensor (N, C, H, W), or what load returned")
    first, said = fitted(pictures[0], model)
    taken = range(min(MOST, len(pictures)))
    more = f"the first {MOST} of {len(pictures)} pictures" if len(pictures) > MOST else ""
    said = said.replace("the picture was", "the first picture was")
    return [fit(pictures[n], model, first).cpu() for n in taken], ". ".join(filter(None, (said, more)))


def _colours(picture: np.ndarray) -> np.ndarray:
    """Return a picture (C, H, W) as colours (H, W, 3); other than one or three channels become their mean."""
    picture = picture if len(picture) == 3 else picture.mean(0)
    return painted(Group([picture], palette="picture"))[0]


def _thumb(batch: Tensor) -> bytes:
    small = functional.interpolate(batch.float(), size=(THUMB, THUMB), mode="bilinear", antialias=True)
    return _colours(small[0].numpy()).tobytes()
