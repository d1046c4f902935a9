"""Data sets: what they hold, where they come from, and what is refused."""

import gzip
import hashlib
import os
import struct
import subprocess
import sys
import types

import numpy as np
import pytest
import torch
from PIL import Image

from cnnviz import data
from cnnviz.data import Data, _published, enlarge, load


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


# Embedded


def test_digits_are_scikit_learns_split_once_for_all():
    from sklearn.datasets import load_digits

    digits, scans = load("digits", size=8), load_digits()
    assert digits.train_x.shape == (1442, 1, 8, 8)
    assert digits.test_x.shape == (355, 1, 8, 8)
    both = torch.cat([digits.train_x, digits.test_x]).flatten(1) * 16
    labelled = torch.cat([both, torch.cat([digits.train_y, digits.test_y])[:, None].float()], 1)
    expected = np.concatenate([scans.data, scans.target[:, None]], 1)
    assert sorted(map(tuple, labelled.tolist())) == sorted(map(tuple, expected.tolist()))
    assert torch.bincount(digits.test_y).tolist() == [count // 5 for count in np.bincount(scans.target)]
    assert load("digits", size=8, seed=7).test_x.equal(digits.test_x)
    assert hashlib.sha256(digits.test_x.numpy().tobytes()).hexdigest().startswith("ba1baf59adc4")


@pytest.mark.parametrize(("size", "first"), [(28, 4), (32, 6), (20, 0)])
def test_a_digit_is_twenty_pixels_in_the_middle(size, first):
    inked = enlarge(torch.ones(1, 1, 8, 8), size)[0, 0]
    expected = torch.zeros(size, size)
    expected[first : first + 20, first : first + 20] = 1
    assert ((inked > 0.45) == expected.bool()).all()  # the outermost pixels are half paper
    assert torch.allclose(inked, inked.flip(0), atol=1e-5)
    picture = load("digits", size=size).train_x
    assert picture.dtype == torch.float32
    assert picture.min() >= 0
    assert picture.max() <= 1


def test_shapes_come_from_their_seed_and_lie_anywhere():
    one, again, other = load("shapes"), load("shapes"), load("shapes", seed=1)
    assert one.train_x.equal(again.train_x)
    assert not one.train_x.equal(other.train_x)
    assert one.train_x.shape == (2000, 3, 32, 32)
    assert torch.bincount(torch.cat([one.train_y, one.test_y])).tolist() == [250] * 10
    inked = (one.train_x - one.train_x[:, :, :1, :1]).abs().sum(1) > 0.5
    assert inked.float().mean(0)[3:-3, 3:-3].min() > 0.002
    assert load("shapes", size=24).train_x.shape[-1] == 24


def test_few_keeps_some_of_each_class_and_the_whole_test_set():
    digits = load("digits", size=8)
    few = digits.few(3)
    assert torch.bincount(few.train_y).tolist() == [3] * 10
    assert few.test_x is digits.test_x
    assert few.train_x.equal(digits.few(3).train_x)
    assert not few.train_x.equal(digits.few(3, seed=1).train_x)
    with pytest.raises(ValueError, match="per_class 0 is not a whole number from 1"):
        digits.few(0)


# Augmentation


@pytest.mark.parametrize("move", [data.crop(2), data.shift(2)])
def test_a_shift_moves_the_picture_by_whole_pixels_to_every_place(move):
    x = torch.zeros(500, 1, 5, 5)
    x[:, 0, 2, 2] = 1
    moved = move(x, generator())
    assert moved.sum((1, 2, 3)).eq(1).all()
    assert len({tuple(place.tolist()) for place in moved.flatten(1).argmax(1)[:, None]}) == 25
    assert moved.equal(move(x, generator()))
    assert not moved.equal(move(x, generator(1)))
    assert x[:, 0, 2, 2].eq(1).all()  # the data stay as they are


def test_a_flip_mirrors_about_half():
    x = torch.arange(6.0).reshape(1, 1, 2, 3).expand(1000, 1, 2, 3)
    flipped = data.flip()(x, generator())
    mirrored = flipped.eq(x.flip(3)).flatten(1).all(1)
    assert (mirrored | flipped.eq(x).flatten(1).all(1)).all()
    assert 0.4 < mirrored.float().mean() < 0.6


def test_pca_colour_moves_along_the_main_direction_of_colour():
    x = torch.rand(200, 1, 6, 6, generator=generator()) * torch.tensor([3.0, 2, 1])[:, None, None]
    added = (data.pca_colour(0.1)(x, generator()) - x)[:, :, 0, 0]  # N, C
    spread = torch.linalg.svdvals(added)
    assert spread[1] < 0.01 * spread[0]  # all colours of x are multiples of one
    deviation = (x[:, 0].std() ** 2 * 14 / 9).sqrt()
    assert added.norm(dim=1).square().mean().sqrt() == pytest.approx(0.1 * deviation.item(), rel=0.2)


@pytest.mark.parametrize(("make", "message"), [
    (lambda: data.crop(-1), "padding −1 is not"), (lambda: data.shift(1.5), "pixels 1.5 is not a whole number"),
    (lambda: data.pca_colour("much"), 'std "much" is not a number of 0 or more'),
])  # fmt: skip
def test_augmentations_refuse_nonsense(make, message):
    with pytest.raises(ValueError) as refusal:
        make()
    assert str(refusal.value).replace("-", "−").startswith(message)


# One's own tensors


X, Y = torch.zeros(4, 1, 8, 8), torch.tensor([0, 1, 0, 1])


@pytest.mark.parametrize(("changed", "message"), [
    ({"train_y": [0, 1, 2, 1]}, "train_y holds the label 2, but there are 2 classes: use labels from 0 to 1"),
    ({"test_y": [0, -1, 0, 1]}, "test_y holds the label -1, but there are 2 classes"),
    ({"train_y": [0, 1]}, "train_y has the shape (2,) of int64: use whole numbers, one for each of the 4 pictures"),
    ({"train_y": Y.float()}, "train_y has the shape (4,) of float32: use whole numbers"),
    ({"train_x": X[:0], "train_y": Y[:0]}, "train_x has the shape (0, 1, 8, 8): use pictures (N, C, H, W), at least"),
    ({"train_x": X[:, 0]}, "train_x has the shape (4, 8, 8): use pictures (N, C, H, W)"),
    ({"train_x": "cats"}, 'train_x "cats" is no array of pictures'),
    ({"test_x": torch.zeros(4, 3, 8, 8)}, "train_x has pictures of 1 x 8 x 8 and test_x of 3 x 8 x 8: use one shape"),
    ({"classes": ()}, "classes (): use a tuple of names"),
    ({"classes": 4}, "classes 4: use a tuple of names"),
    ({"train_y": ["a"] * 4}, 'train_y ("a", "a", "a", "a"): use whole numbers, one for each of the 4'),
    ({"train_y": [[1], [1, 2]]}, "train_y "),
    ({"train_y": None}, "train_y None: use whole numbers"),
])  # fmt: skip
def test_data_that_does_not_fit_together_is_refused(changed, message):
    with pytest.raises(ValueError) as refusal:
        Data(**({"train_x": X, "train_y": Y, "test_x": X, "test_y": Y, "classes": ("cat", "dog")} | changed))
    assert str(refusal.value).startswith(message)


def test_arrays_are_taken_too():
    x, y = X.numpy().astype(np.uint8)[..., ::-1], Y.numpy().astype(">u2")
    made = Data(x, y, X.double(), [0, 1, 0, 1], ["cat", "dog"])
    assert made.train_x.dtype == made.test_x.dtype == torch.float32
    assert made.train_y.dtype == made.test_y.dtype == torch.int64
    assert repr(made) == "own pictures: 4 pictures to learn from and 4 to test with, 1 x 8 x 8, 2 classes"


@pytest.mark.parametrize(("given", "message"), [
    ({"name": "imagenet"}, 'there is no data set "imagenet": use digits, shapes, mnist'),
    ({"name": "digits", "size": 4}, "size 4 is not a whole number from 8 to 512"),
    ({"name": "shapes", "seed": -1}, "seed -1 is not a whole number from 0"),
    ({"name": "folder"}, 'say where the folder is: load("folder", path='),
    ({"name": "folder", "path": "no/such/place"}, "'no/such/place' is not a folder; the current folder is "),
])  # fmt: skip
def test_load_refuses_nonsense(given, message):
    with pytest.raises(ValueError) as refusal:
        load(**given)
    assert str(refusal.value).startswith(message)


# A folder


MARKUP = "<img src=x onerror=alert(1)>"


def write(path, colour=(200, 30, 30), size=(40, 20)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "pictures"
    for number in range(10):
        write(root / MARKUP / f"{number}.png", (200, 30, number))
        write(root / "dogs" / f"{number}.jpg", (30, 30, 200))
    return root


def test_a_folder_of_pictures_becomes_data(folder):
    own = load("folder", path=folder, size=16)
    assert own.classes == (MARKUP, "dogs")
    assert own.train_x.shape == (16, 3, 16, 16)
    assert torch.bincount(own.test_y).tolist() == [2, 2]
    assert own.skipped == ()
    cat = own.train_x[own.train_y == 0][0]
    assert cat[:, 8, 8].tolist() == pytest.approx([200 / 255, 30 / 255, cat[2, 8, 8].item()])
    assert cat[:, :4].abs().sum() == cat[:, 12:].abs().sum() == 0  # twice as wide as high: zeros above and below
    assert load("folder", path=folder, size=16, seed=1).test_x.shape == own.test_x.shape


def test_what_cannot_be_read_is_left_out_and_named(folder, tmp_path):
    write(tmp_path / "outside" / "secret.png")
    (folder / "dogs" / "a.png").symlink_to(tmp_path / "outside" / "secret.png")
    (folder / "dogs" / "loop.png").symlink_to(folder / "dogs" / "loop.png")
    (folder / "elsewhere").symlink_to(tmp_path / "outside")
    (folder / "dogs" / "torn.jpg").write_bytes((folder / "dogs" / "0.jpg").read_bytes()[:200])
    (folder / "dogs" / "notes\n.txt").write_text("woof")
    (folder / "dogs" / ".DS_Store").write_text("")
    os.mkfifo(folder / "dogs" / "pipe.png")
    write(folder / "single" / "0.png")
    own = load("folder", path=folder)
    assert own.classes == (MARKUP, "dogs")
    assert len(own.train_x) + len(own.test_x) == 20
    reasons = "\n".join(own.skipped)
    for found in ("'dogs/a.png': a link that leads out", "'elsewhere': a link", "'dogs/torn.jpg': ", "pipe.png",
                  r"'dogs/notes\n.txt': ", "'single': fewer than two pictures"):  # fmt: skip
        assert found in reasons
    assert len(own.skipped) == 7
    assert repr(own).endswith("; 7 left out, see .skipped")


def test_a_folder_without_two_classes_is_refused(tmp_path):
    (tmp_path / "cats").mkdir()
    (tmp_path / "cats" / "0.png").write_text("no picture")
    with pytest.raises(ValueError, match=r"needs two folders or more, one a class.*'cats': fewer than two"):
        load("folder", path=tmp_path)


# Published sets: a stand-in for torchvision reads archives that the test writes


def idx(values):
    head = struct.pack(">HBB", 0, 8, values.ndim) + struct.pack(f">{values.ndim}I", *values.shape)
    return gzip.compress(head + values.astype(np.uint8).tobytes(), mtime=0)


class MNIST:
    """Like torchvision's: archives are checked when they are unpacked, unpacked files are believed."""

    classes = tuple("abc")
    content = idx(np.arange(3 * 28 * 28).reshape(3, 28, 28) % 256)
    checksum = hashlib.md5(content).hexdigest()

    def __init__(self, root, train, download):
        raw = root / "MNIST" / "raw"
        raw.mkdir(parents=True, exist_ok=True)
        archive = raw / "pictures-idx3-ubyte.gz"
        if not archive.with_suffix("").exists():
            if not archive.exists():
                archive.write_bytes(self.content)
            if hashlib.md5(archive.read_bytes()).hexdigest() != self.checksum:
                raise RuntimeError("File not found or corrupted.")
            archive.with_suffix("").write_bytes(gzip.decompress(archive.read_bytes()))
        values = np.frombuffer(archive.with_suffix("").read_bytes()[16:], np.uint8).reshape(3, 28, 28)
        self.data, self.targets = torch.from_numpy(values.copy()), torch.arange(3)


@pytest.fixture
def torchvision(monkeypatch):
    package = types.ModuleType("torchvision")
    package.datasets = types.SimpleNamespace(MNIST=MNIST)
    monkeypatch.setitem(sys.modules, "torchvision", package)
    return package.datasets


@pytest.mark.usefixtures("torchvision")
def test_mnist_comes_from_torchvision_and_changed_files_do_not(tmp_path):
    mnist = load("mnist", path=tmp_path, size=32)
    assert mnist.train_x.shape == (3, 1, 32, 32)
    assert mnist.train_x[0, 0, 2, 3] == 1 / 255
    assert mnist.train_x[:, :, :2].abs().sum() == 0
    raw = tmp_path / "MNIST" / "raw"
    unpacked = raw / "pictures-idx3-ubyte"
    unpacked.write_bytes(bytes(len(unpacked.read_bytes())))  # altered behind torchvision's back
    assert load("mnist", path=tmp_path).train_x.max() == 1
    archive = raw / "pictures-idx3-ubyte.gz"
    archive.write_bytes(archive.read_bytes()[:-9])
    with pytest.raises(ValueError, match=r'load\("mnist"\) refuses a file whose checksum is not the published one'):
        load("mnist", path=tmp_path)
    with pytest.raises(ValueError, match="size 16: these pictures are 28 across and are not shrunk"):
        _published._tensors(MNIST(tmp_path / "new", True, True), 16)


def test_one_sentence_says_that_the_network_is_missing(torchvision, tmp_path):
    def unreachable(*_, **__):
        raise OSError("Name or service not known")

    torchvision.CIFAR10 = unreachable
    with pytest.raises(ConnectionError) as refusal:
        load("cifar10", path=tmp_path)
    assert str(refusal.value) == (
        'load("cifar10") cannot fetch its files (Name or service not known): torchvision is there, the network is not; '
        'use load("digits") or load("shapes"), which come with the package'
    )


OFFLINE, ALTERED = "<urlopen error timed out>", "File not found or corrupted."
FETCHING = "Error downloading train-images-idx3-ubyte.gz:\nTried one/, got:\n{0}\nTried two/, got:\n{0}\n"
REFUSED = "whose checksum is not the published one .*raw.train-images-idx3-ubyte.gz. and load"


@pytest.mark.parametrize(("error", "there", "kind", "words"), [
    (RuntimeError(FETCHING.format(OFFLINE)), False, ConnectionError, "fetch its files .*timed out.*network is not"),
    (RuntimeError(FETCHING.format(ALTERED)), False, ValueError, REFUSED),
    (RuntimeError(FETCHING.format(OFFLINE)), True, ValueError, REFUSED),
    (RuntimeError("shape '[60, 28, 28]' is invalid"), False, ValueError, "cannot read or write .*MNIST' .shape"),
    (PermissionError(13, "Permission denied", "raw"), False, ValueError, "cannot read or write .*Permission denied"),
])  # fmt: skip
def test_what_torchvision_raises_is_told_apart(torchvision, tmp_path, error, there, kind, words):
    """Its messages as torchvision 0.28 words them; it fetches an archive again that it finds altered."""

    def fails(*_, **__):
        raise error

    torchvision.MNIST = fails
    if there:
        raw = tmp_path / "MNIST" / "raw"
        raw.mkdir(parents=True)
        (raw / "train-images-idx3-ubyte.gz").write_bytes(b"cut short")
    with pytest.raises(kind, match=words):
        load("mnist", path=tmp_path)


def test_one_sentence_says_that_torchvision_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(ModuleNotFoundError) as refusal:
        load("fashion_mnist")
    assert str(refusal.value) == (
        'load("fashion_mnist") needs torchvision, which cannot be imported here: install it, or use load("digits") '
        'or load("shapes"), which come with the package'
    )


def test_the_pad_needs_no_scikit_learn():
    code = "import sys; from cnnviz.data import enlarge; print('sklearn' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True, timeout=120).strip() == "False"


def test_pca_colour_leaves_a_single_grey_value_as_it_is():
    x = torch.full((1, 1, 1, 1), 0.5)
    assert data.pca_colour(0.1)(x, generator()).item() == 0.5


def test_few_refuses_a_seed_that_is_no_number():
    with pytest.raises(ValueError, match='seed "x" is not a whole number'):
        data.load("digits", size=8).few(1, seed="x")
