"""The box for one's own pictures, told what a view would send."""

import io
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from cnnviz.widgets.picture_box import PictureBox, picture_box

MARKUP = "<img src=x onerror=stung()>"


def file_of(picture: Image.Image, kind: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def grey(value: int, size: tuple[int, int] = (20, 10)) -> bytes:
    return file_of(Image.new("RGB", size, (value,) * 3))


def told(box: PictureBox, *buffers: bytes, **message) -> None:
    box._handle_msg({"content": {"data": {"method": "custom", "content": message}}, "buffers": list(buffers)})


def notes(box: PictureBox) -> str:
    return "\n".join(box._notes)


def test_pictures_of_two_classes_become_data():
    box = PictureBox(["cat", ""])
    for value in range(5):
        told(box, grey(value), kind="picture", row=0, file=f"{value}.png")
        told(box, grey(200 + value), kind="picture", row=1, file=f"{value}.png")
    told(box, kind="name", row=1, name=f"  dog \n {MARKUP}" + "g" * 99)
    assert box.counts == {"cat": 5, f"dog {MARKUP}gggggggggggg"[:40]: 5}
    data = box.data(size=16)
    assert data.classes == tuple(box.counts)
    assert (len(data.train_x), len(data.test_x), data.train_x.shape[1:]) == (8, 2, (3, 16, 16))
    assert (data.train_x[data.train_y == 0].max() * 255).round() <= 4
    assert data.train_x[data.train_y == 0][:, :, [0, -1]].max() == 0  # 16 x 8 in the middle of a square
    assert [row["count"] for row in box._rows] == [5, 5]


def test_folders_make_classes_and_a_class_is_emptied():
    box = PictureBox()
    for name in ("cat", "dog", "owl", "cat"):
        told(box, grey(9), kind="picture", row=None, **{"class": name}, file="a.png")
    assert box.counts == {"cat": 2, "dog": 1, "owl": 1}
    told(box, kind="class")
    told(box, kind="empty", row=0)
    assert box.counts == {"cat": 0, "dog": 1, "owl": 1, "class 4": 0}
    assert repr(box) == "PictureBox: cat 0, dog 1, owl 1, class 4 0"


def test_what_is_no_picture_is_named_and_the_rest_goes_on():
    frames = [Image.new("L", (8, 8), value) for value in (0, 255)]
    deep = Image.fromarray(np.full((8, 8), 40_000, np.uint16))
    bomb = file_of(Image.new("1", (9000, 9000)))
    assert len(bomb) < 20_000
    box = PictureBox(["cat", "dog"])
    files = {
        "good.png": grey(1), f"{MARKUP}.png": b"no picture", "../../out.png": b"", "cut.png": grey(1)[:50],
        "moving.gif": file_of(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        "deep.png": file_of(deep), "huge.png": bomb, "drawing.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    }  # fmt: skip
    tracemalloc.start()
    for name, contents in files.items():
        told(box, contents, kind="picture", row=0, file=name)
    assert tracemalloc.get_traced_memory()[1] < 50_000_000
    tracemalloc.stop()
    assert box.counts == {"cat": 3, "dog": 0}  # the good one, the first frame, and 16 bits made 8
    assert f"{MARKUP}.png: the picture of 10 bytes cannot be read as a picture: use an undamaged PNG" in notes(box)
    assert "../../out.png: the picture of 0 bytes is empty" in notes(box)
    assert "huge.png: the picture of" in notes(box)
    assert "9,000 x 9,000 pixels: use a picture of at most 25 million" in notes(box)
    assert "drawing.svg: the picture of 41 bytes is an SVG drawing" in notes(box)
    told(box, kind="unread", row=0, file="raw.cr2")
    assert box._notes[-1] == "raw.cr2: the browser cannot open it: use a JPEG or PNG file"
    assert len(box._notes) <= picture_box.NOTES


def test_one_class_is_too_few():
    box = PictureBox(["cat", "dog"])
    for value in range(3):
        box.add("cat", grey(value))
    with pytest.raises(ValueError, match=r"^the box needs two classes or more, with two pictures or more each \('dog'"):
        box.data()
    box.add("dog", grey(5))
    with pytest.raises(ValueError, match="needs two classes"):
        box.data()


def test_the_box_is_bounded(monkeypatch):
    monkeypatch.setattr(picture_box, "MOST_BYTES", 200)
    monkeypatch.setattr(picture_box, "MOST_CLASSES", 3)
    box = PictureBox(["cat", "dog"])
    for value in range(5):
        told(box, grey(value), kind="picture", row=0, file="a.png")
    assert sum(box.counts.values()) < 5
    assert "a.png: the box is full" in notes(box)
    told(box, kind="class")
    told(box, kind="class")
    assert len(box.counts) == 3
    assert "there are 3 classes already" in notes(box)


@pytest.mark.parametrize(("call", "message"), [
    (lambda: PictureBox("cat"), 'classes "cat" is no list of names'),
    (lambda: PictureBox([]), "classes () is no list of names"),
    (lambda: PictureBox().add("cat", b"x"), "the picture of 1 bytes cannot be read"),
    (lambda: PictureBox().data(size=7), "size 7 is not a whole number from 8"),
])  # fmt: skip
def test_what_makes_no_sense_is_refused(call, message):
    with pytest.raises(ValueError) as refusal:
        call()
    assert str(refusal.value).startswith(message)
