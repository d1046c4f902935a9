"""Pictures: the lectures' grids, the embedded photographs, and whatever file a user may bring (RELIABILITY 18)."""

import io
import os
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits, load_sample_image

from cnnviz import images


def encoded(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def colours() -> Image.Image:
    """3 x 2 pixels: red, green, blue over black, white, grey."""
    rows = [[(255, 0, 0), (0, 255, 0), (0, 0, 255)], [(0, 0, 0), (255, 255, 255), (128, 128, 128)]]
    return Image.fromarray(np.array(rows, dtype=np.uint8))


def png_header(width: int, height: int) -> bytes:
    """A PNG that promises width x height pixels and holds none of them."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


# --- what the package brings ---


def test_the_smiley_gives_the_lectures_map_with_its_third_row_corrected():
    smiley, detector = images.grid("smiley"), np.array([[0, 0, 1], [1, 0, 0], [0, 1, 1]])
    feature_map = np.array([[(smiley[i : i + 3, j : j + 3] * detector).sum() for j in range(5)] for i in range(5)])
    assert feature_map[2].tolist() == [1, 0, 0, 2, 1]
    assert feature_map[[0, 1, 3, 4]].tolist() == [[0, 1, 0, 0, 0], [0, 1, 1, 1, 0], [1, 4, 2, 1, 0], [0, 0, 1, 2, 1]]
    pooled = [[feature_map[i : i + 2, j : j + 2].max() for j in (0, 2, 4)] for i in (0, 2, 4)]
    assert pooled == [[1, 1, 0], [4, 2, 1], [0, 2, 1]]


@pytest.mark.parametrize("name", images.names())
def test_every_name_gives_an_array_of_its_own(name):
    first = images.get(name)
    assert first.dtype == np.float64
    assert first.ndim in (2, 3)
    first[...] = -1  # a reader may change what he got without changing it for the next
    assert images.get(name).min() >= 0


@pytest.mark.parametrize("name", ["", "chiina", "digit-10", "digit-x", 7, None])
def test_an_unknown_name_is_repeated_and_the_known_ones_are_listed(name):
    with pytest.raises(
        ValueError, match=r"is called .*use one of arithmetic, ones, .*, china, flower, digit-0"
    ) as caught:
        images.get(name)
    assert repr(name) in str(caught.value)


def test_digits_are_scikit_learns():
    data = load_digits()
    sevens = data.images[data.target == 7]
    np.testing.assert_array_equal(images.digit(7), sevens[0])
    np.testing.assert_array_equal(images.digit(7, -1), sevens[-1])
    np.testing.assert_array_equal(images.get("digit-7"), sevens[0])


def test_a_digit_stands_in_the_middle_of_its_field():
    field = images.digit(3, size=13)
    np.testing.assert_array_equal(field[2:10, 2:10], images.digit(3))
    assert field.sum() == images.digit(3).sum()


@pytest.mark.parametrize("wrong", [{"label": 10}, {"label": "3"}, {"label": 1, "which": 999}, {"label": 1, "size": 7}])
def test_a_digit_that_does_not_exist_is_refused(wrong):
    value = list(wrong.values())[-1]
    with pytest.raises(ValueError, match=f"{value!r}.* use"):
        images.digit(**wrong)


def test_photographs_keep_their_proportions_and_their_colours():
    original = load_sample_image("china.jpg") / 255
    np.testing.assert_array_equal(images.photo("china", size=9999), original.transpose(2, 0, 1))  # never scaled up
    small = images.photo("china")
    assert small.shape == (3, 171, 256)
    np.testing.assert_allclose(small.mean(axis=(1, 2)), original.mean(axis=(0, 1)), atol=0.005)


def test_photographs_are_exact_multiples_of_one_255th():
    for picture in (images.photo("flower"), images.photo("flower", grey=True)):
        np.testing.assert_array_equal(picture, np.round(picture * 255) / 255)
        assert picture.flags.c_contiguous


# --- a user's own file ---


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "GIF", "WEBP"])
def test_the_pixels_come_through(kind, tmp_path):
    expected = np.asarray(colours()).transpose(2, 0, 1) / 255
    options = {"lossless": True} if kind == "WEBP" else {}
    contents = encoded(colours(), kind, **options)
    path = tmp_path / f"colours.{kind.lower()}"
    path.write_bytes(contents)
    for source in (path, str(path), contents, bytearray(contents), memoryview(contents)):
        np.testing.assert_array_equal(images.open(source), expected)


def test_jpeg_comes_through_within_its_loss():
    picture = Image.fromarray(load_sample_image("china.jpg"))
    opened = images.open(encoded(picture, "JPEG", quality=95), size=128)
    assert opened.shape == (3, 85, 128)
    np.testing.assert_allclose(opened, images.photo("china", size=128), atol=0.06)


def test_grey_weighs_the_colours_as_television_does():
    weights = np.array([0.299, 0.587, 0.114])
    expected = np.tensordot(weights, np.asarray(colours()) / 255, axes=(0, 2))
    np.testing.assert_allclose(images.open(encoded(colours()), grey=True), expected, atol=1 / 255)


def test_a_small_picture_is_never_scaled_up():
    assert images.open(encoded(colours()), size=100).shape == (3, 2, 3)
    assert images.open(encoded(Image.new("L", (1, 1), 255)), size=100).tolist() == [[[1.0]], [[1.0]], [[1.0]]]


def test_sixteen_bits_become_eight():
    deep = Image.fromarray(np.array([[0, 257, 32896, 65535]], dtype=np.uint16))
    np.testing.assert_array_equal(images.open(encoded(deep), grey=True) * 255, [[0, 1, 128, 255]])
    np.testing.assert_array_equal(images.open(encoded(deep, "TIFF"), grey=True) * 255, [[0, 1, 128, 255]])


def test_printing_colours_become_screen_colours():
    ink = Image.new("CMYK", (16, 16), (0, 255, 255, 0))  # magenta and yellow: red
    red = images.open(encoded(ink, "JPEG", quality=95))
    assert red[0].min() > 0.9
    assert red[1:].max() < 0.1


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_shows_white_paper(mode):
    picture = Image.new("RGBA", (3, 1))
    for x, alpha in enumerate((0, 51, 255)):
        picture.putpixel((x, 0), (0, 0, 0, alpha))
    np.testing.assert_allclose(images.open(encoded(picture.convert(mode)), grey=True) * 255, [[255, 204, 0]])


def test_a_transparent_palette_colour_shows_white_paper():
    picture = Image.new("P", (2, 1), 0)
    picture.putpalette([10, 10, 10, 20, 20, 20])
    picture.putpixel((1, 0), 1)
    for kind in ("GIF", "PNG"):
        np.testing.assert_allclose(images.open(encoded(picture, kind, transparency=1), grey=True) * 255, [[10, 255]])


def test_a_large_transparent_picture_looks_like_the_same_picture_on_white():
    rng = np.random.default_rng(0)
    smooth = Image.fromarray(rng.integers(0, 256, (12, 18, 4), dtype=np.uint8)).resize((1501, 1111))
    white = Image.new("RGB", smooth.size, "white")
    white.paste(smooth, mask=smooth)
    opened, expected = (images.open(encoded(picture), size=100) for picture in (smooth, white))
    np.testing.assert_allclose(opened, expected, atol=0.08)  # the last block of a band is cut off: some 0.3 % of scale
    assert np.abs(opened - expected).mean() < 0.01


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_turned_camera_gives_an_upright_picture(orientation, mode):
    undo = {  # how to store the upright picture so that this orientation sets it right
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: np.rot90(a),
        7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
        8: lambda a: np.rot90(a, -1),
    }[orientation]
    stored = Image.fromarray(np.ascontiguousarray(undo(np.asarray(colours().convert(mode)))))
    exif = Image.Exif()
    exif[0x0112] = orientation
    opened = images.open(encoded(stored, exif=exif))
    np.testing.assert_array_equal(opened, np.asarray(colours()).transpose(2, 0, 1) / 255)


def test_damaged_metadata_does_not_matter():
    contents = encoded(colours(), exif=b"Exif\0\0MM\0*\xff\xff\xff\xff nonsense")
    assert images.open(contents).shape == (3, 2, 3)


def test_an_animation_gives_its_first_frame():
    frames = [Image.new("L", (4, 4), shade) for shade in (51, 102, 153)]
    for kind in ("GIF", "PNG", "WEBP"):
        contents = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
        np.testing.assert_allclose(images.open(contents, grey=True), 0.2, atol=0.01)


def test_a_line_of_a_hundred_thousand_pixels_is_shrunk():
    for mode in ("L", "RGBA"):
        assert images.open(encoded(Image.new(mode, (100_000, 1)))).shape == (3, 1, 256)
        assert images.open(encoded(Image.new(mode, (1, 100_000)))).shape == (3, 256, 1)


def test_more_than_25_megapixels_are_refused_before_anything_is_decoded(tmp_path):
    (tmp_path / "bomb.png").write_bytes(png_header(13_000, 13_000))
    with pytest.raises(ValueError, match=r"bomb\.png' has 13,000 x 13,000 pixels: use a picture of at most 25 million"):
        images.open(tmp_path / "bomb.png")
    with pytest.raises(ValueError, match=r"has more than 170 million pixels: .* at most 25 million"):
        images.open(png_header(60_000, 60_000))


def test_webp_is_refused_earlier_since_its_decoder_needs_more_memory():
    with pytest.raises(ValueError, match=r"3,400 x 3,000 pixels: use a picture of at most 10 million"):
        images.open(encoded(Image.new("L", (3400, 3000)), "WEBP"))


def test_a_file_of_more_than_32_megabytes_is_refused(tmp_path):
    with (tmp_path / "large.bmp").open("wb") as file:
        file.truncate(10**12)  # sparse: takes no room, and must not be read to its end
    with pytest.raises(ValueError, match=r"large\.bmp' is larger than 32 MB"):
        images.open(tmp_path / "large.bmp")


BROKEN = {
    "empty.png": (b"", "is empty"),
    "text.jpg": (b"not a picture at all", "cannot be read as a picture"),
    "short.png": (encoded(Image.effect_noise((64, 64), 50))[:800], "cannot be read as a picture"),
    "short.jpg": (encoded(Image.effect_noise((64, 64), 50), "JPEG")[:900], "cannot be read as a picture"),
    "short.gif": (encoded(Image.effect_noise((64, 64), 50), "GIF")[:900], "cannot be read as a picture"),
    "header-only.png": (png_header(40, 40), "cannot be read as a picture"),
    "float.tiff": (encoded(Image.new("F", (4, 4)), "TIFF"), "32 bits a channel"),
    "drawing.svg": (b'<?xml version="1.0"?><SVG xmlns="http://www.w3.org/2000/svg"/>', "is an SVG drawing"),
    "program.eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "cannot be read as a picture"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_named_with_what_would_work(name, tmp_path):
    contents, complaint = BROKEN[name]
    (tmp_path / name).write_bytes(contents)
    with pytest.raises(ValueError, match=rf"{name}'.*{complaint}.*(PNG|JPEG)"):
        images.open(tmp_path / name)


def refusal(contents: bytes) -> str:
    """The message with which the contents are refused, or "" when they are read; any other exception comes through."""
    try:
        assert images.open(contents, size=64).shape[0] == 3
    except ValueError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP"])
def test_damage_anywhere_is_refused_with_a_message_or_read(kind):
    rng = np.random.default_rng(0)
    whole = encoded(Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)), kind)
    cut = [refusal(whole[:length]) for length in range(0, len(whole) // 2, 7)]
    assert all("bytes" in message for message in cut)  # half a file is never taken for a picture
    for place in rng.integers(0, len(whole), 200):
        damaged = bytearray(whole)
        damaged[place] ^= int(rng.integers(1, 256))
        assert refusal(damaged) == "" or "bytes" in refusal(damaged)


def test_what_is_not_a_file_is_refused(tmp_path):
    (tmp_path / "broken-link.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    complaints = {
        tmp_path / "nowhere.png": "cannot be opened .No such file.*the current folder is",
        tmp_path / "broken-link.png": "is a link to a file that does not exist",
        tmp_path / "loop.png": "is a link",
        tmp_path: "is a folder: use the path of a PNG",
        "a\0b.png": "cannot be opened",
        "": "is a folder",
        3: "neither a path nor the bytes",
        None: "neither a path nor the bytes",
    }
    for source, complaint in complaints.items():
        with pytest.raises(ValueError, match=complaint):
            images.open(source)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(ValueError, match=r"pipe\.png' is not a plain file"):
        images.open(tmp_path / "pipe.png")


def test_a_link_to_a_picture_is_followed(tmp_path):
    (tmp_path / "there.png").write_bytes(encoded(colours()))
    (tmp_path / "link.png").symlink_to(tmp_path / "there.png")
    assert images.open(tmp_path / "link.png").shape == (3, 2, 3)


@pytest.mark.parametrize("size", [0, -1, 2.5, "256", True, None])
def test_a_size_that_is_no_number_of_pixels_is_refused(size):
    for call in (lambda: images.open(encoded(colours()), size=size), lambda: images.photo("china", size=size)):
        with pytest.raises(ValueError, match=f"size {size!r}: use a whole number of pixels"):
            call()


MEASURE = """
import resource, sys, time
from cnnviz import images
contents = open(sys.argv[1], "rb").read()
images.open(b"P2 1 1 255 0")
before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
images.open(contents)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024, time.perf_counter() - start)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss has another unit elsewhere")
@pytest.mark.parametrize(
    ("kind", "mode", "side"),
    [("PNG", "RGBA", 5000), ("PNG", "RGB", 5000), ("PNG", "I;16", 5000), ("GIF", "P", 5000), ("WEBP", "RGBA", 3162)],
)
def test_the_largest_picture_that_is_accepted_fits_into_200_megabytes(kind, mode, side, tmp_path):
    Image.new(mode, (side, side)).save(tmp_path / "large", kind)
    command = [sys.executable, "-c", MEASURE, str(tmp_path / "large")]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    megabytes, seconds = map(float, output.split())
    print(f"{kind} {mode} {side} x {side}: {megabytes:.0f} MiB more, {seconds:.2f} s")
    assert megabytes < 200
