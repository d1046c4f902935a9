"""`fit` against a loop written openly in torch; whether chance stays its own."""

import functools
import re

import numpy as np
import pytest
import torch
from torch import nn, optim
from torch.nn import functional

from cnnviz import models
from cnnviz.data import crop, flip, load
from cnnviz.models._network import Outputs
from cnnviz.training import fit, predict
from cnnviz.training._optimisers import OPTIMISERS, SCHEDULES
from cnnviz.widgets.live_plot.tracks import Track
from tests.small_runs import DIGITS, LEARNING, net, weights


def series(run):
    return {name: run.history.series(name) for name in ("loss", "accuracy", "lr", "test_loss")} | (
        run.history.gradient_norms
    )


def same(one, other):
    return all(np.array_equal(one[name], other[name]) for name in one)


# What it computes


@pytest.mark.parametrize("name", OPTIMISERS)
def test_every_optimiser_does_what_an_open_loop_does(name):
    smoothing, decay, clip = (0.1, 0.01, 0.5) if name != "lbfgs" else (0.1, 0, None)
    rate = {"sgd": 0.1, "momentum": 0.05, "nesterov": 0.05, "lbfgs": 1.0}.get(name, 0.002)
    ours, theirs = net(), net()
    run = fit(
        ours, DIGITS, epochs=2, lr=rate, optimizer=name, batch_size=40,
        label_smoothing=smoothing, weight_decay=decay, clip=clip,
    )  # fmt: skip
    run.result()
    optimiser = {
        "sgd": lambda p: optim.SGD(p, rate, weight_decay=decay),
        "momentum": lambda p: optim.SGD(p, rate, momentum=0.9, weight_decay=decay),
        "nesterov": lambda p: optim.SGD(p, rate, momentum=0.9, nesterov=True, weight_decay=decay),
        "adagrad": lambda p: optim.Adagrad(p, rate, weight_decay=decay),
        "rmsprop": lambda p: optim.RMSprop(p, rate, weight_decay=decay),
        "adam": lambda p: optim.Adam(p, rate, weight_decay=decay),
        "adamw": lambda p: optim.AdamW(p, rate, weight_decay=decay),
        "lbfgs": lambda p: optim.LBFGS(p, rate, max_iter=10, line_search_fn="strong_wolfe"),
    }[name](theirs.parameters())
    order, losses = torch.Generator().manual_seed(0), []
    for _ in range(2):
        for batch in torch.randperm(130, generator=order).split(40):
            x, y = DIGITS.train_x[batch], DIGITS.train_y[batch]

            def closure(x=x, y=y):
                optimiser.zero_grad()
                loss = functional.cross_entropy(theirs(x), y, label_smoothing=smoothing)
                loss.backward()
                return loss

            losses.append(closure().item())
            if clip is not None:
                nn.utils.clip_grad_norm_(theirs.parameters(), clip)
            optimiser.step(closure if name == "lbfgs" else None)
    if name == "lbfgs":  # its line search blows up any difference of rounding: only the start is the same
        assert np.allclose(run.history.series("loss")[:4], losses[:4], atol=1e-3)
    else:
        assert np.allclose(run.history.series("loss"), losses, atol=1e-5)
        assert torch.allclose(weights(ours), weights(theirs), atol=1e-5)


@pytest.mark.parametrize("name", OPTIMISERS)
def test_every_optimiser_trains_a_convolution_of_many_channels(name):
    """Its weights are laid out channels last, where torch's L-BFGS finds no way to string them together."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Tanh(), nn.Conv2d(4, 8, 3), nn.Flatten(), nn.Linear(128, 10))
    rate = {"sgd": 0.1, "momentum": 0.05, "nesterov": 0.05, "lbfgs": 1.0}.get(name, 0.01)
    history = fit(model, DIGITS, epochs=4, lr=rate, optimizer=name, batch_size=65).result()
    assert history.epochs[-1].train_loss < history.steps[0].loss


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("constant", lambda o: optim.lr_scheduler.ConstantLR(o, factor=1)),
        ("step", lambda o: optim.lr_scheduler.MultiStepLR(o, [50, 75])),
        ("cosine", lambda o: optim.lr_scheduler.CosineAnnealingLR(o, 100)),
        ("one-cycle", lambda o: optim.lr_scheduler.OneCycleLR(o, 1.0, 101, cycle_momentum=False)),
    ],
)
@pytest.mark.filterwarnings("ignore:Detected call of:UserWarning")
def test_schedules_are_torchs(name, theirs):
    optimiser = optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler, rates = theirs(optimiser), []
    for _ in range(100):
        rates.append(scheduler.get_last_lr()[0])
        scheduler.step()
    room = 0.04 if name == "one-cycle" else 1e-6  # torch rounds the 30 % to whole steps
    assert np.allclose([SCHEDULES[name](step / 100) for step in range(100)], rates, atol=room)


def test_records_are_what_the_network_does():
    model = net()
    run = fit(model, DIGITS, epochs=3, snapshots=True, **LEARNING)
    history = run.result()
    scores = model(DIGITS.test_x)
    last = history.epochs[-1]
    assert last.test_loss == pytest.approx(functional.cross_entropy(scores, DIGITS.test_y).item(), abs=1e-5)
    assert last.test_accuracy == pytest.approx((scores.argmax(1) == DIGITS.test_y).float().mean().item())
    sizes = np.array([32, 32, 32, 32, 2])
    assert last.train_loss == pytest.approx((history.series("loss")[-5:] * sizes).sum() / 130)
    assert [epoch for epoch, _ in history.snapshots] == [0, 1, 2, 3]
    assert np.array_equal(history.snapshots[0][1]["filters"], net()[0].weight.detach().numpy())
    assert np.array_equal(history.snapshots[-1][1]["filters"], model[0].weight.detach().numpy())
    assert np.allclose(history.snapshots[-1][1]["maps"], model[0](DIGITS.test_x[:1])[0].detach().numpy(), atol=1e-6)


def test_gradient_norms_are_those_of_autograd_before_clipping():
    model, twin = net(), net()
    history = fit(model, DIGITS, epochs=1, batch_size=130, clip=1e-3).result()
    functional.cross_entropy(twin(DIGITS.train_x), DIGITS.train_y).backward()
    assert list(history.gradient_norms) == ["0", "4"]
    for layer, norms in history.gradient_norms.items():
        assert norms == pytest.approx(twin.get_submodule(layer).weight.grad.norm().item(), rel=1e-4)
    assert (weights(model) - weights(net())).norm() == pytest.approx(0.1 * 1e-3, rel=1e-3)


def test_averaged_weights_are_the_running_mean():
    model = net()
    run = fit(model, DIGITS, epochs=3, batch_size=130, average=True, lr=0.5)
    history = run.result()
    mean, replay = None, net()
    for step in range(3):
        functional.cross_entropy(replay(DIGITS.train_x), DIGITS.train_y).backward()
        with torch.no_grad():
            for parameter in replay.parameters():
                parameter -= 0.5 * parameter.grad
                parameter.grad = None
        kept = (1 + step) / (10 + step)  # TensorFlow's ramp, up to 0.995
        mean = weights(replay) if mean is None else kept * mean + (1 - kept) * weights(replay)
    assert torch.allclose(weights(run.averaged), mean, atol=1e-6)
    assert torch.allclose(weights(model), weights(replay), atol=1e-6)
    scores = run.averaged(DIGITS.test_x)
    assert history.epochs[-1].test_accuracy == pytest.approx((scores.argmax(1) == DIGITS.test_y).float().mean().item())


def test_the_average_of_a_short_run_is_worth_as_much_as_its_end():
    """With a constant share of 0.995 LeNet-5 had 62 to 75 % after three epochs where its last weights had 91 %."""
    digits = load("digits")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        run = fit(models.create("lenet5"), digits, epochs=3, lr=0.05, optimizer="momentum", average=True)
    averaged = run.result().epochs[-1].test_accuracy
    last = (run.model(digits.test_x).argmax(1) == digits.test_y).float().mean().item()
    assert averaged > last - 0.04


def test_auxiliary_heads_count_a_third():
    class TwoHeads(nn.Module):
        def __init__(self):
            super().__init__()
            self.main, self.side = net(0), net(1)

        def forward(self, x):
            return Outputs(self.main(x), (self.side(x),)) if self.training else self.main(x)

    history = fit(TwoHeads(), DIGITS, epochs=1, batch_size=130).result()
    main, side = (functional.cross_entropy(net(seed)(DIGITS.train_x), DIGITS.train_y).item() for seed in (0, 1))
    assert history.steps[0].loss == pytest.approx(main + 0.3 * side, abs=1e-5)


def test_a_single_picture_left_over_is_left_out_and_a_large_batch_is_the_whole():
    normed = nn.Sequential(net(), nn.BatchNorm1d(10))
    assert len(fit(normed, DIGITS, epochs=2, batch_size=43).result().steps) == 6  # 130 = 3 * 43 + 1
    assert len(fit(net(), DIGITS, epochs=2, batch_size=10**6).result().steps) == 2


def test_bfloat16_learns_too():
    exact, rough = (fit(net(), DIGITS, epochs=2, precision=kind, **LEARNING).result() for kind in (None, "bfloat16"))
    difference = np.abs(exact.series("loss") - rough.series("loss")).max()
    assert 0 < difference < 0.1
    assert net()[0].weight.dtype == torch.float32


# Chance


def test_same_seed_same_history_whether_paused_or_not_and_whatever_runs_beside_it():
    further = {"epochs": 3, "augment": [crop(1), flip()], **LEARNING}
    alone = fit(net(dropout=0.5), DIGITS, seed=3, **further)
    alone.result()
    expected, before = series(alone), torch.get_rng_state()
    together = [fit(net(dropout=0.5), DIGITS, seed=seed, **further) for seed in (3, 3, 4)]
    together[0].pause()
    assert together[0].state == "paused"
    together[1].result()
    together[2].result()
    together[0].resume()
    together[0].result()
    assert same(series(together[0]), expected)
    assert same(series(together[1]), expected)
    assert not same(series(together[2]), expected)
    assert torch.equal(torch.get_rng_state(), before)  # and the notebook's own chance is as it was


@pytest.mark.parametrize("draws", [
    lambda x: x + torch.randn_like(x), lambda x: functional.alpha_dropout(x, training=True),
    lambda x: torch.dropout(x, 0.5, True), lambda x: functional.rrelu(x, training=True),
    lambda x: x * torch.empty_like(x).log_normal_(), lambda x: torch.poisson(x.abs()),
    lambda x: functional.scaled_dot_product_attention(x, x, x, dropout_p=0.5), lambda x: functional.gumbel_softmax(x),
    lambda x: x + torch.rand(x.shape), lambda x: functional.dropout2d(x), lambda x: x * x.bernoulli(0.5),
    lambda x: functional.fractional_max_pool2d(x, 2, output_size=8),
])  # fmt: skip
def test_whatever_draws_has_its_own_chance_from_whichever_step_on(draws):
    class Noise(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.steps = net(), 0

        def forward(self, x):
            self.steps += self.training
            return self.inner(draws(functional.pad(x, (1, 1, 1, 1)))[..., :8, :8] if self.steps > 2 else x)

    losses = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        losses.append(fit(Noise(), DIGITS, epochs=2, **LEARNING).result().series("loss"))
        assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(*losses)


def test_what_a_cell_draws_while_a_run_goes_is_what_it_would_have_drawn():
    torch.manual_seed(5)
    expected = [torch.rand(1).item() for _ in range(200)]
    alone = fit(net(dropout=0.5), DIGITS, epochs=20, **LEARNING)
    alone.result()
    beside = fit(net(dropout=0.5), DIGITS, epochs=20, **LEARNING)
    torch.manual_seed(5)
    assert [torch.rand(1).item() for _ in range(200)] == expected
    beside.result()
    assert same(series(beside), series(alone))


class Mirror:
    def __call__(self, x, generator):
        return x.flip(3)


def brighter(x, generator, by):
    return x + by


def test_a_label_names_what_is_set_and_holds_no_address():
    changes = [Mirror(), functools.partial(brighter, by=0.1), flip()]
    run = fit(net(), DIGITS, epochs=1, augment=changes, lr_scale={})
    run.stop()
    assert run.label == "epochs=1, augment=Mirror+brighter+flip()"


def test_a_run_with_nothing_set_has_an_empty_label_and_a_name_in_legends():
    run = fit(net(), DIGITS, augment=[])
    run.stop()
    assert (run.label, Track(run).name) == ("", "defaults")


def test_several_runs_together_say_the_mean_of_what_each_says_of_pictures_in_an_array():
    runs = [fit(net(seed), DIGITS, epochs=1, augment=[]) for seed in range(2)]
    assert [run.result() and run.label for run in runs] == ["epochs=1"] * 2
    x = DIGITS.test_x[:7]
    with torch.no_grad():
        each = torch.stack([run.model(x).softmax(1) for run in runs])
    assert torch.allclose(predict(runs, x.numpy()), each.mean(0), atol=1e-6)
    with pytest.raises(ValueError, match="x has the shape"):
        predict(runs, x[0])


def test_the_device_is_called_what_its_tensors_call_it():
    """ "cuda" would be another key than the "cuda:0" of a batch, with a second generator of the same seed."""
    run = fit(net(), DIGITS, epochs=1, device="cpu:0", **LEARNING)
    run.result()
    assert run.device == DIGITS.train_x.device


def test_runs_that_know_different_classes_do_not_speak_together():
    runs = [fit(net(), DIGITS.only(classes), epochs=1) for classes in ("01", "23")]
    for run in runs:
        run.result()
    with pytest.raises(ValueError, match=re.escape('different classes, ("0", "1") and ("2", "3"): use runs of one')):
        predict(runs)
