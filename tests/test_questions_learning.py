"""The exercises of notebook 06: right answers, the mistakes people make, and torch as the authority."""

import pytest
import torch

from cnnviz.exercises._learning import QUESTIONS

RIGHT = {
    "06-stability": [1 / 3, 2 / 6, torch.tensor(1 / 3, dtype=torch.float64)],
    "06-neuron-gradient": [[-0.5, 0.25, -0.25], torch.tensor([-0.5, 0.25, -0.25], requires_grad=True)],
}
# answer -> words of the hint that belongs to this mistake
WRONG = {
    "06-stability": [
        (2 / 3, "slope is 6w"),
        (1, "three times as narrow"),
        (1 / 6, "a single step"),
        (3, "curvature / 2"),
        (6, "6 is the curvature"),
        (2, "not 1"),
        (1.9 / 3, "momentum"),
        (0.33, "exactly"),
        (0.5, "how large is the curvature"),
    ],
    "06-neuron-gradient": [
        ([0.5, -0.25, 0.25], "signs"),
        ([-0.25, 0.125, -0.125], "Half"),
        ([-2, 1, -1], "sigmoid is left out"),
        ([-0.25, -0.25, -0.25], "error at z. Multiply"),
        ([-0.25, 0.25, -0.5], "weight, bias"),
        ([0.25, -0.5, -0.25], "input 2"),
        ([0.125, -0.0625, 0.0625], "loss itself"),
        ([-0.5, 0.25, 0], "learns too"),
        ([-0.5, 0.25], "bias is missing"),
        ([0, 0, 0], "z first"),
    ],
}


# The answers themselves, held to torch.


def size_after(rate: float, momentum: float = 0.0, steps: int = 400) -> float:
    """Descend 3w² from 1 and return how far from the bottom it ends."""
    w = torch.ones(1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([w], lr=rate, momentum=momentum)
    for _ in range(steps):
        optimizer.zero_grad()
        (3 * w**2).sum().backward()
        optimizer.step()
    return abs(w.item())


@pytest.mark.parametrize(("limit", "momentum"), [(QUESTIONS["06-stability"].right, 0.0), (1.9 / 3, 0.9)])
def test_the_bound_divides_shrinking_from_growing(limit: float, momentum: float) -> None:
    assert size_after(0.98 * limit, momentum) < 1e-3
    assert size_after(1.02 * limit, momentum) > 1e3


def test_the_gradient_is_autograds() -> None:
    parameters = torch.tensor([1.0, 1.0, -1.0], requires_grad=True)
    (torch.sigmoid(parameters @ torch.tensor([2.0, -1.0, 1.0])) - 1).square().backward()
    assert parameters.grad.tolist() == QUESTIONS["06-neuron-gradient"].right
