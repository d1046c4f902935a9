"""The network builder: its bill against cost_table, the browser's against Python's, its code, what it refuses."""

import json
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import traitlets
from torch import nn

import cnnviz.widgets
from cnnviz import cost_table, models
from cnnviz.widgets.network_builder import NetworkBuilder
from cnnviz.widgets.network_builder.stack import CLASSES, KINDS, PAIRS

WIDGETS = Path(cnnviz.widgets.__file__).parent
CONV = {"kind": "conv", "out_channels": 6, "kernel_size": 5}
WHOLE = {"kernel_size": (1, 5), "stride": (1, 3), "padding": (0, 2), "dilation": (1, 2), "out_features": (1, 40)}
CHOICES = {"out_channels": [1, 2, 4, 6, 12], "groups": [1, 1, 1, 2], "p": [0, 0.3]}


def random_setting(rng: random.Random, kind: str, name: str):
    if name == "padding" and kind == "conv" and rng.random() < 0.2:
        return rng.choice(["same", "valid"])
    if name in WHOLE:
        pair = [rng.randint(*WHOLE[name]) for _ in range(2)]
        return pair if name in PAIRS and rng.random() < 0.3 else pair[0]
    return rng.choice(CHOICES.get(name, [True, False]))


def random_stack(rng: random.Random) -> tuple[list[dict], tuple[int, int, int]]:
    """Some layers in any order; about half of the stacks break somewhere."""
    kinds = rng.choices([*KINDS, *["conv"] * 5, *["max_pool", "avg_pool"]], k=rng.randint(1, 9))
    layers = [{"kind": kind, **{name: random_setting(rng, kind, name) for name in KINDS[kind]}} for kind in kinds]
    return layers, (rng.choice([1, 2, 3, 4]), rng.randint(6, 33), rng.randint(6, 33))


def test_the_bill_is_that_of_cost_table_whatever_the_stack():
    rng = random.Random(5)
    whole = broken = 0
    for _ in range(200):
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
        again = NetworkBuilder(w.code, size)
        assert (again.layers, again.input_size) == (w.layers, size)
        assert NetworkBuilder(w.model, size).layers == w.layers
    assert whole > 100
    assert broken > 60


# ---- the browser's arithmetic, in node -------------------------------------------------------------------------------

BILLS = """
import { readFileSync } from "node:fs";
const { billOf, sequentialText } = await import(process.argv[1]);
const answer = ([layers, size]) => ({ ...billOf(layers, size), code: sequentialText(layers, size) });
console.log(JSON.stringify(JSON.parse(readFileSync(0, "utf-8")).map(answer)));
"""
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")


def bills(stacks: list, folder: Path = WIDGETS) -> list[dict]:
    """Ask the view's module about many stacks."""
    module = (folder / "network_builder" / "stack.js").as_uri()
    command = ["node", "--input-type=module", "-e", BILLS, module]
    done = subprocess.run(command, input=json.dumps(stacks), capture_output=True, text=True, check=True, timeout=120)
    return json.loads(done.stdout)


def some_stacks(count: int) -> list:
    rng = random.Random(7)
    drawn = [random_stack(rng) for _ in range(count)]
    return [([dict(layer) for layer in NetworkBuilder(*one).layers], one[1]) for one in drawn]


def disagreements(stacks: list, answers: list[dict]) -> list[str]:
    """Where the browser says another thing than Python."""
    found = []
    for (layers, size), answer in zip(stacks, answers, strict=True):
        w = NetworkBuilder(layers, size)
        names = ("shape", "params", "macs", "activations", "field")
        rows = [(r.output_shape, r.params, r.macs, r.activations, r.receptive_field) for r in w.rows]
        problem = answer["problem"]
        said = {
            "rows": [[row[name] for name in names] for row in answer["rows"]],
            "total": [answer["total"][name] for name in names[1:4]],
            "problem": problem and f"{problem['index']}: {problem['text']}",
            "code": answer["code"],
            "bytes": answer["bytes"] if w.rows else None,
        }
        memory = {"inference": w.table.memory().total, "adam": w.table.memory("adam").total}
        total = [getattr(w.total, name) for name in names[1:4]]
        told = re.sub(r"^layer (\d+) \(\w+\)", r"\1", w.problem) or None
        ours = {"rows": rows, "total": total, "problem": told, "code": w.code, "bytes": memory if w.rows else None}
        if said != json.loads(json.dumps(ours)):
            found.append(f"{said}\n{ours}")
    return found


@needs_node
def test_the_browsers_bill_is_pythons():
    stacks = some_stacks(600)
    answers = bills(stacks)
    found = disagreements(stacks, answers)
    assert not found, "\n".join([f"{len(found)} disagreements", *found[:3]])
    assert sum(answer["problem"] is not None for answer in answers) > 150


@needs_node
@pytest.mark.parametrize(
    "mistake",
    [
        ("(channels / sharedGroups(layer, channels))", "(sharedGroups(layer, channels), channels)"),
        ("jump.map((n, axis) => n * steps[axis])", "jump.map((n) => n * steps[0])"),
        ("(spans[axis] - 1) * jump[axis]", "(spans[axis] - 1) * jump[0]"),
        ("dilation, ceil_mode });", "dilation });"),
        ("padding, dilation, ceil_mode });", "padding, ceil_mode });"),
        ("product(kernel)", "kernel[0] ** 2"),
        ("max_pool: 2 * activations", "max_pool: 0"),
        ("out % groups === 0", "true"),
        ("(layer.bias ? out : 0), macs: weights", "out, macs: weights"),
    ],
)
def test_a_mistake_would_be_found(tmp_path, mistake):
    for name in ("js", "network_builder"):
        shutil.copytree(WIDGETS / name, tmp_path / name, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    module = tmp_path / "network_builder" / "stack.js"
    text = module.read_text(encoding="utf-8")
    assert text.count(mistake[0]) == 1
    module.write_text(text.replace(*mistake), encoding="utf-8")
    stacks = some_stacks(200)
    assert disagreements(stacks, bills(stacks, tmp_path))


# ---- Python and torch ------------------------------------------------------------------------------------------------


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
    for given in (w.code, built):
        assert NetworkBuilder(given, w.input_size).layers == w.layers


@pytest.mark.parametrize("form", NetworkBuilder.forms())
def test_a_form_is_the_small_form_of_the_network_of_that_name(form):
    small = {"small": True} if "small" in models.options(form) else {}
    whole = cost_table(models.create(form, num_classes=10, **small), NetworkBuilder(form).input_size)
    plain = ("AdaptiveAvgPool2d", "Flatten")  # a pool that does nothing, and what a forward does without a layer
    ours, theirs = ([r[1:6] for r in t.rows if r.kind not in plain] for t in (NetworkBuilder(form), whole))
    assert ours == theirs


def is_a_plain_stack(table) -> bool:
    """Whether each layer is a kind that builders have and reads the one before; flatten and dropout only pass it on."""
    last = -1
    for place, row in enumerate(table):
        if row.kind not in CLASSES.values() or (row.activations and row.inputs != (last,)):
            return False
        last = place if row.activations else last
    return True


def test_every_network_that_is_a_plain_stack_is_a_form():
    plain = set()
    for name in models.names():
        with torch.device("meta"):
            net = models.create(name, **({"small": True} if "small" in models.options(name) else {}))
        if is_a_plain_stack(cost_table(net, (models.options(name)["in_channels"], 32, 32))):
            plain.add(name)
    assert plain == set(NetworkBuilder.forms())


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


def test_what_torch_prints_is_read_and_a_sequential_in_another_is_its_layers():
    block = nn.Sequential(nn.Conv2d(3, 8, (3, 5), padding="same", dilation=(1, 2), bias=False), nn.ReLU(inplace=True))
    net = nn.Sequential(block, nn.MaxPool2d(3, 2, ceil_mode=True), nn.BatchNorm2d(8), nn.Dropout(0.1), nn.Flatten())
    for given in (net, str(net), f"net = {NetworkBuilder(net).code}"):
        w = NetworkBuilder(given, (3, 9, 12))
        assert [row.output_shape for row in w.rows] == [(8, 9, 12)] * 2 + [(8, 4, 6)] * 3 + [(192,)]
        assert w.total.params == 3 * 8 * 15 + 16
    assert NetworkBuilder(nn.Sequential(nn.AvgPool2d(2, ceil_mode=True)), (1, 5, 5)).rows[0].output_shape == (1, 3, 3)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nn.Sequential(nn.Conv2d(1, 6, 5), nn.Conv2d(3, 6, 5))", "layer 1 (conv) reads 3, but 6 arrive"),
        ("nn.Sequential(nn.Flatten(), nn.Linear(784, 10))", "reads 784, but 1024 arrive"),
        (
            "nn.Sequential(nn.Conv2d(1, 6, 5, padding_mode='circular'))",
            'padding_mode has no slider here: use padding_mode="zeros"',
        ),
        ("nn.Sequential(nn.AvgPool2d(2, count_include_pad=False))", "count_include_pad has no slider"),
        (
            "nn.Sequential(nn.MaxPool2d(2, dilation=(1, 99)))",
            "dilation (1, 99) is not a whole number",
        ),
        ("nn.Sequential(nn.MaxPool2d(2, padding='same'))", 'padding "same" is not a whole number'),
        ("nn.Sequential(nn.Conv3d(1, 6, 5))", "is not known: use Conv2d"),
        ("nn.Sequential(nn.Conv2d(1, 6))", "needs kernel_size"),
        ("nn.Sequential(nn.Conv2d(0, 6, 5))", "Conv2d reads 0: use a whole number of at least 1"),
        ("nn.Sequential(nn.Conv2d(1, 6, (3, 5, 7)))", "kernel_size (3, 5, 7) is not a whole number"),
        ("nn.Sequential(nn.Conv2d(1, 6, k))", "layer 0: kernel_size=k is not understood"),
        ("nn.Sequential(nn.ReLU(**x))", 'ReLU has no argument "**"'),
        ("nn.Sequential(nn.ReLU(True, True))", "ReLU takes at most 1 arguments"),
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
        ("resnet18", '"resnet18" is not known as a plain stack of layers: use lenet5'),
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
    w._told(w, {"kind": "code", "text": "nn.Sequential(nn.GELU())"}, [])
    assert sent[-1]["kind"] == "refused"
    assert "nn.GELU()" in sent[-1]["message"]


def test_the_still_picture_is_deterministic_and_escaped():
    first, second = (NetworkBuilder("vgg11")._repr_mimebundle_()[0] for _ in range(2))
    assert first["image/svg+xml"] == second["image/svg+xml"]
    assert first["text/plain"] == second["text/plain"]
    assert "9,750,922" in first["text/plain"]
    assert "9,750,922" in first["image/svg+xml"]
    assert len(first["image/svg+xml"]) < 30_000


def test_torch_is_loaded_by_model_only():
    code = "import sys; from cnnviz.widgets.network_builder import NetworkBuilder; w = NetworkBuilder(); repr(w); "
    code += "w.code = w.code; "
    code += "assert 'torch' not in sys.modules; w.model; assert 'torch' in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
