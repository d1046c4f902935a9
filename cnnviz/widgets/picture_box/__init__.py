"""A box to put pictures of one's own into, class by class."""

from cnnviz.widgets.picture_box.picture_box import PictureBox

__all__ = ["PictureBox"]
