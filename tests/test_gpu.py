"""The script for machines with an NVIDIA GPU: skipped, saying so, without one; with one a table and two files."""

import csv

import pytest
import torch

from cnnviz.measure import Race
from tests import gpu
from tests.benchmarks.rows import Row


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA GPU here")
def test_without_a_gpu_nothing_is_measured_and_that_is_said(tmp_path, capsys):
    assert gpu.main(["--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out.startswith("No CUDA GPU here: skipped")
    assert list(tmp_path.iterdir()) == []


def test_every_figure_is_written_with_device_versions_and_date(tmp_path, monkeypatch, capsys):
    """On the CPU, in the place of a GPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "pretended")
    for name, value in {"DEVICE": "cpu", "BATCH": 1, "CHANNELS": (4, 8), "SIZES": (5,)}.items():
        monkeypatch.setattr(gpu, name, value)
    monkeypatch.setattr(gpu, "roof", lambda *_: [Row("bandwidth", 70, "%", 80, more=True)])
    monkeypatch.setattr(gpu.races, "measure", lambda *_: [Row("error", 12.5, "%", 30)])
    monkeypatch.setattr(gpu, "learning", lambda quick: [])
    gpu.main(["--out", str(tmp_path / "new"), "--quick"])
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
