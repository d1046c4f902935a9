"""Formulas and tables of costs: held to torch's own layers and to the lectures (FACTS), without measuring a network."""

from __future__ import annotations

import csv
import html
import re
import subprocess
import sys

import pytest
import torch
from torch import nn

from cnnviz.cost import Cost, CostRow, CostTable, Memory, Sizes, conv_cost, linear_cost, separable_cost

ROWS = (
    CostRow("stem", "Conv2d", (8, 30, 30), 224, 194_400, 7_200, (3, 3), inputs=(-1,)),
    CostRow("block.a", "Conv2d", (8, 28, 28), 584, 451_584, 6_272, (5, 5), inputs=(0,)),
    CostRow("block.deep.b", "<script>alert(1)</script>", (8, 28, 28), 0, 0, 6_272, None, inputs=(1,)),
    CostRow("block.deep.c", "Linear", None, 7, 0, 0, None, call=0),
)
TABLE = CostTable(
    "Net & <b>co</b>", ROWS, {"block": "Sequential", "block.deep": "Sequential"}, Sizes(4, 3260, 40, 10, 99)
)


def test_convolutions_of_the_lectures():
    assert conv_cost(3, 96, 11, 55).params == 34_944  # A17
    assert conv_cost(100, 100, 5, 64).macs == 1_024_000_000  # A18
    assert conv_cost(3, 4, 4, 29) == Cost(196, 161_472, 3_364)  # A14
    assert conv_cost(192, 32, 5, 28).macs == 120_422_400  # A21
    assert conv_cost(192, 128, 3, 28).macs == 173_408_256
    assert conv_cost(192, 64, 1, 28).macs == 9_633_792
    assert (conv_cost(192, 16, 1, 28) + conv_cost(16, 32, 5, 28)).macs == 12_443_648  # A22
    assert conv_cost(256, 192, 3, 28).macs == 346_816_512  # A23
    assert conv_cost(3, 256, 5, 8).macs == 1_228_800  # A24
    assert separable_cost(3, 256, 5, 8).macs == 53_952
    assert conv_cost(100, 100, 3, 9, groups=2).macs * 2 == conv_cost(100, 100, 3, 9).macs  # A29
    assert conv_cost(1, 6, 5, 28) == Cost(156, 117_600, 4_704)  # B6, B8
    assert conv_cost(6, 16, 5, 10).macs == 240_000
    assert linear_cost(400, 120).params + linear_cost(120, 84).params == 48_120 + 10_164  # B6


@pytest.mark.parametrize(("out_channels", "kernel"), [(8, 3), (64, 5), (256, 3)])
def test_separable_saves_what_the_paper_says(out_channels, kernel):
    whole = conv_cost(16, out_channels, kernel, 14, bias=False)
    parts = separable_cost(16, out_channels, kernel, 14, bias=False)
    for measure in ("params", "macs"):  # A25
        assert getattr(parts, measure) / getattr(whole, measure) == pytest.approx(1 / out_channels + 1 / kernel**2)


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("bias", [True, False])
def test_parameters_are_those_of_torch(axes, bias):
    layer = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[axes - 1](6, 9, (2, 3, 4)[:axes], groups=3, bias=bias)
    cost = conv_cost(6, 9, (2, 3, 4)[:axes], (5, 6, 7)[:axes], groups=3, bias=bias)
    assert cost.params == sum(p.numel() for p in layer.parameters())
    assert cost.macs == layer.weight.numel() * torch.Size((5, 6, 7)[:axes]).numel()


def test_costs_add_up_and_one_mac_is_two_flops():
    assert sum([Cost(1, 2, 3), Cost(10, 20, 30)]) == Cost(11, 22, 33)
    assert Cost(macs=4_089_184_256).flops == 8_178_368_512
    with pytest.raises(TypeError):
        Cost() + 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: conv_cost(0, 4, 3, 5), "in_channels 0 is not a whole number of at least 1"),
        (lambda: conv_cost(3, True, 3, 5), "out_channels True is not a whole number of at least 1"),
        (lambda: conv_cost(3, 4, 3.0, 5), "kernel_size 3.0 is not a whole number of at least 1"),
        (lambda: conv_cost(3, 4, 3, (5, 0)), "output_size 0 is not a whole number of at least 1"),
        (lambda: conv_cost(3, 4, "3", 5), 'kernel_size "3" is not a whole number of at least 1'),
        (
            lambda: conv_cost(6, 4, 3, 5, groups=3),
            "groups 3 does not divide in_channels 6 and out_channels 4: use one of 1, 2",
        ),
        (
            lambda: conv_cost(3, 4, (3, 3, 3), (5, 5)),
            "kernel_size (3, 3, 3) and output_size (5, 5) do not fit together: "
            "give numbers, or tuples of the same one, two or three axes",
        ),
        (lambda: linear_cost(-1, 2), "in_features -1 is not a whole number of at least 1"),
        (
            lambda: TABLE.memory("lion"),
            "optimizer 'lion' is not known: use None for inference, or sgd, momentum, adam",
        ),
        (lambda: TABLE.memory(batch_size=0), "batch_size 0 is not a whole number of at least 1"),
        (lambda: TABLE.part("blok"), "Net & <b>co</b> has no part 'blok': its parts are stem, block"),
    ],
)
def test_what_cannot_be_is_named(call, message):
    with pytest.raises(ValueError) as caught:
        call()
    assert str(caught.value) == message


def test_parts_sum_to_the_total():
    assert TABLE.total == Cost(815, 645_984, 19_744)
    assert TABLE.part("block").total == Cost(591, 451_584, 12_544)
    assert [row.inputs for row in TABLE.part("block")] == [(-1,), (0,), ()]


def test_text_is_aligned_and_folds():
    lines = TABLE.text().split("\n")
    assert len(lines) == 3 + 6 + 1
    assert (
        len({line.index(value) + len(value) for line, value in zip(lines[2:4], ("194,400", "451,584"), strict=True)})
        == 1
    )
    assert "deep" in TABLE.text(2)
    assert "Linear" not in TABLE.text(2)
    assert TABLE.text(1).count("\n") == 5
    assert "c (not run)" in str(TABLE)


def test_repr_of_a_large_network_stays_short():
    nested = CostTable("Big", tuple(CostRow(f"a.{n}.x", "ReLU", (1,), 0, 0, 1, None) for n in range(500)))
    assert repr(nested).count("\n") < 60
    flat = CostTable("Flat", tuple(CostRow(f"{n}", "ReLU", (1,), 0, 0, 1, None) for n in range(500)))
    assert repr(flat).count("\n") <= 60
    assert repr(flat).endswith("500")
    assert "more" in repr(flat)


def test_html_folds_and_escapes():
    page = TABLE._repr_html_()
    assert page.count("<details") == page.count("</details>") == 2
    assert "<script" not in page
    assert "<b>co" not in page
    indented = re.sub(r'<summary style="[^"]*margin-left:(\d+)ch">', lambda margin: " " * int(margin[1]), page)
    text = html.unescape(re.sub(r"<[^>]*>", "", indented.replace("</summary>", "\n").replace("</details>", "")))
    plain = str(TABLE).replace("▸", " ")  # the browser brings a triangle of its own
    assert [line for line in text.split("\n") if line] == [line for line in plain.split("\n") if "---" not in line]


def test_csv_gives_back_the_rows(tmp_path):
    with TABLE.to_csv(tmp_path / "bill.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == [row.name for row in ROWS]
    assert sum(int(row["macs"]) for row in rows) == TABLE.total.macs
    assert rows[0]["output_shape"] == "8x30x30"
    assert rows[3]["receptive_field"] == ""


def test_memory_by_hand():
    assert TABLE.memory() == Memory(3300, 0, 0, 99)
    assert TABLE.memory(batch_size=3).activations == 297
    written = 4 * 19_744 + 10
    assert TABLE.memory("sgd") == Memory(3300, 3260, 0, written)
    assert TABLE.memory("momentum").optimizer_state == 3260
    assert TABLE.memory("adam", 2) == Memory(3300, 3260, 6520, 2 * written)
    assert TABLE.memory("adam", 2).total == 3300 + 3260 + 6520 + 2 * written


def test_the_formulas_need_no_torch():
    code = "import sys, cnnviz.cost; assert not {'torch', 'plotly', 'matplotlib'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
