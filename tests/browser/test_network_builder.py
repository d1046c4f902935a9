"""The network builder in a browser: a hand on its sliders."""

import re

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from cnnviz import NetworkBuilder
from tests.browser.kernel_view import WidgetView
from tests.browser.lab import LabPage, notebook_of

TWENTY = "[*[{'kind': 'conv', 'out_channels': 32, 'padding': 1}, 'batch_norm', 'relu'] * 6, 'flatten', 'linear']"

# Resolves when the page has heard of its kernel: only then can it notice that it hears nothing more.
HEARD = """() => new Promise(done => window.jupyterapp.shell.currentWidget.sessionContext.iopubMessage.connect(
  (_, message) => message.content.data?.content?.kind === "alive" && done(true)))"""


def shown(lab: LabPage, arguments: str = "") -> Locator:
    cell = lab.run_cell(f"from cnnviz import NetworkBuilder\nb = NetworkBuilder({arguments})\nb")
    root = cell.locator(".cnnviz-nb").first
    root.locator("tbody tr").first.wait_for()
    return root


def total(root: Locator, name: str = "params") -> int:
    return int(root.locator(f"[data-total={name}]").text_content().replace(",", ""))


def wait_total(root: Locator, number: int, name: str = "params") -> None:
    root.locator(f"[data-total={name}]", has_text=f"{number:,}").wait_for(timeout=4000)


def drag(root: Locator, name: str, share: float, steps: int = 12) -> None:
    view = WidgetView(root)
    low, high = view.bounds(name)
    view.drag(name, low + share * (high - low), steps)


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
    assert root.locator(".nb-total th").text_content() == "total before layer 6 (conv)"
    assert total(root) == 16 * 6 * 25 + 16 + 6 * 122  # what stands before it
    root.locator("[data-action=reset]").click()
    wait_total(root, 61_706)
    assert root.locator(".sk-message").text_content() == ""


def test_each_receptive_field_ends_under_its_title(lab: LabPage) -> None:
    ends = """root => [...root.querySelectorAll("thead tr:first-child th:last-child, .nb-field")].map(cell => {
      const range = document.createRange();
      range.selectNodeContents(cell);
      return Math.round(range.getBoundingClientRect().right);
    })"""
    title, *fields = shown(lab).evaluate(ends)
    assert {field for field in fields if field} == {title}


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
    root.locator("select[data-name=form]").select_option("vgg11")
    wait_total(root, 9_750_922)
    root.locator("summary").click()
    code = root.locator("textarea")
    expect(code).to_have_value(re.compile(r"nn\.Linear\(512, 10\)"))
    code.fill("nn.Sequential(nn.Conv2d(1, 4, 3), nn.GELU('<b>'))")
    root.locator("[data-action=apply]").click()
    root.locator(".sk-message", has_text="nn.GELU").wait_for()
    assert total(root) == 9_750_922
    assert root.locator("b").count() == 0
    code.fill("nn.Sequential(nn.Conv2d(1, 4, (1, 3), dilation=2), nn.ReLU())")
    root.locator("[data-action=apply]").click()
    wait_total(root, 16)
    lab.wait_python("b.input_size == (1, 32, 32) and b.rows[0].output_shape == (4, 32, 28)")
    root.locator("[data-action=undo]").click()
    wait_total(root, 9_750_922)
    root.locator("[data-action=undo]").click()  # the refused text was no step
    lab.wait_python("[r.kind for r in b.rows] == ['Conv2d']")


def test_a_window_that_need_not_be_square_has_a_slider_for_each_side(lab: LabPage) -> None:
    root = shown(lab, "['conv', {'kind': 'max_pool', 'kernel_size': 3}], (1, 31, 31)")
    square = root.locator("[data-name=square]")
    square.uncheck()
    drag(root, "dilation.w", 1)
    lab.wait_python("b.layers[0]['dilation'] == (1, 4) and b.rows[0].output_shape == (16, 29, 23)")
    assert not square.is_enabled()  # as long as the sides differ
    drag(root, "dilation.w", 0)
    square.check()
    root.locator("tbody button").nth(1).click()
    lab.wait_python("b.rows[1].output_shape == (16, 9, 9)")
    root.locator("[data-name=ceil_mode]").check()
    lab.wait_python("b.rows[1].output_shape == (16, 10, 10)")
    expect(root.locator("tbody tr").nth(1).locator("td").first).to_have_text("16×10×10")


def test_a_number_beyond_the_bounds_becomes_the_nearest_that_works(lab: LabPage) -> None:
    root = shown(lab)
    for field, typed, value in (("kernel_size", "0", "1"), ("kernel_size", "0", "1"), ("out_channels", "7.6", "8")):
        exact = root.locator(f"input[data-for={field}]")
        exact.fill(typed)
        exact.press("Enter")
        expect(exact).to_have_value(value)
    height = root.locator("[data-name='input.height']")
    height.fill("9999")
    height.press("Enter")
    expect(height).to_have_value("256")
    lab.wait_python("b.layers[0]['out_channels'] == 8 and b.input_size == (1, 256, 32)")
    for _ in range(3):  # the number that was there already is no step
        root.locator("[data-action=undo]").click()
    expect(root.locator("[data-action=undo]")).to_be_disabled()
    lab.wait_python("b.total.params == 61706")


def test_python_moves_the_view_and_arrow_keys_stay_in_it(lab: LabPage) -> None:
    root = shown(lab)
    lab.ask("b.change(0, out_channels=12)")
    wait_total(root, 61_706 + 6 * 26 + 16 * 6 * 25)
    root.locator("tbody button").first.click()
    cell = lab.active_cell()
    for key in ("ArrowDown", "ArrowDown", "Alt+ArrowUp"):
        root.page.keyboard.press(key)
        root.page.wait_for_timeout(60)
    lab.wait_python("[r.kind for r in b.rows][:3] == ['Conv2d', 'AvgPool2d', 'Tanh'] and b.selected == 1")
    assert lab.active_cell() == cell


def test_it_turns_grey_when_its_kernel_dies_and_still_counts(fresh_lab: LabPage) -> None:
    source = "from cnnviz import NetworkBuilder\nb = NetworkBuilder()\nb"
    fresh_lab.open(fresh_lab.server.add(notebook_of(source), "dying.ipynb"), workspace="dying").run_all()
    root = fresh_lab.cell(0).locator(".cnnviz-nb")
    root.locator("summary").click()
    fresh_lab.page.evaluate(HEARD)
    fresh_lab.start_code("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    expect(root).to_have_class(re.compile("sk-stale"), timeout=20_000)
    expect(root.locator(".sk-message")).to_contain_text("The numbers still follow the sliders; run the cell again")
    expect(root.locator("[data-action=apply]")).to_be_disabled()
    slider = root.locator("input[data-name=out_channels]")  # Lab's own words about the kernel lie over it: no mouse
    slider.fill(slider.get_attribute("max"))
    wait_total(root, 61_706 + 506 * 26 + 506 * 16 * 25)


def test_its_saved_page_needs_neither_kernel_nor_network(page: Page, tmp_path) -> None:
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.context.set_offline(True)
    NetworkBuilder("nin").save(tmp_path / "nin.html")
    page.goto((tmp_path / "nin.html").as_uri())
    root = page.locator(".cnnviz-nb")
    wait_total(root, 966_986)
    drag(root, "out_channels", 0)
    wait_total(root, 966_986 - 191 * (75 + 1 + 160))
    root.locator("[data-action=undo]").click()
    wait_total(root, 966_986)
    root.locator("summary").click()
    expect(root.locator("textarea")).to_have_value(re.compile(r"ceil_mode=True"))
    expect(root.locator("[data-action=apply]")).to_be_hidden()  # nobody there to read it
    assert errors == []


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
    print(f"work per drag event, 20 layers: p50 {np.median(work):.2f} ms, p95 {np.percentile(work, 95):.2f} ms")
    assert len(work) > 30
    assert np.median(work) < 8  # the promise is on the 95th of a quiet machine: tests/benchmarks has it


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_it_fits_600_pixels_in_both_themes(lab: LabPage, theme: str) -> None:
    lab.theme(theme)
    root = shown(lab, "'vgg11', layout={'width': '600px'}")
    root.locator("tbody button").nth(6).click()
    root.page.wait_for_timeout(100)
    assert root.evaluate("root => root.scrollWidth <= root.clientWidth")
    root.locator("input[data-for=groups]").fill("5")
    root.locator("input[data-for=groups]").press("Enter")
    root.locator(
        ".nb-reason:visible", has_text="groups 5 does not divide in_channels 128 and out_channels 256"
    ).wait_for(timeout=4000)
    assert root.evaluate("root => root.scrollWidth <= root.clientWidth")
    lab.screenshot(f"network_builder_{theme}")
    lab.theme("Light")
