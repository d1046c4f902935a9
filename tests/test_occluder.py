"""The occluder in Python: every place is a picture covered by hand; bad input is refused with what would work."""

import base64
import re
import threading

import numpy as np
import pytest
import torch
from torch import nn

from cnnviz import load
from cnnviz.models import bundled
from cnnviz.widgets import _heartbeat
from cnnviz.widgets._drawing import to_svg
from cnnviz.widgets.occluder import Occluder
from cnnviz.widgets.occluder import occluder as occluder_module


@pytest.fixture(scope="module")
def digits() -> torch.Tensor:
    return load("digits").test_x[[76, 145]]


@pytest.fixture(scope="module")
def lenet() -> nn.Module:
    return bundled.load("lenet5-digits")


@pytest.fixture(scope="module")
def made(lenet: nn.Module, digits: torch.Tensor) -> Occluder:
    return Occluder(lenet, digits, sizes=[6, 9])


@pytest.fixture
def occluder(made: Occluder) -> Occluder:
    made.picture, made.size, made.position, made.revealed = 0, 6, (0, 0), False
    return made


def by_hand(net: nn.Module, picture: torch.Tensor, place: tuple[int, int], size: int, shade: float) -> np.ndarray:
    covered = picture.clone()
    covered[:, place[0] : place[0] + size, place[1] : place[1] + size] = shade
    with torch.no_grad():
        return net(covered[None]).softmax(1)[0].numpy()


@pytest.mark.parametrize("place", [(0, 0), (9, 16), (26, 26), (3, 20)])
@pytest.mark.parametrize("picture", [0, 1])
def test_each_place_is_the_picture_covered_there(occluder, lenet, digits, place, picture):
    occluder.picture, occluder.size, occluder.position = picture, 6, place
    assert np.allclose(occluder.probabilities, by_hand(lenet, digits[picture], place, 6, 0.0), atol=1e-5)


def test_the_view_knows_the_same_numbers(occluder):
    occluder._finish()
    known = occluder._fixed["pictures"][1]
    occluder.picture, occluder.size = 1, 9
    sent = np.frombuffer(base64.b64decode(known["tables"][1]), "<u2").reshape(24, 24, 10) / 65535
    assert np.abs(sent[..., 8] - occluder.heat).max() < 1e-5
    assert (known["target"], known["names"][8]) == (8, "8")


class Counting(nn.Module):
    """A network that counts the pictures it is asked about, and can be made to wait."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net, self.gate = net, Gate()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.gate.looks += len(x)
        assert self.gate.opened.wait(60)
        return self.net(x)


class Gate:
    def __init__(self) -> None:
        self.looks, self.opened = 0, threading.Event()
        self.opened.set()

    def __deepcopy__(self, memo: dict) -> "Gate":
        return self  # the widget works with a copy of the network


def test_it_is_shown_before_the_places_are_computed_and_says_the_same_afterwards(lenet, digits):
    net = Counting(lenet)
    o = Occluder(net, digits, sizes=[6, 9], position=(9, 16))
    early, drawn = repr(o), to_svg(o._still())
    assert net.gate.looks < 20  # of the thousands that all places are
    o._finish()
    assert net.gate.looks > 2 * (27**2 + 24**2)
    assert (repr(o), to_svg(o._still())) == (early, drawn)


def test_first_few_places_are_computed_for_every_picture_and_then_all_of_the_one_that_is_looked_at(lenet, digits):
    o = Occluder(lenet, digits, sizes=[6], picture=1)
    steps = []
    while o._sweeps.more(o.picture):
        steps.append([step for step, _ in o._sweeps.found])
        few = [table[6] for _, table in o._sweeps.found]
    assert steps == [[4, 4], [4, 4], [4, 1], [1, 1]]
    coarse = Occluder(lenet, digits, sizes=[6], picture=1)
    while coarse._sweeps.more(0) and len(coarse._sweeps.left) > 2:
        pass
    for (_, tables), fine in zip(coarse._sweeps.found, few, strict=True):
        assert np.allclose(tables[6], fine[::4, ::4], atol=1e-5)


@pytest.fixture
def in_a_kernel(monkeypatch) -> None:
    monkeypatch.setattr(_heartbeat, "running_kernel", object)
    monkeypatch.setattr(_heartbeat, "start", lambda widget: None)


@pytest.mark.usefixtures("in_a_kernel")
def test_the_thread_tells_how_far_it_is_and_sends_coarse_tables_before_fine_ones(lenet, digits, monkeypatch):
    monkeypatch.setattr(occluder_module, "SECONDS", -1)  # every batch, of 256 places at most
    o = Occluder(lenet, digits, sizes=[6])
    shares, sides = [], []
    o.observe(lambda change: shares.append(change.new), "_share")
    o.observe(lambda change: sides.append([known["extents"][0][0] for known in change.new["pictures"]]), "_fixed")
    assert o.model_id  # shown
    o._thread.join(60)
    fine, coarse = 27**2, 7**2
    done = np.cumsum([coarse, coarse, 256, 256, fine - 512, 256, 256, fine - 512])
    assert shares == pytest.approx(done / done[-1])
    assert sides == [[7, 1], [7, 7], [27, 7], [27, 27]]
    o.close()


@pytest.mark.usefixtures("in_a_kernel")
def test_what_python_computed_first_is_sent_when_the_widget_is_shown(lenet, digits):
    o = Occluder(lenet, digits[0], sizes=[6])
    assert o.lowest == (9, 16)  # every place was looked at
    assert o.model_id
    o._thread.join(60)
    assert (o._share, o._fixed["pictures"][0]["extents"]) == (1, [[27, 27]])
    o.close()


def test_without_a_kernel_everything_is_there_when_the_widget_is_shown(lenet, digits):
    o = Occluder(lenet, digits[0], sizes=[16])
    assert o.model_id
    assert (o._thread, o._share, o._fixed["pictures"][0]["extents"]) == (None, 1, [[17, 17]])
    o.close()


@pytest.mark.usefixtures("in_a_kernel")
def test_the_thread_ends_with_everything_sent_and_rests_with_the_widget(lenet, digits):
    net = Counting(lenet)
    o = Occluder(net, digits, sizes=[6])
    net.gate.opened.clear()
    assert o.model_id  # shown
    assert o._fixed["pictures"][0]["extents"] == [[1, 1]]
    thread = o._thread
    o.rest()
    net.gate.opened.set()
    thread.join(60)
    assert o._sweeps.left  # nobody looks: it stopped within a batch
    assert o.model_id
    o._thread.join(60)
    assert o._share == 1
    assert [known["extents"] for known in o._fixed["pictures"]] == [[[27, 27]]] * 2
    o.close()


def test_the_answers_are_of_the_weights_at_the_beginning_and_the_network_is_let_go(digits):
    net = nn.Sequential(nn.Flatten(), nn.Linear(32 * 32, 3))
    o, wanted = Occluder(net, digits[0], sizes=[16]), by_hand(net, digits[0], (3, 4), 16, 0.0)
    with torch.no_grad():
        net[1].weight.zero_()
    o.position = 3, 4
    assert np.allclose(o.probabilities, wanted, atol=1e-6)
    assert np.allclose(o.heat[3, 4], wanted[o._targets[0]], atol=1e-6)
    o._finish()
    assert o._sweeps.net is None


@pytest.mark.usefixtures("in_a_kernel")
def test_a_network_that_fails_in_the_thread_says_so_in_the_view(lenet, digits, monkeypatch):
    o = Occluder(lenet, digits, sizes=[6])
    told = []
    monkeypatch.setattr(o, "refuse", told.append)
    o._sweeps.net = nn.Linear(3, 3)
    assert o.model_id
    o._thread.join(60)
    assert len(told) == 1
    assert told[0].startswith("RuntimeError: mat1 and mat2")
    o.close()


def test_the_lowest_place_is_the_lowest(occluder):
    occluder.position = occluder.lowest
    assert occluder.probabilities[9] == occluder.heat.min() < 0.01
    assert occluder.target == "9"
    assert "row 9, column 16: 5 >99 %" in repr(occluder)  # without its upper right stroke a 9 is a 5


def test_the_square_stays_inside_and_on_its_places(lenet, digits, occluder):
    occluder.size, occluder.position = 9, (31, 31)
    assert occluder.place == (23, 23)
    large = Occluder(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), torch.rand(3, 90, 60), sizes=[10])
    assert large._step == 3
    large.position = 7, 4
    assert large.place == (6, 3)
    assert large.heat.shape == (27, 17)


def test_the_square_is_of_the_background_unless_told_otherwise():
    torch.manual_seed(0)
    picture = torch.tensor([0.2, 0.5, 0.9])[:, None, None].repeat(1, 16, 16)
    picture[:, 4:9, 4:9] = torch.rand(3, 5, 5)
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 4))
    plain, grey = Occluder(net, picture, sizes=[4]), Occluder(net, picture, sizes=[4], baseline=0.5)
    each = Occluder(net, picture, sizes=[4], baseline=[0.2, 0.5, 0.9])
    assert np.allclose(plain.heat, each.heat)
    assert np.allclose(plain.heat[10:, 10:], plain.uncovered.max(), atol=1e-6)  # background over background
    assert np.allclose(grey.probabilities, by_hand(net, picture, (0, 0), 4, 0.5), atol=1e-6)


def test_the_network_is_left_as_it_was(digits):
    net = nn.Sequential(
        nn.Conv2d(1, 4, 5), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 28 * 28, 3)
    ).train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    Occluder(net, digits[0], sizes=[16])
    assert net.training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_more_than_ten_classes_are_shown_by_the_ten_that_matter_and_the_answer():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 30))
    o = Occluder(net, torch.rand(1, 8, 8), classes=[f"<b>{n}</b>" for n in range(30)], sizes=[3])
    o._finish()
    known = o._fixed["pictures"][0]
    assert len(known["names"]) == 10
    assert known["names"][known["target"]] == o.target
    assert "<b>" not in to_svg(o._still())


def test_the_map_is_drawn_only_when_it_is_revealed(occluder):
    hidden = len(occluder._still().pictures)
    occluder.revealed = True
    assert len(occluder._still().pictures) == hidden + 1


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"sizes": [0]}, "size 0 is not a whole number from 1 to 32"),
        ({"sizes": [40]}, "from 1 to 32"),
        ({"sizes": []}, "1 to 4 sides"),
        ({"baseline": "grey"}, 'baseline "grey"'),
        ({"baseline": [1, 2]}, "one for each of the 1 channels"),
        ({"baseline": float("nan")}, "finite"),
        ({"classes": "abc"}, "no list of names"),
        ({"picture": 2}, "from 0 to 1"),
        ({"size": 5}, "use 30"),
        ({"position": (32, 0)}, "(row, column) in a picture of 32 x 32"),
        ({"position": 3}, "(row, column)"),
        ({"revealed": 1}, "True or False"),
        ({"square": 3}, "use model, pictures"),
    ],
)
def test_what_cannot_be_is_refused_with_what_works(lenet, digits, given, words):
    with pytest.raises((ValueError, TypeError), match=re.escape(words)):
        Occluder(lenet, digits, **{"sizes": [30]} | given)


@pytest.mark.parametrize(
    ("model", "pictures", "words"),
    [
        ("lenet", torch.zeros(1, 32, 32), "is not a network"),
        (nn.Conv2d(1, 2, 3), torch.zeros(1, 8, 8), "scores (N, classes)"),
        (None, torch.zeros(13, 1, 32, 32), "13 pictures: use 1 to 12"),
        (None, "nine.png", "is a text"),
        (None, torch.full((1, 32, 32), torch.nan), "NaN"),
    ],
)
def test_other_networks_and_pictures_are_refused(lenet, model, pictures, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        Occluder(model or lenet, pictures)


def test_a_refused_change_leaves_everything_as_it_was(occluder):
    with pytest.raises(ValueError, match="size 7"):
        occluder.size = 7
    with pytest.raises(ValueError, match="position"):
        occluder.position = (-1, 0)
    assert (occluder.size, occluder.position) == (6, (0, 0))
