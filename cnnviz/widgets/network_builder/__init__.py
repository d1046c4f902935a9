"""A stack of layers to build by hand, with the bill of each."""

from cnnviz.widgets.network_builder.network_builder import NetworkBuilder

__all__ = ["NetworkBuilder"]
