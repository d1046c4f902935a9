"""The network builder in a browser: its arithmetic held to Python's, and to cost_table, and a hand on its sliders."""

import json
import random
import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

import cnnviz.widgets
from cnnviz import cost_table
from cnnviz.widgets.network_builder import NetworkBuilder
from tests.browser.lab import LabPage
from tests.test_network_builder import random_stack

WIDGETS = Path(cnnviz.widgets.__file__).parent
ORIGIN = "http://modules.test"  # never looked up: every request is answered from disk
BILLS = """async text => {
  const { billOf, sequentialText } = await import("/network_builder/stack.js");
  const answer = ([layers, size]) => ({ ...billOf(layers, size), code: sequentialText(layers, size) });
  return JSON.stringify(JSON.parse(text).map(answer));
}"""
TWENTY = "[*[{'kind': 'conv', 'out_channels': 32, 'padding': 1}, 'batch_norm', 'relu'] * 6, 'flatten', 'linear']"


def bills(page: Page, stacks: list, mistake: tuple[str, str] = ("", "")) -> list[dict]:
    """Ask the view's module about many stacks; ``mistake`` is put into its text on purpose."""

    def answer(route):
        name = route.request.url.removeprefix(f"{ORIGIN}/")
        text = (WIDGETS / name).read_text(encoding="utf-8") if name else "<!doctype html><title>modules</title>"
        if mistake[0] and name.endswith("stack.js"):
            assert mistake[0] in text
            text = text.replace(*mistake)
        route.fulfill(body=text, content_type="text/javascript; charset=utf-8" if name else "text/html")

    page.route(f"{ORIGIN}/**", answer)
    page.goto(ORIGIN)
    return json.loads(page.evaluate(BILLS, json.dumps(stacks)))


def disagreements(stacks: list, answers: list[dict]) -> list[str]:
    """Where the browser says another thing than Python, or Python than a count of the module itself."""
    found = []
    for (layers, size), answer in zip(stacks, answers, strict=True):
        w = NetworkBuilder(layers, size)
        table = w.table
        rows = [
            [[*r.output_shape], r.params, r.macs, r.activations, r.receptive_field and [*r.receptive_field]]
            for r in w.rows
        ]
        names = ("shape", "params", "macs", "activations", "field")
        same = [[row[name] for name in names] for row in answer["rows"]] == rows
        problem = answer["problem"]
        said = f"layer {problem['index']} ({layers[problem['index']]['kind']}): {problem['text']}" if problem else ""
        memory = {"inference": table.memory().total, "adam": table.memory("adam").total}
        total = {name: getattr(w.total, name) for name in names[1:4]}
        if not (same and said == w.problem and answer["code"] == w.code and answer["total"] == total):
            found.append(f"{w.code}\n{answer}")
        if w.rows and answer["bytes"] != memory:
            found.append(f"{w.code}\n{answer['bytes']} {memory}")
    return found


def some_stacks(count: int) -> list:
    rng = random.Random(7)
    drawn = [random_stack(rng) for _ in range(count)]
    return [([dict(layer) for layer in NetworkBuilder(*one).layers], one[1]) for one in drawn]


def test_the_browsers_bill_is_pythons(page: Page) -> None:
    stacks = some_stacks(400)
    answers = bills(page, stacks)
    found = disagreements(stacks, answers)
    assert not found, "\n".join([f"{len(found)} disagreements", *found[:3]])
    assert sum(answer["problem"] is not None for answer in answers) > 100


def test_the_browsers_bill_is_cost_tables(page: Page) -> None:
    stacks = some_stacks(200)
    compared = 0
    for (layers, size), answer in zip(stacks, bills(page, stacks), strict=True):
        if answer["problem"] or not layers:
            continue
        table = cost_table(NetworkBuilder(layers, size).model, size)
        assert [(*row["shape"],) for row in answer["rows"]] == [row.output_shape for row in table.rows]
        for name in ("params", "macs", "activations"):
            assert [row[name] for row in answer["rows"]] == [getattr(row, name) for row in table.rows], (name, layers)
        assert [row["field"] and (*row["field"],) for row in answer["rows"]] == [r.receptive_field for r in table.rows]
        assert answer["bytes"] == {"inference": table.memory().total, "adam": table.memory("adam").total}
        compared += 1
    assert compared > 50


@pytest.mark.parametrize(
    "mistake",
    [
        ("(channels / sharedGroups(layer, channels))", "(sharedGroups(layer, channels), channels)"),
        ("jump: jump * stride", "jump: jump + stride - 1"),
        ("max_pool: 2 * activations", "max_pool: 0"),
        ("out % groups === 0", "true"),
        ("(layer.bias ? out : 0), macs: weights", "out, macs: weights"),
    ],
)
def test_a_mistake_would_be_found(page: Page, mistake: tuple[str, str]) -> None:
    stacks = some_stacks(100)
    assert disagreements(stacks, bills(page, stacks, mistake))


# ---- under a hand --------------------------------------------------------------------------------------------------


def shown(lab: LabPage, arguments: str = "") -> Locator:
    cell = lab.run_cell(
        f"from cnnviz.widgets.network_builder import NetworkBuilder\nb = NetworkBuilder({arguments})\nb"
    )
    root = cell.locator(".cnnviz-nb").first
    root.locator("tbody tr").first.wait_for()
    return root


def total(root: Locator, name: str = "params") -> int:
    return int(root.locator(f"[data-total={name}]").text_content().replace(",", ""))


def wait_total(root: Locator, number: int, name: str = "params") -> None:
    root.locator(f"[data-total={name}]", has_text=f"{number:,}").wait_for(timeout=4000)


def drag(root: Locator, name: str, share: float, steps: int = 12) -> None:
    slider = root.locator(f"input[type=range][data-name={name}]")
    slider.scroll_into_view_if_needed()
    box, low, high = slider.bounding_box(), float(slider.get_attribute("min")), float(slider.get_attribute("max"))
    at = (float(slider.input_value()) - low) / (high - low)
    x = [box["x"] + 8 + part * (box["width"] - 16) for part in (at, share)]
    mouse, y = root.page.mouse, box["y"] + box["height"] / 2
    mouse.move(x[0], y)
    mouse.down()
    mouse.move(x[1], y, steps=steps)
    mouse.up()


def test_a_drag_reaches_every_number_and_python(lab: LabPage) -> None:
    root = shown(lab)
    assert total(root) == 61_706
    drag(root, "out_channels", 0.75)
    lab.wait_python("b.layers[0]['out_channels'] > 50 and b.problem == ''")
    wait_total(root, int(lab.ask("print(b.total.params)")))
    wait_total(root, int(lab.ask("print(b.total.macs)")), "macs")
    root.locator("[data-action=undo]").click()
    wait_total(root, 61_706)
    lab.wait_python("b.total.params == 61706")
    drag(root, "kernel_size", 1)
    lab.wait_python("b.problem.startswith('layer 6 (conv): kernel_size 5 spans 5 rows')")
    assert "kernel_size 5 spans 5 rows" in root.locator("tr.nb-illegal .nb-reason").text_content()
    assert total(root) == 16 * 6 * 25 + 16 + 6 * 122  # what stands before it
    root.locator("[data-action=reset]").click()
    wait_total(root, 61_706)
    assert root.locator(".sk-message").text_content() == ""


def test_layers_are_added_moved_removed_and_pasted(lab: LabPage) -> None:
    root = shown(lab, "['relu']")
    root.locator("select[data-name=kind]").select_option("conv")
    root.locator("[data-action=add]").click()
    lab.wait_python("[r.kind for r in b.rows] == ['ReLU', 'Conv2d']")
    root.locator("[data-action=up]").click()
    lab.wait_python("[r.kind for r in b.rows] == ['Conv2d', 'ReLU']")
    root.locator("tbody button").nth(1).click()
    root.page.keyboard.press("Delete")
    lab.wait_python("[r.kind for r in b.rows] == ['Conv2d']")
    root.locator("select[data-name=form]").select_option("small VGG")
    wait_total(root, 814_122)
    root.locator("summary").click()
    code = root.locator("textarea")
    expect(code).to_have_value(re.compile(r"nn\.Linear\(256, 10\)"))
    code.fill("nn.Sequential(nn.Conv2d(1, 4, 3), nn.Tanh('<b>'))")
    root.locator("[data-action=apply]").click()
    root.locator(".sk-message", has_text="nn.Tanh").wait_for()
    assert total(root) == 814_122
    assert root.locator("b").count() == 0
    code.fill("nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU())")
    root.locator("[data-action=apply]").click()
    wait_total(root, 40)
    lab.wait_python("b.input_size == (1, 32, 32)")
    root.locator("[data-action=undo]").click()
    wait_total(root, 814_122)


def test_python_moves_the_view_and_arrow_keys_stay_in_it(lab: LabPage) -> None:
    root = shown(lab)
    lab.ask("b.change(0, out_channels=12)")
    wait_total(root, 61_706 + 6 * 26 + 16 * 6 * 25)
    root.locator("tbody button").first.click()
    cell = lab.active_cell()
    for key in ("ArrowDown", "ArrowDown", "Alt+ArrowUp"):
        root.page.keyboard.press(key)
        root.page.wait_for_timeout(60)
    lab.wait_python("[r.kind for r in b.rows][:3] == ['Conv2d', 'AvgPool2d', 'ReLU'] and b.selected == 1")
    assert lab.active_cell() == cell


def test_a_drag_over_twenty_layers_costs_under_8_ms(lab: LabPage) -> None:
    root = shown(lab, f"{TWENTY}, (3, 32, 32)")
    assert root.locator("tbody tr").count() == 20
    root.evaluate(
        "root => { root.work = []; root.addEventListener('cnnviz-painted', e => root.work.push(e.detail.work)); }"
    )
    for share in (0.9, 0.1, 0.6):
        drag(root, "out_channels", share, steps=60)
        root.page.wait_for_timeout(100)
    work = root.evaluate("root => root.work")
    p95 = float(np.percentile(work, 95))
    print(f"work per drag event, 20 layers: p50 {np.median(work):.2f} ms, p95 {p95:.2f} ms of {len(work)}")
    assert len(work) > 30
    assert p95 < 8


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_it_fits_600_pixels_in_both_themes(lab: LabPage, theme: str) -> None:
    lab.theme(theme)
    root = shown(lab, "'small VGG', layout={'width': '600px'}")
    root.locator("tbody button").nth(5).click()
    root.page.wait_for_timeout(100)
    assert root.evaluate("root => root.scrollWidth <= root.clientWidth")
    root.locator("input[data-for=groups]").fill("5")
    root.locator("input[data-for=groups]").press("Enter")
    root.locator(".nb-reason:visible", has_text="groups 5 does not divide 32 in_channels and 64").wait_for(timeout=4000)
    assert root.evaluate("root => root.scrollWidth <= root.clientWidth")
    lab.screenshot(f"network_builder_{theme}")
    lab.theme("Light")
