"""Networks side by side, and the audit that explains why published counts differ."""

from __future__ import annotations

import csv
import json
import re

import pytest
from torch import nn

from cnnviz.audit import LECTURES, PAPERS, SLIDES, audit
from cnnviz.comparison import Compared, Comparison, compare
from cnnviz.cost import CostRow, CostTable, Other
from cnnviz.measure import audit as audit_of_measure
from cnnviz.measure import cost_table

NETS = Comparison(
    (
        Compared("big", "a", 80.0, 95.0, 9_000, 90, 1),
        Compared("small", "a", 70.0, None, 100, 10, 2),
        Compared("worse", "b", 69.0, None, 50, 20, 3),
        Compared("<b>new</b>", "<i>c</i>", None, None, 10, 5, 4),
    )
)


@pytest.mark.parametrize("name", sorted(SLIDES))
def test_the_slides_count_everything(name):
    found = audit(name, (3, 224, 224), lectures=True)  # FACTS B13: each slide figure, to its last digit
    millions, billions = SLIDES[name]
    assert found.params / 1e6 == pytest.approx(millions, abs=0.0051)
    assert found.steps[-1].macs / 1e9 == pytest.approx(billions, abs=0.0051)
    assert found.gaps[-1].startswith(
        f"Lecture 000, comparison table: {1e3 * billions:.4g} million" if billions < 1 else "Lec"
    )
    assert "It is the MACs of convolutions and dense layers with each operation of biases, batch norm" in found.gaps[-1]


def test_steps_by_hand():
    net = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 3)
    )
    steps = audit(net, (1, 6, 6)).steps
    assert [step.macs for step in steps] == [312, 312 + 35, 347 + 64, 411 + 32, 443 + 32]
    assert [step.flops for step in steps] == [624, 624 + 35, 659 + 64, 723 + 32, 755 + 32]


@pytest.mark.parametrize("name", sorted(PAPERS))
def test_papers_are_explained_in_words(name):
    gaps = audit(name).gaps
    assert len(gaps) >= len(PAPERS[name])
    for gap, figure in zip(gaps, PAPERS[name], strict=False):
        assert gap.startswith(figure.source)
        if figure.claims == "FLOPs":
            assert "What it calls FLOPs are multiply-adds" in gap
        assert "It is the" in gap or figure.words  # reproduced, or the gap has a reason


def test_a_reproduced_figure_and_a_gap():
    assert (
        audit("mobilenet_v1")
        .gaps[0]
        .endswith("569 million MACs. It is the MACs of convolutions and dense layers, 568.7 million.")
    )
    assert "It is 7.1% below the MACs of" in audit("resnet50").gaps[0]
    assert "strides in the first 1x1, which makes 3.858 billion" in audit("resnet50").gaps[0]
    assert audit(nn.Conv2d(3, 4, 3), (3, 8, 8)).gaps == ()


def test_inception_v2_says_that_its_blocks_are_not_those_of_the_paper():
    # arXiv 1512.00567, section 6: "about 2.5 higher than that of GoogLeNet", for which arXiv 1409.4842 says 1.5 billion
    (gap,) = audit("inception_v2").gaps
    assert "about 2.5 times GoogLeNet's 1.5: 3.75 billion MACs. It is 42.2% below the MACs of" in gap
    assert "not the widths inside them; here these are v3's" in gap
    (gap,) = audit("inception_v3").gaps  # the abstract: "5 billion multiply-adds per inference"
    assert ": 5 billion MACs. It is 12.5% below the MACs of" in gap


def test_a_figure_for_another_size_of_picture_is_not_held_against_the_count():
    work, params = audit("vgg16", (3, 32 * 7, 32 * 8)).gaps  # more places, the same parameters
    assert work.endswith("15.3 billion FLOPs. That is for pictures of 3x224x224; this count is for another size.")
    assert params.endswith("It is the parameters counted here, 138.4 million.")
    assert "for pictures of 3x299x299" in audit("inception_v3", (3, 224, 224)).gaps[0]


def test_what_the_lectures_printed_is_told_only_if_asked():
    for name in LECTURES:
        assert not re.search(r"\b[Ll]ecture", " ".join(audit(name).gaps))
        assert "Lecture" in " ".join(audit(name, lectures=True).gaps)


def test_audit_is_shown_escaped_and_found_in_measure():
    rows = (CostRow("c", "Conv2d", (2, 3, 3), 20, 162, 18, None, other=Other(bias=18)),)
    page = audit_of_measure(CostTable("<b>vgg</b>", rows))._repr_html_()
    assert "<b>vgg" not in page
    assert "&lt;b&gt;vgg&lt;/b&gt;" in page


def test_compare_names_modules_and_tables():
    own = nn.Sequential(nn.Conv2d(3, 4, 3))
    found = compare({"mine": own, "lenet": "lenet5", "table": cost_table(own, (3, 8, 8))}, accuracy={"mine": 12})
    assert [(row.name, row.family, row.top1, row.params) for row in found] == [
        ("mine", "Sequential", 12.0, 112),
        ("lenet", "lenet", None, 61_706),
        ("table", "Sequential", None, 112),
    ]
    assert found.rows[2].macs == 3_888
    assert found.rows[0].macs == 112 // 4 * 4 * 222**2 - 4 * 222**2


def test_published_accuracies_come_along():
    rows = {row.name: row for row in compare(["mobilenet_v1", "squeezenet1_1", "wide_resnet50_2"])}
    assert rows["mobilenet_v1"].top1 == 70.6
    assert (rows["squeezenet1_1"].top1, rows["squeezenet1_1"].top5) == (58.178, 80.624)
    assert rows["wide_resnet50_2"].family == "wide_resnet"


def test_budgets_families_and_the_front():
    assert [row.name for row in NETS.within(macs=20)] == ["small", "worse", "<b>new</b>"]
    assert [row.name for row in NETS.within(macs=20, params=60)] == ["worse", "<b>new</b>"]
    assert [row.name for row in NETS.within(families=["b"])] == ["worse"]
    assert [row.name for row in NETS.front()] == ["small", "big"]
    assert len(NETS.within(macs=1)) == 0


def test_the_chart_has_every_point_by_name_with_its_numbers():
    figure = json.loads(NETS.figure().to_json())
    points = {
        text: (x, y, size)
        for trace in figure["data"]
        for text, x, y, size in zip(trace["text"], trace["x"], trace["y"], trace["marker"]["size"], strict=True)
    }
    assert points == {"big": (9e-8, 80.0, 9000), "small": (1e-8, 70.0, 100), "worse": (2e-8, 69.0, 50)}
    discs, names = figure["data"][:2], figure["data"][2:]
    assert [trace["name"] for trace in discs] == [trace["name"] for trace in names] == ["a", "b"]
    assert [trace["legendgroup"] for trace in discs] == [trace["legendgroup"] for trace in names]  # hidden together
    assert {trace["marker"]["sizemode"] for trace in discs} == {"area"}
    assert len({trace["marker"]["sizeref"] for trace in discs}) == 1
    assert {(trace["mode"], trace["marker"]["opacity"]) for trace in names} == {("markers+text", 0)}


def test_networks_without_parameters_have_a_place_in_the_chart():
    rows = Compared("pool", "a", 10.0, None, 0, 5, 1), Compared("product", "a", 20.0, None, 0, 50, 1)
    assert Comparison(rows).figure().data[0].y == (10.0, 20.0)


def test_names_stand_beside_their_discs_and_not_over_each_other_or_the_edge():
    rows = [Compared(f"net{n}", "a", 70.0, None, 100, macs, 1) for n, macs in enumerate((10, 10, 10, 1000))]
    figure = json.loads(Comparison(tuple(rows)).figure().to_json())
    sides = dict(zip(figure["data"][1]["text"], figure["data"][1]["textposition"], strict=True))
    assert len({sides["net0"], sides["net1"], sides["net2"]}) == 3
    assert sides["net3"] != "middle right"


def test_tables_are_escaped_and_saved(tmp_path):
    assert "<b>new" not in NETS._repr_html_()
    assert "<i>" not in NETS._repr_html_()
    assert repr(NETS).count("\n") == 5
    with NETS.to_csv(tmp_path / "nets.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["macs"] for row in rows] == ["90", "10", "20", "5"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: compare(["resnet5"]), "did you mean"),
        (lambda: compare([]), "no network to compare"),
        (lambda: compare("vgg16"), r"is one name: give a list of names, \['vgg16'\]"),
        (
            lambda: compare(["lenet5"], accuracy={"lenet": 3}),
            "accuracy of lenet belongs to none of the networks: lenet5",
        ),
        (lambda: compare(["lenet5"], accuracy=[70]), r"accuracy \[70\] is not a dictionary: give \{name: per cent\}"),
        (lambda: compare(["lenet5"], accuracy={"lenet5": 130}), "accuracy of lenet5: 130 is not a number of per cent"),
        (lambda: compare(["lenet5"]).figure(), "no accuracy is known for lenet5"),
        (lambda: compare(3), "networks 3 is not a list of names, modules or cost tables"),
        (
            lambda: compare({"still": nn.Identity(), "lenet5": "lenet5"}, {"still": 10, "lenet5": 60}).figure(),
            "still has no MACs, and a logarithmic axis no place for 0: leave it out of the chart",
        ),
        (lambda: NETS.within(macs="1e9"), 'macs "1e9" is not a number of 0 or more$'),
        (lambda: NETS.within(params=float("nan")), "params nan is not a number of 0 or more$"),
        (lambda: NETS.within(families="resnet"), r"families 'resnet' is one name: give a list, \['resnet'\]"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
