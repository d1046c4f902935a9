"""The scale of a panel: from where to where it goes, and the numbers beside it."""

import numpy as np
import pytest


@pytest.mark.browser
@pytest.mark.parametrize("height", [60, 174])
def test_a_logarithmic_scale_has_numbers_enough_to_be_read_and_room_for_them(modules, height):
    dice = np.random.default_rng(0)
    ranges = [(low, low * factor, height) for low, factor in 10 ** dice.uniform((-6, 0.3), (3, 12), (600, 2))]
    for (low, high, _), ticks in zip(ranges, modules.call("ticks", ranges), strict=True):
        assert all(low <= tick <= high for tick in ticks)
        assert len(ticks) >= 2, (low, high, ticks)  # one number alone says nothing of a scale
        places = height * np.log(np.sort(ticks) / low) / np.log(high / low)
        assert np.diff(places).min() > 15.9  # pixels, for words of 14
        powers = np.isclose(np.log10(ticks) % 1, [[0], [1]]).any(0)
        assert powers.sum() < 3 or powers.all(), ticks  # numbers between them only where powers of ten are few


@pytest.mark.browser
def test_one_wild_test_does_not_press_everything_else_to_the_floor(modules):
    learning = [2.3, 1.7, 0.1]
    assert modules.call("lossRange", {"train": learning, "test": [2.1, 0.4]}) == pytest.approx([0, 1.05 * 2.3])
    assert modules.call("lossRange", {"train": learning, "test": [4.0, 0.4]}) == pytest.approx([0, 1.05 * 4.0])
    assert modules.call("lossRange", {"train": learning, "test": [2.7e7, 0.4]}) == pytest.approx([0, 1.05 * 4.6])
    assert modules.call("lossRange", {"train": [], "test": [2.7e7, 0.4]}) == pytest.approx([0, 1.05 * 2.7e7])
