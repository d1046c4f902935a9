"""Coloured shapes of several sizes: as large as they say, and drawn from their seed."""

import math

import pytest
import torch

from cnnviz.data import load, shapes


def diameter(picture: torch.Tensor) -> float:
    """Of a disc of the area that is not paper, where one channel tells it from paper; else NaN."""
    channel = picture[(picture.amax((1, 2)) - picture.amin((1, 2))).argmax()]
    paper = channel[[0, 0, -1, -1], [0, -1, 0, -1]].median()
    apart = (channel - paper).abs()
    return 2 * ((apart > apart.max() / 2).sum().item() / math.pi) ** 0.5 if apart.max() > 0.5 else math.nan


def test_a_disc_is_as_large_as_it_says():
    pictures, labels, across = shapes(400, seed=1)
    found = torch.tensor([diameter(picture) for picture in pictures[labels == 0]])
    clear = ~found.isnan()
    assert clear.sum() > 20
    assert (found - across[labels == 0])[clear].abs().max() < 1.5


def test_each_octave_holds_as_many():
    across = shapes(2000, size=32, across=(4, 32))[2]
    counts = torch.histogram(across.float().log2(), bins=3, range=(2.0, 5.0)).hist
    assert (counts / 2000 - 1 / 3).abs().max() < 0.04


def test_a_seed_draws_the_same_shapes_in_any_size():
    small, large, other = shapes(40, across=10, seed=3), shapes(40, across=40, seed=3), shapes(40, across=10, seed=4)
    assert small[1].equal(large[1])
    assert not small[0].equal(other[0])
    assert small[0].equal(shapes(40, across=(10, 10), seed=3)[0])
    assert torch.bincount(small[1]).tolist() == [4] * 10
    assert len(load("shapes").classes) == 10


@pytest.mark.parametrize(("given", "message"), [
    ({"across": (30, 20)}, r"across \(30, 20\): use two numbers from 2 to the picture's 64, the smaller first"),
    ({"across": 65}, "across 65: use two numbers from 2 to the picture's 64"),
    ({"across": (7, 8, 9)}, r"across \(7, 8, 9\): use a number of pixels, or two"),
    ({"across": "large"}, 'across "large" is not a number of 2 or more'),
    ({"across": (float("nan"), 8)}, "across nan is not a number"),
    ({"number": 0}, "number 0 is not a whole number from 1"),
    ({"number": 10**8}, "number 100000000 is not a whole number from 1 to 20345"),
    ({"size": 4}, "size 4 is not a whole number from 8 to 512"),
    ({"seed": -1}, "seed −1 is not a whole number from 0|seed -1 is not a whole number from 0"),
])  # fmt: skip
def test_what_cannot_be_drawn_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        shapes(**{"number": 10, **given})
