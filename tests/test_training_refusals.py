"""What `fit` refuses, at once and not in the thread."""

import copy

import pytest
import torch
from torch import nn

from cnnviz.data import Data, shift
from cnnviz.training import fit
from tests.small_runs import DIGITS, net


def data_of(shape=(4, 1, 8, 8), classes=2):
    x, y = torch.zeros(shape), torch.arange(shape[0]) % classes
    return Data(x, y, x, y, tuple("abcdefghij"[:classes]))


def nothing(x, generator):
    pass


@pytest.mark.parametrize(("given", "message"), [
    ({"model": "lenet5"}, 'model "lenet5" is not a network: use models.create'),
    ({"data": (1, 2)}, "data (1, 2) is not a Data: use load"),
    ({"epochs": 0}, "epochs 0 is not a whole number from 1"),
    ({"lr": 0}, "lr 0 is not a number above 0"),
    ({"lr": -0.1}, "lr -0.1 is not a number above 0"),
    ({"lr": "fast"}, 'lr "fast" is not a number above 0'),
    ({"lr": float("nan")}, "lr nan is not a number above 0"),
    ({"optimizer": "newton"}, 'optimizer "newton" is not known: use sgd, momentum'),
    ({"schedule": "triangle"}, 'schedule "triangle" is not known: use constant, step'),
    ({"batch_size": 0}, "batch_size 0 is not a whole number from 1"),
    ({"batch_size": 2.5}, "batch_size 2.5 is not a whole number"),
    ({"seed": -1}, "seed -1 is not a whole number from 0"),
    ({"weight_decay": -1}, "weight_decay -1 is not a number of 0 or more"),
    ({"label_smoothing": 1}, "label_smoothing 1 is not a number of 0 or more and below 1"),
    ({"clip": 0}, "clip 0 is not a number above 0"),
    ({"augment": 3}, "augment 3 is not a function or a list of them"),
    ({"augment": [shift]}, "augment shift cannot be applied to a batch and a generator: "),
    ({"augment": [nothing]}, "augment nothing has to return a batch of the same shape"),
    ({"average": "yes"}, 'average "yes" is not True or False'),
    ({"snapshots": "fc"}, 'snapshots "fc" is not known: use 0'),
    ({"precision": "int8"}, 'precision "int8" is not known: use float32 or bfloat16'),
    ({"device": "meta"}, 'device "meta" is not to be had here (nothing is computed there)'),
    ({"device": "warp"}, 'device "warp" is not to be had here'),
    ({"optimizer": "lbfgs", "clip": 1}, "lbfgs searches along a line: it takes neither weight_decay nor clip"),
    ({"data": data_of((4, 3, 8, 8))}, "the pictures are 3 x 8 x 8, and do not fit Sequential"),
    ({"data": data_of((4, 1, 9, 9))}, "the pictures are 1 x 9 x 9, and do not fit Sequential"),
    ({"model": nn.Sequential(nn.Flatten(), nn.Linear(64, 5))}, "Sequential gives 5 scores a picture, but"),
])  # fmt: skip
def test_what_makes_no_sense_is_refused_at_once(given, message):
    with pytest.raises(ValueError) as refusal:
        fit(**({"model": net(), "data": DIGITS} | given))
    assert str(refusal.value).startswith(message)


def test_more_processes_than_pictures_are_refused(monkeypatch):
    monkeypatch.setattr("cnnviz.training.join_processes", lambda device: 5)
    with pytest.raises(ValueError, match=r"4 training pictures are too few for 5 processes: use --nproc-per-node=4"):
        fit(net(), data_of())


def test_a_network_that_cannot_learn_is_refused():
    with pytest.raises(ValueError, match="no weights that may change"):
        fit(net().requires_grad_(False), DIGITS)
    with torch.inference_mode():
        built = net()
    with pytest.raises(ValueError, match=r"Sequential was built under torch.inference_mode.*use copy.deepcopy") as why:
        fit(built, DIGITS)
    assert "outside" in str(why.value)
    assert fit(copy.deepcopy(built), DIGITS, epochs=1).result().epochs  # what the message says does help
    with pytest.raises(ValueError, match="no convolution to take snapshots of"):
        fit(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), DIGITS, snapshots=True)
