"""The explorer in a browser: layers, channels and pictures are leafed through, and what is pointed at is told."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from cnnviz import inside, load
from cnnviz.models import bundled
from tests.browser.lab import LabPage
from tests.browser.test_exported_page import Offline, offline  # noqa: F401 (a fixture)

SHOWN = """import torch
from cnnviz import inside, load
from cnnviz.models import bundled
net = bundled.load("lenet5-digits")
e = inside.explore(net, load("digits"))
e"""


@pytest.fixture
def explorer(lab: LabPage) -> Locator:
    root = lab.run_cell(SHOWN).locator(".cnnviz-ex")
    expect(root.locator(".ex-all-part .ex-words")).to_contain_text("all 6 of features.0")
    return root


def centre(root: Locator, channel: int, row: int = 0, column: int = 0) -> tuple[float, float]:
    root.locator(".ex-all").scroll_into_view_if_needed()
    at = root.evaluate("(root, unit) => root.locate(unit)", {"channel": channel, "row": row, "column": column})
    return at["x"], at["y"]


def test_layer_channel_and_picture_are_chosen_and_a_unit_is_pointed_at(lab: LabPage, explorer: Locator) -> None:
    heading, readout = explorer.locator(".ex-all-part .ex-words"), explorer.locator(".ex-readout")
    explorer.locator("[data-name=depth]").press("End")
    expect(heading).to_contain_text("all 120 of features.7")
    explorer.locator("select").select_option("features.3 (Conv2d)")
    expect(heading).to_contain_text("all 16 of features.3")
    explorer.page.mouse.click(*centre(explorer, 5))
    lab.wait_python("(e.layer, e.channel) == ('features.3', 5)")
    expect(explorer.locator(".ex-one-part .ex-words")).to_have_text("channel 5: 10 × 10")
    explorer.page.mouse.move(*centre(explorer, 7, 6, 2))
    expect(readout).to_contain_text("channel 7, row 6, column 2: ")
    expect(readout).to_contain_text("sees rows 12 to 25, columns 4 to 17 of the picture")
    told = float(re.search(r": (.*?);", readout.text_content())[1].replace("−", "-"))
    assert told == pytest.approx(float(lab.ask("print(e.maps[7, 6, 2])")), abs=0.01)
    explorer.locator("[data-name=picture]").press("ArrowRight")
    lab.wait_python("e.picture == 1")
    expect(explorer.locator(".ex-given-part .ex-words")).to_have_text("picture 1: 32 × 32")
    said = lab.ask("print(e._seen['said'])")
    expect(explorer.locator(".ex-said")).to_have_text(f"the network says {said}")
    lab.wait_python("e._best.get('of') == ['features.3', 5]")
    lab.ask("e.layer = 'features.0'")  # from Python; there is no channel more than 5
    expect(heading).to_contain_text("all 6 of features.0")


def test_the_maps_follow_the_weights_and_a_refusal_is_shown(lab: LabPage, explorer: Locator) -> None:
    lab.ask("torch.nn.init.zeros_(net.features[0].weight); torch.nn.init.zeros_(net.features[0].bias)")
    expect(explorer.locator(".ex-all-part .ex-words")).to_contain_text(
        "6 dead here", timeout=15_000
    )  # with a heartbeat
    lab.ask("e.set_state({'channel': 99})")
    expect(explorer.locator(".sk-message")).to_contain_text("channel of layer features.0 99 is not a whole number")
    explorer.locator("[data-name=channel]").press("ArrowRight")
    expect(explorer.locator(".sk-message")).to_be_hidden()


def test_a_saved_page_leafs_through_the_layers_alone(offline: Offline, tmp_path: Path) -> None:  # noqa: F811
    page = offline.page
    widget = inside.explore(bundled.load("lenet5-digits"), load("digits"), layer="features.3")
    page.goto(widget.save(tmp_path / "net.html").as_uri())
    heading = page.locator(".ex-all-part .ex-words")
    expect(heading).to_contain_text("all 16 of features.3")
    page.locator("[data-name=depth]").press("ArrowLeft")
    expect(heading).to_contain_text("all 6 of features.2")
    page.locator("[data-name=channel]").press("End")
    expect(page.locator(".ex-one-part .ex-words")).to_have_text("channel 5: 14 × 14")
    expect(page.locator("[data-name=picture]")).to_be_disabled()
    expect(page.locator(".ex-best")).to_be_hidden()  # the pieces are those of another channel
    page.locator("[data-name=channel]").press("Home")
    page.locator("[data-name=depth]").press("ArrowRight")
    expect(page.locator(".ex-best")).to_be_visible()
