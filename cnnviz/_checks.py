"""Numbers, pairs, names and flags as users give them: taken, or refused with a text that repeats them."""

from __future__ import annotations

import json
import math
import numbers
from collections.abc import Collection, Iterable
from typing import Any

import numpy as np

Pair = tuple[int, int]
LARGEST = 9999  # of kernel_size, stride, padding, dilation: a typing slip must not fill the memory


def _signed(n: int) -> str:
    return str(n).replace("-", "−")


def _is_whole(value: Any, lowest: int, highest: float) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool) and lowest <= value <= highest


def _whole(name: str, value: Any, lowest: int, highest: float = math.inf) -> int:
    if _is_whole(value, lowest, highest):
        return int(value)
    bounds = f"from {_signed(lowest)} to {highest}" if math.isfinite(highest) else f"of at least {lowest}"
    raise ValueError(f"{name} {_short(value)} is not a whole number {bounds}")


def _number(
    name: str, value: Any, above: float = -math.inf, least: float = -math.inf, below: float = math.inf
) -> float:
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if number and math.isfinite(value) and above < value < below and value >= least:
        return float(value)
    bounds = [f"above {above:g}"] * math.isfinite(above) + [f"of {least:g} or more"] * math.isfinite(least)
    bounds += [f"below {below:g}"] * math.isfinite(below)
    raise ValueError(f"{name} {_short(value)} is not a number {' and '.join(bounds)}".rstrip())


def _one_of(name: str, value: Any, known: Collection[str]) -> str:
    if isinstance(value, str) and value in known:
        return value
    raise ValueError(f"{name} {_short(value)} is not known: use {_either(known)}")


def _flag(name: str, value: Any) -> bool:
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    raise ValueError(f"{name} {_short(value)} is not True or False")


def _pair(name: str, value: Any, lowest: int, also: str = "") -> Pair:
    items = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(items) == 2 and all(_is_whole(item, lowest, LARGEST) for item in items):
        return int(items[0]), int(items[1])
    text = f"{name} {_short(value)} is not a whole number from {lowest} to {LARGEST}"
    raise ValueError(f"{text}, a pair of them{also}" if also else f"{text} or a pair of them")


def _short(value: Any) -> str:
    """Text of a wrong value in an error, the same in JavaScript (shortValue in geometry.js)."""
    if isinstance(value, (tuple, list)):
        if len(value) == 2 and value[0] == value[1] and _is_whole(value[0], -LARGEST, LARGEST):
            return str(value[0])
        return f"({', '.join(_short(item) for item in value[:4])}{', ...' if len(value) > 4 else ''})"
    if isinstance(value, str):
        return json.dumps(value[:40], ensure_ascii=False)
    return str(value)[:40]


def _by(shape: Any, sign: str = "x") -> str:
    """Write a shape as 16x5x5, none as "", and what has no sides as it is."""
    return sign.join(map(str, shape)) if isinstance(shape, (tuple, list)) else "" if shape is None else str(shape)


def _either(names: Iterable[Any], word: str = "or") -> str:
    """List what works: "a, b or c"."""
    *first, last = map(str, names)
    return f"{', '.join(first)} {word} {last}" if first else last


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
