"""`fit` trains a network in a thread and hands back a `Run` at once: to watch, to steer, to wait for.

>>> from cnnviz import fit, load, models
>>> run = fit(models.create("lenet5"), load("digits").few(10), epochs=2, lr=0.05)
>>> history = run.result()
>>> len(history.epochs), run.state
(2, 'finished')
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import inspect
import threading
import weakref
from collections.abc import Generator, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from cnnviz._checks import _number, _whole
from cnnviz._memory import within_memory
from cnnviz.data import Data
from cnnviz.data._augment import Augmentation
from cnnviz.history import History, _count
from cnnviz.training._arguments import check_model, chosen_device, named, read_settings, try_changes, try_out
from cnnviz.training._control import Control
from cnnviz.training._predictions import accuracy, predict
from cnnviz.training._trainer import Diverged, Settings, Trainer, join_processes

__all__ = ["Run", "accuracy", "fit", "predict"]

_controls: weakref.WeakKeyDictionary[nn.Module, Control] = weakref.WeakKeyDictionary()  # of each network's latest run


def fit(
    model: nn.Module,
    data: Data,
    epochs: int = 10,
    lr: float = 0.1,
    optimizer: str = "sgd",
    batch_size: int = 64,
    seed: int = 0,
    device: str | torch.device | None = None,
    schedule: str = "constant",
    weight_decay: float = 0,
    clip: float | None = None,
    label_smoothing: float = 0,
    augment: Augmentation | Sequence[Augmentation] | None = None,
    average: bool = False,
    snapshots: bool | str | None = None,
    precision: str | None = None,
    lr_scale: Mapping[str, float] | None = None,
) -> Run:
    """Start to train a network, in a thread, and return at once.

    The same seed gives the same history on the same machine, whatever runs beside it, and torch's shared generator is
    left as it was. A run that nobody holds any more stops, as does one whose network is given to another `fit`.
    Under ``torchrun`` the network is trained by all processes together (DistributedDataParallel).

    Parameters
    ----------
    model
        Any module that turns pictures ``(N, C, H, W)`` into scores ``(N, classes)``; trained in place, and taken to
        `device` for as long as it is trained: afterwards it is where it was, in evaluation mode. Weights whose
        ``requires_grad`` is False stay as they are, and a batch norm whose weights do keeps its statistics.
    data
        What `load` returns. It is moved to the device whole.
    epochs
        Passes over the training pictures.
    lr
        Learning rate: the peak of the schedule, which `Run.lr` moves while it runs.
    optimizer
        "sgd", "momentum" (0.9), "nesterov", "adagrad", "rmsprop", "adam", "adamw" or "lbfgs" (wants ``lr=1`` and
        large batches).
    batch_size
        Pictures a step, under ``torchrun`` in each process; all of them where there are fewer.
    seed
        Of the order of the pictures, of augmentation and of dropout; not of the weights, which the model brings.
    device
        "cpu", "cuda" ...; by itself a GPU if there is one. There, steps of a network made of torch's own modules and
        of `models` are recorded and replayed as CUDA graphs (not with "adagrad", "rmsprop" or "lbfgs"): a hook that
        is registered while it trains is not called by them.
    schedule
        "constant", "step" (a tenth at 1/2 and at 3/4 of the way), "cosine" or "one-cycle".
    weight_decay, clip, label_smoothing
        Decay of all weights; the largest norm that the whole gradient may have; the share of each label given to all.
    augment
        Functions ``(batch, generator) -> batch`` such as `data.crop(2)`, applied to each batch in order. What
        `data.mixup` returns mixes the labels too.
    average
        Whether to test with a running average of the weights (Polyak), which is then `Run.averaged`.
    snapshots
        True or the name of a convolution: its filters and the maps of one test picture are kept at each epoch.
    precision
        "float32" or "bfloat16" (autocast); by itself bfloat16 on a GPU that has it.
    lr_scale
        Beginnings of the names of weights, and by what their learning rate is multiplied: ``{"features": 0.1}``
        moves pre-trained layers a tenth as fast as a new head. The longest beginning that fits counts.

    Raises
    ------
    ValueError
        When an argument makes no sense, or the network does not fit the pictures.

    Examples
    --------
    >>> from cnnviz import fit, load, models
    >>> run = fit(models.create("lenet5"), load("digits").few(10), epochs=1, optimizer="adam", lr=0.002)
    >>> history = run.result()
    >>> len(history.steps), run.label
    (2, 'epochs=1, lr=0.002, optimizer=adam')
    """
    given = {name: value for name, value in locals().items() if name not in ("model", "data")}
    check_model(model, data)
    _whole("epochs", epochs, 1, 10**6)
    lr = _number("lr", lr, above=0)
    settings = read_settings(model, given)
    place = chosen_device(device)
    if model in _controls:
        _controls[model].end()  # the cell was run again
    trainer = within_memory(settings.batch_size, lambda: _prepared(model, data, place, lr, settings))
    _controls[model] = trainer.control
    trainer.history.snapshots_of = snapshots if isinstance(snapshots, str) else ""
    return Run(trainer, data, epochs, _label(given))


class Run:
    """A training in the background, made by `fit`.

    In a notebook ``history = await run`` waits while sliders and buttons stay alive; in a script `result` waits.

    Attributes
    ----------
    label
        What was set differently from `fit`'s defaults, for legends.
    epochs
        How many are planned.
    data
        What `fit` was given.
    """

    def __init__(self, trainer: Trainer, data: Data, epochs: int, label: str) -> None:
        self._trainer, self.data, self.label, self.epochs = trainer, data, label, 0
        weakref.finalize(self, trainer.control.set, stop=True).atexit = False
        self._start(epochs)

    def _start(self, epochs: int) -> None:
        trainer, self._done = self._trainer, concurrent.futures.Future()
        self._done.set_running_or_notify_cancel()  # who waits may be cancelled, the run not
        self.epochs += epochs
        trainer.steps = self.epochs * trainer.steps_per_epoch
        trainer.error, trainer.history.ending = None, ""
        trainer.control.begin()
        threading.Thread(target=_work, args=(trainer, self._done), name="cnnviz.fit", daemon=True).start()

    def result(self, timeout: float | None = None) -> History:
        """Wait for the end and return the history; raises what the thread raised.

        An interrupt stops the training after a whole step, and the history is kept.
        """
        try:
            self._done.result(timeout)
        except TimeoutError:
            raise
        except BaseException:
            self.stop()
            raise
        return self.history

    def __await__(self) -> Generator[Any, None, History]:
        return self._wait().__await__()

    async def _wait(self) -> History:
        try:
            end = asyncio.wrap_future(self._done)
            while not end.done():  # ipykernel's interrupt cancels the cell, but does not wake a loop that sleeps
                await asyncio.wait([end], timeout=0.2)
            end.result()
        except BaseException:  # an interrupt of the waiting cell among them
            self.stop()
            raise
        return self.history

    def stop(self) -> None:
        """Stop after the step that is being made, and wait for it."""
        self._trainer.control.end()

    def pause(self) -> None:
        """Pause after the step that is being made."""
        self._trainer.control.set(paused=True)

    def resume(self) -> None:
        """Go on after `pause`."""
        self._trainer.control.set(paused=False)

    def more(self, epochs: int | None = None) -> Run:
        """Go on where a run has ended: for what is left of the planned epochs, or for so many beyond the planned.

        The schedule is laid over all epochs anew: under "cosine" the rate rises again, since less of the way is done.

        >>> from cnnviz import fit, load, models
        >>> run = fit(models.create("lenet5"), load("digits").few(10))
        >>> run.stop()
        >>> len(run.more().result().epochs)
        10
        """
        if not self._done.done():
            raise RuntimeError("this run is still going: stop it first, or wait for it")
        further = 0 if epochs is None else _whole("epochs", epochs, 1, 10**6)
        if not further and self._trainer.done:
            raise ValueError("all planned epochs are done: use more(5) for five further ones")
        if _controls.get(self.model) is not self._trainer.control:
            raise RuntimeError("another run has trained this network since: call fit again")
        self._start(further)
        return self

    @property
    def state(self) -> str:
        """One of "running", "paused", "finished", "stopped", "failed"."""
        if not self._done.done():
            return "paused" if self._trainer.control.paused else "running"
        if self.error is not None:
            return "failed"
        return "finished" if self._trainer.done else "stopped"

    @property
    def error(self) -> BaseException | None:
        """What ended the run, if something did."""
        return self._trainer.error

    @property
    def history(self) -> History:
        """What was recorded so far."""
        return self._trainer.history

    @property
    def model(self) -> nn.Module:
        """The network that is trained, in place."""
        return self._trainer.model

    @property
    def averaged(self) -> nn.Module:
        """The network with averaged weights, if `fit` was asked for them; otherwise the network itself."""
        return self._trainer.average.module if self._trainer.average is not None else self.model

    @property
    def device(self) -> torch.device:
        """Where the run computes."""
        return self._trainer.device

    @property
    def steps(self) -> int:
        """How many steps are planned."""
        return self._trainer.steps

    @property
    def lr(self) -> float:
        """The schedule's peak; setting it scales the rest of the run from the next step on."""
        return self._trainer.peak

    @lr.setter
    def lr(self, value: float) -> None:
        self._trainer.peak = _number("lr", value, above=0)

    def show(self) -> Any:
        """Return the live view: curves, learning rate, pause, stop."""
        from cnnviz.widgets.live_plot import LivePlot

        return LivePlot(self)

    def __repr__(self) -> str:
        return f"{self.state}: {self.history}"


def _work(trainer: Trainer, done: concurrent.futures.Future) -> None:
    """The thread: it holds no Run, so that a run that nobody holds can be noticed, and stopped."""
    trainer.control.thread = threading.get_ident()
    try:
        within_memory(trainer.settings.batch_size, trainer.train)
    except Diverged as error:
        trainer.error = error.with_traceback(None)
        trainer.renew()
        trainer.history.ending = str(error)
    except BaseException as error:
        trainer.error = error
        if isinstance(error, torch.OutOfMemoryError):
            trainer.release()
        trainer.history.ending = f"Failed after {_count(trainer.step, 'step')}: {error}"
    else:
        trainer.history.ending = _ending(trainer)
    trainer.leave()
    failed = trainer.error if not isinstance(trainer.error, Diverged) else None
    trainer.control.idle.set()
    done.set_result(None) if failed is None else done.set_exception(failed)


def _ending(trainer: Trainer) -> str:
    """One plain sentence, with nothing in it that another machine or hour would change."""
    history, steps = trainer.history, _count(trainer.step, "step")
    if trainer.done:
        done = f"{_count(len(history.epochs), 'epoch')}, {steps}"
    else:
        done = f"Stopped after {steps} of {trainer.steps}"
    return f"{done}{history.result()}{trainer.where()}."


def _prepared(model: nn.Module, data: Data, device: torch.device, lr: float, settings: Settings) -> Trainer:
    processes = join_processes(device)
    if processes > 1 and settings.optimizer == "lbfgs":
        raise ValueError("lbfgs searches along a line, in each process another: use another optimizer under torchrun")
    if len(data.train_x) < processes:
        text = f"{len(data.train_x)} training pictures are too few for {processes} processes"
        raise ValueError(f"{text}: use --nproc-per-node={len(data.train_x)}, or more pictures")
    home, data = next(model.parameters()).device, data.to(device)
    try:
        try_out(model.to(device), data)
        try_changes(settings.augment, data.train_x[:2])
        return Trainer(model, data, device, home, lr, settings)
    except BaseException:
        model.to(home)
        raise


def _label(given: dict[str, Any]) -> str:
    """The arguments that differ from the defaults."""
    usual = {name: parameter.default for name, parameter in inspect.signature(fit).parameters.items()}
    changed = {name: value for name, value in given.items() if value != usual[name] and value not in ((), [], {})}
    return ", ".join(f"{name}={named(value)}" for name, value in changed.items())


@atexit.register
def _end_all() -> None:
    """A thread that is inside torch while Python goes away can take the process down with an abort."""
    for control in list(_controls.values()):
        control.end(timeout=5)
