"""Numbers to colours, and to the few characters that a cell has room for.

Kernels and outputs stand on a scale centred at zero, blue to white to orange, which the colour-blind can read;
pictures are grey or in their own colours.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from cnnviz.trace import number_text

Colour = tuple[float, float, float]

NEGATIVE, ZERO, POSITIVE = (43, 108, 176), (255, 255, 255), (194, 87, 12)
FEW, MANY = (243, 246, 244), (0, 105, 92)  # how often a pixel is read
DARK, LIGHT = (139, 145, 155), (251, 251, 252)  # an input cell under a number
TINT = (194, 24, 143)  # the window's
OUTSIDE = (231, 233, 237)  # padding among pixels


def mix(start: Colour, end: Colour, share: float) -> Colour:
    """Return the colour that lies `share` of the way from one to the other."""
    share = min(max(share, 0.0), 1.0)
    return tuple(a + (b - a) * share for a, b in zip(start, end, strict=True))


def signed(value: float, limit: float) -> Colour:
    """Colour of a number on the scale from −limit to limit."""
    share = value / limit if limit else 0.0
    return mix(ZERO, NEGATIVE, -share) if share < 0 else mix(ZERO, POSITIVE, share)


def grey(value: float, low: float, high: float) -> Colour:
    """Colour of an input cell."""
    return mix(DARK, LIGHT, (value - low) / (high - low) if high > low else 1.0)


def hexadecimal(colour: Colour) -> str:
    """Write a colour as CSS does."""
    return f"#{bytes(int(part + 0.5) for part in colour).hex()}"


def text_on(colour: Colour) -> str:
    """Black or white, whichever contrasts more: 4.58:1 at least."""
    parts = [part / 255 for part in colour]
    r, g, b = (part / 12.92 if part <= 0.04 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return "#000000" if 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 else "#ffffff"


def signed_pixels(values: np.ndarray, limit: float) -> np.ndarray:
    """Pixels (h, w, 3) of numbers on the scale from −limit to limit, in at most 255 colours."""
    share = np.round(np.clip(values / limit if limit else values, -1, 1) * 127) / 127
    return np.where((share < 0)[..., None], count_pixels(-share, ZERO, NEGATIVE), count_pixels(share, ZERO, POSITIVE))


def count_pixels(share: np.ndarray, start: Colour = FEW, end: Colour = MANY) -> np.ndarray:
    """Pixels (h, w, 3) between two colours, for shares from 0 to 1."""
    share = np.clip(share, 0, 1)[..., None]
    return np.floor(np.asarray(start) + (np.asarray(end) - np.asarray(start)) * share + 0.5).astype(np.uint8)


def photo_pixels(planes: np.ndarray, low: float, high: float) -> np.ndarray:
    """Pixels (h, w, 3) of one or three planes, black at `low` and white (or full colour) at `high`."""
    share = np.clip((planes - low) / (high - low), 0, 1) if high > low else np.ones_like(planes)
    shades = np.floor(share * 255 + 0.5).astype(np.uint8)
    return np.moveaxis(np.broadcast_to(shades, (3, *shades.shape[1:])), 0, -1)


def samples(size: int, most: float) -> np.ndarray:
    """Pick at most so many of `size` indices, evenly."""
    count = max(1, min(size, int(most)))
    return (2 * np.arange(count) + 1) * size // (2 * count)


def sampled(shape: tuple[int, int], longest: int, area: int) -> tuple[np.ndarray, np.ndarray]:
    """Pick rows and columns so that a picture has at most `longest` a side and `area` pixels."""
    share = min(1.0, longest / max(shape), (area / (shape[0] * shape[1])) ** 0.5)
    return samples(shape[0], shape[0] * share + 1e-9), samples(shape[1], shape[1] * share + 1e-9)


@lru_cache(4096)
def fitting_text(value: float, chars: int) -> str:
    """Write a number in at most so many characters if that can be, with fewer digits where there is little room.

    >>> fitting_text(0.0625, 4), fitting_text(-12, 4), fitting_text(1 / 3, 3)
    ('.062', '−12', '.33')
    """
    text = number_text(value)
    for digits in (3, 2):
        if len(text) > chars:
            text = number_text(float(f"{value:.{digits - 1}e}"))
            text = text.replace("0.", ".", 1) if abs(value) < 1 else text
    return text


def wrapped(text: str, chars: int) -> list[str]:
    """Break a text into lines of about so many characters."""
    lines = [""]
    for word in text.split(" "):
        if lines[-1].strip() and len(lines[-1]) + len(word) >= chars:
            lines.append("")
        lines[-1] += f" {word}" if lines[-1].strip() else word
    return lines
