"""The line of code and the share string: JavaScript and Python read and write the same."""

import base64
import random
import zlib

import numpy as np
import pytest

from cnnviz.widgets.sliding_kernel.code import format_code, parse_code
from cnnviz.widgets.sliding_kernel.settings import DEFAULTS
from cnnviz.widgets.sliding_kernel.share import decode_state, encode_state
from tests.js.cases import array_of, is_legal, random_array, random_state

pytestmark = pytest.mark.browser

LINES = [
    "nn.Conv2d(1, 1, kernel_size=3, stride=2, padding=1)",
    "torch.nn.Conv2d(3, 64, 7, 2, 3)",
    "Conv2d(3, 8, (3, 5), padding='same')",
    'Conv2d(3, 8, [3, 5], padding="valid",)',
    "conv = nn.Conv2d(3, 8, 3)",
    "self.conv1 = nn.Conv2d(1, 6, 5)  # first layer",
    "a = b = nn.Conv2d(1, 6, 5)",
    "  nn.Conv2d( 1 ,1,( 3 ) , groups = 1 )  ",
    "(conv1): Conv2d(1, 6, kernel_size=(5, 5), stride=(1, 1))",
    "nn.Conv2d(\n    1,  # in\n    1,\n    3,\n)",
    "nn.Conv2d(4, 8, 3, bias=False)",
    "nn.Conv2d(4, 8, 3, bias=True, groups=4, dilation=(2, 2))",
    "nn.Conv2d(1, 1, 3, 1, 0, 1, 1, True, 'zeros')",
    "nn.Conv2d(1, 1, kernel_size=3)  # weight flipped in both axes",
    "nn.ConvTranspose2d(2, 4, 3, 2, 1, 1, 2)",
    "nn.ConvTranspose2d(2, 4, 3, stride=2, padding=1, output_padding=1, groups=2, bias=False, dilation=2)",
    "nn.MaxPool2d(3)",
    "nn.MaxPool2d((3, 2), ceil_mode=True)",
    "nn.MaxPool2d(3, 2, 1, 1, False, True)",
    "nn.MaxPool2d(kernel_size=3, stride=None, return_indices=True)",
    "nn.AvgPool2d(2, count_include_pad=False, divisor_override=3)",
    "nn.AvgPool2d(2, 2, 0, False, True, None)",
    "nn.Conv2d(1, 1, -3)",
    "nn.Conv2d(1, 1, 0)",
    "nn.Conv2d(1, 1, kernel_size=())",
    "nn.Conv2d(1, 1, kernel_size=(1, 2, 3))",
    "nn.Conv2d(1, 1, None)",
    "nn.Conv2d(1, 1, 'three')",
    "nn.Conv2d(4, 6, 3, groups=3)",
    # refused
    "",
    "x",
    "3",
    "nn.Conv2d",
    "nn.Conv2d(1, 1, 3",
    "nn.Conv2d(1, 1, 3))",
    "nn.Conv2d(1, 1, 3); import os",
    "nn.Conv2d(1,, 3)",
    "nn.Conv2d(,)",
    "nn.Conv2d(1, 1)",
    "nn.Conv2d()",
    "nn.MaxPool2d()",
    "nn.Conv2d(1, 1, 3.0)",
    "nn.Conv2d(1, 1, kernel)",
    "nn.Conv2d(1, 1, k.size, stride=2)",
    "nn.Conv2d(1, 1, (3, side))",
    "nn.Conv2d(1, 1, 3, foo=2)",
    "nn.Conv2d(1, 1, 3, stride=1, stride=2)",
    "nn.Conv2d(1, 1, 3, in_channels=1)",
    "nn.Conv2d(kernel_size=3, 1, 1)",
    "nn.Conv2d(1, 1, 3, 1, 0, 1, 1, True, 'zeros', None)",
    "nn.Conv2d(1, 1, 3, padding_mode='circular')",
    "nn.Conv2d(1, 1, 3, bias=0)",
    "nn.MaxPool2d(2, return_indices=3)",
    "nn.Linear(3, 4)",
    "torch.Conv2d(1, 1, 3)",
    "os.system(1)",
    "<img src=x onerror=alert(1)>",
    "nn.Conv2d(1, 1, 3" + " " * 1000 + ")",
    'nn.Conv2d(1, 1, "3)',
    "nn.Conv2d(1, 1, 3) + 1",
]  # fmt: skip


def plain(value):
    """Settings as both languages hold them: lists for pairs, one number for a pair of equal ones."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        items = [plain(item) for item in value]
        return items[0] if len(items) == 2 and items[0] == items[1] else items
    return value


def answered(compute):
    try:
        return plain(compute())
    except ValueError as error:
        return {"error": str(error)}


def test_lines_of_code_are_read_the_same_and_refused_with_the_same_text(modules):
    refused = 0
    for line, answer in zip(LINES, modules.call("parse", LINES), strict=True):
        expected = answered(lambda line=line: parse_code(line))
        assert plain(answer) == expected, line
        refused += "error" in expected
    assert refused >= 25


def settings_of(state):
    return {name: tuple(value) if isinstance(value, list) else value for name, value in state.items()}


def test_a_layer_survives_being_written_and_read(modules):
    rng = random.Random(11)
    states = [state for state in (random_state(rng) for _ in range(1500)) if is_legal(state)]
    lines = modules.call("format", states)
    for state, line, back in zip(states, lines, modules.call("parse", lines), strict=True):
        assert line == format_code(settings_of(state))
        assert plain(parse_code(line)) == plain(back)
        assert all(plain(state[name]) == plain(value) for name, value in back.items() if not unused(state, name)), line
    assert len(states) > 500


def unused(state, name):
    """What the code of an operation cannot say: it reads back at the default."""
    return name == "dilation" and state["op"] == "avg_pool"


FLAGS = ("relu", "ceil_mode", "count_include_pad")  # elsewhere True is 1 to Python, and no setting


def random_share(rng):
    state = {name: value for name, value in random_state(rng).items() if name in FLAGS or value is not True}
    for name in ("op", "relu", "ceil_mode"):
        state[name] = DEFAULTS[name] if rng.random() < 0.5 else state.get(name)
    kept = {name: value for name, value in state.items() if rng.random() < 0.7}
    if "kernel" in kept:
        kept["kernel"] = random_array(rng, [rng.randint(1, 9) for _ in range(4)])
    kept["position"] = rng.randint(0, 9)
    kept["guess"], kept["playing"] = rng.choice(["", "3 x 3", "é <b>"]), rng.random() < 0.5
    kept["speed"] = rng.choice([2, 2.0, 0.5, 1e-7, 1.5e-5, 12345678.25, 1e21, 0.1, -0.0])
    return kept


def as_python(state):
    """The state as the widget holds it in Python."""
    return {**settings_of(state), **{name: array_of(state[name]) for name in ("image", "kernel") if name in state}}


def test_share_strings_are_the_same_letter_by_letter(modules):
    rng = random.Random(12)
    read, states = 0, [random_share(rng) for _ in range(500)]
    texts = modules.call("encode", states)
    for state, text, back in zip(states, texts, modules.call("decode", texts), strict=True):
        assert text == encode_state(as_python(state))
        assert plain(back) == answered(lambda text=text: decode_state(text))
        wrong = [name for name, value in back.items() if value is not None and value != state.get(name)]
        assert wrong == [] or wrong == ["error"]
        read += wrong == []
    assert read > 400


def test_the_defaults_are_the_same(modules):
    ours = {name: value for name, value in DEFAULTS.items() if name not in ("image", "kernel")}
    theirs = modules.call("defaults", None)
    for name in ("image", "kernel"):
        np.testing.assert_array_equal(array_of(theirs.pop(name)), DEFAULTS[name])
    assert theirs == ours


GOOD = encode_state({"kernel_size": 5, "stride": 2})
DAMAGED = [
    "", "k1", "k1.", "k1.abc", "hello", GOOD[:-1], GOOD[:10], GOOD + "0", GOOD.replace("k1", "k2"), GOOD.upper(),
    GOOD[:8] + "x" + GOOD[9:], "k1..00000001", "<script>", "k1.W10.01560115", "k1.bnVsbA.06b301f9",
]  # fmt: skip


def test_damaged_strings_are_refused_with_the_same_text(modules):
    for text, answer in zip(DAMAGED, modules.call("decode", DAMAGED), strict=True):
        expected = answered(lambda text=text: decode_state(text))
        assert answer == expected, text
        assert "error" in expected


@pytest.mark.parametrize("decorated", [f" {GOOD}\n", f"#{GOOD}"])
def test_spaces_and_the_hash_of_an_address_do_no_harm(modules, decorated):
    assert modules.call("decode", [decorated]) == [{"kernel_size": 5, "stride": 2}]


def sealed(state_text):
    """A share string around any JSON: its checksum is right."""
    body = base64.urlsafe_b64encode(state_text.encode()).decode().rstrip("=")
    return f"k1.{body}.{zlib.adler32(body.encode()):08x}"


@pytest.mark.parametrize(
    "text",
    [
        '{"unknown":1}',
        '{"playing":true}',
        '{"states":{}}',
        '{"__proto__":{"op":"conv"}}',
        "[]",
        "null",
        "3",
        "{",
        '{"zebra":1,"ape":2}',
    ],
)
def test_strings_that_set_what_is_not_known_are_refused_with_the_same_text(modules, text):
    expected = answered(lambda: decode_state(sealed(text)))
    assert modules.call("decode", [sealed(text)]) == [expected]
    assert "error" in expected


@pytest.mark.parametrize(
    "text",
    ['{"level":"<b>"}', '{"bias":["a"]}', '{"bias":[]}', '{"image":{"shape":[1,1,2],"values":[1]}}', '{"image":[1]}',
     '{"kernel":{"shape":[1,1],"values":[1]}}', '{"stride":[1,2,3]}', '{"relu":1}', '{"guess":"x"}', '{"op":null}'],
)  # fmt: skip
def test_a_page_takes_no_setting_of_another_kind(modules, text):
    [answer] = modules.call("decode", [sealed(text)])
    assert answer.keys() == {"error"}
