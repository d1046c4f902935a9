"""A whole state as a short text: for a link, a QR code, a key from 1 to 9 (js/share.js is the twin).

``k1.`` + the settings that differ from the defaults, as JSON in base64 + ``.`` + a checksum, so that a text cut short
or mistyped is noticed. A picture or kernel of more than 256 numbers stays out as ``null``: the one on the page is kept.
"""

from __future__ import annotations

import base64
import json
import math
import re
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from cnnviz._checks import _short
from cnnviz.widgets.sliding_kernel import arrays
from cnnviz.widgets.sliding_kernel.settings import DEFAULTS, PAIRS

MARK = "k1."
NOT_SHARED = ("playing", "guess", "states")  # what a reader does; states are share strings themselves
LARGEST_ARRAY = 256
LONGEST = 60_000  # characters


def encode_state(state: Mapping[str, Any]) -> str:
    """Return the share string of a state; what it leaves out is at its default.

    >>> encode_state({"kernel_size": 5})
    'k1.eyJrZXJuZWxfc2l6ZSI6NX0.64b207d4'
    """
    packed = {name: _packed(state[name]) for name in DEFAULTS if name in state and name not in NOT_SHARED}
    different = {name: value for name, value in packed.items() if value != _packed(DEFAULTS[name])}
    text = base64.urlsafe_b64encode(_json(different).encode()).decode().rstrip("=")
    return f"{MARK}{text}.{zlib.adler32(text.encode()):08x}"


def decode_state(text: str) -> dict[str, Any]:
    """Return what a share string sets; an image or kernel None was too large to travel.

    Raises
    ------
    ValueError
        If the text is not a share string, is cut short, or holds settings that this version does not know.

    >>> decode_state("k1.eyJrZXJuZWxfc2l6ZSI6NX0.64b207d4")
    {'kernel_size': 5}
    """
    line = text.strip().removeprefix("#") if isinstance(text, str) else ""
    if not line.startswith(MARK):
        raise ValueError(f'{_short(text)} is not a share string: it starts with "{MARK}"')
    match = re.fullmatch(r"k1\.([A-Za-z0-9_-]*)\.([0-9a-f]{8})", line)
    if not match or len(match[1]) > LONGEST or f"{zlib.adler32(match[1].encode()):08x}" != match[2]:
        raise ValueError(f"share string {_short(text)} is cut short or mistyped: copy all of it, to the last character")
    state = _parsed(match[1])
    if not isinstance(state, dict):
        raise ValueError(f"share string {_short(text)} holds no settings: copy it anew from a widget")
    for name in sorted(state):
        if name not in DEFAULTS or name in NOT_SHARED:
            raise ValueError(f"share string holds the setting {_short(name)}, which this version does not know")
    for name in sorted(state):
        if not _is_understood(name, state[name]):
            works = "copy it anew from a widget"
            raise ValueError(f"share string sets {name} to something that is not understood: {works}")
    return state


def _parsed(body: str) -> Any:
    """Return what base64url text holds, or None."""
    try:
        letters = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)).decode()
        return json.loads(letters, parse_constant=_no_number, parse_int=_whole_number)
    except (ValueError, RecursionError):
        return None


def _whole_number(digits: str) -> int | float:
    return int(digits) if len(digits) < 16 else float(digits)  # as JavaScript, which has no larger whole numbers


def _no_number(name: str) -> None:
    raise ValueError(name)  # NaN and Infinity are not JSON


def _is_understood(name: str, value: Any) -> bool:
    """Tell whether the value has the kind that the setting holds; whether the layer is legal is asked later."""
    if name in ("image", "kernel"):
        return value is None or _is_array(value, DEFAULTS[name].ndim)
    if isinstance(value, list):
        length = len(value) == 2 if name in PAIRS else name == "bias" and len(value) >= 1
        return length and all(map(_is_number, value))
    if name == "padding" and isinstance(value, str):
        return True
    return _is_number(value) if _is_number(DEFAULTS[name]) else type(value) is type(DEFAULTS[name])


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_array(value: Any, axes: int) -> bool:
    if not isinstance(value, dict):
        return False
    shape, values = value.get("shape"), value.get("values")
    if not (isinstance(shape, list) and isinstance(values, list) and len(shape) == axes):
        return False
    sides = all(_is_number(side) and side >= 1 and side == int(side) for side in shape)
    return sides and math.prod(shape) == len(values) and all(map(_is_number, values))


def _packed(value: Any) -> Any:
    """Turn a setting into what JSON holds; a large array into None."""
    if isinstance(value, np.ndarray):
        value = arrays.to_wire(value)
    if isinstance(value, Mapping):
        small = math.prod(value["shape"]) <= LARGEST_ARRAY and "values" in value
        return {"shape": list(value["shape"]), "values": list(value["values"])} if small else None
    return list(value) if isinstance(value, tuple) else value


def _json(value: Any) -> str:
    """Write compact JSON with sorted keys and numbers as JavaScript writes them."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(name)}:{_json(value[name])}" for name in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(_json(item) for item in value) + "]"
    if isinstance(value, float):
        return _number(value)
    return json.dumps(value, ensure_ascii=False)


def _number(value: float) -> str:
    """Write a float as JavaScript does: the same digits as Python, another rule for exponents and no ``.0``.

    >>> _number(3.0), _number(1e-7), _number(1.5e-5), _number(1e20)
    ('3', '1e-7', '0.000015', '100000000000000000000')
    """
    mantissa, _, exponent = repr(value).partition("e")
    sign, mantissa = ("-", mantissa[1:]) if mantissa.startswith("-") else ("", mantissa)
    whole, _, fraction = mantissa.removesuffix(".0").partition(".")
    digits, point = whole + fraction, len(whole) + int(exponent or 0)  # value = 0.digits x 10 ** point, nearly
    if value == 0:
        return "0"
    if not exponent:
        return sign + mantissa.removesuffix(".0")
    if 0 < point <= 21:
        return sign + digits.ljust(point, "0")
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    return f"{sign}{mantissa.removesuffix('.0')}e{int(exponent):+d}"
