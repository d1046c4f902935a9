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

from cnnviz.geometry import _short
from cnnviz.widgets.sliding_kernel.settings import DEFAULTS

MARK = "k1."
NOT_SHARED = ("playing", "guess", "states")  # what a reader does, and what would nest without end
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
    """Return the settings that a share string holds, without a picture or kernel that was too large for it.

    A picture or kernel that the string does not mention is the default one.

    Raises
    ------
    ValueError
        If the text is not a share string, is cut short, or holds settings that this version does not know.
    """
    if not isinstance(text, str) or not text.strip().removeprefix("#").startswith(MARK):
        raise ValueError(f'{_short(text)} is not a share string: it starts with "{MARK}"')
    body, _, checksum = text.strip().removeprefix("#")[len(MARK) :].partition(".")
    whole = len(body) <= LONGEST and re.fullmatch(r"[A-Za-z0-9_-]*", body)
    if not whole or f"{zlib.adler32(body.encode()):08x}" != checksum:
        raise ValueError(f"share string {_short(text)} is cut short or mistyped: copy all of it, to the last character")
    try:
        state = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (ValueError, RecursionError):
        state = None
    if not isinstance(state, dict):
        raise ValueError(f"share string {_short(text)} holds no settings: copy it anew from a widget")
    for name in sorted(state):
        if name not in DEFAULTS or name in NOT_SHARED:
            raise ValueError(f"share string holds the setting {_short(name)}, which this version does not know")
    for name in ("image", "kernel"):
        if state.setdefault(name, _packed(DEFAULTS[name])) is None:
            del state[name]
    return state


def _packed(value: Any) -> Any:
    """Turn a setting into what JSON holds; a large array into None."""
    if isinstance(value, np.ndarray):
        return {"shape": list(value.shape), "values": value.ravel().tolist()} if value.size <= LARGEST_ARRAY else None
    if isinstance(value, Mapping):
        return dict(value) if math.prod(value["shape"]) <= LARGEST_ARRAY else None
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
    if value == int(value) and abs(value) < 1e21:
        return str(int(value))
    mantissa, _, exponent = repr(value).partition("e")
    if not exponent:
        return mantissa
    if int(exponent) < -6 or int(exponent) > 0:
        return f"{mantissa.removesuffix('.0')}e{int(exponent):+d}"
    digits = mantissa.lstrip("-").replace(".", "")
    return ("-" if value < 0 else "") + "0." + "0" * (-int(exponent) - 1) + digits
