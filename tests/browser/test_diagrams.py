"""Pictures of networks: unfolded in a saved file, in JupyterLab, and what is left where scripts are refused."""

from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Page, expect

from cnnviz import diagrams
from tests.browser.lab import LabPage, LabServer, notebook_of

# Places of the boxes and lines of the whole network, not of what is inside its piles.
PLACES = """svg => [...svg.querySelectorAll("svg > .net > .box, svg > .net > .lines > path")].map(
  node => node.getAttribute("transform") ?? node.getAttribute("d"))"""

# Boxes that are seen: outlines of all that stands beside each other must be apart, and inside what holds them.
OVERLAPS = """svg => {
  const outline = box => {
    const face = box.querySelector(":scope > .face"), shown = face && !face.style.display ? face : box;
    const frame = box.querySelector(":scope > .inside:not([style*=none]) > .frame");
    return (frame ?? shown.querySelector(":scope > rect:last-of-type"))?.getBoundingClientRect();
  };
  const wrong = [];
  for (const net of svg.querySelectorAll(".net")) {
    const holder = (net.parentNode.querySelector(":scope > .frame") ?? svg).getBoundingClientRect();
    const boxes = [...net.children].slice(1).map(outline).filter(box => box?.width);
    boxes.forEach((a, n) => {
      if (a.left < holder.left || a.right > holder.right) wrong.push("out");
      if (a.top < holder.top || a.bottom > holder.bottom) wrong.push("out");
      for (const b of boxes.slice(n + 1))
        if (a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom) wrong.push("over");
    });
  }
  return wrong;
}"""


def pile(picture, name: str):
    """What is clicked to unfold a module, or to fold it again."""
    box = picture.locator(f".pile:has(> title:text-matches('^{name} '))")
    return box.locator("> .face > text, > .inside > .name").locator("visible=true").first


@pytest.mark.parametrize(
    ("name", "piles"),
    [
        ("resnet50", ["layer1.0", "layer4.2"]),
        ("googlenet", ["inception3a.branch2", "inception5b.branch4"]),
        ("densenet121", ["features.denseblock2", "features.denseblock2.denselayer7", "features.transition3"]),
    ],
)
def test_a_saved_file_unfolds_in_place_and_folds_back(page: Page, tmp_path: Path, name: str, piles: list[str]) -> None:
    diagram = diagrams.draw(name)
    (tmp_path / "still.svg").write_text(diagram.still, encoding="utf-8")
    page.goto((tmp_path / "still.svg").as_uri())
    drawn_by_python = page.locator("svg").evaluate(PLACES)
    page.goto(diagram.save(tmp_path / "net.svg").as_uri())
    svg = page.locator("svg")
    assert svg.evaluate(PLACES) == drawn_by_python
    for module in piles:
        pile(svg, module).click()
        assert svg.evaluate(OVERLAPS) == []
    assert svg.evaluate(PLACES) != drawn_by_python
    for module in reversed(piles):
        pile(svg, module).click()
    assert svg.evaluate(PLACES) == drawn_by_python


def test_in_a_notebook_with_mouse_and_keyboard(lab: LabPage) -> None:
    cell = lab.run_cell("from cnnviz import diagrams\ndiagrams.draw('resnet50')")
    svg = cell.locator("svg.cnnviz-net")
    expect(svg).to_be_visible()
    before = svg.bounding_box()
    active = lab.active_cell()
    pile(svg, "layer1.0").click()
    inner = svg.locator(".box:has(> title:text-matches('^layer1.0.conv2 ')) > rect")
    expect(inner).to_be_visible()
    assert svg.bounding_box()["width"] > before["width"]
    lab.page.keyboard.press("Enter")
    expect(inner).to_be_hidden()
    assert lab.active_cell() == active
    svg.locator(".legend tspan").click()
    assert svg.bounding_box()["width"] < 1280
    assert svg.evaluate("svg => svg.querySelectorAll('title').length") > 50


def test_a_notebook_that_is_not_trusted_shows_the_picture(fresh_lab: LabPage, server: LabServer) -> None:
    notebook = notebook_of("draw('lenet5')")
    data = diagrams.draw("lenet5")._repr_mimebundle_()
    output = {"output_type": "execute_result", "execution_count": 1, "metadata": {}, "data": data}
    notebook["cells"][0].update(execution_count=1, outputs=[output])
    nbformat.validate(notebook)
    fresh_lab.open(server.add(notebook, "stranger.ipynb"))
    image = fresh_lab.cell(0).locator("img[alt^='lenet5: 8 boxes']")
    expect(image).to_be_visible()
    assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") > 600
    assert fresh_lab.cell(0).locator("svg.cnnviz-net").count() == 0
