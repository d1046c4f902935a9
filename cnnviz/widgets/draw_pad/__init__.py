"""A pad to draw digits on, and the network that reads them."""

from cnnviz.widgets.draw_pad.draw_pad import DrawPad

__all__ = ["DrawPad"]
