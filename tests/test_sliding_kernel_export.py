import base64
import io
import json
import os
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnnviz import SlidingKernel
from cnnviz.widgets.sliding_kernel import scene

SVG = "{http://www.w3.org/2000/svg}"
SCENES = {
    "first": {},
    "padded": {"height": 7, "width": 7, "padding": 2, "stride": 2, "position": 3},
    "unread": {"height": 7, "width": 7, "stride": 3},
    "dilated": {"height": 9, "width": 9, "dilation": (2, 3), "kernel_size": (3, 2)},
    "flipped": {"op": "convolve", "bias": -0.5, "relu": True},
    "transposed": {"op": "transposed", "stride": 2, "padding": 1, "output_padding": 1, "height": 3, "width": 3},
    "cropped": {"op": "transposed", "padding": 2, "stride": 2},
    "max": {"op": "max_pool", "padding": 1, "ceil_mode": True, "image": "pool", "kernel_size": 2},
    "mean": {"op": "avg_pool", "height": 6, "width": 6, "divisor_override": 5},
    "channels": {"image": "counting2", "filters": 2, "kernel_size": 2},
    "grouped": {"in_channels": 4, "filters": 8, "groups": 2, "height": 16, "width": 16, "padding": 2, "filter": 5},
    "grid": {"height": 16, "width": 16, "kernel": "gaussian", "padding": 3, "kernel_size": 7, "heatmap": True},
    "photo": {"image": "china", "kernel": "sobel_x", "kernel_size": 7, "filters": 8, "padding": 3},
    "square photo": {"image": np.random.default_rng(0).random((3, 256, 256)), "kernel": "edge", "filters": 8},
    "grey photo": {"image": np.random.default_rng(0).random((64, 64)), "fill": True, "position": 900, "heatmap": True},
    "pooled photo": {"image": "flower", "op": "avg_pool", "kernel_size": 8},
    "deep": {"image": np.random.default_rng(0).normal(size=(64, 14, 14)), "filters": 32},
    "flat": {"image": np.zeros((4, 4)), "kernel": [[0, 0], [0, 0]]},
    "one pixel": {"image": [[7]], "kernel": [[2]]},
    "predict the shape": {"predict": "shape"},
    "predict a cell": {"predict": "cell", "position": 4},
    "window only": {"reveal": 0},
}


@pytest.fixture(params=SCENES)
def widget(request):
    return SlidingKernel(**SCENES[request.param])


def texts(svg: str) -> list[str]:
    return [element.text for element in ET.fromstring(svg).iter(f"{SVG}text")]


def svg_of(w: SlidingKernel) -> str:
    return w._repr_mimebundle_()[0]["image/svg+xml"]


# ---- what a notebook stores ----------------------------------------------------------------------------------------


def test_the_text_says_operation_sizes_parameters_and_output():
    assert repr(SlidingKernel(stride=2, padding=1)) == (
        "SlidingKernel nn.Conv2d(1, 1, kernel_size=3, stride=2, padding=1)\n"
        "conv: input 1x5x5, kernel 1x1x3x3 → output 1x3x3\n"
        "kernel_size 3, stride 2, padding 1, dilation 1, groups 1, bias 0\n"
        "output size: ⌊(5 − 3 + 2·1) / 2⌋ + 1 = 3\n"
        "output (0, 0): 0·0 + 0·1 + 0·2 + 0·2 + 3·2 + 3·0 + 0·0 + 0·1 + 0·2 = 6\n"
        "output:\n"
        " 6 17  3\n"
        " 8 17 13\n"
        " 6  4  4"
    )


def test_a_large_output_is_summed_up():
    text = repr(SlidingKernel(np.arange(400).reshape(20, 20), kernel=[[1]]))
    assert "output from 0 to 399; channel 0 begins:\n 0  1  2  3\n20 21 22 23\n" in text


def test_the_bundle_holds_the_live_view_a_text_and_a_picture_that_say_the_same(widget):
    data, metadata = widget._repr_mimebundle_()
    assert set(data) == {"application/vnd.jupyter.widget-view+json", "text/plain", "image/svg+xml"}
    assert data["text/plain"] == repr(widget)
    drawing = ET.fromstring(data["image/svg+xml"])
    assert drawing.get("role") == "img"
    assert drawing.find(f"{SVG}desc").text == repr(widget)
    assert drawing.find(f"{SVG}title").text == f"SlidingKernel {widget.code}"
    assert isinstance(metadata, dict)


def test_the_picture_is_small(widget):
    assert len(svg_of(widget).encode()) < 60_000
    assert len(svg_of(SlidingKernel()).encode()) < 15_000


def test_the_picture_shows_the_numbers_and_marks_the_window():
    svg = svg_of(SlidingKernel())
    numbers = texts(svg)
    for grid in ("3 3 2 1 0 0 0 1 3 1 3 1 2 2 3 2 0 0 2 2 2 0 0 0 1", "12 12 17 10 17 19 9 6 14", "0 3 4 0 0 0 0 1 4"):
        assert f" {grid} " in f" {' '.join(text for text in numbers if text.isdigit())} "
    assert {"input", "kernel", "products", "output"} <= set(numbers)
    frames = re.search(r'stroke="#c2188f"[^>]* d="([^"]*)"', svg)[1]
    assert frames.count("M") == 3  # window, products, output cell


def test_everything_stays_inside_the_picture(widget):
    drawing = ET.fromstring(svg_of(widget))
    width, height = (float(side) for side in drawing.get("viewBox").split()[2:])
    for element in drawing.iter(f"{SVG}text"):
        size = 0.62 * 16 if element.text == widget.code else 0.55 * 14
        if len(element.text) > 12:
            assert float(element.get("x")) + size * len(element.text) <= width + 8, element.text
        assert 0 < float(element.get("y")) < height
    for image in drawing.iter(f"{SVG}image"):
        assert float(image.get("x")) + float(image.get("width")) <= width
        assert float(image.get("y")) + float(image.get("height")) <= height


def test_every_text_contrasts_with_what_is_behind_it():
    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        return sum(
            share * (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4)
            for share, part in zip((0.2126, 0.7152, 0.0722), parts, strict=True)
        )

    for name in ("padded", "channels", "grid", "flipped", "mean"):
        drawing = ET.fromstring(svg_of(SlidingKernel(**SCENES[name])))
        boxes = []
        for path in drawing.iter(f"{SVG}path"):
            for x, y, width, height in re.findall(r"M([\d.]+) ([\d.]+)h([\d.]+)v([\d.]+)", path.get("d")):
                if path.get("fill") != "none":
                    box = [float(part) for part in (x, y, width, height)]
                    boxes.append((*box, path.get("fill")))
        for group in drawing.iter(f"{SVG}g"):
            for text in group:
                x, y = float(text.get("x")), float(text.get("y")) - 4
                under = [c for left, top, w, h, c in boxes if left <= x < left + w and top <= y < top + h]
                pair = sorted([luminance(group.get("fill")), luminance((under or ["#ffffff"])[-1])])
                assert (pair[1] + 0.05) / (pair[0] + 0.05) >= 4.5, (name, text.text)


def test_a_photograph_is_embedded_in_its_colours():
    images = list(ET.fromstring(svg_of(SlidingKernel("china", kernel="box"))).iter(f"{SVG}image"))
    kind, _, body = images[0].get("href").partition(",")
    assert kind == "data:image/bmp;base64"
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(body))).convert("RGB")).astype(int)
    assert max(pixels.shape[:2]) <= 96
    assert np.ptp(pixels, axis=2).max() > 60  # not grey


def test_what_is_to_be_predicted_is_not_given_away():
    w = SlidingKernel(predict="shape", stride=2)
    svg = svg_of(w)
    assert "1x2x2" not in repr(w) + svg
    assert "? × ?" in texts(svg)
    w = SlidingKernel(predict="cell", position=5)
    assert "19" not in repr(w) + " ".join(texts(svg_of(w)))
    assert "19" not in " ".join(texts(svg_of(SlidingKernel(reveal=0, position=5))))


def test_what_is_never_read_is_said_and_crossed_out():
    svg = svg_of(SlidingKernel(**SCENES["unread"]))
    assert "row 6 is never read; column 6 is never read" in "".join(texts(svg))
    assert re.search(r'stroke="#00796b"[^>]* d="([^"]*)"', svg)[1].count("M") == 2


SHOWN = """
import hashlib, sys
sys.path.insert(0, {folder!r})
from tests.test_sliding_kernel_export import SCENES
from cnnviz import SlidingKernel
from cnnviz.widgets.sliding_kernel import scene
for name, given in SCENES.items():
    data, _ = SlidingKernel(**given)._repr_mimebundle_()
    print(name, hashlib.sha256((data["text/plain"] + data["image/svg+xml"]).encode()).hexdigest())
"""


def test_text_and_picture_are_the_same_in_every_process_and_number_of_threads():
    code = SHOWN.format(folder=str(Path(__file__).parents[1]))
    runs = [
        subprocess.run(
            [sys.executable, "-c", code],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads, "PYTHONHASHSEED": threads},
        ).stdout
        for threads in ("1", "2")
    ]
    assert runs[0] == runs[1]
    assert runs[0].count("\n") == len(SCENES)


def test_the_last_digits_of_a_sum_change_nothing(widget, monkeypatch):
    def otherwise_summed(*given):
        trace = exact(*given)
        noise = np.random.default_rng(1).normal(scale=1e-15, size=trace.output.shape)
        return replace(trace, output=trace.output + noise * np.abs(trace.output).max(initial=0))

    before, exact = widget._repr_mimebundle_(), scene.traced
    monkeypatch.setattr(scene, "traced", otherwise_summed)
    assert widget._repr_mimebundle_() == before


def test_a_png_comes_along_only_while_notebooks_are_regenerated(monkeypatch):
    monkeypatch.setenv("CNNVIZ_NOTEBOOK_PNG", "1")
    png = SlidingKernel()._repr_mimebundle_()[0]["image/png"]
    assert Image.open(io.BytesIO(base64.b64decode(png))).format == "PNG"
    assert len(png) < 60_000


# ---- files ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [".html", ".png", ".svg", ".SVG"])
def test_it_is_saved_and_the_path_returned(widget, tmp_path, ending):
    saved = widget.save(tmp_path / f"one{ending}")
    assert saved == tmp_path / f"one{ending}"
    assert saved.stat().st_size > 1000
    assert widget.save(str(saved)) == saved


@pytest.mark.parametrize("name", [name for name in SCENES if SlidingKernel(**SCENES[name]).output[0].size <= 64])
def test_every_small_scene_can_be_animated(name, tmp_path):
    w = SlidingKernel(**SCENES[name])
    with Image.open(w.save(tmp_path / "w.gif")) as gif:
        assert gif.n_frames == w.output[0].size


@pytest.mark.parametrize("name", ["kernel.mp4", "kernel", "kernel.html.", ".html", 3, None])
def test_another_ending_is_refused_with_those_that_work(name, tmp_path):
    with pytest.raises(ValueError, match=r"use (\.html, \.gif, \.png or \.svg|a name such as 'widget.html')"):
        SlidingKernel().save(tmp_path / name if isinstance(name, str) else name)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere' does not exist: make it"):
        SlidingKernel().save(tmp_path / "nowhere" / "kernel.svg")


def test_the_animation_has_a_frame_for_each_cell_and_fills_in(tmp_path):
    w = SlidingKernel(op="transposed")
    w.speed = 5
    with Image.open(w.save(tmp_path / "w.gif")) as gif:
        assert gif.n_frames == 49
        assert gif.info["duration"] == 200
        assert gif.info["loop"] == 0
        first, size = gif.convert("RGB"), gif.size
        gif.seek(48)
        assert gif.info["duration"] == 2000
        last = gif.convert("RGB")
    assert last.size == size
    assert np.asarray(first)[0, 0].tolist() == [255, 255, 255]
    output = slice(size[0] * 2 // 3, None)
    changed = (np.asarray(first) != np.asarray(last)).any(axis=2)[:, output]
    assert changed.mean() > 0.1
    assert w.fill is False  # only the animation fills in


def test_a_large_animation_is_walked_in_larger_steps(tmp_path):
    w = SlidingKernel(np.ones((20, 20)))
    with Image.open(w.save(tmp_path / "w.gif")) as gif:
        assert gif.n_frames == 100


def test_the_page_holds_everything_and_asks_for_nothing(tmp_path):
    page = SlidingKernel(stride=2).save(tmp_path / "w.html").read_text(encoding="utf-8")
    assert not re.search(r"""(src|href)=["'](?!data:)""", page)
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", page)
    state = json.loads(re.search(r'<script id="cnnviz-state" type="application/json">(.*?)</script>', page)[1])
    assert state["stride"] == 2
    assert state["image"]["values"][:3] == [3, 3, 2]
    assert len(page.encode()) < 120_000


def test_the_page_holds_a_photograph_as_base64(tmp_path):
    w = SlidingKernel("flower")
    page = w.save(tmp_path / "w.html").read_text(encoding="utf-8")
    state = json.loads(re.search(r'application/json">(.*?)</script>', page)[1])
    pixels = np.frombuffer(base64.b64decode(state["image"]["u8"]), np.uint8).reshape(state["image"]["shape"]) / 255
    assert np.array_equal(pixels, w.image)


def test_no_text_of_a_user_becomes_markup(tmp_path):
    evil = "</script><img src=x onerror=alert(1)><!--{{code}}"
    w = SlidingKernel(guess=evil, states={"1": evil})
    page = w.save(tmp_path / "w.html").read_text(encoding="utf-8")
    assert "<img src=x" not in page
    assert page.count("</script>") == 3
    assert json.loads(re.search(r'application/json">(.*?)</script>', page)[1])["guess"] == evil
    for text in (svg_of(w), repr(w)):
        assert "onerror" not in text


def test_exports_are_quick(tmp_path):
    def seconds(w: SlidingKernel, name: str) -> float:
        times = []
        for _ in range(3):
            start = time.perf_counter()
            w.save(tmp_path / name)
            times.append(time.perf_counter() - start)
        return min(times)

    small, large = SlidingKernel(), SlidingKernel(height=16, width=16)
    assert seconds(small, "w.html") < 0.1  # 4 ms alone; a busy machine is given room
    assert seconds(large, "w.html") < 0.2
    assert seconds(SlidingKernel(height=7, width=7), "w.gif") < 2
