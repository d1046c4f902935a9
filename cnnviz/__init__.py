"""Convolutional networks that you can watch at work, in Jupyter notebooks.

>>> import cnnviz
>>> cnnviz.Window(kernel_size=3, stride=2).output_size((7, 7))
(3, 3)

Every public name is looked up on first use, so ``import cnnviz`` is quick: NumPy, torch, matplotlib and plotly are
loaded by the names that need them.
"""

from __future__ import annotations  # so that an old Python reaches the plain sentence in __main__.py

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cnnviz import diagrams, images, inside, kernels, measure, models, reuse, trace
    from cnnviz.comparison import compare
    from cnnviz.cost import conv_cost, linear_cost, separable_cost
    from cnnviz.data import load
    from cnnviz.exercises import check
    from cnnviz.geometry import Window, receptive_field
    from cnnviz.history import History
    from cnnviz.measure import cost_table
    from cnnviz.training import fit
    from cnnviz.widgets.draw_pad import DrawPad
    from cnnviz.widgets.live_plot import LivePlot, compare_runs
    from cnnviz.widgets.network_builder import NetworkBuilder
    from cnnviz.widgets.occluder import Occluder
    from cnnviz.widgets.odometer import MacOdometer
    from cnnviz.widgets.picture_box import PictureBox
    from cnnviz.widgets.receptive_field import ReceptiveField
    from cnnviz.widgets.sliding_kernel import SlidingKernel

__version__ = "0.1.0"
__all__ = [
    "DrawPad",
    "History",
    "LivePlot",
    "MacOdometer",
    "NetworkBuilder",
    "Occluder",
    "PictureBox",
    "ReceptiveField",
    "SlidingKernel",
    "Window",
    "check",
    "compare",
    "compare_runs",
    "conv_cost",
    "cost_table",
    "diagrams",
    "fit",
    "images",
    "inside",
    "kernels",
    "linear_cost",
    "load",
    "measure",
    "models",
    "receptive_field",
    "reuse",
    "separable_cost",
    "trace",
]

# public name -> (its module, the name inside it; "" stands for the module itself)
_HOMES = {
    "DrawPad": ("cnnviz.widgets.draw_pad", "DrawPad"),
    "History": ("cnnviz.history", "History"),
    "LivePlot": ("cnnviz.widgets.live_plot", "LivePlot"),
    "MacOdometer": ("cnnviz.widgets.odometer", "MacOdometer"),
    "NetworkBuilder": ("cnnviz.widgets.network_builder", "NetworkBuilder"),
    "Occluder": ("cnnviz.widgets.occluder", "Occluder"),
    "PictureBox": ("cnnviz.widgets.picture_box", "PictureBox"),
    "ReceptiveField": ("cnnviz.widgets.receptive_field", "ReceptiveField"),
    "SlidingKernel": ("cnnviz.widgets.sliding_kernel", "SlidingKernel"),
    "Window": ("cnnviz.geometry", "Window"),
    "check": ("cnnviz.exercises", "check"),
    "compare": ("cnnviz.comparison", "compare"),
    "compare_runs": ("cnnviz.widgets.live_plot", "compare_runs"),
    "conv_cost": ("cnnviz.cost", "conv_cost"),
    "cost_table": ("cnnviz.measure", "cost_table"),
    "diagrams": ("cnnviz.diagrams", ""),
    "fit": ("cnnviz.training", "fit"),
    "images": ("cnnviz.images", ""),
    "inside": ("cnnviz.inside", ""),
    "kernels": ("cnnviz.kernels", ""),
    "linear_cost": ("cnnviz.cost", "linear_cost"),
    "load": ("cnnviz.data", "load"),
    "measure": ("cnnviz.measure", ""),
    "models": ("cnnviz.models", ""),
    "receptive_field": ("cnnviz.geometry", "receptive_field"),
    "reuse": ("cnnviz.reuse", ""),
    "separable_cost": ("cnnviz.cost", "separable_cost"),
    "trace": ("cnnviz.trace", ""),
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'cnnviz' has no attribute {name!r}: its public names are {', '.join(__all__)}")
    module_name, inner = _HOMES[name]
    module = import_module(module_name)
    value = getattr(module, inner) if inner else module
    globals()[name] = value  # the next look-up is an ordinary one
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
