"""A network's layers, channels and pictures, to be leafed through."""

from cnnviz.widgets.explorer.explorer import Explorer, explore

__all__ = ["Explorer", "explore"]
