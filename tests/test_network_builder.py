"""The network builder in Python: its bill against cost_table, its code against torch, its refusals."""

import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import traitlets
from torch import nn

import cnnviz.widgets
from cnnviz import cost_table
from cnnviz.widgets import _bundle
from cnnviz.widgets.network_builder import NetworkBuilder
from cnnviz.widgets.network_builder.stack import KINDS

VIEW = Path(cnnviz.widgets.__file__).parent / "network_builder" / "view.js"
CONV = {"kind": "conv", "out_channels": 6, "kernel_size": 5}


def random_stack(rng: random.Random) -> tuple[list[dict], tuple[int, int, int]]:
    """Some layers in any order; about half of the stacks break somewhere."""
    layers = []
    for kind in rng.choices([*KINDS, *["conv"] * 4], k=rng.randint(1, 9)):
        layer = {"kind": kind}
        for name in KINDS[kind]:
            whole = {"kernel_size": (1, 5), "stride": (1, 3), "padding": (0, 2), "out_features": (1, 40)}
            choices = {"out_channels": [1, 2, 4, 6, 12], "groups": [1, 1, 1, 2], "bias": [True, False], "p": [0, 0.3]}
            layer[name] = rng.choice(choices[name]) if name in choices else rng.randint(*whole[name])
        layers.append(layer)
    return layers, (rng.choice([1, 2, 3, 4]), rng.randint(6, 33), rng.randint(6, 33))


def test_the_bill_is_that_of_cost_table_whatever_the_stack():
    rng = random.Random(5)
    whole = broken = 0
    for _ in range(150):
        layers, size = random_stack(rng)
        w = NetworkBuilder(layers, size)
        if w.problem:
            broken += 1
            at = int(re.match(r"layer (\d+)", w.problem)[1])
            assert len(w.rows) == at
            w.layers = w.layers[:at]
        if not w.layers:
            continue
        whole += 1
        counted = cost_table(w.model, size)
        assert [row[:7] for row in w.rows] == [row[:7] for row in counted.rows], w.code
        assert w.table.sizes == counted.sizes, w.code
    assert whole > 100
    assert broken > 40


def test_what_is_marked_illegal_does_not_run_in_torch():
    rng = random.Random(6)
    refused = 0
    for _ in range(60):
        layers, size = random_stack(rng)
        w = NetworkBuilder(layers, size)
        if not w.problem or "flatten before it" in w.problem:  # torch's linear takes the last axis of maps: no teaching
            continue
        at = len(w.rows)
        before = NetworkBuilder(w.layers[:at], size).model.eval()
        arrived = before(torch.zeros(1, *size))
        alone = {"conv": nn.Conv2d, "max_pool": nn.MaxPool2d, "avg_pool": nn.AvgPool2d}.get(w.layers[at]["kind"])
        if alone is None or arrived.dim() != 4:
            continue
        settings = {name: value for name, value in w.layers[at].items() if name != "kind"}
        channels = [arrived.shape[1]] if alone is nn.Conv2d else []
        with pytest.raises((RuntimeError, ValueError)):
            alone(*channels, **settings)(arrived)
        refused += 1
    assert refused >= 5


@pytest.mark.parametrize("form", NetworkBuilder.forms())
def test_the_code_of_a_form_runs_and_reads_back(form):
    w = NetworkBuilder(form)
    built = eval(w.code, {"nn": nn})  # ours, and the claim is that it runs
    assert sum(p.numel() for p in built.parameters()) == w.total.params
    assert built(torch.zeros(2, *w.input_size)).shape == (2, 10)
    assert str(built) == str(w.model)
    again = NetworkBuilder(w.code, w.input_size)
    assert again.layers == w.layers


def test_lenet5_has_its_61706_parameters():
    assert NetworkBuilder().total.params == 61_706


def test_code_from_elsewhere_is_read():
    w = NetworkBuilder()
    w.code = """import torch.nn as nn
net = nn.Sequential(
    torch.nn.Conv2d(3, 8, (3, 3), padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True),
    nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(p=0.25), nn.Linear(8 * 16 * 16, 10),  # a head
)"""
    assert w.input_size == (3, 32, 32)
    assert w.problem == ""
    assert w.total.params == 216 + 16 + 20_490
    assert w.layers[3]["stride"] == 2
    assert w.layers[5]["p"] == 0.25


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nn.Sequential(nn.Conv2d(1, 6, 5), nn.Conv2d(3, 6, 5))", "layer 1 (conv) reads 3, but 6 arrive"),
        ("nn.Sequential(nn.Flatten(), nn.Linear(784, 10))", "reads 784, but 1024 arrive"),
        ("nn.Sequential(nn.Conv2d(1, 6, 5, dilation=2))", "dilation has no slider"),
        ("nn.Sequential(nn.Conv3d(1, 6, 5))", "is not known: use Conv2d"),
        ("nn.Sequential(nn.Conv2d(1, 6))", "needs kernel_size"),
        ("nn.Sequential(nn.Conv2d(1, 6, (3, 5)))", "is not understood"),
        ("nn.Sequential(nn.ReLU(**x))", "ReLU(None=...)"),
        ("nn.Sequential(nn.Conv2d(1, 6, 5, 5, 5, 1, 1, True, 'zeros'))", "at most 8"),
        ("__import__('os').system('true')", "is not one nn.Sequential"),
        ("nn.Sequential(__import__('os'))", "is not known"),
        ("nn.Sequential(nn.Dropout(2))", "p 2 is not a number from 0 to 1"),
        ("nn.Sequential(", "is not one nn.Sequential"),
        (7, "is not a text"),
    ],
)
def test_code_that_builds_no_stack_is_refused_and_nothing_changes(text, words):
    w = NetworkBuilder()
    before = w.layers
    with pytest.raises(ValueError, match=re.escape(words)):
        w.code = text
    assert w.layers is before


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ([{"kind": "conv", "out_channels": 0}], "layer 0: out_channels 0 is not a whole number from 1 to 4096"),
        ([{**CONV, "kernel_size": 2.5}], "kernel_size 2.5"),
        ([{**CONV, "stride": True}], "stride True"),
        ([{**CONV, "p": 1}], 'conv has no "p": use out_channels'),
        (["relu", "softmax"], 'layer 1: "softmax" is not known: use conv'),
        ([3], "layer 0: 3 is not known"),
        ("LeNet-6", 'form "LeNet-6" is not known: use LeNet-5'),
        (["relu"] * 101, "at most 100"),
        (7, "layers 7 is not a list"),
    ],
)
def test_a_layer_that_is_none_is_refused(layers, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        NetworkBuilder(layers)
    w = NetworkBuilder([CONV])
    if not isinstance(layers, str):
        with pytest.raises(traitlets.TraitError):
            w.layers = layers
        assert w.layers[0]["out_channels"] == 6


@pytest.mark.parametrize("size", [(1, 32), (0, 32, 32), (1, 300, 32), (1, 32, 3.0), "1x32x32", None, 7])
def test_a_size_that_is_none_is_refused(size):
    w = NetworkBuilder([CONV])
    with pytest.raises(ValueError, match=r"is not \(channels, height, width\)"):
        w.input_size = size


def test_an_illegal_stack_keeps_what_stands_before_and_has_no_model():
    w = NetworkBuilder([CONV, "relu", {**CONV, "kernel_size": 31}, "relu"])
    assert len(w.rows) == 2
    assert w.total.params == 156
    assert w.problem.startswith("layer 2 (conv): kernel_size 31 spans 31 rows, but the padded input has 28")
    assert "# layer 2 (conv)" in w.code
    assert eval(w.code, {"nn": nn})(torch.zeros(1, 1, 32, 32)).shape[1] == 6
    with pytest.raises(ValueError, match="code has the layers before it"):
        _ = w.model


def test_layers_are_changed_added_moved_and_brought_back():
    w = NetworkBuilder([CONV, "relu"])
    w.add("max_pool", kernel_size=3)
    w.add("batch_norm", 1)
    w.move(1, 2)
    w.change(-1, padding=1)
    assert [row.kind for row in w.rows] == ["Conv2d", "ReLU", "BatchNorm2d", "MaxPool2d"]
    assert w.layers[-1]["stride"] == 3
    assert w.rows[-1].output_shape == (6, 10, 10)
    w.remove(0)
    w.reset()
    assert [row.kind for row in w.rows] == ["Conv2d", "ReLU"]
    with pytest.raises(ValueError, match="there is no layer 2: use 0 to 1"):
        w.remove(2)
    with pytest.raises(TypeError):
        w.layers[0]["kernel_size"] = 7  # it would change nothing in the view


def test_traits_observe_and_link():
    a, b, heard = NetworkBuilder([CONV]), NetworkBuilder([]), []
    link = traitlets.link((a, "layers"), (b, "layers"))
    b.observe(lambda change: heard.append(change["new"][0]["out_channels"]), "layers")
    a.change(0, out_channels=9)
    assert heard == [9]
    assert b.total == a.total
    link.unlink()


def test_what_the_view_sends_is_taken_or_refused_whole(monkeypatch):
    w, sent = NetworkBuilder([CONV]), []
    monkeypatch.setattr(w, "send", sent.append)
    w.set_state({"layers": [{"kind": "conv", "out_channels": 3}], "input_size": [2, 9, 9]})
    assert w.rows[0].output_shape == (3, 7, 7)
    w.set_state({"layers": [{"kind": "conv", "out_channels": -3}]})
    assert w.layers[0]["out_channels"] == 3
    assert "out_channels -3" in sent[-1]["message"]
    w._told(w, {"kind": "code", "text": "nn.Sequential(nn.Tanh())"}, [])
    assert sent[-1]["kind"] == "refused"
    assert "nn.Tanh()" in sent[-1]["message"]


def test_the_still_picture_is_deterministic_and_escaped():
    first, second = (NetworkBuilder("small VGG")._repr_mimebundle_()[0] for _ in range(2))
    assert first["image/svg+xml"] == second["image/svg+xml"]
    assert first["text/plain"] == second["text/plain"]
    assert "814,122" in first["text/plain"]
    assert "814,122" in first["image/svg+xml"]
    assert len(first["image/svg+xml"]) < 30_000


def test_torch_is_loaded_by_model_only():
    code = "import sys; from cnnviz.widgets.network_builder import NetworkBuilder; w = NetworkBuilder(); repr(w); "
    code += "w.code = w.code; "
    code += "assert 'torch' not in sys.modules; w.model; assert 'torch' in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_views_modules_join_without_a_name_twice(tmp_path):
    owners: dict[str, str] = {}
    for path in _bundle.modules(VIEW):
        pattern = r"^(?:export )?(?:async )?(?:function\*?|class|const|let) ([A-Za-z_$][\w$]*)"
        for name in re.findall(pattern, path.read_text(encoding="utf-8"), re.M):
            assert name not in owners, f"{name} is in {owners.get(name)} and in {path.name}"
            owners[name] = path.name
    assert len(re.findall(r"^export\b", _bundle.join(VIEW), re.M)) == 1
