"""Multiply-adds counted while four convolutions fill their outputs."""

from cnnviz.widgets.odometer.odometer import MacOdometer

__all__ = ["MacOdometer"]
