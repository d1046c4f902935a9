"""The loop behind `fit`: step after step in a thread, written to a History. It knows no plot and no widget. Private."""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional

from cnnviz._memory import keep_freed_memory
from cnnviz.data import Data
from cnnviz.data._augment import Mixed
from cnnviz.history import History, Record, Step
from cnnviz.training._control import Control
from cnnviz.training._optimisers import SCHEDULES, averaged, make_optimiser, rate_on, set_rate
from cnnviz.training._randomness import OwnRandomness
from cnnviz.training._recorded import RecordedStep, may_be_recorded, recordable

AUXILIARY = 0.3  # weight of an auxiliary head's loss: Going Deeper with Convolutions, section 5
TOO_HIGH = 100  # a loss so many times that of guessing was not seen to come back to any use
WARM = 3  # steps of a form before one is recorded: by then every buffer is there


class Diverged(ArithmeticError):
    """The loss or a gradient is not a number, infinite, or beyond recovery."""


@dataclass(frozen=True)
class Settings:
    """What `fit` was given."""

    batch_size: int
    seed: int
    optimizer: str
    schedule: str
    weight_decay: float
    clip: float | None
    label_smoothing: float
    augment: Sequence[Callable[[Tensor, torch.Generator], Tensor]]
    average: bool
    snapshots: str | None  # the layer's name
    precision: str | None
    scales: Mapping[str, float]  # each weight's share of the learning rate


class Trainer:
    """A network, its data and its optimiser, between two steps unless its thread is inside `train`."""

    def __init__(
        self,
        model: nn.Module,
        data: Data,
        device: torch.device,
        home: torch.device,  # where the network is when it is not trained
        lr: float,
        settings: Settings,
    ) -> None:
        self.settings, self.device, self.home, self.peak, self.rate = settings, device, home, lr, lr
        self.history, self.control = History(), Control()
        self.rank, self.world = (distributed.get_rank(), distributed.get_world_size()) if _together() else (0, 1)
        self.model, self.data = model, data
        # channels_last is 1.1 to 1.4 times as fast, on a CPU too; torch's L-BFGS strings gradients together as they lie
        self.layout = torch.contiguous_format if settings.optimizer == "lbfgs" else torch.channels_last
        self.model.to(memory_format=self.layout)
        self.network = _wrapped(model, device)
        self.average = averaged(model) if settings.average else None
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.frozen = [layer for layer in model.modules() if _is_frozen_norm(layer)]
        self.renew()
        self.layers = {name: layer.weight for name, layer in model.named_modules() if _learns_a_matrix(layer)}
        self.order = torch.Generator().manual_seed(settings.seed)  # the same in every process
        self.guess = math.log(max(2, len(data.classes)))  # the loss of a network that knows nothing
        self.limit = math.inf  # of the loss: known after the first step
        self.randomness = OwnRandomness(settings.seed + 1 + self.rank)
        self.sums = [0.0, 0.0, 0.0]  # of this epoch: loss, right answers, pictures
        self.step, self.steps, self.seconds = 0, 0, 0.0
        self.test_is_due = False
        self.places = torch.empty(0, dtype=torch.long)
        self.history.steps_per_epoch = self.steps_per_epoch
        self.state: list[Tensor] = []  # weights and buffers
        self.good: list[Tensor] = []  # the same before the last update
        halved = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        self.bf16 = settings.precision == "bfloat16" or (settings.precision is None and halved)
        self.recorded: dict[Any, RecordedStep] = {}  # by the form of their batches
        self.seen: Counter[Any] = Counter()
        self.error: BaseException | None = None

    @property
    def mine(self) -> int:
        """Training pictures an epoch in this process."""
        return len(self.data.train_x) // self.world

    @property
    def steps_per_epoch(self) -> int:
        """A last batch of a single picture is left out: batch norm finds no variance in it."""
        whole, rest = divmod(self.mine, self.settings.batch_size)
        return max(1, whole + (rest > 1))

    def train(self) -> None:
        """Step until all is done that was planned, or a stop is asked for."""
        keep_freed_memory()
        self.model.to(self.device, memory_format=self.layout)
        if self.average is not None:
            self.average.to(self.device)
        self.state = [tensor.detach() for tensor in (*self.model.parameters(), *self.model.buffers())]
        self.good = [tensor.clone() for tensor in self.state]
        if not self.step:
            self._snapshot(epoch=0)
        try:
            self._train()
        finally:
            self.recorded, self.seen = {}, Counter()  # they know addresses, and `leave` moves the weights

    def _train(self) -> None:
        while not self.done and self._may_go_on():
            started = time.perf_counter()
            if self.test_is_due:
                self._end_epoch(started)
            else:
                self._one_step(started)
                self.test_is_due = self.step % self.steps_per_epoch == 0
            self.seconds += time.perf_counter() - started

    @property
    def done(self) -> bool:
        """Whether all that was planned is done, the last test too."""
        return self.step >= self.steps and not self.test_is_due

    def renew(self) -> None:
        """Begin with an optimiser that remembers nothing."""
        settings, groups = self.settings, {}
        for name, weight in self.model.named_parameters():
            if name in settings.scales:
                scale = settings.scales[name]
                groups.setdefault(scale, {"scale": scale, "params": []})["params"].append(weight)
        self.optimiser = make_optimiser(settings.optimizer, groups.values(), self.peak, settings.weight_decay)
        if recordable(self.device, settings.optimizer):
            rate_on(self.device, self.optimiser)

    def leave(self) -> None:
        """Leave the network as its owner expects to find it, and where it was."""
        self.model.eval()
        if self.world == 1:  # DistributedDataParallel has laid out its buffers
            self.model.to(self.home, memory_format=torch.contiguous_format)
            if self.average is not None:
                self.average.to(self.home)

    def release(self) -> None:
        """Give back the memory of gradients and of the optimiser."""
        self.renew()
        for parameter in self.parameters:
            parameter.grad = None

    def where(self) -> str:
        """The GPU's name, for the last sentence; nothing on a CPU."""
        return f", trained on {torch.cuda.get_device_name(self.device)}" if self.device.type == "cuda" else ""

    def _one_step(self, started: float) -> None:
        x, y = self._next_batch()
        self.rate = self.peak * SCHEDULES[self.settings.schedule](self.step / self.steps)
        for group in self.optimiser.param_groups:
            set_rate(group, self.rate * group["scale"])
        if not self.model.training:
            self.model.train()
            for norm in self.frozen:
                norm.eval()
        recorded = self._recording(x, y)
        figures, gradients = recorded.gradient(x, y) if recorded else self._look(x, y)
        loss, correct, *norms = self._shared(figures).tolist()  # the only wait for a GPU in a step
        norm = math.hypot(*norms)
        if not (loss < self.limit and math.isfinite(norm)):
            self._diverged("loss", self.step + 1, x, loss)
        if self.settings.clip is not None and norm > self.settings.clip:
            torch._foreach_mul_(gradients, self.settings.clip / norm)
        self._update(recorded.update if recorded else lambda: self._move(x, y))
        self.step += 1
        if self.step == 1:
            self.limit = TOO_HIGH * max(loss, self.guess)
        self.sums = [total + new for total, new in zip(self.sums, (loss * len(y), correct, len(y)), strict=True)]
        norm_of = dict(zip((p for p in self.parameters if p.grad is not None), norms, strict=True))
        taken = time.perf_counter() - started
        pace = len(y) * self.world / taken
        row = Step(self.step, self.epoch, loss, correct / len(y), self.rate, self.seconds + taken, pace)
        self.history.add_step(row, {name: norm_of.get(weight, 0.0) for name, weight in self.layers.items()})

    @property
    def epoch(self) -> int:
        """The epoch that the last step belongs to, from 1."""
        return max(0, self.step - 1) // self.steps_per_epoch + 1

    def _next_batch(self) -> tuple[Tensor, Tensor]:
        number = self.step % self.steps_per_epoch
        if number == 0:
            order = torch.randperm(len(self.data.train_x), generator=self.order)[: self.mine * self.world]
            self.places = order[self.rank :: self.world].to(self.device)
        chosen = self.places[number * self.settings.batch_size :][: self.settings.batch_size]
        x, y = self.data.train_x.index_select(0, chosen), self.data.train_y.index_select(0, chosen)
        for change in self.settings.augment:
            x = change(x, self.randomness.on(self.device))
            if isinstance(x, Mixed):
                x, y = x.pictures, x.labels(y, len(self.data.classes))
        return x.contiguous(memory_format=self.layout), y

    def _recording(self, x: Tensor, y: Tensor) -> RecordedStep | None:
        """The recorded step for such batches, made once they have been seen a few times, where that can be done."""
        form = (x.shape, y.shape, y.dtype)
        self.seen[form] += 1
        if self.seen[form] == WARM + 1 and self.world == 1 and self._does_the_same():
            with contextlib.suppress(Exception):  # what cannot be recorded is trained without: `tests.gpu` counts
                parts = (self._look, lambda: self._move(x, y), self.optimiser, self.randomness)
                self.recorded[form] = RecordedStep(x, y, *parts)
        return self.recorded.get(form)

    def _does_the_same(self) -> bool:
        return may_be_recorded(self.model, self.settings.optimizer, self.device, self.randomness)

    def _look(self, x: Tensor, y: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Loss of a batch, how many it got right and the norm of each gradient, in one tensor; and the gradients."""
        loss, correct = self._gradient(x, y)
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        return torch.stack([loss.detach().float(), correct.float(), *torch._foreach_norm(gradients)]), gradients

    def _gradient(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Loss of a batch and how many it got right; its gradient is left in the parameters."""
        for parameter in self.parameters:
            parameter.grad = None
        with self.randomness, self._precision():
            scores, *heads = outputs(self.network(x))
        if y.dim() > 1:  # shares of the classes; the network may tell more apart than the data have
            y = functional.pad(y, (0, scores.shape[1] - y.shape[1]))
        loss = functional.cross_entropy(scores, y, label_smoothing=self.settings.label_smoothing)
        for head in heads:
            loss = loss + AUXILIARY * functional.cross_entropy(head, y)
        loss.backward()
        return loss, (scores.detach().argmax(1) == (y if y.dim() == 1 else y.argmax(1))).sum()

    def _precision(self) -> contextlib.AbstractContextManager:
        return torch.autocast(self.device.type, torch.bfloat16) if self.bf16 else contextlib.nullcontext()

    def _shared(self, figures: Tensor) -> Tensor:
        """Loss and right answers as means over all processes: all record the same, and stop at the same step."""
        if self.world > 1:
            distributed.all_reduce(figures[:2])
            figures[:2] /= self.world
        return figures

    def _may_go_on(self) -> bool:
        go_on = self.control.may_go_on()
        if self.world > 1:  # one that stops alone would leave the others waiting for its gradient
            rate = self.peak if self.rank == 0 else math.inf  # the first one's rate is everybody's
            wish = torch.tensor([float(go_on), rate], dtype=torch.float64, device=self.device)
            distributed.all_reduce(wish, distributed.ReduceOp.MIN)
            go_on = bool(wish[0])
            if self.rank:  # the first one may have moved it meanwhile
                self.peak = float(wish[1])
        return go_on

    def _diverged(self, what: str, step: int, x: Tensor, loss: float) -> None:
        """Put back the last weights that gave a usable loss, and say what was found."""
        self._restore()
        if not math.isfinite(loss):
            found = f"the {what} became {'infinite' if math.isinf(loss) else 'NaN (not a number)'}"
        elif loss < self.limit:
            found = "a gradient became infinite or NaN (not a number)"
        else:
            found = f"the loss rose to {loss:,.0f}, where guessing has {self.guess:.1f}"
        if torch.isfinite(x).all():
            cause = f"usual causes are a learning rate that is too high (here {self.rate:g}: try a tenth), weights that"
            cause += " start too large, and no batch norm or clipping in a deep network"
        else:
            cause = "the pictures hold NaN or infinite values: clean the data"
        raise Diverged(f"Stopped at step {step}: {found}; {cause}. The weights of the step before are kept.")

    @torch.no_grad()
    def _update(self, move: Callable[[], Any]) -> None:
        """Move the weights; should that fail half-way, they are put back."""
        try:
            move()
        except BaseException:
            self._restore()
            raise
        if self.average is not None:
            self.average.update_parameters(self.model)

    @torch.no_grad()
    def _move(self, x: Tensor, y: Tensor) -> None:
        """Keep the weights that gave this loss, and move them."""
        torch._foreach_copy_(self.good, self.state)
        if self.settings.optimizer == "lbfgs":
            self.optimiser.step(lambda: self._gradient(x, y)[0])
        else:
            self.optimiser.step()

    @torch.no_grad()
    def _restore(self) -> None:
        torch._foreach_copy_(self.state, self.good)

    def _end_epoch(self, started: float) -> None:
        tested = self._test()
        if tested is None:
            return
        test_loss, test_accuracy = tested
        loss, right, seen = self.sums
        self.sums, self.test_is_due = [0.0, 0.0, 0.0], False
        if not math.isfinite(test_loss):
            self._diverged("test loss", self.step, self.data.test_x, test_loss)
        seconds = self.seconds + time.perf_counter() - started
        record = Record(self.epoch, loss / seen, right / seen, test_loss, test_accuracy, self.rate, seconds)
        self._snapshot(self.epoch)
        self.history.add_epoch(record)

    @torch.no_grad()
    def _test(self) -> tuple[float, float] | None:
        """Loss and accuracy on the whole test set, of the averaged weights where there are any; None when stopped."""
        network = (self.average or self.model).eval()
        if self.world > 1:  # each has seen other pictures: the first one's running statistics are everybody's
            for buffer in network.buffers():
                distributed.broadcast(buffer, 0)
        size, number = evaluated_at_once(self.device), len(self.data.test_y)
        figures: list[Tensor] = []
        for x, y in zip(self.data.test_x.split(size), self.data.test_y.split(size), strict=True):
            if self.world == 1 and not self.control.may_go_on():
                return None
            with self.randomness, self._precision():
                scores = outputs(network(x))[0]
            right = (scores.argmax(1) == y).sum()
            figures.append(torch.stack([functional.cross_entropy(scores, y, reduction="sum"), right.float()]))
        loss, right = (sum(column) / number for column in zip(*torch.stack(figures).tolist(), strict=True))
        return loss, right

    @torch.no_grad()
    def _snapshot(self, epoch: int) -> None:
        """Keep a layer's filters, and the maps that it makes of the first test picture."""
        if self.settings.snapshots is None:
            return
        layer = self.model.get_submodule(self.settings.snapshots)
        maps: list[Tensor] = []
        hook = layer.register_forward_hook(lambda _, __, output: maps.append(output[0]))
        try:
            with self.randomness:
                self.model.eval()(self.data.test_x[:1])
        finally:
            hook.remove()
        kept = {"filters": layer.weight, "maps": maps[-1]}
        self.history.snapshots.append((epoch, {key: value.float().cpu().numpy().copy() for key, value in kept.items()}))


def evaluated_at_once(device: torch.device) -> int:
    """Pictures; between two such batches a stop is heard. A GPU needs more of them to be busy."""
    return 100 if device.type == "cpu" else 1000


def outputs(output: Any) -> list[Tensor]:
    """Scores of a network, then those of its auxiliary heads: always float32, whatever the network computed in."""
    if isinstance(output, Tensor):
        return [output.float()]
    if not isinstance(output, tuple) or len(output) != 2:
        raise TypeError(f"it returns {type(output).__name__}, not a tensor of scores")
    scores, heads = output
    return [scores.float(), *(head.float() for head in heads)]


def _learns_a_matrix(layer: nn.Module) -> bool:
    weight = getattr(layer, "weight", None)
    return isinstance(weight, nn.Parameter) and weight.dim() > 1 and weight.requires_grad


def _is_frozen_norm(layer: nn.Module) -> bool:
    """A batch norm whose weights stay has to keep its running statistics as well: together they are its function."""
    own = [parameter.requires_grad for parameter in layer.parameters(recurse=False)]
    return getattr(layer, "running_mean", None) is not None and bool(own) and not any(own)


def join_processes(device: torch.device) -> int:
    """Under torchrun, join the other processes, unless the script has done so; how many there are."""
    if "TORCHELASTIC_RUN_ID" in os.environ and distributed.is_available() and not distributed.is_initialized():
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return distributed.get_world_size() if _together() else 1


def _together() -> bool:
    return distributed.is_available() and distributed.is_initialized()


def _wrapped(model: nn.Module, device: torch.device) -> nn.Module:
    if not _together():
        return model
    return nn.parallel.DistributedDataParallel(model, device_ids=[device] if device.type == "cuda" else None)
