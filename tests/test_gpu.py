"""The script for machines with an NVIDIA GPU: skipped, saying so, without one; with one a table and two files."""

import csv

import pytest
import torch

from cnnviz.measure import Race, Roofline
from cnnviz.measure._latency import Setting
from cnnviz.training import _recorded
from tests import gpu, recording
from tests.benchmarks.rows import Row


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA GPU here")
def test_without_a_gpu_nothing_is_measured_and_that_is_said(tmp_path, capsys):
    assert gpu.main(["--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out.startswith("No CUDA GPU here: skipped")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def pretended(monkeypatch):
    """The CPU in the place of a GPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "pretended")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (8, 0))
    for name, value in {"DEVICE": "cpu", "BATCH": 1, "CHANNELS": (4, 8), "SIZES": (5,)}.items():
        monkeypatch.setattr(gpu, name, value)
    monkeypatch.setattr(gpu, "roof", lambda *_: [Row("bandwidth", 70, "%", 80, more=True)])
    monkeypatch.setattr(gpu.races, "measure", lambda *_: [Row("error", 12.5, "%", 30)])
    for name in ("learning", "replayed"):
        monkeypatch.setattr(gpu, name, lambda quick: [])


@pytest.mark.usefixtures("pretended")
def test_every_figure_is_written_with_device_versions_and_date(tmp_path, capsys):
    assert gpu.main(["--out", str(tmp_path / "new"), "--quick"]) == 0
    with (tmp_path / "new" / "gpu.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["figure"], row["value"], row["kept"]) for row in rows[:2]] == [
        ("bandwidth", "70", "False"),
        ("error", "12.5", "True"),
    ]
    assert rows[0]["device"] == "pretended"
    assert torch.__version__ in rows[0]["versions"]
    assert rows[0]["date"]
    assert [lap.channels for lap in Race.from_csv(tmp_path / "new" / "race-gpu.csv").laps] == [4, 8]
    assert "bars missed: bandwidth, bandwidth" in capsys.readouterr().out
    assert "TF32 in convolutions" in (tmp_path / "new" / "race-gpu.csv").read_text()


@pytest.mark.usefixtures("pretended")
def test_a_part_that_fails_is_said_and_the_others_are_written(tmp_path, monkeypatch, capsys):
    def full(*_):
        raise torch.OutOfMemoryError("out of memory with batch=64")

    monkeypatch.setattr(gpu.races, "measure", full)
    assert gpu.main(["--out", str(tmp_path), "--quick"]) == 1
    with (tmp_path / "gpu.csv").open() as file:
        assert [row["figure"] for row in csv.DictReader(file)] == ["bandwidth", "bandwidth"]
    assert "float32, batch 1: FAILED, out of memory with batch=64" in capsys.readouterr().out


def test_the_bare_product_is_held_against_the_ceiling_of_products(monkeypatch):
    found = Roofline({"dense": 1e12, "standard": 8e12}, 1e11, Setting(torch.device("cpu")))
    monkeypatch.setattr(gpu, "roofline", lambda *_: found)
    monkeypatch.setattr(gpu, "DEVICE", "meta")  # nothing is computed
    monkeypatch.setattr(gpu, "bare", lambda call: 2 * 8192**3 / 4e12)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (7, 0))
    product = gpu.roof("float32", False)[1]
    assert (product.value, product.passed) == (25, False)


def test_replayed_steps_are_held_against_those_that_python_makes(monkeypatch):
    monkeypatch.setattr(gpu, "DEVICE", "cpu")
    monkeypatch.setattr(_recorded, "record", recording.record)
    graphs, apart, _ = gpu.replayed(quick=True)
    assert graphs.value == 2  # two epochs are too few for the smaller last batch
    assert apart.value < 0.01
