"""A square that is dragged over a picture, and the network's probabilities under it."""

from cnnviz.widgets.occluder.occluder import Occluder

__all__ = ["Occluder"]
