"""Pictures of one's own, chosen and dropped in a real JupyterLab."""

import io
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Locator, expect

from tests.browser.lab import LabPage

MARKUP = "<img src=x onerror=window.stung=1>"


def picture(width: int = 40, height: int = 30, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(noise).save(file, kind)
    return file.getvalue()


def chosen(name: str, content: bytes) -> dict:
    return {"name": name, "mimeType": "image/png", "buffer": content}


def box_in(lab: LabPage) -> Locator:
    root = lab.run_cell("from cnnviz.widgets.picture_box import PictureBox\nbox = PictureBox()\nbox").locator(
        ".cnnviz-pb"
    )
    expect(root.locator(".pb-class")).to_have_count(2)
    return root


def choose(root: Locator, number: int, *files: dict) -> None:
    root.locator(".pb-class").nth(number).locator("input[type=file]").set_input_files(files)


def test_pictures_arrive_large_ones_shrunk_and_what_is_none_is_named(lab: LabPage) -> None:
    root = box_in(lab)
    first = root.locator(".pb-class").first
    first.locator("input[type=text]").fill(f"cats {MARKUP}"[:38])
    first.locator("input[type=text]").press("Enter")
    large = picture(2400, 1800)
    assert len(large) > 10 * 1024**2  # more than a server takes in one message
    files = [chosen("a.png", picture()), chosen("large.png", large), chosen(f"{MARKUP}.png", b"no picture")]
    choose(root, 0, *files, chosen("huge.png", b"no picture" * 30_000))
    expect(first.locator(".pb-count")).to_have_text("2 pictures")
    expect(first.locator("img")).to_have_count(2)
    expect(root.locator(".pb-notes div")).to_have_count(2)
    expect(root.locator(".pb-notes")).to_contain_text(f"{MARKUP}.png: the picture of 10 bytes cannot be read")
    expect(root.locator(".pb-notes")).to_contain_text("huge.png: the browser cannot open it")
    assert (
        lab.ask("from cnnviz import images; print([images.open(c, 4096).shape for c in box._classes[0].contents])")
        == "[(3, 30, 40), (3, 384, 512)]"
    )
    assert lab.page.evaluate("window.stung") is None
    assert lab.page.locator("img[src=x]").count() == 0


def test_a_folder_of_folders_becomes_classes_and_the_box_becomes_data(lab: LabPage, tmp_path: Path) -> None:
    for name in ("cat", "dog", "owl"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for number in range(4):
            (tmp_path / "pets" / name / f"{number}.png").write_bytes(picture())
    root = box_in(lab)
    root.locator("input[webkitdirectory]").set_input_files(tmp_path / "pets")
    expect(root.locator(".pb-class")).to_have_count(3)
    for number in range(3):
        expect(root.locator(".pb-count").nth(number)).to_have_text("4 pictures")
    assert lab.ask("print(box.data(size=16))").startswith("own pictures: 9 pictures to learn from and 3 to test with")
    root.locator(".pb-class").nth(2).locator("[data-action=empty]").click()
    expect(root.locator(".pb-count").nth(2)).to_have_text("0 pictures")
    assert lab.ask("print(sorted(box.counts.items()))") == "[('cat', 4), ('dog', 4), ('owl', 0)]"


def test_dropped_files_go_to_their_class_and_not_to_jupyterlab(lab: LabPage) -> None:
    root = box_in(lab)
    drop = """(place, bytes) => {
      const data = new DataTransfer();
      data.items.add(new File([new Uint8Array(bytes)], "a.png", { type: "image/png" }));
      place.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
    }"""
    root.locator("[data-action=class]").click()
    expect(root.locator(".pb-class")).to_have_count(3)
    root.locator(".pb-class").nth(2).evaluate(drop, list(picture()))
    expect(root.locator(".pb-count").nth(2)).to_have_text("1 picture")
    assert lab.ask("print(box)") == "PictureBox: class 1 0, class 2 0, class 3 1"
