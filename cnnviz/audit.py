"""The count audit: what one network costs by every convention in use, beside the figures that were published.

Papers, slides and counting tools disagree by a few per cent, or by a factor of two, and seldom say what they counted.
Here each convention is a line, and each published figure is set beside the line that reproduces it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, NamedTuple

from cnnviz._checks import _either
from cnnviz._tables import Line, as_html, as_text
from cnnviz.cost import CostTable, Other


class Step(NamedTuple):
    """A convention: everything up to this line, as MACs with the rest counted one by one, and as FLOPs."""

    counted: str
    macs: int
    flops: int


class Published(NamedTuple):
    """A figure of a paper or of the lectures, as printed: in the unit it claims, to the last digit it gives."""

    figure: float
    digit: float  # what its last printed digit stands for
    claims: str  # "FLOPs", "MACs" or "parameters"
    source: str
    words: str = ""  # what is known about how it came about
    step: int = 0  # the line that it counts up to
    side: int = 224  # of the square colour picture that it is for


HE = "He et al., Deep Residual Learning, table 1"
HE_ON_VGG = "He et al., Deep Residual Learning, on VGG"
VGG_TABLE = "Simonyan and Zisserman, table 2"
HOWARD = "Howard et al., MobileNets, tables 6 and 7"
FIRST_1X1 = "Its bottleneck strides in the first 1x1, which makes {} billion MACs; the form in use strides in the 3x3."
INCEPTION = "Szegedy et al., Rethinking the Inception Architecture"
TIMES = "about 2.5 times GoogLeNet's 1.5"
V2 = "The paper prints the channels between its blocks, not the widths inside them; here these are v3's."
V3 = "It does not say how it counted the network that was released."
BUDGET = "It is the budget that its authors set themselves."
CUT = "The paper cuts its digits off where others round."
CONVOLUTIONS = "Its convolutions alone are 15.35."
PAPERS = {
    "alexnet_2012": [Published(60e6, 1e6, "parameters", "Krizhevsky et al., ImageNet Classification, abstract", CUT)],
    "googlenet_2014": [Published(1.5e9, 1e8, "MACs", "Szegedy et al., Going Deeper, section 1", BUDGET)],
    "resnet18": [Published(1.8e9, 1e8, "FLOPs", HE)],
    "resnet34": [Published(3.6e9, 1e8, "FLOPs", HE, CUT)],
    "resnet50": [Published(3.8e9, 1e8, "FLOPs", HE, f"{FIRST_1X1.format(3.858)} {CUT}")],
    "resnet101": [Published(7.6e9, 1e8, "FLOPs", HE, FIRST_1X1.format("7.570"))],
    "resnet152": [Published(11.3e9, 1e8, "FLOPs", HE, FIRST_1X1.format(11.282))],
    "vgg16": [
        Published(15.3e9, 1e8, "FLOPs", HE_ON_VGG, CONVOLUTIONS),
        Published(138e6, 1e6, "parameters", VGG_TABLE),
    ],
    "vgg19": [Published(19.6e9, 1e8, "FLOPs", HE_ON_VGG), Published(144e6, 1e6, "parameters", VGG_TABLE)],
    "inception_v2": [Published(3.75e9, 1e7, "MACs", f"{INCEPTION}, section 6, {TIMES}", V2, side=299)],
    "inception_v3": [Published(5e9, 1e9, "MACs", f"{INCEPTION}, abstract", V3, side=299)],
    "mobilenet_v1": [Published(569e6, 1e6, "MACs", HOWARD), Published(4.2e6, 1e5, "parameters", HOWARD)],
    "squeezenet1_0": [Published(1.2e6, 1e5, "parameters", "Iandola et al., SqueezeNet: 4.8 MB of four-byte values")],
}
LECTURES = {
    "vgg16": [Published(15.3e9, 1e8, "FLOPs", "Lectures 001 and 002", CONVOLUTIONS)],
    "squeezenet1_0": [Published(1.2e6, 1e5, "parameters", "Lecture 003: 4.8 MB of four-byte values")],
    "googlenet": [
        Published(5e6, 1e6, "parameters", "Lecture 002", "The paper's own form, googlenet_2014, has 6,998,552.")
    ],
}
# Millions of parameters, billions of "MACs" (all operations, as it turns out) of the comparison table in lecture 000.
SLIDES = {
    "alexnet": (61.1, 0.72), "vgg11": (132.86, 7.63), "vgg13": (133.05, 11.34), "vgg16": (138.36, 15.5),
    "vgg19": (143.67, 19.67), "vgg11_bn": (132.87, 7.64), "vgg13_bn": (133.05, 11.36), "vgg16_bn": (138.37, 15.53),
    "vgg19_bn": (143.68, 19.7), "resnet18": (11.69, 1.82), "resnet34": (21.8, 3.68), "resnet50": (25.56, 4.12),
    "resnet101": (44.55, 7.85), "resnet152": (60.19, 11.58), "squeezenet1_0": (1.25, 0.83),
    "squeezenet1_1": (1.24, 0.36), "densenet121": (7.98, 2.88), "densenet169": (14.15, 3.42),
    "densenet201": (20.01, 4.37), "densenet161": (28.68, 7.82), "inception_v3": (27.16, 2.85),
}  # fmt: skip
for _name, (_millions, _billions) in SLIDES.items():
    LECTURES.setdefault(_name, []).extend(
        (
            Published(_millions * 1e6, 1e4, "parameters", "Lecture 000, comparison table"),
            Published(_billions * 1e9, 1e7, "MACs", "Lecture 000, comparison table", step=4),
        )
    )


@dataclass(frozen=True, repr=False)
class Audit:
    """One network counted by every convention (``steps``), and published figures with their explanations (``gaps``)."""

    title: str
    params: int
    steps: tuple[Step, ...]
    gaps: tuple[str, ...]

    def __repr__(self) -> str:
        return "\n".join([as_text(*self._table(), total=False), *self.gaps])

    def _repr_html_(self) -> str:
        notes = "".join(f"<li>{escape(gap)}</li>" for gap in self.gaps)
        return as_html(*self._table()) + (f"<ul>{notes}</ul>" if notes else "")

    def _table(self) -> tuple[str, Sequence[str], list[Line]]:
        lines = [Line(0, step.counted, (f"{step.macs:,}", f"{step.flops:,}")) for step in self.steps]
        return f"{self.title}, {self.params:,} parameters", ("MACs, the rest on top", "FLOPs"), lines


def audit(model: Any, input_size: Any = None, lectures: bool = False) -> Audit:
    """Count one network by every convention and explain the published figures.

    The second column counts as many tools do: a MAC is one, and so is each further operation. FLOPs count a MAC as two.
    Batch norm, its four numbers a channel folded into two, is a multiplication and an addition a value; a bias and an
    activation function are one operation an output value, a pool one an input value.

    Parameters
    ----------
    model
        A :class:`~cnnviz.cost.CostTable`, a torch module, or a name of ``cnnviz.models.names()``.
    input_size
        As for :func:`cnnviz.cost_table`.
    lectures
        Explain what the slides of the lectures printed, too.

    >>> from cnnviz.cost import CostRow, CostTable, Other
    >>> audit(CostTable("Net", (CostRow("c", "Conv2d", (2, 3, 3), 20, 162, 18, None, other=Other(bias=18)),)))
    Net, 20 parameters             MACs, the rest on top  FLOPs
    -----------------------------------------------------------
    convolutions and dense layers                    162    324
    and their biases                                 180    342
    and batch norm                                   180    342
    and activations                                  180    342
    and pooling                                      180    342
    """
    table = model
    if not isinstance(table, CostTable):
        from cnnviz.measure import cost_table

        table = cost_table(model, input_size)
    steps = _steps(table)
    params = table.total.params
    figures = [*PAPERS.get(table.title, ()), *(LECTURES.get(table.title, ()) if lectures else ())]
    values = table.sizes.inputs // table.sizes.value
    return Audit(table.title, params, steps, tuple(_explained(figure, params, steps, values) for figure in figures))


def _steps(table: CostTable) -> tuple[Step, ...]:
    done = Other(*(sum(row.other[n] for row in table) for n in range(4)))
    macs, flops = table.total.macs, table.total.flops
    steps = [Step("convolutions and dense layers", macs, flops)]
    more = {
        "and their biases": done.bias,
        "and batch norm": 2 * done.norm,
        "and activations": done.activation,
        "and pooling": done.pooling,
    }
    for counted, operations in more.items():
        macs, flops = macs + operations, flops + operations
        steps.append(Step(counted, macs, flops))
    return tuple(steps)


def _explained(figure: Published, params: int, steps: tuple[Step, ...], values: int) -> str:
    """A published figure, the count that it stands for, and the gap that is left, in words.

    ``values`` are those of the picture that was counted, 0 if nobody knows.
    """
    said = f"{figure.source}: {_short(figure.figure)} {figure.claims}."
    if figure.claims == "parameters":
        return _joined(said, _verdict(figure, params, "the parameters counted here"), figure.words)
    if values not in (0, 3 * figure.side**2):
        return f"{said} That is for pictures of 3x{figure.side}x{figure.side}; this count is for another size."
    step = steps[figure.step]
    meaning = f"the MACs of {steps[0].counted}"
    if figure.step:
        meaning += f" with each operation of {_listed(steps[1 : figure.step + 1])} counted as one more"
    misnamed = "What it calls FLOPs are multiply-adds, two FLOPs each." if figure.claims == "FLOPs" else ""
    return _joined(said, misnamed, _verdict(figure, step.macs, meaning), figure.words)


def _listed(steps: Sequence[Step]) -> str:
    return _either((step.counted.removeprefix("and ").removeprefix("their ") for step in steps), "and")


def _verdict(figure: Published, count: int, meaning: str) -> str:
    if abs(figure.figure - count) <= 0.5001 * figure.digit:
        return f"It is {meaning}, {_short(count)}."
    gap = figure.figure / count - 1
    return f"It is {abs(gap):.1%} {'above' if gap > 0 else 'below'} {meaning}, {_short(count)}."


def _short(count: float) -> str:
    for size, word in ((1e9, "billion"), (1e6, "million")):
        if count >= size:
            return f"{count / size:.4g} {word}"
    return f"{count:,.0f}"


def _joined(*sentences: str) -> str:
    return " ".join(sentence for sentence in sentences if sentence)
