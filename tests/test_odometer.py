"""MacOdometer: what it counts against cnnviz.cost, torch and a count by hand, in Python and in node; its files."""

import json
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch
from PIL import Image
from torch import nn

import cnnviz.widgets
from cnnviz import conv_cost, separable_cost
from cnnviz.widgets._errors import IllegalLayer
from cnnviz.widgets.odometer import MacOdometer
from cnnviz.widgets.odometer.lanes import LARGEST, Step, lanes, place, read, reading

WIDGETS = Path(cnnviz.widgets.__file__).parent
NAMES = (*LARGEST, "groups")
WRONG = [
    ({"groups": 3}, "groups 3 does not divide 8 in_channels and 16 filters: use 1, 2, 4 or 8"),
    ({"in_channels": 6}, "groups 4 does not divide 6 in_channels and 16 filters: use 1 or 2"),
    ({"groups": 0}, "groups 0 is not a whole number from 1 to 9999"),
    ({"groups": "2"}, 'groups "2" is not a whole number from 1 to 9999'),
    ({"in_channels": 513}, "in_channels 513 is not a whole number from 1 to 512"),
    ({"filters": 2.5}, "filters 2.5 is not a whole number from 1 to 512"),
    ({"kernel_size": -1}, "kernel_size -1 is not a whole number from 1 to 11"),
    ({"map_size": 1000000}, "map_size 1000000 is not a whole number from 1 to 256"),
    ({"map_size": None}, "map_size None is not a whole number from 1 to 256"),
]
WRONG_LOOK = [
    ({"seconds": 0}, "seconds 0 is not a number above 0"),
    ({"progress": 1.5}, "progress 1.5 is more than 1: use 0 for the start, 1 for the end"),
    ({"progress": float("nan")}, "progress nan is not a number of 0 or more"),
    ({"playing": 1}, "playing 1 is not True or False"),
]


def cases(count: int, largest: int = 24) -> list[tuple[dict[str, int], float]]:
    """Sizes of any kind, and how far the work is."""
    rng, found = random.Random(5), []
    for _ in range(count):
        groups = rng.choice((1, 1, 2, 3, 4, 6))
        channels, filters = (groups * rng.randint(1, largest // groups) for _ in range(2))
        sizes = (channels, filters, rng.randint(1, 7), rng.randint(1, 20), groups)
        found.append((dict(zip(NAMES, sizes, strict=True)), rng.choice((0, 1, rng.random()))))
    return found


# ---- what it counts ------------------------------------------------------------------------------------------------


def test_counts_are_those_of_the_cost_functions():
    for sizes, progress in cases(300):
        channels, filters, kernel, size, groups = sizes.values()
        standard = conv_cost(channels, filters, kernel, size, bias=False)
        grouped = conv_cost(channels, filters, kernel, size, groups, bias=False)
        separable = separable_cost(channels, filters, kernel, size, bias=False)
        w = MacOdometer(**sizes, progress=progress)
        assert list(w.costs.values()) == [standard, separable, grouped, grouped]
        assert [lane.macs for lane in lanes(sizes)] == [cost.macs for cost in w.costs.values()]
        given = round(progress * max(standard.macs, separable.macs))
        assert max(w.done.values()) == pytest.approx(given, abs=1)
        assert all(w.done[name] == min(max(w.done.values()), w.costs[name].macs) for name in w.done)
        assert w.speed == max(standard.macs, separable.macs) / 12


def test_the_lectures_example():
    w = MacOdometer(in_channels=3, filters=256, kernel_size=5, map_size=8, groups=1)
    assert [cost.macs for cost in w.costs.values()] == [1_228_800, 4_800 + 49_152, 1_228_800, 1_228_800]


def test_values_are_finished_as_a_count_by_hand_finishes_them():
    for sizes, _ in cases(20, 6):
        for lane in lanes(sizes | {"map_size": min(sizes["map_size"], 3)}):
            finished, spent = [0] * len(lane.steps), 0
            for at, step in enumerate(lane.steps):
                for _ in range(step.maps * step.size**2):
                    for _ in range(step.reads // step.groups * step.kernel**2):
                        assert lane.values(spent) == finished
                        spent += 1
                    finished[at] += 1
            assert lane.values(spent) == lane.values(10 * spent) == finished
            assert spent == lane.macs


def test_a_map_is_made_from_its_groups_inputs_as_in_torch_and_a_shuffle_moves_it_as_torch_does():
    for sizes, _ in cases(20, 12):
        for lane in lanes(sizes):
            for step in lane.steps:
                layer = nn.Conv2d(step.reads, step.maps, 1, groups=step.groups)
                x = torch.rand(1, step.reads, 1, 1, requires_grad=True)
                out = layer(x)
                for channel in range(step.maps):
                    grad = torch.autograd.grad(out[0, channel].sum(), x, retain_graph=True)[0]
                    inside = step.reads // step.groups
                    first = step.group(channel) * inside
                    assert grad.abs().sum((0, 2, 3)).nonzero().flatten().tolist() == [*range(first, first + inside)]
        step = lanes(sizes)[3].steps[0]
        moved = nn.ChannelShuffle(step.groups)(torch.arange(step.maps).reshape(1, -1, 1, 1)).flatten().tolist()
        assert all(moved[place(step, channel)] == channel for channel in range(step.maps))


# ---- node ----------------------------------------------------------------------------------------------------------

IN_NODE = """
import { readFileSync } from "node:fs";
import { finishedValues, groupOf, lanesOf, placeOf, reading } from "%s";
const { cases, wrong } = JSON.parse(readFileSync(0, "utf8"));
const told = (step) => {
  const maps = [...Array(step.maps).keys()];
  const places = [maps.map((map) => groupOf(step, map)), maps.map((map) => placeOf(step, map))];
  return [step.macs, step.each, step.values, ...places];
};
const answers = cases.map(([sizes, progress]) => {
  const lanes = lanesOf(sizes);
  const given = reading(lanes, progress);
  return lanes.map((lane) => {
    return [lane.name, lane.macs, lane.shuffled, finishedValues(lane, given), lane.steps.map(told)];
  });
});
const refusals = wrong.map((sizes) => {
  try { lanesOf(sizes); } catch (error) { return `${error.name}: ${error.message}`; }
  return "taken";
});
console.log(JSON.stringify({ answers, refusals }));
"""


def in_python(sizes: dict[str, int], progress: float) -> list:
    four = lanes(read(sizes))
    given = reading(four, progress)

    def told(step: Step) -> list:
        maps = range(step.maps)
        return [step.macs, step.each, step.values, [*map(step.group, maps)], [place(step, one) for one in maps]]

    return [[one.name, one.macs, one.shuffled, one.values(given), [*map(told, one.steps)]] for one in four]


def disagreements(folder: Path, mistake: tuple[str, str] = ("", "")) -> int:
    """In how many cases node says otherwise than Python; ``mistake`` is put into the module on purpose."""
    for name in ("js", "odometer"):
        shutil.copytree(WIDGETS / name, folder / name)
    module = folder / "odometer" / "lanes.js"
    text = module.read_text(encoding="utf-8")
    assert mistake[0] in text
    module.write_text(text.replace(*mistake) if mistake[0] else text, encoding="utf-8")
    (folder / "package.json").write_text('{"type": "module"}')
    script = folder / "run.js"
    script.write_text(IN_NODE % module.as_uri(), encoding="utf-8")
    some = cases(300)
    wrong = [{**dict(zip(NAMES, (8, 16, 3, 8, 4), strict=True)), **changes} for changes, _ in WRONG]
    told = json.dumps({"cases": some, "wrong": wrong})
    done = subprocess.run(["node", script], input=told, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    differ = sum(answer != in_python(*case) for answer, case in zip(said["answers"], some, strict=True))
    texts = [f"LayerError: {text}" for _, text in WRONG]
    return differ + sum(one != text for one, text in zip(said["refusals"], texts, strict=True))


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_the_browser_counts_as_python_does(tmp_path):
    assert disagreements(tmp_path) == 0


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
@pytest.mark.parametrize(
    "mistake",
    [
        ("(reads / groups) * kernel * kernel", "(reads / groups) * kernel"),
        ("progress * longest(lanes)", "progress * lanes[1].macs"),
        ("(channel % inside) * groups", "(channel % groups) * inside"),
        ("outputGeometry({ in", "0 && outputGeometry({ in"),
    ],
)
def test_a_mistake_in_the_browser_is_noticed(tmp_path, mistake):
    assert disagreements(tmp_path, mistake) > 1


# ---- refusals ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("changes", "text"), WRONG + WRONG_LOOK)
def test_what_cannot_be_is_refused_and_nothing_changes(changes, text):
    with pytest.raises(IllegalLayer, match=re.escape(text)):
        MacOdometer(**changes)
    w = MacOdometer()
    before = repr(w)
    other = "seconds" if "seconds" not in changes else "progress"
    with pytest.raises(IllegalLayer, match=re.escape(text)):
        w.set(**{other: 0.5}, **changes)
    with pytest.raises(IllegalLayer, match=re.escape(text)):
        setattr(w, *next(iter(changes.items())))
    assert repr(w) == before
    assert (w.seconds, w.progress, w.playing) == (12, 0, False)


def test_several_change_together_and_unknown_names_are_refused():
    w = MacOdometer()
    w.set(in_channels=9, filters=6, groups=3, kernel_size=5)
    assert [cost.macs for cost in w.costs.values()][2] == 3 * 6 * 25 * 64
    with pytest.raises(IllegalLayer, match=r'setting "stride" is not known: use in_channels, filters'):
        w.set(stride=2)
    with pytest.raises(TypeError, match='no argument "stride": use in_channels'):
        MacOdometer(stride=2)


# ---- what a page shows ---------------------------------------------------------------------------------------------

TEXT = """MacOdometer, 8 maps of 8x8 to 16, kernel_size 3, groups 4
after 18,432 multiply-adds (MACs) each:
  standard, 73,728 MACs: 256 of 1,024 output values
  depthwise + pointwise, 4,608 + 8,192 = 12,800 MACs: finished
  grouped, 18,432 MACs: finished
  grouped + shuffled, 18,432 + 0 = 18,432 MACs: finished
depthwise + pointwise: 1/16 + 1/9 = 0.174 of the standard one's MACs, 5.76 times fewer"""


def test_the_plain_text_says_everything():
    assert repr(MacOdometer(progress=0.25)) == TEXT
    bundle, _ = MacOdometer(progress=0.25)._repr_mimebundle_()
    assert bundle["text/plain"] == TEXT
    assert "application/vnd.jupyter.widget-view+json" in bundle
    costly = MacOdometer(kernel_size=1, filters=2, groups=2)
    assert repr(costly).endswith("1/2 + 1/1 = 1.5 of the standard one's MACs, 1.5 times as many")


@pytest.mark.parametrize(
    "sizes", [{}, {"in_channels": 1, "filters": 1, "groups": 1}, {"filters": 512, "map_size": 256}]
)
@pytest.mark.parametrize("progress", [0, 0.1, 1])
def test_the_still_picture_fills_as_the_work_goes_on(sizes, progress):
    w = MacOdometer(**sizes, progress=progress)
    drawing = w._still()
    assert drawing == w._still()
    for x, y, width, height, *_ in drawing.fills + drawing.frames:
        assert 0 <= x <= x + width <= drawing.width
        assert 0 <= y <= y + height <= drawing.height
    ElementTree.fromstring(w._repr_mimebundle_()[0]["image/svg+xml"])
    working = [frame for frame in drawing.frames if frame[4] == "#c2188f"]
    assert (len(working) == 1) == (progress == 1)  # the line of now alone


def test_filled_area_of_the_outputs_is_the_share_of_their_values():
    def area(progress: float) -> float:
        fills = MacOdometer(progress=progress)._still().fills
        return sum(width * height for _, y, width, height, colour in fills if y > 300 and colour == "#5c5c5c")

    half, full = area(0.5), area(1)  # the standard and the pointwise outputs: half and all, then both
    assert half == pytest.approx(0.75 * full)


@pytest.mark.parametrize("ending", [".html", ".png", ".svg", ".gif"])
def test_it_saves_itself(tmp_path, ending):
    w = MacOdometer(seconds=4, playing=True)
    path = w.save(tmp_path / f"x{ending}")
    if ending == ".html":
        assert path.stat().st_size < 120_000
        state = re.search(r'<script id="cnnviz-state"[^>]*>(.*?)</script>', path.read_text(encoding="utf-8"))[1]
        assert json.loads(state)["playing"] is False
    if ending == ".gif":
        with Image.open(path) as gif:
            assert gif.n_frames == 101
            assert gif.info["duration"] == 40  # 4 seconds in 100 steps
    with pytest.raises(ValueError, match=r"use \.html, \.gif, \.png or \.svg"):
        w.save(tmp_path / "x.mp4")


def test_it_needs_no_torch():
    code = (
        "import sys, cnnviz.widgets.odometer as o; o.MacOdometer()._repr_mimebundle_(); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("progress", [0, 0.1, 1])
def test_the_page_of_the_largest_sizes_stays_small(tmp_path, progress):
    page = MacOdometer(512, 512, 11, 256, groups=64, progress=progress).save(tmp_path / "o.html")
    assert page.stat().st_size < 120_000
