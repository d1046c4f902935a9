"""Named kernels held to what the books print, and turning held to NumPy and SciPy."""

import numpy as np
import pytest
from scipy import ndimage

from cnnviz import kernels

PRINTED = {
    "identity": [[0, 0, 0], [0, 1, 0], [0, 0, 0]],
    "edge": [[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]],
    "sobel_x": [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]],
    "sobel_y": [[-1, -2, -1], [0, 0, 0], [1, 2, 1]],
    "sharpen": [[0, -1, 0], [-1, 5, -1], [0, -1, 0]],
    "box": np.full((3, 3), 1 / 9),
    "gaussian": np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16,
    "emboss": [[-2, -1, 0], [-1, 1, 1], [0, 1, 2]],
}
ALL_SIZES = [(h, w) for h in range(1, 12) for w in range(1, 12)]


def test_the_list_is_the_one_that_is_printed():
    assert kernels.names() == tuple(PRINTED)


@pytest.mark.parametrize("name", PRINTED)
def test_three_by_three_is_as_the_books_print_it(name):
    np.testing.assert_allclose(kernels.named(name), PRINTED[name], rtol=1e-15)


@pytest.mark.parametrize(
    ("name", "total"),
    [("identity", 1), ("edge", 0), ("sobel_x", 0), ("sobel_y", 0), ("sharpen", 1), ("box", 1), ("gaussian", 1)],
)
def test_what_a_flat_picture_becomes_at_every_size(name, total):
    for size in ALL_SIZES:
        np.testing.assert_allclose(kernels.named(name, size).sum(), total, atol=1e-12)
        assert kernels.named(name, size).shape == size


def test_gaussian_of_five_is_the_binomial_one():
    np.testing.assert_allclose(kernels.named("gaussian", 5) * 256, np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]))


def test_sobel_of_five_smooths_across_and_differs_along():
    np.testing.assert_array_equal(kernels.named("sobel_x", 5), np.outer([1, 4, 6, 4, 1], [-1, -2, 0, 2, 1]))


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (2, 5), (11, 4)])
def test_sobel_y_is_sobel_x_on_its_side(size):
    np.testing.assert_array_equal(kernels.named("sobel_y", size), kernels.named("sobel_x", size[::-1]).T)


def test_sobel_x_reacts_to_vertical_edges_only():
    step = np.repeat([[0.0, 0, 1]], 3, axis=0)
    assert (kernels.named("sobel_x") * step).sum() == 4
    assert (kernels.named("sobel_x") * step.T).sum() == 0


@pytest.mark.parametrize("size", range(1, 12))
@pytest.mark.parametrize("quarters", [-3, -1, 0, 1, 2, 3, 4, 7])
def test_quarter_turns_are_exact(size, quarters):
    kernel = np.random.default_rng(size).normal(size=(size, size))
    np.testing.assert_array_equal(kernels.rotated(kernel, 90 * quarters), np.rot90(kernel, quarters))


@pytest.mark.parametrize("degrees", [1, 30, 45, 137.5, 260, -15])
@pytest.mark.parametrize("shape", [(3, 3), (5, 5), (4, 4), (3, 5), (7, 2)])
def test_other_turns_are_scipys(degrees, shape):
    kernel = np.random.default_rng(7).normal(size=shape)
    expected = ndimage.rotate(kernel, degrees, reshape=False, order=1, mode="grid-constant")
    np.testing.assert_allclose(kernels.rotated(kernel, degrees), expected, atol=1e-9)


def test_a_half_turn_of_an_oblong_kernel_is_exact():
    kernel = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(kernels.rotated(kernel, 180), kernel[::-1, ::-1])


def test_named_filters_fan_out_over_the_circle():
    weights = kernels.effective(np.zeros((1, 1, 1, 1)), (4, 2, 3, 3), name="sobel_x", angle=90)
    for f in range(4):
        for c in range(2):
            np.testing.assert_array_equal(weights[f, c], np.rot90(kernels.named("sobel_x"), 1 + f))


def test_own_weights_are_tiled_then_turned():
    base = np.random.default_rng(0).normal(size=(2, 1, 3, 3))
    np.testing.assert_array_equal(kernels.effective(base, (2, 1, 3, 3)), base)
    turned = kernels.effective(base, (2, 3, 3, 3), angle=270)
    assert turned.shape == (2, 3, 3, 3)
    np.testing.assert_array_equal(turned[1, 0], np.rot90(base[1, 0], 3))


@pytest.mark.parametrize("size", [0, -1, 12, 3.0, "3", True, None, (3,), (3, 0), 10**6])
def test_bad_sizes_are_refused(size):
    with pytest.raises(ValueError, match=r"^kernel_size .* is not a whole number from 1 to 11 or a pair of them$"):
        kernels.named("box", size)


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match=r'^kernel "laplace" is not known: use identity, edge, .* or emboss$'):
        kernels.named("laplace")


@pytest.mark.parametrize("angle", [float("nan"), float("inf"), "90", True])
def test_bad_angles_are_refused(angle):
    with pytest.raises(ValueError, match="is not a finite number of degrees"):
        kernels.rotated(np.ones((3, 3)), angle)


def test_only_one_kernel_is_turned_at_a_time():
    with pytest.raises(ValueError, match=r"shape \(h, w\), not \(1, 1, 3, 3\)"):
        kernels.rotated(np.ones((1, 1, 3, 3)), 45)
