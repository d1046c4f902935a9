"""Moved to widgets/_drawing.py; this name goes once nobody uses it."""

from cnnviz.widgets._drawing import Drawing, Words, to_base64, to_image, to_svg

__all__ = ["Drawing", "Words", "to_base64", "to_image", "to_svg"]
