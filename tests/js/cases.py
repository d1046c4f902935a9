"""Random layers, legal and illegal, and what Python says about each."""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from cnnviz import kernels, trace
from cnnviz.geometry import OPS, POOLS, Layer, read_layer
from cnnviz.widgets.sliding_kernel.code import format_code

State = dict[str, Any]
ODD = [0, -1, 2.5, "3", True, None, 10**6, [3], [2, 0], [1, 2, 3], [2, "2"], [], 10000, "full", 'ünicode " \\ quote']


def random_cases(count: int, seed: int = 1) -> list[dict]:
    """States with a place to look at, a coarse step and a choice of filters."""
    rng = random.Random(seed)
    return [
        {
            "state": random_state(rng),
            "at": [rng.random() for _ in range(3)],
            "step": rng.choice([1, 2, 3]),
            "picked": [rng.random() for _ in range(rng.randint(1, 3))],
        }
        for _ in range(count)
    ]


def random_state(rng: random.Random) -> State:
    """About three in five are legal; about one in ten holds something that no setting is."""
    op = rng.choice(OPS)
    groups = rng.choice([1, 1, 1, 2, 3])
    channels, filters = groups * rng.randint(1, 2), groups * rng.randint(1, 2)
    several = rng.random() < 0.4
    state = {
        "op": op,
        "height": rng.randint(1, 12),
        "width": rng.randint(1, 12),
        "in_channels": channels,
        "filters": filters,
        "groups": groups,
        "kernel_size": random_pair(rng, 1, 5),
        "stride": random_pair(rng, 1, 4),
        "padding": random_pair(rng, 0, 3) if several else 0,
        "dilation": random_pair(rng, 1, 3) if several else 1,
        "output_padding": random_pair(rng, 0, 2) if op == "transposed" and several else 0,
        "ceil_mode": rng.random() < 0.5,
        "count_include_pad": rng.random() < 0.5,
        "divisor_override": rng.choice([0, 0, 0, 3, -7]),
        "kernel_name": rng.choice(["", "", *kernels.names()]),
        "angle": rng.choice([0, 0, 90, -180, 270, 45, rng.uniform(-400, 400)]),
        "relu": rng.random() < 0.3,
        "image": random_array(rng, (rng.randint(1, 3), rng.randint(1, 7), rng.randint(1, 7))),
        "kernel": random_array(rng, [rng.randint(1, 3) for _ in range(4)]),
    }
    if rng.random() < 0.1:
        state["padding"] = rng.choice(["same", "valid"])
        state["stride"] = rng.choice([1, 1, state["stride"]])
    if rng.random() < 0.03:
        state["height"] = rng.choice([17, 100, 256])
    if rng.random() < 0.1:
        names = ["op", "height", "in_channels", "filters", "groups", "kernel_size", "stride", "padding", "dilation"]
        names += ["output_padding", "ceil_mode", "count_include_pad", "divisor_override"]
        state[rng.choice(names)] = rng.choice(ODD)
    if rng.random() < 0.1:
        state["filters"] = rng.randint(1, 7)
    whole = isinstance(state["filters"], int) and 0 < state["filters"] < 9 and op not in POOLS
    numbers = [rng.randint(-8, 8) / 4 for _ in range(state["filters"])] if whole else []
    state["bias"] = rng.choice([0, rng.randint(-8, 8) / 4, numbers or 1])
    return state


def random_pair(rng: random.Random, low: int, high: int) -> Any:
    if rng.random() < 0.5:
        return rng.randint(low, high)
    return [rng.randint(low, high), rng.randint(low, high)]


def random_array(rng: random.Random, shape: Any) -> dict:
    number = rng.choice(
        [lambda: rng.randint(-3, 9), lambda: rng.randint(-40, 40) / 8, lambda: round(rng.gauss(0, 1), 4)]
    )
    return {"shape": list(shape), "values": [number() for _ in range(math.prod(shape))]}


def array_of(wire: dict) -> np.ndarray:
    return np.array(wire["values"], dtype=float).reshape(wire["shape"])


def pythons_answer(case: dict) -> dict:
    """What harness.js answers, computed by the Python package."""
    state = case["state"]
    try:
        layer = read_layer(state)
    except ValueError as error:
        return {"error": str(error)}
    image, weights = numbers_of(state, layer)
    result = traced(state, layer, image, weights)
    at = [int(share * n) for share, n in zip(case["at"], result.output.shape, strict=True)]
    filters = list(dict.fromkeys(int(share * layer.filters) for share in case["picked"]))
    terms = result.terms(*at)
    output = np.maximum(result.output, 0) if state["relu"] else result.output
    return {
        "shape": list(layer.output_shape),
        "weightShape": list(layer.weight_shape),
        "flipped": layer.op in ("convolve", "transposed"),
        "rows": axis_of(layer, 0),
        "cols": axis_of(layer, 1),
        "formulas": [layer.window.formula(layer.input_size, axis, layer.op, layer.output_padding) for axis in (0, 1)],
        "input": image.ravel(),
        "weights": np.zeros(0) if weights is None else weights.ravel(),
        "output": output.ravel(),
        "some": result.output[filters, :: case["step"], :: case["step"]].ravel(),
        "terms": np.array(terms).reshape(-1, 2),
        "sum": result.output[tuple(at)],
        "explain": result.explain(*at),
        "misplaced": 0,
        "code": format_code(state),
    }


def numbers_of(state: State, layer: Layer) -> tuple[np.ndarray, np.ndarray | None]:
    image = trace.tile(array_of(state["image"]), (layer.in_channels, *layer.input_size))
    if layer.op in POOLS:
        return image, None
    return image, kernels.effective(array_of(state["kernel"]), layer.weight_shape, state["kernel_name"], state["angle"])


def traced(state: State, layer: Layer, image: np.ndarray, weights: np.ndarray | None) -> trace.Trace:
    if layer.op == "max_pool":
        return trace.max_pool(image, layer.window)
    if layer.op == "avg_pool":
        return trace.avg_pool(image, layer.window, state["count_include_pad"], state["divisor_override"] or None)
    if layer.op == "transposed":
        return trace.transposed(image, weights, layer.window, state["bias"], layer.groups, layer.output_padding)
    slide = {"conv": trace.correlate, "convolve": trace.convolve}[layer.op]
    return slide(image, weights, layer.window, state["bias"], layer.groups)


def axis_of(layer: Layer, axis: int) -> dict:
    window, n = layer.window, layer.input_size[axis]
    before, after = window.pads[axis]
    k, s, d = window.kernel_size[axis], window.stride[axis], window.dilation[axis]
    out = layer.output_shape[1 + axis]
    if layer.op == "transposed":
        table = (window.transposed_rows, window.transposed_cols)[axis](n, layer.output_padding)
        before = d * (k - 1) - before
        after = before + layer.output_padding[axis]
        length, step = (n - 1) * s + 1 + before + after, 1
    else:
        table = (window.rows, window.cols)[axis](n)
        table = np.where((table >= 0) & (table < n), table, -1)
        length, step = max(before + n + after, (out - 1) * s + d * (k - 1) + 1), s
    counts = np.bincount(table[table >= 0], minlength=n)
    unread = np.flatnonzero(counts == 0)
    return {
        "size": n, "kernel": k, "stride": s, "dilation": d, "before": before, "after": after, "out": out,
        "length": length, "step": step, "table": table.ravel(), "reads": counts, "unread": unread,
    }  # fmt: skip


def torchs_output(state: State, layer: Layer, image: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    """The same layer by PyTorch."""
    window, picture = layer.window, torch.tensor(image)[None]
    kernel, stride, padding, dilation = window.kernel_size, window.stride, window.padding, window.dilation
    if layer.op == "max_pool":
        return F.max_pool2d(picture, kernel, stride, padding, dilation, window.ceil_mode)[0].numpy()
    if layer.op == "avg_pool":
        include, divisor = state["count_include_pad"], state["divisor_override"] or None
        return F.avg_pool2d(picture, kernel, stride, padding, window.ceil_mode, include, divisor)[0].numpy()
    weight, bias = torch.tensor(weights), torch.tensor(np.resize(state["bias"], layer.filters), dtype=torch.float64)
    if layer.op == "transposed":
        more = layer.output_padding
        return F.conv_transpose2d(picture, weight, bias, stride, padding, more, layer.groups, dilation)[0].numpy()
    weight = weight.flip(2, 3) if layer.op == "convolve" else weight
    return F.conv2d(picture, weight, bias, stride, padding, dilation, layer.groups)[0].numpy()


def legal_in_torch(state: State) -> bool:
    """Whether PyTorch takes the settings of a state that holds nothing but whole numbers, pairs and texts."""
    op, pool = state["op"], state["op"] in POOLS
    depth = state["in_channels"] if pool or op == "transposed" else state["in_channels"] // state["groups"]
    settings = [state[name] for name in ("kernel_size", "stride", "padding", "dilation", "output_padding")]
    kernel, stride, padding, dilation, more = (tuple(s) if isinstance(s, list) else s for s in settings)
    sides = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    picture = torch.zeros(1, state["in_channels"], state["height"], state["width"])
    try:
        if op == "max_pool":
            output = F.max_pool2d(picture, kernel, stride, padding, dilation, state["ceil_mode"])
        elif op == "avg_pool":
            output = F.avg_pool2d(picture, kernel, stride, padding, state["ceil_mode"])
        elif op == "transposed":
            if state["filters"] % state["groups"]:
                return False  # no weight has such a shape
            weight = torch.zeros(depth, state["filters"] // state["groups"], *sides)
            output = F.conv_transpose2d(picture, weight, None, stride, padding, more, state["groups"], dilation)
        else:
            if state["in_channels"] % state["groups"]:
                return False
            weight = torch.zeros(state["filters"], depth, *sides)
            output = F.conv2d(picture, weight, None, stride, padding, dilation, state["groups"])
    except (RuntimeError, ValueError, TypeError):
        return False
    return output.numel() > 0  # in float32 torch gives an empty output of a transposed convolution, in float64 an error


def is_legal(state: State) -> bool:
    """Whether Python takes a state."""
    try:
        read_layer(state)
    except ValueError:
        return False
    return True


def is_plain(state: State) -> bool:
    """Whether every setting that the operation has is of the kind that PyTorch's functions take."""
    plain = {**state, "groups": 1, "filters": 1} if state["op"] in POOLS else state
    counts = [plain[name] for name in ("height", "width", "in_channels", "filters", "groups")]
    return (
        plain["op"] in OPS
        and all(type(n) is int and 0 < n < 300 for n in counts)
        and all(_is_pair(plain[name]) for name in ("kernel_size", "stride", "dilation", "output_padding"))
        and (_is_pair(plain["padding"]) or plain["padding"] in ("same", "valid"))
        and all(type(plain[name]) is bool for name in ("ceil_mode", "count_include_pad"))
        and type(plain["divisor_override"]) is int
        and abs(plain["divisor_override"]) < 10000
    )


def _is_pair(value: Any) -> bool:
    items = value if isinstance(value, list) else [value, value]
    return len(items) == 2 and all(type(n) is int and -2 < n < 5000 for n in items)


def differences(expected: Any, found: Any, where: str = "") -> list[str]:
    """Name each place where two answers differ: texts and whole numbers exactly, others beyond 1e-9."""
    if isinstance(expected, dict):
        if not isinstance(found, dict) or expected.keys() != found.keys():
            return [f"{where}: {expected} is not {found}"[:500]]
        return [text for key in expected for text in differences(expected[key], found[key], f"{where}.{key}")]
    if (
        isinstance(expected, str)
        or expected is None
        or (isinstance(expected, list) and expected and isinstance(expected[0], str))
    ):
        return [] if expected == found else [f"{where}: {expected!r} is not {found!r}"]
    theirs = np.array(found, dtype=float)
    theirs = np.where(np.isnan(theirs), -np.inf, theirs)  # JSON has no infinity: a maximum over padding alone
    ours = np.array(expected, dtype=float)
    if ours.size == 0 and theirs.size == 0:
        return []
    same = ours.shape == theirs.shape and np.allclose(theirs, ours, rtol=1e-9, atol=1e-9)
    return [] if same else [f"{where}: {ours} is not {theirs}"[:500]]
