"""A neural ODE: the residual block x + f(x) as one Euler step of dx/dt = f(x, t), taken in as many steps as one likes.

Chen, Rubanova, Bettencourt, Duvenaud: Neural Ordinary Differential Equations, NeurIPS 2018 (arXiv 1806.07366),
section 3: the ODE-Net for MNIST.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cnnviz._checks import _whole
from cnnviz.models._network import Network
from cnnviz.models._registry import register

STEPPING = ("euler", "midpoint", "rk4")  # take `steps` equal steps; the others choose their own, to `tolerance`
ADAPTIVE = ("dopri5", "dopri8", "bosh3", "adaptive_heun")


class Derivative(nn.Module):
    """f(x, t): two 3x3 convolutions, each of which also reads the time as one more channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1, self.norm2, self.norm3 = (group_norm(channels) for _ in range(3))
        self.relu1, self.relu2 = nn.ReLU(), nn.ReLU()
        self.conv1, self.conv2 = (nn.Conv2d(channels + 1, channels, 3, padding=1) for _ in range(2))
        self.evaluations = 0

    def forward(self, t: Tensor, x: Tensor) -> Tensor:
        """Return dx/dt, of the shape of x; the argument order is torchdiffeq's."""
        self.evaluations += 1
        x = self.conv1(with_time(self.relu1(self.norm1(x)), t))
        x = self.conv2(with_time(self.relu2(self.norm2(x)), t))
        return self.norm3(x)


def with_time(x: Tensor, t: Tensor) -> Tensor:
    """Return x with one more channel that holds t everywhere."""
    return torch.cat([x, torch.ones_like(x[:, :1]) * t], dim=1)


def group_norm(channels: int) -> nn.GroupNorm:
    """Return group norm, in at most 32 groups: batch norm would mix the times at which f is called."""
    return nn.GroupNorm(max(groups for groups in range(1, 33) if channels % groups == 0), channels)


class ODEBlock(nn.Module):
    """x at time 0 to x at time 1. ``method``, ``steps`` and ``tolerance`` may change at any time, also after training.

    Examples
    --------
    >>> block = ODEBlock(8, "euler", steps=1, tolerance=1e-3)
    >>> x = torch.randn(2, 8, 6, 6)
    >>> torch.equal(block(x), x + block.derivative(torch.tensor(0.0), x))  # one Euler step is a residual block
    True
    """

    def __init__(self, channels: int, method: str, steps: int, tolerance: float) -> None:
        super().__init__()
        self.derivative = Derivative(channels)
        self.method, self.steps, self.tolerance = method, steps, tolerance

    def forward(self, x: Tensor) -> Tensor:
        """Return x at time 1, of the same shape; ``derivative.evaluations`` then says how often f was called."""
        self.derivative.evaluations = 0
        check_method(self.method, self.steps, self.tolerance)
        if self.method != "euler":
            return self._solve(x)
        for step in range(self.steps):
            time = torch.full((), step / self.steps, dtype=x.dtype, device=x.device)
            x = x + self.derivative(time, x) / self.steps
        return x

    def _solve(self, x: Tensor) -> Tensor:
        options = {"step_size": 1 / self.steps} if self.method in STEPPING else None
        times = torch.tensor([0.0, 1.0], dtype=x.dtype, device=x.device)
        solution = solver()(
            self.derivative, x, times, rtol=self.tolerance, atol=self.tolerance, method=self.method, options=options
        )
        return solution[1]


def solver():  # noqa: ANN201 (a function of an optional package)
    """Return torchdiffeq's ``odeint``.

    Raises
    ------
    ImportError
        If the package is missing; the text says how to get it, and what works without.
    """
    try:
        from torchdiffeq import odeint
    except ImportError as error:
        raise ImportError(
            "every method but 'euler' needs the package torchdiffeq: pip install torchdiffeq, or use method='euler'"
        ) from error
    return odeint


def check_method(method: str, steps: int, tolerance: float) -> None:
    """Refuse what the block cannot solve with."""
    known = (*STEPPING, *ADAPTIVE)
    if method not in known:
        raise ValueError(f"method {method!r} is not known: use {' or '.join(map(repr, known))}")
    _whole("steps", steps, 1)
    if isinstance(tolerance, bool) or not isinstance(tolerance, (int, float)) or not 0 < tolerance < 1:
        raise ValueError(f"tolerance {tolerance!r} is not a number between 0 and 1")


class ODENet(Network):
    """Three convolutions that quarter the picture, one ODE, an average and one dense layer."""

    def __init__(
        self, num_classes: int, in_channels: int, method: str, steps: int, tolerance: float, channels: int
    ) -> None:
        super().__init__()
        _whole("channels", channels, 1)
        check_method(method, steps, tolerance)
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, channels, 3), group_norm(channels), nn.ReLU(),  # 28x28 -> 26x26
            nn.Conv2d(channels, channels, 4, 2, 1), group_norm(channels), nn.ReLU(),  # 13x13
            nn.Conv2d(channels, channels, 4, 2, 1),  # 6x6
        )  # fmt: skip
        self.ode = ODEBlock(channels, method, steps, tolerance)
        self.classifier = nn.Sequential(
            group_norm(channels), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, num_classes)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return one score a class."""
        return self.classifier(self.ode(self.stem(x)))


@register
def odenet(
    num_classes: int = 10, in_channels: int = 1, method: str = "euler", steps: int = 4, tolerance: float = 1e-3,
    channels: int = 64,
) -> ODENet:  # fmt: skip
    """Return the ODE-Net, for 28x28 or 32x32 pictures: 208,266 parameters.

    It is the one in the example of the authors' package torchdiffeq, where the paper's table says 0.22 million. That
    example can also quarter the picture with two residual blocks in place of two convolutions: 232,970 parameters.

    Parameters
    ----------
    method
        "euler"; or, with torchdiffeq installed, "midpoint", "rk4", or an adaptive one such as the paper's "dopri5".
    steps
        How many equal steps "euler", "midpoint" and "rk4" take. ``net.ode.steps = 8`` changes it at test time.
    tolerance
        Of an adaptive method, absolute and relative.
    channels
        Width of the network.

    Examples
    --------
    >>> net = odenet(channels=8, steps=3)
    >>> net(torch.zeros(2, 1, 32, 32)).shape, net.ode.derivative.evaluations
    (torch.Size([2, 10]), 3)
    """
    return ODENet(num_classes, in_channels, method, steps, tolerance, channels)
