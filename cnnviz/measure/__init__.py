"""What a network costs: counted on tensors without values, or measured with the clock of this machine.

`cost_table` counts parameters, multiply-adds and activations. `latency` takes the time of a module, and
`roofline` measures how fast this machine computes and copies, and says which of the two holds a layer up.
`race` sets a standard convolution against its separable form over a grid: multiply-adds, prediction, clock;
`recorded` has such races of other machines.
`surfaces` computes what the separable form costs of the standard one.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from cnnviz.measure._counting import ForwardFailed, cost_table, module_of, native_size

if TYPE_CHECKING:
    from cnnviz.audit import audit
    from cnnviz.measure._latency import Latency, latency
    from cnnviz.measure._race import Lap, Race, race, recorded
    from cnnviz.measure._roofline import Roofline, roofline
    from cnnviz.measure._surfaces import surfaces

_HOMES = {  # what a bill does not need is loaded when it is asked for
    "audit": "cnnviz.audit",
    "Latency": "cnnviz.measure._latency",
    "latency": "cnnviz.measure._latency",
    "Lap": "cnnviz.measure._race",
    "Race": "cnnviz.measure._race",
    "race": "cnnviz.measure._race",
    "recorded": "cnnviz.measure._race",
    "Roofline": "cnnviz.measure._roofline",
    "roofline": "cnnviz.measure._roofline",
    "surfaces": "cnnviz.measure._surfaces",
}
__all__ = [
    "ForwardFailed",
    "Lap",
    "Latency",
    "Race",
    "Roofline",
    "audit",
    "cost_table",
    "latency",
    "module_of",
    "native_size",
    "race",
    "recorded",
    "roofline",
    "surfaces",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'cnnviz.measure' has no attribute {name!r}")
