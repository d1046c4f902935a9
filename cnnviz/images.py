"""Pictures to slide a kernel over: the lectures' small grids, digits, two photographs, and your own.

One channel comes as an ``(H, W)`` array, several as ``(C, H, W)``, always float64. Photographs hold values from 0 to 1,
exact multiples of 1/255; the grids and the digits keep their own small numbers. No picture is ever scaled up.

>>> from cnnviz import images
>>> images.grid("pool")
array([[1., 1., 2., 4.],
       [5., 6., 7., 8.],
       [3., 2., 1., 0.],
       [1., 2., 3., 4.]])
"""

import io
import os
import stat
import warnings
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

__all__ = ["digit", "get", "grid", "names", "open", "photo"]

MAX_PIXELS = 25_000_000  # Pillow itself only warns below 179 million, and by then the machine is out of memory
MAX_PIXELS_WEBP = 10_000_000  # its decoder holds the picture four times over
MAX_BYTES = 32_000_000
_FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "PPM")  # none of these starts another program, as EPS does
_KINDS = "PNG, JPEG, GIF, WebP, BMP or TIFF"
_TURNS = {  # EXIF orientation -> what sets the picture upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_GRIDS = {
    "arithmetic": [[3, 3, 2, 1, 0], [0, 0, 1, 3, 1], [3, 1, 2, 2, 3], [2, 0, 0, 2, 2], [2, 0, 0, 0, 1]],
    "ones": [[1, 1, 1], [1, 1, 1], [1, 1, 1]],
    "counting": [[0, 1, 2], [3, 4, 5], [6, 7, 8]],
    "counting2": [[[0, 1, 2], [3, 4, 5], [6, 7, 8]], [[1, 2, 3], [4, 5, 6], [7, 8, 9]]],
    "pool": [[1, 1, 2, 4], [5, 6, 7, 8], [3, 2, 1, 0], [1, 2, 3, 4]],
    "smiley": [
        [0, 0, 0, 0, 0, 0, 0],
        [0, 1, 0, 0, 0, 1, 0],
        [0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 1, 0, 0, 0],
        [0, 1, 0, 0, 0, 1, 0],
        [0, 0, 1, 1, 1, 0, 0],
        [0, 0, 0, 0, 0, 0, 0],
    ],
}
_PHOTOS = ("china", "flower")
_DIGITS = tuple(f"digit-{label}" for label in range(10))


def names() -> tuple[str, ...]:
    """Every name that `get` knows.

    >>> from cnnviz import images
    >>> images.names()[:7]
    ('arithmetic', 'ones', 'counting', 'counting2', 'pool', 'smiley', 'china')
    """
    return (*_GRIDS, *_PHOTOS, *_DIGITS)


def get(name: str, size: int = 256, grey: bool = False) -> np.ndarray:
    """Return a grid, a digit or a photograph by its name; `size` and `grey` matter to photographs only.

    Raises
    ------
    ValueError
        For an unknown name; the message lists the known ones.

    >>> from cnnviz import images
    >>> images.get("counting").shape, images.get("digit-7").shape, images.get("china", size=64).shape
    ((3, 3), (8, 8), (3, 43, 64))
    """
    _check_name(name, names())
    if name in _GRIDS:
        return grid(name)
    if name in _DIGITS:
        return digit(int(name.removeprefix("digit-")))
    return photo(name, size, grey)


def grid(name: str) -> np.ndarray:
    """One of the small grids that the lectures compute with by hand.

    "arithmetic" 5 x 5; "ones" 3 x 3; "counting" 0 to 8; "counting2" two channels, 0 to 8 and 1 to 9; "pool" 4 x 4;
    "smiley" 7 x 7.

    >>> from cnnviz import images
    >>> images.grid("counting")
    array([[0., 1., 2.],
           [3., 4., 5.],
           [6., 7., 8.]])
    """
    _check_name(name, tuple(_GRIDS))
    return np.array(_GRIDS[name], dtype=np.float64)


def digit(label: int, which: int = 0, size: int = 8) -> np.ndarray:
    """One of scikit-learn's 1,797 scanned digits: 8 x 8 pixels, 0 (paper) to 16 (ink).

    Parameters
    ----------
    label
        The digit wanted, 0 to 9.
    which
        Which scan of that digit: 0 is the first, -1 the last.
    size
        Side of the square field of paper that the 8 x 8 scan is put in the middle of.

    Raises
    ------
    ValueError
        When there is no such digit or scan, or the field is smaller than the scan.

    >>> from cnnviz import images
    >>> images.digit(1).max(), images.digit(1, size=12).shape
    (np.float64(16.0), (12, 12))
    """
    if type(label) is not int or label not in range(10):
        raise ValueError(f"label {label!r} is not a digit: use a whole number from 0 to 9")
    if type(size) is not int or not 8 <= size <= 256:
        raise ValueError(f"size {size!r}: the scan is 8 x 8 and is never scaled, use a whole number from 8 to 256")
    scans, labels = _digits()
    found = scans[labels == label]
    if type(which) is not int or not -len(found) <= which < len(found):
        raise ValueError(f"which {which!r}: there are {len(found)} scans of a {label}, use 0 to {len(found) - 1}")
    field = np.zeros((size, size))
    start = (size - 8) // 2
    field[start : start + 8, start : start + 8] = found[which]
    return field


def photo(name: str, size: int = 256, grey: bool = False) -> np.ndarray:
    """One of scikit-learn's two photographs, "china" (a temple) or "flower", with its longer side `size` pixels.

    They are 427 x 640, and never scaled up. Returns ``(3, H, W)``, or ``(H, W)`` with `grey`.

    >>> from cnnviz import images
    >>> images.photo("china").shape, images.photo("flower", size=96, grey=True).shape
    ((3, 171, 256), (64, 96))
    """
    from sklearn.datasets import load_sample_image  # takes a second: only those who want a photograph wait for it

    _check_name(name, _PHOTOS)
    _check_size(size)
    return _as_array(Image.fromarray(load_sample_image(f"{name}.jpg")), size, grey)


def open(source: str | os.PathLike[str] | bytes, size: int = 256, grey: bool = False) -> np.ndarray:
    """Read a picture of your own, from a path or from the bytes of a file (a `FileUpload` widget's, say).

    It is turned the way the camera was held, laid on white where it is transparent, reduced to 8 bits a channel and
    shrunk until its longer side is `size` pixels. Of an animation the first frame is taken.

    Parameters
    ----------
    source
        A path, or the contents of a file.
    size
        The longer side in pixels; a smaller picture keeps its size.
    grey
        Whether to weigh the colours into one channel of brightness (0.299 R + 0.587 G + 0.114 B).

    Returns
    -------
    numpy.ndarray
        ``(3, H, W)``, or ``(H, W)`` with `grey`; values from 0 to 1, exact multiples of 1/255.

    Raises
    ------
    ValueError
        When it is no picture, is damaged, has more than 25 megapixels (WebP: 10) or is larger than 32 MB. Nothing
        is decoded before the size in its header was looked at.

    >>> from cnnviz import images
    >>> images.open(b"P2 2 1 255 0 255", grey=True)
    array([[0., 1.]])
    """
    _check_size(size)
    called, contents = _read(source)
    if b"<svg" in contents[:1000].lower():
        raise ValueError(f"{called} is an SVG drawing, not a grid of pixels: export it as PNG first")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd metadata, and Pillow's own size warning: ours is stricter
            with Image.open(io.BytesIO(contents), formats=_FORMATS) as picture:
                limit = MAX_PIXELS_WEBP if picture.format == "WEBP" else MAX_PIXELS
                if picture.width * picture.height <= limit:
                    return _as_array(picture, size, grey)
                extent = f"{picture.width:,} x {picture.height:,}"
    except Image.DecompressionBombError:  # Pillow's own limit, reached while it was opening the file
        extent, limit = "more than 170 million", MAX_PIXELS
    except Exception as error:  # a damaged file makes a decoder raise almost anything
        reason = "" if isinstance(error, UnidentifiedImageError) else f" ({error})"  # that one tells an address only
        raise ValueError(f"{called} cannot be read as a picture{reason}: use an undamaged {_KINDS} file") from error
    raise ValueError(f"{called} has {extent} pixels: use a picture of at most {limit // 10**6} million")


def _read(source: str | os.PathLike[str] | bytes) -> tuple[str, bytes]:
    """What to call the source in a message, and its bytes."""
    if isinstance(source, bytes | bytearray | memoryview):
        contents = bytes(source)
        called = f"the picture of {len(contents):,} bytes"
    elif isinstance(source, str | os.PathLike):
        called = repr(os.fspath(source))
        contents = _contents(Path(source).expanduser(), called)
    else:
        raise ValueError(f"{source!r} is neither a path nor the bytes of a file: use images.open('my-photo.jpg')")
    if len(contents) > MAX_BYTES:
        raise ValueError(f"{called} is larger than {MAX_BYTES // 10**6} MB: save it smaller, as JPEG for example")
    if not contents:
        raise ValueError(f"{called} is empty: use a {_KINDS} file")
    return called, contents


def _contents(path: Path, called: str) -> bytes:
    """At most one byte more than the limit; only a plain file is opened, since a pipe or a device may never end."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):
            with path.open("rb") as file:
                return file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        if path.is_symlink():
            raise ValueError(f"{called} is a link to a file that does not exist: mend the link") from error
        reason = getattr(error, "strerror", None) or error
        raise ValueError(f"{called} cannot be opened ({reason}); the current folder is {str(Path.cwd())!r}") from error
    kind = "a folder" if stat.S_ISDIR(mode) else "not a plain file"
    raise ValueError(f"{called} is {kind}: use the path of a {_KINDS} file")


def _as_array(picture: Image.Image, size: int, grey: bool) -> np.ndarray:
    flat = _flat(picture, size)
    flat.thumbnail(
        (size, size), Image.Resampling.LANCZOS
    )  # shrinks only, in place; a JPEG is decoded at a fraction of its size
    turn = _TURNS.get(_orientation(picture))
    upright = flat.transpose(turn) if turn is not None else flat
    values = np.asarray(upright.convert("L" if grey else "RGB")) / 255
    return values if grey else np.ascontiguousarray(values.transpose(2, 0, 1))  # H, W, C -> C, H, W


def _flat(picture: Image.Image, size: int) -> Image.Image:
    """The picture without transparency, palette or more than 8 bits a channel."""
    if picture.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    if picture.mode in ("I", "F"):
        raise ValueError("32 bits a channel")
    if picture.has_transparency_data:
        return _on_white(picture, size)
    return picture if picture.mode in ("L", "RGB", "CMYK") else picture.convert("RGB")


def _on_white(picture: Image.Image, size: int) -> Image.Image:
    """Lay the picture on white band by band, each shrunk at once, so that no second large picture is in memory."""
    factor = max(1, max(picture.size) // (2 * size))  # what is left to shrink gets the better filter
    paper = Image.new("RGB", tuple(-(-side // factor) for side in picture.size))
    for top in range(0, picture.height, 64 * factor):
        bottom = min(top + 64 * factor, picture.height)
        ink = picture.crop((0, top, picture.width, bottom)).convert("RGBA")
        band = Image.new("RGB", ink.size, "white")
        band.paste(ink, mask=ink)
        paper.paste(band.reduce(factor), (0, top // factor))
    return paper


def _orientation(picture: Image.Image) -> int:
    try:
        return picture.getexif().get(0x0112, 1)
    except Exception:  # damaged metadata does not make the pixels worse
        return 1


@cache
def _digits() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits

    data = load_digits()
    return data.images, data.target


def _check_name(name: str, known: tuple[str, ...]) -> None:
    if name not in known:
        raise ValueError(
            f"no picture is called {name!r}: use one of {', '.join(known)}, or images.open(path) for your own"
        )


def _check_size(size: int) -> None:
    if type(size) is not int or size < 1:
        raise ValueError(f"size {size!r}: use a whole number of pixels, 1 or more, such as 256")
