"""Curves of training runs as they grow, with the controls of the training."""

from cnnviz.widgets.live_plot.live_plot import LivePlot, compare_runs

__all__ = ["LivePlot", "compare_runs"]
