"""Look inside a network: its filters, its maps, and which pixels a score hangs on.

Works on any torch network of pictures, ours or your own. The network itself is never touched: each function works on a
copy that shares the weights, so that modes, hooks and gradients stay as they were, even while it is being trained.

>>> from cnnviz import inside
>>> inside.__all__[:4]
['Curve', 'Pictures', 'agreement', 'deconvnet']

Every name is looked up on first use: matplotlib and captum (https://captum.ai, which the attributions come from) are
loaded by what needs them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cnnviz.inside._attribution import deconvnet, grad_cam, guided_backpropagation, occlusion, saliency
    from cnnviz.inside._filters import filters
    from cnnviz.inside._maps import feature_maps
    from cnnviz.inside._maximise import maximise
    from cnnviz.inside._patches import top_patches
    from cnnviz.inside._pictures import Pictures
    from cnnviz.inside._sanity import Curve, agreement, deletion, fool, randomised
    from cnnviz.widgets.explorer import explore

__all__ = [
    "Curve",
    "Pictures",
    "agreement",
    "deconvnet",
    "deletion",
    "explore",
    "feature_maps",
    "filters",
    "fool",
    "grad_cam",
    "guided_backpropagation",
    "maximise",
    "occlusion",
    "randomised",
    "saliency",
    "top_patches",
]

_HOMES = {  # module -> the public names in it
    "cnnviz.inside._attribution": ("deconvnet", "grad_cam", "guided_backpropagation", "occlusion", "saliency"),
    "cnnviz.inside._filters": ("filters",),
    "cnnviz.inside._maps": ("feature_maps",),
    "cnnviz.inside._maximise": ("maximise",),
    "cnnviz.inside._patches": ("top_patches",),
    "cnnviz.inside._pictures": ("Pictures",),
    "cnnviz.inside._sanity": ("Curve", "agreement", "deletion", "fool", "randomised"),
    "cnnviz.widgets.explorer": ("explore",),
}


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names:
            globals()[name] = value = getattr(import_module(home), name)
            return value
    raise AttributeError(f"module 'cnnviz.inside' has no attribute {name!r}: use one of {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
