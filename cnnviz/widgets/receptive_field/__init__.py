"""The receptive field of one output unit, grown back through a stack of layers to the picture."""

from cnnviz.widgets.receptive_field.receptive_field import ReceptiveField

__all__ = ["ReceptiveField"]
