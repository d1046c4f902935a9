"""Pictures and weights as they come from users, and as they travel to the view.

A picture is ``(channels, height, width)``, a kernel ``(filters, channels, height, width)`` in torch's layout, both
float64 and read-only: a change in place would never reach the view.
"""

from __future__ import annotations

import base64
import io
import math
import os
from typing import Any

import numpy as np

from cnnviz import images
from cnnviz.widgets._errors import IllegalLayer

MAX_SIDE = 256  # pixels: the view recomputes the whole picture for every step of a slider
MAX_CHANNELS = 512
AS_LIST = 1024  # up to so many numbers travel as a list, which the view can edit; more travel as bytes
LARGEST = 1e30  # sums of products stay finite
PICTURE_FORMS = "use (height, width) or (channels, height, width)"
KERNEL_FORMS = "use (height, width), (channels, height, width) or (filters, channels, height, width)"


def read_picture(value: Any) -> np.ndarray:
    """Turn what a user calls a picture into a ``(channels, height, width)`` array.

    Arrays, nested lists, torch tensors, Pillow images, names that `cnnviz.images.get` knows, paths and the bytes of a
    file will do; one leading axis of 1 (a batch of one picture) is dropped.
    """
    array = _numbers("image", opened(value))
    if array.ndim == 4 and array.shape[0] == 1:
        array = array[0]
    if array.ndim not in (2, 3):
        raise IllegalLayer(f"image of shape {array.shape} has {array.ndim} axes: {PICTURE_FORMS}")
    if array.ndim == 3 and min(array.shape[:2]) >= 16 and array.shape[2] in (1, 3, 4):
        raise IllegalLayer(f"image of shape {array.shape} has its channels last: use image.transpose(2, 0, 1)")
    array = array.reshape((-1, *array.shape[-2:]))
    if max(array.shape[1:]) > MAX_SIDE:
        small = f"use at most {MAX_SIDE} x {MAX_SIDE}, for example cnnviz.images.open(path, size={MAX_SIDE}) or a crop"
        raise IllegalLayer(f"image is {array.shape[1]} x {array.shape[2]} pixels: {small}")
    if array.shape[0] > MAX_CHANNELS:
        raise IllegalLayer(f"image has {array.shape[0]} channels: use at most {MAX_CHANNELS}")
    return frozen(array)


def opened(value: Any) -> Any:
    """Load a picture that is given by name, path, bytes or as a Pillow image; leave anything else alone."""
    if isinstance(value, str) and (value in images.names() or not os.path.splitext(value)[1]):
        return images.get(value)
    if isinstance(value, str | os.PathLike | bytes):
        return images.open(value)
    if any(base.__module__ == "PIL.Image" for base in type(value).__mro__):
        if value.width * value.height > images.MAX_PIXELS:
            at_most = f"use at most {images.MAX_PIXELS // 10**6} megapixels"
            raise IllegalLayer(f"image is {value.width} x {value.height}: {at_most}")
        buffer = io.BytesIO()
        value.save(buffer, "TIFF")  # the one format that keeps every mode a Pillow image can have
        return images.open(buffer.getvalue(), grey=value.mode in ("1", "L", "I", "F", "I;16"))
    return value


def read_kernel(value: Any) -> np.ndarray:
    """Turn nested lists, arrays and tensors of 2, 3 or 4 axes into weights ``(filters, channels, height, width)``."""
    array = _numbers("kernel", value)
    if array.ndim not in (2, 3, 4):
        raise IllegalLayer(f"kernel of shape {array.shape} has {array.ndim} axes: {KERNEL_FORMS}")
    return frozen(array.reshape((1,) * (4 - array.ndim) + array.shape))


def _numbers(name: str, value: Any) -> np.ndarray:
    if isinstance(value, dict):
        return from_wire(name, value)
    if hasattr(value, "detach"):  # a torch tensor; bfloat16 has no NumPy form, so widen it there
        value = value.detach().cpu().double().numpy()
    try:
        array = np.asarray(value)
    except ValueError:
        raise IllegalLayer(f"{name} {shortened(value)} is ragged: use rows of equal length") from None
    if array.dtype.kind not in "biuf":
        raise IllegalLayer(f"{name} {shortened(value)} is not numbers: use a nested list or an array of numbers")
    if array.size == 0:
        raise IllegalLayer(f"{name} of shape {array.shape} is empty: use at least one number")
    array = array.astype(np.float64)
    if not np.isfinite(array).all():
        raise IllegalLayer(f"{name} holds {array[~np.isfinite(array)][0]}: use finite numbers")
    if np.abs(array).max() > LARGEST:
        raise IllegalLayer(f"{name} holds {np.abs(array).max():g}: use numbers up to {LARGEST:g}")
    return array


def frozen(array: np.ndarray) -> np.ndarray:
    """Return the array made read-only."""
    array = np.ascontiguousarray(array)
    array.flags.writeable = False
    return array


def shortened(value: Any, length: int = 60) -> str:
    """Repeat what was given, cut where it is long."""
    text = repr(value)
    return text if len(text) <= length else text[: length - 1] + "…"


def to_wire(array: np.ndarray) -> dict:
    """Return the form that travels: a list of numbers, or bytes when there are many.

    Bytes are one a number when every value is a multiple of 1/255, as in photographs, else four (float32).
    """
    shape = list(array.shape)
    if array.size <= AS_LIST:
        return {"shape": shape, "values": array.ravel().tolist()}
    levels = np.round(array * 255)
    if levels.min() >= 0 and levels.max() <= 255 and np.array_equal(levels / 255, array):
        return {"shape": shape, "u8": levels.astype(np.uint8).tobytes()}
    return {"shape": shape, "f32": array.astype("<f4").tobytes()}


def from_wire(name: str, wire: dict) -> np.ndarray:
    """Return the array that `to_wire` sent, or that a view or a share string holds."""
    shape, form = wire.get("shape"), next((form for form in ("values", "u8", "f32") if form in wire), None)
    whole = isinstance(shape, list | tuple) and all(type(side) is int and side > 0 for side in shape)
    if not whole or form is None:
        raise IllegalLayer(f"{name} {shortened(wire)} is not understood: use {{'shape': [...], 'values': [...]}}")
    if form == "values":
        flat = np.asarray(_numbers(name, wire["values"]))
    else:
        buffer = base64.b64decode(wire[form]) if isinstance(wire[form], str) else wire[form]
        flat = np.frombuffer(buffer, np.uint8) / 255 if form == "u8" else np.frombuffer(buffer, "<f4").astype(float)
    if flat.size != math.prod(shape):
        raise IllegalLayer(f"{name} has {flat.size} numbers for the shape {tuple(shape)}: use {math.prod(shape)}")
    return flat.reshape(shape)
