"""Holds the numbers on the page to torch."""

from __future__ import annotations

import numpy as np

from tests.browser.kernel_view import KernelView
from tests.browser.lab import LabPage

MOST_SPOKEN = 400  # output cells that the text for screen readers lists

# In the notebook's kernel: torch's own answer for the filter that the view shows.
TORCH_OUTPUT = """
def torch_output(w):
    x = torch.tensor(w.input, dtype=torch.float64)[None]
    k = torch.tensor(w.weights, dtype=torch.float64)
    one = dict(stride=w.stride, padding=w.padding)
    if w.op == "max_pool":
        y = F.max_pool2d(x, w.kernel_size, dilation=w.dilation, ceil_mode=w.ceil_mode, **one)
    elif w.op == "avg_pool":
        y = F.avg_pool2d(x, w.kernel_size, ceil_mode=w.ceil_mode, count_include_pad=w.count_include_pad, **one)
    elif w.op == "transposed":
        y = F.conv_transpose2d(x, k, None, w.stride, w.padding, w.output_padding, w.groups, w.dilation)
    else:
        k = k.flip(2, 3) if w.op == "convolve" else k
        y = F.conv2d(x, k, dilation=w.dilation, groups=w.groups, **one)
    y = y + w.bias
    return (F.relu(y) if w.relu else y)[0]
"""


def torch_output(lab: LabPage) -> np.ndarray:
    """What torch computes for the layer that w stands for in Python, for the filter on show."""
    lab.ask(TORCH_OUTPUT)
    text = lab.ask("print(torch_output(w)[w.filter].tolist())")
    return np.array(eval(text, {}))


def agrees_with_torch(lab: LabPage, view: KernelView) -> None:
    for _ in range(20):  # Python follows a drag a moment later, and so do the words for screen readers
        true = torch_output(lab)
        sizes = "x".join(str(size) for size in true.shape)
        if view.layer().endswith(sizes):
            if true.size > MOST_SPOKEN:
                return
            shown = view.output()
            if shown.shape == true.shape and np.allclose(shown, true, rtol=1e-3, atol=1e-3):
                return
        view.page.wait_for_timeout(100)
    assert view.layer().endswith(sizes)
    np.testing.assert_allclose(view.output(), true, rtol=1e-3, atol=1e-3)
