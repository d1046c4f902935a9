"""Published weights: the loading path, on files that the tests write, and the data that describes them."""

import hashlib
import io
import pickle
import re

import pytest
import torch

from cnnviz import models
from cnnviz.models import _weights


def on_meta(name):
    with torch.device("meta"):
        return models.create(name)


def parameters(network):
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "cache"))
    return tmp_path / "cache" / "checkpoints"


def publish(monkeypatch, folder, name, content, digits=None):
    """Put a file where the published one of a network would be, its hash in its name as there."""
    digits = digits or hashlib.sha256(content).hexdigest()[:8]
    path = folder / f"{name}-{digits}.pth"
    path.write_bytes(content)
    weights = _weights.PUBLISHED[name]._replace(url=path.as_uri())
    monkeypatch.setitem(_weights.PUBLISHED, name, weights)
    return path


def saved(state):
    content = io.BytesIO()
    torch.save(state, content)
    return content.getvalue()


def test_published_weights_arrive_in_the_network(monkeypatch, tmp_path, cache):
    torch.manual_seed(1)
    trained = models.create("squeezenet1_1")
    path = publish(monkeypatch, tmp_path, "squeezenet1_1", saved(trained.state_dict()))
    network = models.create("squeezenet1_1", weights="imagenet", dropout=0.1)
    x = torch.randn(1, 3, 64, 64)
    assert torch.equal(network.eval()(x), trained.eval()(x))
    assert all(parameter.requires_grad for parameter in network.parameters())
    path.unlink()  # the second time comes from the cache
    models.create("squeezenet1_1", 1000, 3, "imagenet")


def test_heads_in_the_file_are_left_out_unless_asked_for(monkeypatch, tmp_path, cache):
    publish(monkeypatch, tmp_path, "googlenet", saved(models.create("googlenet", aux_logits=True).state_dict()))
    network = models.create("googlenet", weights="imagenet")
    assert parameters(network) == 6_624_904
    assert network.transform_input  # those weights were trained on pictures from -1 to 1
    assert parameters(models.create("googlenet", weights="imagenet", aux_logits=True)) == 13_004_888
    assert not models.create("googlenet", weights="imagenet", transform_input=False).transform_input


def test_densenet_files_with_the_old_names_load():
    own = on_meta("densenet121").state_dict()
    old = {re.sub(r"(denselayer\d+\.(?:norm|conv))([12])", r"\1.\2", key): value for key, value in own.items()}
    assert old.keys() != own.keys()
    assert _weights.renamed(old).keys() == own.keys()


@pytest.mark.parametrize("name", ["resnet50", "vgg16", "densenet121", "mobilenet_v2"])
def test_other_names_are_left_alone(name):
    keys = on_meta(name).state_dict()
    assert _weights.renamed(keys).keys() == keys.keys()


def test_a_wrong_hash_is_refused_and_nothing_is_kept(monkeypatch, tmp_path, cache):
    publish(monkeypatch, tmp_path, "squeezenet1_1", saved({}), digits="00000000")
    with pytest.raises(ValueError) as error:
        models.create("squeezenet1_1", weights="imagenet")
    assert str(error.value) == (
        "the download of squeezenet1_1-00000000.pth is damaged, its hash is not the one in its name: "
        "try again, or build squeezenet1_1 with weights=None, untrained"
    )
    assert list(cache.iterdir()) == []


def test_a_cut_file_is_refused_as_a_download_and_replaced_in_the_cache(monkeypatch, tmp_path, cache):
    content = saved(models.create("squeezenet1_1").state_dict())
    path = publish(monkeypatch, tmp_path, "squeezenet1_1", content)
    path.write_bytes(content[:-1000])
    with pytest.raises(ValueError, match="is damaged"):
        models.create("squeezenet1_1", weights="imagenet")
    assert list(cache.iterdir()) == []
    (cache / path.name).write_bytes(content[:1000])
    path.write_bytes(content)
    models.create("squeezenet1_1", weights="imagenet")
    assert (cache / path.name).read_bytes() == content


class Command:
    def __reduce__(self):
        return (print, ("this ran",))


def test_a_file_that_would_run_something_does_not(monkeypatch, tmp_path, cache, capsys):
    for content in (saved({"a": Command()}), pickle.dumps(Command(), protocol=2)):
        publish(monkeypatch, tmp_path, "squeezenet1_1", content)
        with pytest.raises(ValueError, match="holds more than numbers, and none of it was run"):
            models.create("squeezenet1_1", weights="imagenet")
    assert "this ran" not in capsys.readouterr().out


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/squeezenet1_1-00000000.pth", "file:///nowhere/a-00000000.pth"])
def test_without_a_network_one_sentence_names_the_untrained_alternative(monkeypatch, cache, address):
    weights = _weights.PUBLISHED["squeezenet1_1"]._replace(url=address)
    monkeypatch.setitem(_weights.PUBLISHED, "squeezenet1_1", weights)
    with pytest.raises(ConnectionError) as error:
        models.create("squeezenet1_1", weights="imagenet")
    assert str(error.value).startswith("the weights of squeezenet1_1 cannot be fetched from ")
    assert str(error.value).endswith("try again, or build squeezenet1_1 with weights=None, untrained")


def test_weights_that_do_not_exist_or_do_not_fit_are_refused_before_any_download(cache):
    with pytest.raises(ValueError, match="resnet18: weights 'cifar' are not known: use 'imagenet', or None"):
        models.create("resnet18", weights="cifar")
    for ask in (lambda: models.create("densenet264", weights="imagenet"), lambda: models.published("densenet264")):
        with pytest.raises(ValueError, match="densenet264 has no published weights; these have: alexnet, densenet121"):
            ask()
    for options, belong in [
        ({"num_classes": 10}, "num_classes=1000"),
        ({"in_channels": 1, "small": True}, "in_channels=3, small=False"),
        ({"stride_in_1x1": True}, "stride_in_1x1=False"),
    ]:
        with pytest.raises(ValueError, match=f"the weights of resnet50 belong to {belong}: load them so, then replace"):
            models.create("resnet50", weights="imagenet", **options)
    assert not cache.exists()


def test_each_published_file_carries_its_hash_and_comes_from_one_place():
    for name, weights in models.published().items():
        assert re.fullmatch(re.escape(_weights.FOLDER) + r"\w+(-\w+)*-[0-9a-f]{8,}\.pth", weights.url), name
        assert 50 < weights.top1 < weights.top5 < 100
        assert weights.source.endswith("/vision/stable/models.html")
    with pytest.raises(ValueError, match="did you mean"):
        models.published("resnet19")
