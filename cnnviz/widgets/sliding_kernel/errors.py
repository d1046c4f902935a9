"""Moved to widgets/_errors.py; this name goes once nobody uses it."""

from cnnviz.widgets._errors import IllegalLayer

__all__ = ["IllegalLayer"]
