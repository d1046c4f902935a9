"""Networks and pictures on a device that is not the CPU, as on a GPU: `second_device` stands in for one.

Each case runs in a process of its own, since a device cannot be taken back.
"""

import subprocess
import sys

import pytest

START = """
import torch, warnings
from torch import nn
from tests import second_device
kept = second_device.register()
from cnnviz import data, fit, inside, load, models, reuse
from cnnviz.training import accuracy, predict
from tests.small_runs import wait_for
digits = load("digits").few(10)
def trained(network="lenet5", **options):
    network = models.create(network) if isinstance(network, str) else network
    run = fit(network, digits, epochs=1, device="elsewhere", **options)
    run.result()
    assert run.device.type == "elsewhere"
    assert {tensor.device.type for tensor in run.averaged.state_dict().values()} == {"cpu"}
    return run
"""

CASES = {
    "it refuses to mix, and to be looked at": """
x = torch.ones(3, device="elsewhere")
assert (x + x).cpu().tolist() == [2, 2, 2]
for wrong in (lambda: x + torch.ones(3), lambda: torch.ones(3)[x.long()], x.numpy):
    try:
        wrong()
    except (RuntimeError, TypeError):
        continue
    raise AssertionError(wrong)
""",
    "every optimiser": """
from cnnviz.training._optimisers import OPTIMISERS
for name in set(OPTIMISERS) - {"lbfgs"}:  # asks how its gradients lie, which the second device does not know
    trained(optimizer=name, lr=0.01)
""",
    "where a network is": """
for home in ("cpu", "elsewhere"):
    network = models.create("lenet5").to(home)
    run = fit(network, digits, epochs=500, device="elsewhere", average=True)
    wait_for(lambda: run.history.steps)
    assert network.features[0].weight.device.type == "elsewhere"
    run.stop()
    assert {weight.device.type for net in (network, run.averaged) for weight in net.parameters()} == {home}
    steps = len(run.history.steps)
    run.more()
    wait_for(lambda: len(run.history.steps) > steps)
    run.stop()
    assert network.features[0].weight.device.type == home
network = models.create("lenet5")
try:
    fit(network, load("digits", size=28), device="elsewhere")
except ValueError:
    assert network.features[0].weight.device.type == "cpu"
else:
    raise AssertionError("pictures of 28 x 28 should not fit")
""",
    "the options of fit": """
trained(clip=0.1, average=True, label_smoothing=0.1, snapshots=True, schedule="cosine", lr_scale={"features": 0.1})
""",
    "augmentation": """
moves = [data.crop(2), data.flip(), data.rotation(5), data.shear(5), data.zoom(0.1)]
trained(augment=[*moves, data.noise(0.1), data.channel_shift(0.1), data.pca_colour(), data.mixup()])
""",
    "dropout and batch norm": """
trained(nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.2), nn.Flatten(), nn.Linear(3600, 10)))
""",
    "what is asked of a run": """
run = trained()
assert len(run.model(digits.test_x)) == len(digits.test_y)
assert predict([run, run], crops=1, flip=True).shape == (len(digits.test_y), 10)
assert predict(run, digits.test_x[:3].numpy()).shape == (3, 10)
assert 0 <= accuracy(run) <= 1
repr(reuse.mistakes(run)), repr(reuse.confusion(run)), repr(run.show()), run.history.plot()
trained(reuse.new_head(run.model, 10))
""",
    "looking inside": """
net, x = models.create("lenet5", activation="relu").to("elsewhere"), digits.test_x[0]
for picture in (x, x.to("elsewhere")):
    shown = inside.saliency(net, picture), inside.occlusion(net, picture), inside.grad_cam(net, picture, "features.3")
    inside.guided_backpropagation(net, picture), inside.deconvnet(net, picture, "features.3", 1)
    inside.feature_maps(net, picture), inside.deletion(net, picture, shown[0]), inside.agreement(*shown[:2])
inside.top_patches(net, digits, "features.0", 0), inside.filters(net), inside.randomised(net)
inside.maximise(net, "features.0", channel=0, steps=5)
""",
    "the widgets": """
from cnnviz import DrawPad, Occluder
run = trained()
run.model.to("elsewhere")
for widget in (inside.explore(run.model, run.data), Occluder(run.model, digits.test_x[0])):
    widget.save("FOLDER/page.html")
DrawPad(run.model).save("FOLDER/pad.svg")
""",
}


@pytest.mark.parametrize("name", CASES)
def test_on_a_second_device(name, tmp_path):
    code = START + CASES[name].replace("FOLDER", tmp_path.as_posix())
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
