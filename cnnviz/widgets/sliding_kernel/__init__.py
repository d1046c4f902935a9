"""The moving kernel."""

from cnnviz.widgets._errors import IllegalLayer
from cnnviz.widgets.sliding_kernel.sliding_kernel import SlidingKernel

__all__ = ["IllegalLayer", "SlidingKernel"]
