"""Augmentations against what they are in exact cases, and their amounts against what was asked for."""

import math

import pytest
import torch

from cnnviz import data
from cnnviz.data._augment import _matrices, _turned, warped

CHANGES = [
    data.crop(2), data.shift(2), data.flip(), data.rotation(30), data.shear(30), data.zoom(0.3), data.noise(0.2),
    data.channel_shift(0.2), data.colour(0.3), data.pca_colour(0.3), data.mixup(0.4),
]  # fmt: skip
PHOTO = torch.rand(6, 3, 9, 7, generator=torch.Generator().manual_seed(0))


def made(change, x=PHOTO, seed=0):
    result = change(x, torch.Generator().manual_seed(seed))
    return result if isinstance(result, torch.Tensor) else result.pictures


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_each_keeps_shape_and_input_and_follows_its_generator(change):
    before = PHOTO.clone()
    result = made(change)
    assert (result.shape, result.dtype) == (PHOTO.shape, PHOTO.dtype)
    assert result.equal(made(change))
    assert not result.equal(made(change, seed=1))
    assert PHOTO.equal(before)
    assert not result.equal(PHOTO)


@pytest.mark.parametrize("change", [
    data.crop(0), data.rotation(0), data.shear(0), data.zoom(0), data.noise(0), data.channel_shift(0), data.colour(0),
], ids=lambda change: change.__name__)  # fmt: skip
def test_an_amount_of_zero_changes_nothing(change):
    assert torch.allclose(made(change), PHOTO, atol=1e-6)


def test_a_quarter_turn_is_torchs_also_where_sides_differ():
    square, angle = PHOTO[..., :7, :], torch.full((6,), math.pi / 2)
    assert torch.allclose(warped(square, _turned(angle)), square.rot90(1, (2, 3)), atol=1e-5)
    assert torch.allclose(warped(PHOTO, _turned(2 * angle)), PHOTO.rot90(2, (2, 3)), atol=1e-5)
    inside = (..., slice(1, -1), slice(None))  # 7 of 9 rows
    assert torch.allclose(warped(PHOTO, _turned(angle))[inside], PHOTO[inside].rot90(1, (2, 3)), atol=1e-5)


def test_a_shear_of_45_degrees_moves_each_row_by_its_distance_from_the_middle():
    row = torch.zeros(1, 1, 5, 5)
    row[..., 2] = 1
    leaning = warped(row, _matrices(1, torch.ones(1), 0, 1))[0, 0]
    assert torch.allclose(leaning, torch.eye(5).flip(1), atol=1e-5)


def test_zoom_enlarges_by_one_over_its_matrix():
    x = torch.zeros(1, 1, 8, 8)
    x[..., 3:5, 3:5] = 1
    larger = warped(x, _matrices(torch.full((1,), 0.5), 0, 0, 0.5))
    assert larger.sum().item() == pytest.approx(16, abs=1e-4)  # twice as wide, twice as high


@pytest.mark.parametrize(("change", "amount"), [
    (data.rotation(30), lambda matrix: matrix[:, 1, 0].asin().rad2deg() / 30),
    (data.shear(30), lambda matrix: matrix[:, 0, 1].atan().rad2deg() / 30),
    (data.zoom(0.3), lambda matrix: (1 / matrix[:, 1, 1] - 1) / 0.3),
])  # fmt: skip
def test_amounts_reach_what_was_asked_and_no_further(change, amount, monkeypatch):
    drawn = []
    monkeypatch.setattr("cnnviz.data._augment.warped", lambda x, matrices: drawn.append(matrices) or x)
    change(torch.zeros(4000, 1, 2, 2), torch.Generator().manual_seed(0))
    found = amount(drawn[0])
    assert -1.0001 <= found.min() < -0.99
    assert 0.99 < found.max() <= 1.0001


def test_channel_shift_adds_one_number_to_each_channel_and_colour_keeps_grey_grey():
    added = made(data.channel_shift(0.2)) - PHOTO
    assert torch.allclose(added, added[:, :, :1, :1].expand_as(added), atol=1e-6)
    assert 0 < added.abs().max() <= 0.2
    grey = PHOTO[:, :1].expand(-1, 3, -1, -1)
    coloured = made(data.colour(0.5), grey)
    assert torch.allclose(coloured, coloured[:, :1].expand_as(coloured), atol=1e-6)  # grey has no saturation
    spread = coloured.std((1, 2, 3)) / grey.std((1, 2, 3))  # brightness times contrast
    assert spread.min() >= 0.25
    assert spread.max() <= 2.25


@pytest.mark.parametrize(("build", "message"), [
    (lambda: data.rotation(200), "degrees 200 is too much: use at most 180"),
    (lambda: data.shear(90), "degrees 90 is too much: use at most 89"),
    (lambda: data.zoom(1), "share 1 is too much: use at most 0.99"),
    (lambda: data.zoom(-0.1), "share -0.1 is not a number of 0 or more"),
    (lambda: data.rotation("far"), 'degrees "far" is not a number'),
    (lambda: data.noise(-1), "std -1 is not a number"),
    (lambda: data.colour(None), "share None is not a number"),
    (lambda: data.channel_shift(float("inf")), "most inf is not a number"),
    (lambda: data.shift(1.5), "pixels 1.5 is not a whole number"),
])  # fmt: skip
def test_amounts_that_make_no_sense_are_refused(build, message):
    with pytest.raises(ValueError) as refusal:
        build()
    assert str(refusal.value).startswith(message)
