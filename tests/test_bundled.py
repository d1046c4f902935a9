"""The shipped networks: the files are those of the table, load nothing but weights, and know what the table says."""

import hashlib
import pickle
import subprocess
import sys

import pytest
import torch

from cnnviz.data import load
from cnnviz.models import bundled
from tests.drawings import LEARNED, OTHERS, drawn


@pytest.fixture(scope="module")
def digits():
    return load("digits")


def accuracy(network, x, y) -> float:
    with torch.no_grad():
        return 100 * float((network(x).argmax(1) == y).float().mean())


@pytest.mark.parametrize("name", bundled.NETWORKS)
def test_the_shipped_file_knows_what_the_table_says(name, digits):
    network = bundled.load(name)
    assert not network.training
    said = bundled.NETWORKS[name].accuracy
    assert said >= 95
    assert accuracy(network, digits.test_x, digits.test_y) == pytest.approx(said, abs=0.3)  # one scan of 355 is 0.28


def test_lenet5_reads_drawings_also_in_a_hand_that_it_never_saw():
    network = bundled.load("lenet5-digits")
    assert accuracy(network, *drawn(LEARNED, each=20, seed=5)) > 98
    assert accuracy(network, *drawn(OTHERS, each=20, seed=5)) > 94


def test_only_the_middle_is_known_to_lenet5_and_any_place_to_the_average(digits):
    moved = torch.nn.functional.pad(digits.test_x, (3, -3))
    assert accuracy(bundled.load("lenet5-digits"), moved, digits.test_y) < 70
    assert accuracy(bundled.load("average-digits"), moved, digits.test_y) > 90


def test_another_name_is_refused():
    with pytest.raises(ValueError, match="no network is called 'lenet': use lenet5-digits or average-digits"):
        bundled.load("lenet")


class Trap:
    """An object that runs a program when it is unpickled."""

    def __reduce__(self):
        return subprocess.check_call, ([sys.executable, "-c", "open('sprung', 'w')"],)


def test_an_altered_file_is_refused_unread(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bundled, "FOLDER", tmp_path)
    contents = pickle.dumps(Trap(), protocol=2)
    (tmp_path / "lenet5-digits.pt").write_bytes(contents)
    with pytest.raises(ValueError, match=r"lenet5-digits\.pt is not the file that was shipped"):
        bundled.load("lenet5-digits")
    known = bundled.NETWORKS["lenet5-digits"]._replace(sha256=hashlib.sha256(contents).hexdigest())
    monkeypatch.setitem(bundled.NETWORKS, "lenet5-digits", known)
    with pytest.raises(pickle.UnpicklingError):  # and where the sum is right, only weights are taken
        bundled.load("lenet5-digits")
    assert not (tmp_path / "sprung").exists()
