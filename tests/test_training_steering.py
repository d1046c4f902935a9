"""A run that is steered, stopped, interrupted, dropped or starved of memory."""

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from jupyter_client.manager import start_new_kernel
from torch import nn

from cnnviz.training import _arguments, _trainer, fit
from tests.small_runs import DIGITS, LEARNING, in_a_loop, net, wait_for, weights

ROOT = str(Path(__file__).parents[1])
LONG = {"epochs": 10**6, **LEARNING}


# Steering


@pytest.fixture(scope="module")
def path_of_weights():
    """The weights after each number of steps, from a trainer that runs in this thread and is never stopped."""
    model = net(dropout=0.3)
    given = {"batch_size": 32, "seed": 0, "optimizer": "momentum", "schedule": "constant", "weight_decay": 0}
    given |= {"clip": None, "label_smoothing": 0, "augment": None, "average": False, "snapshots": None}
    settings = _arguments.read_settings(model, given | {"precision": None, "lr_scale": None})
    trainer = _trainer.Trainer(model, DIGITS, torch.device("cpu"), torch.device("cpu"), 0.05, settings)
    found = [weights(model)]

    def after(steps):
        while len(found) <= steps:
            trainer.steps += 1
            trainer.train()
            found.append(weights(model))
        return found[steps]

    return after


@pytest.mark.parametrize("part", range(4))
def test_forty_stops_at_random_moments_leave_whole_steps(part, path_of_weights):
    pauses = np.random.default_rng(part).uniform(0, 0.03, 10)
    for pause in pauses:
        model = net(dropout=0.3)
        run = fit(model, DIGITS, **LONG)
        time.sleep(pause)
        run.stop()
        assert run.state == "stopped"
        assert weights(model).equal(path_of_weights(len(run.history.steps)))
        assert run.history.ending.startswith(f"Stopped after {len(run.history.steps)} step")


def test_a_stopped_run_goes_on_as_if_it_had_not_been_stopped():
    whole, parts = net(dropout=0.3), net(dropout=0.3)
    fit(whole, DIGITS, epochs=4, **LEARNING).result()
    run = fit(parts, DIGITS, epochs=4, **LEARNING)
    run.stop()
    run.more().result()
    assert run.state == "finished"
    assert weights(parts).equal(weights(whole))
    assert len(run.more(2).result().epochs) == run.epochs == 6
    assert [step.step for step in run.history.steps] == list(range(1, 31))


def test_the_rate_moves_at_the_next_step_and_scales_the_rest():
    model = Halting(steps=4)
    run = fit(model, DIGITS, epochs=2, schedule="cosine", **LEARNING)
    model.reached(4)
    run.lr = 0.5
    model.permits.release(6)
    rates = run.result().series("lr")
    peaks = rates / [(1 + np.cos(np.pi * step / 10)) / 2 for step in range(10)]
    assert np.allclose(peaks[:4], 0.05)
    assert np.allclose(peaks[-5:], 0.5)


def test_a_stop_is_heard_in_the_middle_of_a_test_which_is_made_up_for_later():
    model, heard, ready = net(), [], threading.Event()

    def listen(layer, inputs):
        if layer.training:
            assert ready.wait(120)
        elif ready.is_set() and not heard:
            heard.append(len(inputs[0]))
            run._trainer.control.set(stop=True)

    model.register_forward_pre_hook(listen)
    run = fit(model, DIGITS, epochs=1, **LEARNING)
    ready.set()
    run.result()
    assert (run.state, len(run.history.steps), len(run.history.epochs)) == ("stopped", 5, 0)
    assert heard[0] < len(DIGITS.test_x)
    assert len(run.more().result().epochs) == 1
    assert run.state == "finished"
    alone = fit(net(), DIGITS, epochs=1, **LEARNING).result()
    assert run.history.epochs[0].test_loss == alone.epochs[0].test_loss
    assert run.history.epochs[0].train_loss == alone.epochs[0].train_loss


def test_pause_holds_and_resume_goes_on():
    run = fit(net(), DIGITS, **LONG)
    wait_for(lambda: len(run.history.steps) > 3)
    run.pause()
    wait_for(lambda: run._trainer.control.waiting)
    held = len(run.history.steps)
    assert not run.history.wait(held, len(run.history.epochs), timeout=0.2)
    assert run.state == "paused"
    run.resume()
    wait_for(lambda: len(run.history.steps) > held)
    assert run.state == "running"
    run.pause()
    run.stop()
    assert run.state == "stopped"


class Halting(nn.Module):
    """A network that makes so many steps, then waits for permits."""

    def __init__(self, steps):
        super().__init__()
        self.inner, self.permits, self.begun = net(), threading.Semaphore(steps), 0

    def forward(self, x):
        if self.training:
            self.begun += 1
            assert self.permits.acquire(timeout=120)
        return self.inner(x)

    def reached(self, steps):
        wait_for(lambda: self.begun > steps)


# Waiting


def test_controls_work_while_a_cell_awaits():
    async def cell():
        run = fit(net(), DIGITS, **LONG)

        async def instructor():
            while len(run.history.steps) < 10:
                await asyncio.sleep(0.001)
            run.lr = 0.01
            await asyncio.sleep(0.02)
            run.stop()

        helper = asyncio.create_task(instructor())
        history = await run
        await helper
        return run, history

    run, history = in_a_loop(cell())
    assert history is run.history
    assert run.state == "stopped"
    assert run.lr == 0.01


def test_a_cancelled_await_stops_after_a_whole_step_and_fit_goes_on():
    async def cell(run):
        waiting = asyncio.ensure_future(run._wait())
        await asyncio.sleep(0)  # it has begun to wait: on a busy machine five steps may be done already
        while len(run.history.steps) < 5:
            await asyncio.sleep(0.001)
        waiting.cancel()
        await waiting

    run = fit(net(), DIGITS, **LONG)
    with pytest.raises(asyncio.CancelledError):
        in_a_loop(cell(run))
    assert run.state == "stopped"
    assert len(run.history.steps) == run._trainer.step >= 5
    assert fit(run.model, DIGITS, epochs=1, **LEARNING).result().epochs


def test_an_interrupt_while_waiting_stops_after_a_whole_step(path_of_weights):
    model = net(dropout=0.3)
    run = fit(model, DIGITS, **LONG)
    wait_for(lambda: len(run.history.steps) > 5)
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        run.result()
    assert run.state == "stopped"
    assert weights(model).equal(path_of_weights(len(run.history.steps)))
    assert len(run.history.steps) > 5


def test_an_interrupt_of_an_awaiting_cell_in_a_real_kernel_stops_the_run():
    manager, client = start_new_kernel(kernel_name="python3")
    try:
        setup = (
            "from cnnviz import fit\nfrom tests.small_runs import DIGITS, net\nrun = fit(net(), DIGITS, epochs=10**6)"
        )
        client.execute_interactive(f"import sys; sys.path.insert(0, {ROOT!r})\n{setup}", timeout=240)
        client.execute("print('waiting', flush=True)\nawait run")
        while client.get_iopub_msg(timeout=240)["content"].get("text") != "waiting\n":
            pass
        manager.interrupt_kernel()
        assert client.get_shell_msg(timeout=240)["content"]["ename"] in ("CancelledError", "KeyboardInterrupt")
        asked = {"state": "run.state, len(run.history.steps) == run._trainer.step"}
        answer = {"status": "aborted"}  # what a kernel says to a cell that comes while it still handles an error
        while answer["status"] == "aborted":
            answer = client.execute_interactive("", user_expressions=asked, timeout=240)["content"]
        assert answer["user_expressions"]["state"]["data"]["text/plain"] == "('stopped', True)"
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def test_result_gives_up_after_its_timeout_and_the_run_goes_on():
    run = fit(net(), DIGITS, **LONG)
    with pytest.raises(TimeoutError):
        run.result(timeout=0.05)
    assert run.state == "running"
    with pytest.raises(RuntimeError, match="still going: stop it first"):
        run.more()
    run.stop()


# What ends it


def test_a_run_that_nobody_holds_ends_and_is_forgotten():
    run = fit(net(), DIGITS, **LONG)
    control, trainer = run._trainer.control, weakref.ref(run._trainer)
    del run
    gc.collect()
    assert control.idle.wait(120)
    wait_for(lambda: gc.collect() is not None and trainer() is None)


def test_a_second_fit_of_the_same_network_ends_the_first():
    model = net()
    first = fit(model, DIGITS, **LONG)
    second = fit(model, DIGITS, epochs=1, **LEARNING)
    assert first.state == "stopped"
    second.result()
    with pytest.raises(RuntimeError, match="another run has trained this network since"):
        first.more()


def test_a_cell_run_fifty_times_leaves_nothing_behind():
    def cell():
        return fit(net(), DIGITS, epochs=1, snapshots=True, average=True, **LEARNING)

    def left():
        gc.collect()
        return sum(issubclass(type(thing), (torch.Tensor, _trainer.Trainer)) for thing in gc.get_objects())

    run = cell()
    run.result()
    before = left()
    for _ in range(50):
        run = cell()
    run.result()
    wait_for(lambda: sum(thread.name == "cnnviz.fit" for thread in threading.enumerate()) == 0)
    wait_for(lambda: left() <= before)


@pytest.mark.parametrize(("data", "lr", "found"), [
    (DIGITS, 1000.0, "the loss rose to "),
    (replace(DIGITS, train_x=DIGITS.train_x * torch.nan), 0.1, "the loss became NaN"),
    (replace(DIGITS, train_x=DIGITS.train_x * torch.inf), 0.1, "the loss became NaN"),
    (replace(DIGITS, train_x=DIGITS.train_x * 1e38), 0.1, "the loss became infinite"),
])  # fmt: skip
def test_a_loss_beyond_recovery_stops_the_run_with_good_weights(data, lr, found):
    model = net()
    run = fit(model, data, lr=lr)
    history = run.result()
    assert run.state == "failed"
    assert isinstance(run.error, ArithmeticError)
    assert found in repr(history)
    assert f"Stopped at step {len(history.steps) + 1}: " in repr(history)
    assert ("clean the data" in repr(history)) == (not torch.isfinite(data.train_x).all())
    assert len(history.steps) < 5
    assert torch.isfinite(model(DIGITS.test_x)).all()
    run.lr = 0.01
    if data is DIGITS:
        assert run.more().result().epochs


def test_a_last_step_that_goes_too_far_is_noticed_by_the_test():
    model = net()
    run = fit(model, DIGITS, epochs=1, batch_size=130, lr=3e38, weight_decay=3e38)
    assert "Stopped at step 1: the test loss became" in repr(run.result())
    assert run.state == "failed"
    assert weights(model).equal(weights(net()))


def test_batch_norm_is_not_left_poisoned_by_a_picture_of_nan():
    x = DIGITS.train_x.clone()
    x[7] = torch.nan
    model = nn.Sequential(nn.BatchNorm2d(1), net())
    run = fit(model, replace(DIGITS, train_x=x), batch_size=16)
    run.result()
    assert run.state == "failed"
    assert torch.isfinite(model(DIGITS.test_x)).all()


class Failing(nn.Module):
    """Fails in its third training step, with whatever it is given; keeps a weak hold of what it made in that step."""

    def __init__(self, error):
        super().__init__()
        self.inner, self.error, self.begun, self.made = net(), error, 0, None

    def forward(self, x):
        self.begun += self.training
        made = self.inner(x)
        if self.training and self.begun == 3:
            self.made = weakref.ref(made)
            raise self.error
        return made


def test_an_exception_in_the_thread_is_raised_where_one_waits():
    run = fit(Failing(KeyError("no such layer")), DIGITS, **LEARNING)
    with pytest.raises(KeyError, match="no such layer"):
        run.result()

    async def cell():
        await run

    with pytest.raises(KeyError, match="no such layer"):
        in_a_loop(cell())
    assert run.state == "failed"
    assert len(run.history.steps) == 2
    assert "Failed after 2 steps: 'no such layer'" in repr(run.history)


@pytest.mark.parametrize("error", [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried ..."),
])  # fmt: skip
def test_without_memory_the_half_batch_is_suggested_and_what_was_held_is_free(error):
    model = Failing(error)
    run = fit(model, DIGITS, **LEARNING)
    with pytest.raises(torch.OutOfMemoryError, match="out of memory with batch_size=32: try batch_size=16"):
        run.result()
    error.__traceback__ = None  # the test's own hold
    gc.collect()
    assert model.made() is None
    assert all(parameter.grad is None for parameter in model.parameters())
    assert fit(model, DIGITS, epochs=1, lr=0.05, batch_size=16).result().epochs


# Several processes

TOGETHER = """
import sys
import torch
from cnnviz.training import fit
from tests.small_runs import DIGITS, net, weights
if __name__ == "__main__":
    torch.distributed.init_process_group("gloo")
    rank = torch.distributed.get_rank()
    model = net()
    model.insert(1, torch.nn.BatchNorm2d(4)) if sys.argv[2:] else None
    run = fit(model, DIGITS, epochs=3, lr=0.1, batch_size=13)
    if sys.argv[2:] and rank == 0:
        run.lr = 0.01
    history = run.result()
    tested = list(history.series("test_loss"))
    torch.save((list(history.series("loss")), weights(model), repr(history), tested), f"{sys.argv[1]}/{rank}.pt")
    torch.distributed.destroy_process_group()
"""


def in_two_processes(tmp_path, *further):
    script = tmp_path / "together.py"
    script.write_text(TOGETHER)
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", script, tmp_path]
    where = os.environ | {"PYTHONPATH": ROOT}
    done = subprocess.run([*start, *further], env=where, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return [torch.load(tmp_path / f"{rank}.pt", weights_only=False) for rank in (0, 1)]


@pytest.mark.slow
def test_torchrun_shares_the_rate_and_the_running_statistics(tmp_path):
    """Only the first process moves the rate, and batch norm has seen other pictures in each."""
    first, second = in_two_processes(tmp_path, "moved")
    assert first[1].equal(second[1])
    assert first[3] == second[3]


@pytest.mark.slow
def test_torchrun_trains_one_network_in_two_processes(tmp_path):
    first, second = in_two_processes(tmp_path)
    assert first[0] == second[0]  # both tell the same story
    assert first[1].equal(second[1])
    alone = net()
    history = fit(alone, DIGITS, epochs=3, lr=0.1, batch_size=26).result()
    assert first[2] == repr(history)
    assert np.allclose(first[0], history.series("loss"), atol=1e-4)
    assert torch.allclose(first[1], weights(alone), atol=1e-4)
