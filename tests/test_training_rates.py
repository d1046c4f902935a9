"""Weights that stay, weights that learn at a rate of their own, and labels that are mixed."""

import pytest
import torch
from torch import nn, optim
from torch.nn import functional

from cnnviz.data import crop, mixup
from cnnviz.training import fit
from tests.small_runs import DIGITS, LEARNING, net, weights

FROM_SCRATCH = {"epochs": 1, "lr": 0.05, "batch_size": 130}


def normed():
    body = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
    return nn.Sequential(body, nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 10))


def test_frozen_weights_stay_and_their_batch_norms_keep_their_statistics():
    model = normed()
    model[0].requires_grad_(False)
    model[1].weight.requires_grad_(False)  # its bias still learns: it goes on as a whole
    before = {name: value.clone() for name, value in model.state_dict().items()}
    history = fit(model, DIGITS, epochs=2, optimizer="adam", lr=0.01, weight_decay=0.1).result()
    changed = {name for name, value in model.state_dict().items() if not value.equal(before[name])}
    assert changed == {"1.bias", "1.running_mean", "1.running_var", "1.num_batches_tracked", "3.weight", "3.bias"}
    assert list(history.gradient_norms) == ["3"]


def test_each_part_learns_at_its_share_of_the_rate():
    ours, theirs = net(), net()
    run = fit(ours, DIGITS, lr_scale={"0": 0.1, "0.bias": 3, "4": 0.5}, **FROM_SCRATCH)
    run.result()
    parts = [(theirs[0].weight, 0.1), (theirs[0].bias, 3), (theirs[4].weight, 0.5), (theirs[4].bias, 0.5)]
    optimiser = optim.SGD([{"params": [weight], "lr": 0.05 * share} for weight, share in parts])
    functional.cross_entropy(theirs(DIGITS.train_x), DIGITS.train_y).backward()
    optimiser.step()
    assert torch.allclose(weights(ours), weights(theirs), atol=1e-6)
    assert run.history.series("lr").tolist() == [0.05]
    assert run.label == "epochs=1, lr=0.05, batch_size=130, lr_scale={'0': 0.1, '0.bias': 3, '4': 0.5}"


@pytest.mark.parametrize(("given", "message"), [
    (0.1, 'lr_scale 0.1 is not a dictionary: use {"0": 0.1}'),
    ({"features": 0.1}, 'lr_scale names "features", but no weights that may change are called so: use the beginning'),
    ({"0.w": 0.1}, 'lr_scale names "0.w", but no weights that may change'),
    ({4: 0.1}, "lr_scale names 4, but no weights that may change"),
    ({"4": 0}, 'lr_scale of "4": 0 is not a number above 0'),
    ({"4": "slow"}, 'lr_scale of "4": "slow" is not a number above 0'),
])  # fmt: skip
def test_rates_for_what_is_not_there_are_refused(given, message):
    with pytest.raises(ValueError) as refusal:
        fit(net(), DIGITS, lr_scale=given)
    assert str(refusal.value).startswith(message)


def test_what_is_frozen_has_no_rate_and_lbfgs_has_only_one():
    model = net()
    model[0].requires_grad_(False)
    with pytest.raises(ValueError, match=r'names "0", but no weights .* here 4 or a part'):
        fit(model, DIGITS, lr_scale={"0": 0.1})
    with pytest.raises(ValueError, match="lbfgs takes one learning rate"):
        fit(net(), DIGITS, optimizer="lbfgs", lr_scale={"0": 0.1})


def test_mixed_pictures_are_learned_with_mixed_labels():
    ours, theirs, change = net(), net(), mixup(1.0)
    history = fit(ours, DIGITS, augment=change, label_smoothing=0.1, **FROM_SCRATCH).result()
    order = torch.randperm(130, generator=torch.Generator().manual_seed(0))
    mixed = change(DIGITS.train_x[order], torch.Generator().manual_seed(1))
    x, y = DIGITS.train_x[order], DIGITS.train_y[order]
    share = mixed.shares[:, None, None, None]
    assert torch.allclose(mixed.pictures, share * x + (1 - share) * x[mixed.partners])
    losses = [
        functional.cross_entropy(theirs(mixed.pictures), labels, reduction="none", label_smoothing=0.1)
        for labels in (y, y[mixed.partners])
    ]
    loss = (
        mixed.shares * losses[0] + (1 - mixed.shares) * losses[1]
    ).mean()  # equation 1 of the paper, in its code's form
    loss.backward()
    optim.SGD(theirs.parameters(), 0.05).step()
    assert history.steps[0].loss == pytest.approx(loss.item(), abs=1e-5)
    assert torch.allclose(weights(ours), weights(theirs), atol=1e-6)
    likelier = torch.where(mixed.shares >= 0.5, y, y[mixed.partners])
    assert history.steps[0].accuracy == pytest.approx(
        (net()(mixed.pictures).argmax(1) == likelier).float().mean().item()
    )


def test_shares_are_betas_and_mixing_goes_with_other_changes_and_a_head_that_is_too_wide():
    shares = mixup(0.4)(torch.zeros(20_000, 1, 1, 1), torch.Generator().manual_seed(0)).shares
    assert shares.mean().item() == pytest.approx(0.5, abs=0.01)
    assert shares.var().item() == pytest.approx(1 / 4 / (2 * 0.4 + 1), abs=0.005)  # Beta's variance
    wide = nn.Sequential(nn.Flatten(), nn.Linear(64, 12))
    history = fit(wide, DIGITS, epochs=40, augment=[mixup(), crop(1), mixup()], **LEARNING).result()
    assert history.epochs[-1].test_accuracy > 0.5


@pytest.mark.parametrize("alpha", [0, -1, "much", float("nan")])
def test_mixup_wants_a_number_above_zero(alpha):
    with pytest.raises(ValueError, match="is not a number above 0"):
        mixup(alpha)
