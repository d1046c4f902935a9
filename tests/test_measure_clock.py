"""`latency`, `roofline`, `race` and `surfaces`: what they measure and predict, and what they refuse.

No time is asserted: a busy machine may take any. What is asserted are counts, orders of magnitude apart, and texts.
"""

from __future__ import annotations

import itertools
import math
import time

import numpy as np
import pytest
import torch
from torch import nn

from cnnviz import _memory, conv_cost, models, separable_cost
from cnnviz.measure import Lap, Race, _latency, _race, _roofline, latency, race, roofline, surfaces
from cnnviz.measure._latency import Setting, in_turns, in_words
from cnnviz.measure._roofline import Roofline, kind_of

QUICK = 0.01  # seconds
CPU = Setting(torch.device("cpu"))
ROOF = Roofline({"dense": 1e9, "pointwise": 1e9, "standard": 2e9}, bandwidth=1e9, setting=CPU)


class Sleeper(nn.Module):
    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        time.sleep(self.seconds)
        return x


# --- latency ---


def test_a_module_that_waits_takes_at_least_as_long_as_it_waits():
    taken = latency(Sleeper(0.004), (1, 2, 2), device="cpu", seconds=QUICK)
    assert taken.median >= 0.004
    assert taken.middle_half[0] <= taken.median <= taken.middle_half[1]
    assert len(taken.seconds) >= _latency.LEAST_BLOCKS
    assert taken.runs >= len(taken.seconds)
    assert f"{taken.runs:,} runs" in repr(taken)


def test_modules_are_timed_in_turns():
    order: list[str] = []
    in_turns([lambda: order.append("a") or time.sleep(0.002), lambda: order.append("b")], CPU.device, QUICK)
    turns = [name for name, _ in itertools.groupby(order)]
    assert turns[-2 * _latency.LEAST_BLOCKS :] == ["a", "b"] * _latency.LEAST_BLOCKS


def test_the_module_stays_as_it_was_and_runs_in_evaluation_mode():
    module = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4)).train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    modes = []
    module.register_forward_hook(lambda part, *_: modes.append((part.training, torch.is_grad_enabled())))
    latency(module, (2, 6, 6), device="cpu", dtype="float64", channels_last=True, seconds=QUICK)
    assert module.training
    assert set(modes) == {(False, False)}
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_the_inputs_are_larger_than_the_cache_and_take_turns(monkeypatch):
    monkeypatch.setattr(_latency, "cache", lambda device: 4000)
    seen: set[int] = set()
    module = nn.Identity()
    module.register_forward_hook(lambda part, args, _: seen.add(args[0].data_ptr()))
    latency(module, (1, 10, 10), batch=2, device="cpu", seconds=QUICK)
    assert len(seen) == 10  # 8000 bytes by 800


def test_a_name_and_a_module_without_memory_are_timed_too():
    drawn = torch.get_rng_state()
    assert latency("lenet5", (1, 32, 32), device="cpu", seconds=QUICK).title == "lenet5"
    with torch.device("meta"):
        network = models.create("lenet5")
    assert latency(network, (1, 32, 32), device="cpu", seconds=QUICK).median > 0
    assert next(network.parameters()).is_meta
    roofline("cpu", seconds=QUICK)
    assert torch.equal(torch.get_rng_state(), drawn)


def test_a_name_has_its_own_size(monkeypatch):
    sizes = []
    monkeypatch.setattr(_latency, "together", lambda pairs, *_: [sizes.append(pairs[0][1])])
    for module in ("lenet5", "resnet_cifar", "inception_v3", nn.Conv2d(3, 2, 3)):
        latency(module, device="cpu")
    assert sizes == [(1, 32, 32), (3, 32, 32), (3, 299, 299), (3, 224, 224)]


@pytest.mark.parametrize("channels_last", [False, True])
def test_an_input_beyond_the_cache_is_there_once(channels_last, monkeypatch):
    monkeypatch.setattr(_latency, "cache", lambda device: 100)
    monkeypatch.setattr(torch.Tensor, "repeat", lambda *_: pytest.fail("held twice"))
    layout = torch.channels_last if channels_last else torch.contiguous_format
    (only,) = _latency._inputs((1, 2, 6, 6), CPU, layout)
    assert only.is_contiguous(memory_format=layout)


def test_a_clock_that_is_too_coarse_is_said(monkeypatch):
    monkeypatch.setattr(_latency, "clock_step", lambda: 0.015)
    with pytest.raises(RuntimeError, match=r"steps of 15 ms: a single measurement would take 1\.5 s"):
        latency(nn.Identity(), (1, 2, 2), device="cpu")


def test_blocks_grow_with_the_steps_of_the_clock(monkeypatch):
    monkeypatch.setattr(_latency, "clock_step", lambda: 0.0002)
    taken = latency(nn.Identity(), (1, 2, 2), device="cpu", seconds=QUICK)
    assert all(seconds > 0 for seconds in taken.seconds)
    assert taken.runs / len(taken.seconds) * taken.median > 0.01  # 100 steps are 20 ms


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"batch": 0}, "batch 0 is not a whole number"),
        ({"device": "quantum"}, 'device "quantum" is not to be had here'),
        ({"device": "meta"}, "nothing is computed there"),
        ({"dtype": "int8"}, 'dtype "int8" is not known: use float32, float64, float16 or bfloat16'),
        ({"channels_last": 1}, "channels_last 1 is not True or False"),
        ({"seconds": 0}, "seconds 0 is not a number above 0"),
        ({"input_size": (3, 5)}, r"Conv2d cannot be timed on an input of \(1, 3, 5\)"),
        ({"input_size": "big"}, "input_size big is not a shape"),
    ],
)
def test_wrong_arguments_are_repeated(given, words):
    with pytest.raises(ValueError, match=words):
        latency(nn.Conv2d(2, 2, 3), **({"input_size": (2, 5, 5), "device": "cpu"} | given))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA GPU here")
def test_a_gpu_that_is_not_there_is_said():
    with pytest.raises(ValueError, match='device "cuda" is not to be had here'):
        roofline("cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU here")
def test_a_gpu_is_timed_by_its_own_clock():
    found = roofline("cuda")
    assert found.predict(nn.Conv2d(64, 64, 3), (64, 56, 56), 64).seconds < 1
    assert latency(nn.Conv2d(64, 64, 3), (64, 56, 56), 64, "cuda").median > 0


@pytest.mark.parametrize(("seconds", "words"), [(2, "2 s"), (0.0015, "1.5 ms"), (2.5e-5, "25 µs"), (3e-8, "0.03 µs")])
def test_times_are_written_with_three_digits_and_a_unit(seconds, words):
    assert in_words(seconds) == words


# --- roofline ---


def test_a_layer_needs_the_longer_of_its_arithmetic_and_its_traffic():
    wide = ROOF.predict(nn.Conv2d(64, 64, 3, padding=1, bias=False), (64, 10, 10)).rows[0]
    assert (wide.macs, wide.bytes) == (conv_cost(64, 64, 3, 10).macs, 4 * (2 * 6400 + 36864))
    assert (wide.kind, wide.limit) == ("standard", "arithmetic")
    assert wide.seconds == pytest.approx(2 * wide.macs / 2e9)
    thin = ROOF.predict(nn.Conv2d(64, 64, 1, groups=64, bias=False), (64, 10, 10), batch=3).rows[0]
    assert (thin.macs, thin.bytes) == (3 * 6400, 4 * (3 * 2 * 6400 + 64))
    assert (thin.kind, thin.limit) == ("depthwise", "memory")
    assert thin.seconds == pytest.approx(thin.bytes / 1e9)
    assert thin.intensity == pytest.approx(2 * thin.macs / thin.bytes)


def test_a_network_needs_the_sum_of_its_layers():
    found = ROOF.predict("mobilenet_v1")
    assert found.seconds == pytest.approx(sum(row.seconds for row in found))
    kinds = [row.kind for row in found if row.macs]
    assert [kinds.count(kind) for kind in ("standard", "depthwise", "pointwise", "dense")] == [1, 13, 13, 1]
    assert "568,740,352" in repr(found).splitlines()[-1]


@pytest.mark.parametrize(
    ("layer", "kind"),
    [
        (nn.Conv2d(4, 8, 3), "standard"),
        (nn.Conv2d(4, 8, 1), "pointwise"),
        (nn.Conv2d(4, 8, 3, groups=2), "grouped"),
        (nn.Conv2d(4, 8, 3, groups=4), "depthwise"),
        (nn.Linear(2, 2), "dense"),
        (nn.ReLU(), ""),
        (None, ""),
    ],
)
def test_kinds_of_layers(layer, kind):
    assert kind_of(layer) == kind


def test_a_measured_roof_is_not_below_a_product_of_matrices():
    found = roofline("cpu", seconds=QUICK)
    assert found.peak == max(found.ceilings.values()) >= found.ceilings["dense"] > 0
    assert found.ridge == found.peak / found.bandwidth
    assert "GB a second copied" in repr(found)


def test_a_speed_is_measured_on_until_it_gets_no_better(monkeypatch):
    stints = iter([[5.0, 6.0], [2.0, 9.0], [1.99], [1.0]])  # the first two on a busy machine
    monkeypatch.setattr(_roofline, "in_turns", lambda *_: [(next(stints), 1)])
    assert _roofline._best(lambda: None, CPU.device, QUICK) == 1.99
    assert next(stints) == [1.0]


def test_one_disturbed_run_does_not_end_the_doubling(monkeypatch):
    sizes, disturbed = [], itertools.cycle([True, False])
    monkeypatch.setattr(_roofline, "_work", lambda kind, size, setting: (lambda: sizes.append(size), size))
    monkeypatch.setattr(_roofline, "_best", lambda call, *_: call() or 1.0)
    monkeypatch.setattr(
        _roofline, "stopwatch", lambda call, device: lambda runs: 1.0 if next(disturbed) else max([1, *sizes]) * 1e-4
    )
    assert _roofline._fastest("dense", CPU, QUICK) == 4  # 0.4 ms are enough
    assert sizes[-1] == 4


# --- race ---


def test_a_race_has_the_count_the_prediction_and_the_clock_for_each_cell(tmp_path):
    result = race((4, 8), (5, 6), device="cpu", seconds=QUICK, roof=ROOF)
    assert [(lap.channels, lap.size) for lap in result.laps] == [(4, 5), (4, 6), (8, 5), (8, 6)]
    lap = result.lap(8, 6)
    ours = conv_cost(8, 8, 3, 6, bias=False).macs / separable_cost(8, 8, 3, 6, bias=False).macs
    assert lap.macs == pytest.approx(ours)
    assert lap.measured == pytest.approx(lap.standard / lap.separable)
    assert min(lap[2:11]) > 0
    assert lap.lowest <= lap.measured <= lap.highest
    again = Race.from_csv(result.to_csv(tmp_path / "race.csv"))
    assert repr(again).splitlines()[2:] == repr(result).splitlines()[2:]
    assert repr(result).splitlines()[-1].split()[:3] == ["8", "6x6", "4.2"]
    assert repr(again).startswith(f"Recorded {result.about['date']}: 3x3 against depthwise and 1x1")
    bars = result.figure().data
    assert [bar.name for bar in bars] == ["fewer MACs", "predicted by roofline", "measured"]
    assert bars[0].y == tuple(round(lap.macs, 2) for lap in result.laps)
    with pytest.raises(ValueError, match=r"\(9, 9\) was not raced: there are \(4, 5\)"):
        result.lap(9, 9)


def test_a_cell_without_memory_is_marked_and_the_rest_goes_on(monkeypatch):
    timed = _race.together

    def full(pairs, setting, seconds):
        def work():
            if pairs[0][1][0] == 8:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return timed(pairs, setting, seconds)

        return _memory.within_memory(setting.batch, work)

    monkeypatch.setattr(_race, "together", full)
    result = race((4, 8, 16), 5, device="cpu", seconds=QUICK, roof=ROOF)
    assert [lap.note for lap in result.laps] == ["", "out of memory", ""]
    assert math.isnan(result.laps[1].measured)
    assert "out of memory" in repr(result).splitlines()[6]
    assert len(result.figure().data[0].y) == 2
    assert "&lt;b&gt;" in Race(result.laps, {"raced": "<b>"})._repr_html_()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"groups": 3}, "groups 3 does not divide in_channels 16 and out_channels 16: use one of 1, 2, 4, 8, 16"),
        ({"channels": ()}, "channels is empty"),
        ({"sizes": [8, 0]}, "sizes 0 is not a whole number"),
        ({"kernel_size": 4}, "kernel_size 4 is even"),
        ({"device": "quantum"}, "is not to be had here"),
    ],
)
def test_wrong_races_are_refused_before_anything_is_measured(given, words, monkeypatch):
    monkeypatch.setattr(_race, "roofline", lambda *_: pytest.fail("measured"))
    with pytest.raises(ValueError, match=words):
        race(**({"channels": 16, "sizes": 8, "device": "cpu"} | given))


@pytest.mark.parametrize("text", ["", "channels,size\n1,2\n", ",".join(Lap._fields) + "\n" + "a," * 11 + "\n"])
def test_a_file_that_is_no_race_is_refused(text, tmp_path):
    path = tmp_path / "other.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match="is not a recorded race"):
        Race.from_csv(path)


@pytest.mark.parametrize("several", [np.array([4, 8]), torch.tensor([4, 8])])
def test_channels_may_come_as_an_array(several):
    assert _race._wholes("channels", several) == [4, 8]


def test_grouped_and_pointwise_may_be_raced():
    result = race(8, 5, groups=2, device="cpu", seconds=QUICK, roof=ROOF)
    assert result.laps[0].macs == pytest.approx(8 * 8 * 9 / (8 * 4 * 9 + 64))
    assert repr(result).startswith("3x3 against 2 groups and 1x1")
    whole, separable, grouped, mixing = _race._convolutions(8, 3, groups=2)
    assert [layer.groups for layer in (whole, *separable, grouped, mixing)] == [1, 2, 1, 2, 1]


# --- surfaces ---


def test_macs_and_parameters_follow_the_paper_and_bytes_do_not():
    found = surfaces(48, 14)
    for filters, kernel_size in itertools.product(found.filters, found.kernel_sizes):
        share = 1 / filters + 1 / kernel_size**2
        assert found.share("MACs", filters, kernel_size) == pytest.approx(share)
        assert found.share("parameters", filters, kernel_size) == pytest.approx(share)
    one = surfaces(48, 14, filters=(48,), kernel_sizes=(3,))
    assert one.share("activations", 48, 3) == 2
    moved = (48 * 9 + 48 * 48 + 4 * 48 * 196) / (48 * 48 * 9 + 2 * 48 * 196)  # weights, and maps in and out
    assert one.share("bytes moved", 48, 3) == pytest.approx(moved)
    figure = found.figure()
    assert [trace.visible for trace in figure.data] == [True, False, False, False]
    (menu,) = figure.layout.updatemenus
    assert menu.type == "dropdown"  # whose choices a narrow window does not cut off
    assert [button.label for button in menu.buttons] == list(found.shares)
    assert max(map(len, figure.layout.title.text.split("<br>"))) < 40
    with pytest.raises(ValueError, match="filters 5 is not on the surface: use 1, 2"):
        found.share("MACs", 5, 3)
    assert surfaces(48, 14, filters=48, kernel_sizes=3).shares == one.shares


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"filters": (0,)}, "filters 0 is not a whole number"),
        ({"filters": ()}, "filters is empty: give a number or several"),
        ({"kernel_sizes": "3"}, 'kernel_sizes "3" is not a whole number'),
        ({"size": 0}, "^size 0 is not a whole number"),
        ({"in_channels": 1.5}, "in_channels 1.5 is not a whole number"),
    ],
)
def test_wrong_surfaces_are_refused(given, words):
    with pytest.raises(ValueError, match=words):
        surfaces(**given)
