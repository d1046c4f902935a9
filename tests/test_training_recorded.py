"""Recorded steps, as a GPU trains them: here a tape of the CPU's calls stands in for CUDA graphs."""

import pytest
import torch
from torch import nn

from cnnviz import data, fit, models
from cnnviz.training import _recorded, _trainer
from cnnviz.training._randomness import OwnRandomness
from cnnviz.training._recorded import may_be_recorded
from tests import recording
from tests.small_runs import DIGITS, LEARNING, net, wait_for, weights

CUDA = torch.device("cuda:0")


@pytest.fixture
def as_on_a_gpu(monkeypatch):
    """Steps on the CPU are recorded; returns the steps that were replayed."""
    replayed = []

    class Counted(_recorded.RecordedStep):
        def update(self):
            replayed.append(self)
            super().update()

    monkeypatch.setattr(_recorded, "DEVICES", {"cpu"})
    monkeypatch.setattr(_recorded, "record", recording.record)
    monkeypatch.setattr(_trainer, "RecordedStep", Counted)
    return replayed


def normed():
    with torch.random.fork_rng():
        torch.manual_seed(1)
        features = (nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.3), nn.Conv2d(4, 6, 3))
        return nn.Sequential(*features, nn.MaxPool2d(2), nn.Flatten(), nn.Linear(24, 10))


def both(monkeypatch, build, **options):
    """A run whose steps are replayed and one whose steps are not: history and weights of each."""
    found = []
    for recorded in (True, False):
        if not recorded:
            monkeypatch.setattr(_trainer, "may_be_recorded", lambda *_: False)
        model = build()
        run = fit(model, DIGITS, epochs=4, **{**LEARNING, **options})
        history = run.result()
        figures = [[step.loss, step.accuracy, step.lr] for step in history.steps]
        figures += [[epoch.test_loss, epoch.test_accuracy] for epoch in history.epochs]
        norms = {name: [*values] for name, values in history.gradient_norms.items()}
        found.append((figures, norms, weights(run.averaged), [*model.buffers()]))
    return found


@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": "sgd", "schedule": "cosine"},
        {"optimizer": "momentum", "schedule": "step"},
        {"optimizer": "nesterov", "weight_decay": 0.01},
        {"optimizer": "adam", "lr": 0.002, "schedule": "one-cycle"},
        {"optimizer": "adamw", "lr": 0.002, "weight_decay": 0.1, "label_smoothing": 0.1},
        {"clip": 0.5},
        {"average": True},
        {"augment": [data.crop(1), data.mixup()]},
        {"lr_scale": {"0": 0.1}},
        {"precision": "bfloat16"},
    ],
    ids=lambda options: "-".join(options),
)
def test_a_replayed_run_is_the_run_to_the_last_bit(monkeypatch, as_on_a_gpu, options):
    (figures, norms, end, buffers), (others, their_norms, their_end, their_buffers) = both(
        monkeypatch, normed, **options
    )
    assert (
        len(as_on_a_gpu) == 4 * 5 - 3 - 3
    )  # five steps an epoch, the last with a smaller batch: three of each warm up
    assert figures == others
    assert norms == their_norms
    assert torch.equal(end, their_end)
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(buffers, their_buffers, strict=True))


def test_the_rate_moves_in_mid_run(monkeypatch, as_on_a_gpu):
    """A number would have been recorded for good."""
    model = net()
    run = fit(model, DIGITS, epochs=400, **LEARNING)
    wait_for(lambda: len(as_on_a_gpu) > 10)
    run.lr = 1e-12
    wait_for(lambda: run.history.steps[-1].lr == 1e-12)
    before, seen = weights(model), len(as_on_a_gpu)
    wait_for(lambda: len(as_on_a_gpu) > seen + 3)
    run.stop()
    assert torch.allclose(weights(model), before, atol=1e-9)


def test_a_run_that_goes_on_is_recorded_anew(as_on_a_gpu):
    """Between two trainings the weights are laid out anew, at other addresses."""
    whole = fit(normed(), DIGITS, epochs=4, **LEARNING).result()
    as_on_a_gpu.clear()
    run = fit(normed(), DIGITS, epochs=2, **LEARNING)
    run.result()
    history = run.more(2).result()
    assert len({id(step) for step in as_on_a_gpu}) == 2
    assert [step.loss for step in history.steps] == [step.loss for step in whole.steps]


def test_a_diverged_run_gets_its_last_good_weights_back(as_on_a_gpu):
    model = net()
    run = fit(model, DIGITS, epochs=40, **LEARNING)
    wait_for(lambda: len(as_on_a_gpu) > 3)
    run.lr = 1e30
    run.result()
    assert len(as_on_a_gpu) > 3
    assert run.state == "failed"
    assert weights(model).isfinite().all()
    assert weights(model).abs().max() < 100


def test_what_cannot_be_recorded_is_trained_as_ever(monkeypatch, as_on_a_gpu):
    def refuse(*_):
        raise RuntimeError("CUDA error: operation not permitted when stream is capturing")

    monkeypatch.setattr(_recorded, "record", refuse)
    run = fit(net(), DIGITS, epochs=2, **LEARNING)
    run.result()
    assert (run.state, as_on_a_gpu) == ("finished", [])


def asked(model, optimizer="sgd", device=CUDA, places=()):
    randomness = OwnRandomness(0)
    randomness.generators = dict.fromkeys(map(torch.device, places))
    return may_be_recorded(model, optimizer, device, randomness)


class Doubtful(nn.Module):
    """A network of a reader's own: who knows what its forward pass decides."""


def hooked():
    model = net()
    model[0].register_forward_hook(print)
    return model


def test_a_network_that_decides_nothing_is_recorded_on_a_gpu():
    assert asked(net())
    assert asked(models.create("resnet_cifar", depth=8), "adamw", places=[CUDA])
    assert not asked(net(), device=torch.device("cpu"))


@pytest.mark.parametrize(
    "options",
    [
        {"model": Doubtful()},
        {"model": nn.Sequential(net(), Doubtful())},
        {"model": hooked()},
        {"model": nn.BatchNorm2d(4, momentum=None)},
        {"model": net(), "optimizer": "lbfgs"},
        {"model": net(), "optimizer": "rmsprop"},
        {"model": net(), "places": ["cpu"]},
        {"model": net(), "places": [CUDA, "cpu"]},
    ],
)
def test_a_step_that_may_differ_from_the_last_is_not_recorded(options):
    assert not asked(**options)


def test_a_network_that_skips_blocks_by_chance_is_seen_to_draw_on_the_cpu():
    """FractalNet and stochastic depth choose in Python."""
    for name, options in (("resnet_cifar", {"depth": 8, "survival": 0.5}), ("fractalnet", {"drop_path": 0.15})):
        model = models.create(name, **options).train()
        randomness = OwnRandomness(0)
        with randomness:
            model(torch.rand(2, 3, 32, 32))
        assert not may_be_recorded(model, "sgd", CUDA, randomness)


def test_a_network_that_needs_the_shared_generator_is_not_recorded():
    randomness = OwnRandomness(0)
    with randomness:
        nn.RReLU().train()(torch.rand(3))
    randomness.generators = {CUDA: None}  # as if it had drawn on the GPU
    assert not may_be_recorded(nn.Sequential(nn.RReLU()), "sgd", CUDA, randomness)
