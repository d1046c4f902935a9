"""From a torch module to its bill: run it once on tensors without values and write down what happened. Private.

The forward pass runs on the meta device, where tensors have shapes and no memory, in a copy of the module whose
parameters have none either: the module itself, its mode, its hooks and its buffers are never touched. A forward that
needs values there (it makes CPU tensors, or looks at a number) is run on fake tensors, and then, if the module has at
most ``REAL_VALUES`` parameters and buffers, on real ones.
"""

from __future__ import annotations

import copy
import inspect
import logging
import numbers
import random
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from cnnviz.cost import CostTable, Sizes
from cnnviz.measure._meta import bare
from cnnviz.measure._recorder import Recorder, has_parts, own_parameters
from cnnviz.models._unfilled import MetaByDefault, unfilled

REAL_VALUES = 10_000_000  # parameters and buffers, copied for a real forward pass: 40 MB
_SIDES = {  # of the pictures that networks were published for, where not 224 or, for *_cifar, 32
    "alexnet_2012": 227, "inception_v2": 299, "inception_v3": 299, "inception_v4": 299, "inception_resnet_v2": 299,
    "lenet5": 32, "lenet5_1998": 32, "nin": 32, "fractalnet": 32, "odenet": 28,
}  # fmt: skip
_HOOKS = [name for name in vars(nn.Module()) if "_hooks" in name]
SHOWN_ROWS = 12  # of an unfinished table, in the text of an error


class ForwardFailed(ValueError):
    """The module's forward pass raised; ``table`` has the rows up to there."""

    def __init__(self, message: str, table: CostTable) -> None:
        super().__init__(message)
        self.table = table


def cost_table(model: nn.Module | str, input_size: Any = None, *, training: bool = False) -> CostTable:
    """The bill of a network: parameters, MACs and activation values of each layer, for one example.

    Parameters
    ----------
    model
        Any module, or a name of ``cnnviz.models.names()``.
    input_size
        Shape of one example without the batch, (C, H, W); a tuple of shapes for a forward with several inputs. By
        default (3, 224, 224), or for a name what that network was published for. Tensors are taken as they are, batch
        included (for inputs that are not floating-point numbers).
    training
        Count what runs in training mode (auxiliary heads) instead of evaluation mode. Batch norm needs a batch there:
        two examples run, and everything is divided by two.

    Returns
    -------
    CostTable
        Rows in the order of the calls. A layer that is called twice has two rows, its parameters in the first; one that
        is not called has a row at the end, so that the rows add up to the parameters of the whole module.
        A complex number counts once, and so does a product of two of them in a layer; a complex convolution that is
        called as a function is the three real ones that torch makes of it.

    Raises
    ------
    ForwardFailed
        (a ValueError) if the forward pass fails: where, on which shapes, and the rows up to there.
    ValueError
        For a size that is none, and for a layer that has no weights to count: a lazy or a quantised one.

    >>> from torch import nn
    >>> cost_table(nn.Sequential(nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2)), (1, 28, 28))
    layer  kind        output   params    MACs  activations  receptive field
    ------------------------------------------------------------------------
    0      Conv2d      6x24x24     156  86,400        3,456  5x5
    1      ReLU        6x24x24       0       0        3,456  5x5
    2      MaxPool2d   6x12x12       0       0          864  6x6
    ------------------------------------------------------------------------
    total  Sequential              156  86,400        7,776
    """
    module, title = _module(model)
    if not isinstance(model, str):
        _check_weights(module)
    if input_size is None:
        input_size = native_size(model) if isinstance(model, str) else (3, 224, 224)
    examples, batch = _examples(input_size, module, 2 if training else 1)
    failure: ForwardFailed | None = None
    with _generators_kept() as drawn:
        job = _Job(module, title, examples, batch, training, drawn, isinstance(model, str))
        for attempt in (_on_meta, _on_fake, _for_real):
            try:
                table = attempt(job)
            except ForwardFailed as error:
                failure = error
                continue
            if table is not None:
                return table
    raise failure


class _Job(NamedTuple):
    """A forward pass to watch; ``ours``: the module was built for it, on the meta device."""

    module: nn.Module
    title: str
    examples: list[torch.Tensor]
    batch: int
    training: bool
    drawn: list[bool]
    ours: bool


def module_of(model: nn.Module | str) -> nn.Module:
    """The module itself, built without memory if a name is given."""
    return _module(model)[0]


def native_size(name: str) -> tuple[int, int, int]:
    """The picture (C, H, W) that a named network was published for.

    >>> native_size("inception_v3")
    (3, 299, 299)
    """
    from cnnviz import models

    side = 32 if name.endswith("_cifar") else _SIDES.get(name, 224)
    return models.options(name)["in_channels"], side, side


def size_or_native(model: Any, input_size: Any) -> Any:
    """The size as given, or the one that goes with the model."""
    if input_size is not None:
        return input_size
    return native_size(model) if isinstance(model, str) else (3, 224, 224)


def _module(model: Any) -> tuple[nn.Module, str]:
    if isinstance(model, str):
        from cnnviz import models

        with unfilled():
            return models.create(model), model
    if not isinstance(model, nn.Module):
        hint = ": create it first, Net()" if isinstance(model, type) else ""
        raise TypeError(f"model is {str(model)[:60]!r}, not a torch.nn.Module or the name of a network{hint}")
    while True:  # torch.compile and DataParallel wrap a module
        inner = getattr(model, "_orig_mod", None)
        if inner is None and isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            inner = model.module
        if not isinstance(inner, nn.Module):
            break
        model = inner
    for path, part in model.named_modules():
        if isinstance(part, nn.modules.lazy.LazyModuleMixin) and part.has_uninitialized_params():
            raise ValueError(f"{path or 'the module'} is lazy and has no shape yet: run the module once on an example")
    return model, type(model).__name__


def _check_weights(module: nn.Module) -> None:
    for path, part in module.named_modules():
        if type(part).__module__.startswith(("torch.ao.nn.quantized", "torch.ao.nn.intrinsic.quantized")):
            text = f"{path or 'the module'} is a quantised {type(part).__name__}, whose weights are packed out of sight"
            raise ValueError(f"{text}: take the bill of the network before it is quantised, it does the same MACs")


def _examples(input_size: Any, module: nn.Module, batch: int) -> tuple[list[torch.Tensor], int]:
    """Meta tensors of a batch (or the given tensors), and how many examples are our addition."""
    if isinstance(input_size, torch.Tensor):
        return [input_size], 0
    if isinstance(input_size, (tuple, list)) and input_size and all(isinstance(t, torch.Tensor) for t in input_size):
        return list(input_size), 0
    sizes = [input_size] if isinstance(input_size, numbers.Integral) else input_size
    many = isinstance(sizes, (tuple, list)) and bool(sizes) and all(isinstance(size, (tuple, list)) for size in sizes)
    dtypes = (p.dtype for p in module.parameters() if p.is_floating_point() or p.is_complex())
    dtype = next(dtypes, torch.get_default_dtype())
    shapes = [shape_of(size, input_size) for size in (sizes if many else [sizes])]
    try:
        return [torch.empty((batch, *shape), dtype=dtype, device="meta") for shape in shapes], batch
    except RuntimeError as error:
        text = f"input_size {str(input_size)[:60]} is too large for any memory: use smaller numbers"
        raise ValueError(text) from error


def shape_of(size: Any, given: Any) -> tuple[int, ...]:
    size = size.tolist() if isinstance(size, np.ndarray) else size
    if isinstance(size, (tuple, list)) and size:
        whole = [isinstance(n, numbers.Integral) and not isinstance(n, bool) and 1 <= n < 2**31 for n in size]
        if all(whole):
            return tuple(int(n) for n in size)
    text = f"input_size {str(given)[:60]} is not a shape of whole numbers of at least 1"
    raise ValueError(f"{text}: give (channels, height, width), without the batch, or a tuple of shapes")


# Three ways to run a forward pass. Each returns None where it does not apply.


def _on_meta(job: _Job) -> CostTable | None:
    with ExitStack() as stack:
        if job.ours:
            for part in job.module.modules():  # as `train` does, which looks at each twice
                vars(part)["training"] = job.training
        runner = (job.module, job.module, {}) if job.ours else _twin(job, bare, stack)
        return _recorded(job, runner, tuple(map(bare, job.examples)), "meta", MetaByDefault())


def _on_fake(job: _Job) -> CostTable | None:
    mode = FakeTensorMode(allow_non_fake_inputs=True)

    def fake(tensor: torch.Tensor) -> torch.Tensor:
        with mode:
            return bare(tensor, "cpu" if tensor.is_meta else tensor.device)

    with ExitStack() as stack:
        stack.enter_context(_quiet(logging.getLogger("torch._subclasses.fake_tensor")))
        return _recorded(job, _twin(job, fake, stack), tuple(map(fake, job.examples)), "fake", mode)


def _for_real(job: _Job) -> CostTable | None:
    module = job.module
    if sum(t.numel() for t in (*module.parameters(), *module.buffers())) > REAL_VALUES:
        return None
    device = next((p.device for p in module.parameters() if not p.is_meta), torch.device("cpu"))
    generator = torch.Generator().manual_seed(0)

    def own(tensor: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(tensor, device=device) if tensor.is_meta else tensor.detach().clone()

    def filled(tensor: torch.Tensor) -> torch.Tensor:
        if not tensor.is_meta or not tensor.is_floating_point():
            return own(tensor)
        return torch.rand(tensor.shape, generator=generator, device="cpu").to(tensor.dtype).to(device)

    with ExitStack() as stack:
        return _recorded(job, _twin(job, own, stack), tuple(map(filled, job.examples)), "real", nullcontext())


@contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    """Fake tensors log a traceback for what is about to be raised anyway."""
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


Runner = tuple[nn.Module, Callable[..., Any], dict[int, torch.Tensor]]


def _twin(job: _Job, replace: Callable[[torch.Tensor], torch.Tensor], stack: ExitStack) -> Runner:
    """A copy of the module whose tensors are ``replace(tensor)``, without the user's hooks, and how to call it.

    A module that cannot be copied is used itself, through ``functional_call``, and put back when ``stack`` closes.
    """
    module = job.module
    memo: dict[int, Any] = {}
    for part in module.modules():
        memo.update({id(part.__dict__[hooks]): OrderedDict() for hooks in _HOOKS if hooks in part.__dict__})
        for tensor in _own_tensors(part):
            if id(tensor) not in memo:
                new = replace(tensor)
                if isinstance(tensor, nn.Parameter):
                    new = nn.Parameter(new, requires_grad=tensor.requires_grad)
                memo[id(tensor)] = new
    try:
        twin = copy.deepcopy(module, dict(memo))
    except Exception:
        stack.enter_context(_attributes_kept(module))
        module.train(job.training)
        named = [*module.named_parameters(), *module.named_buffers()]
        state = {name: memo[id(tensor)] for name, tensor in named}
        return module, lambda *inputs: torch.func.functional_call(module, state, inputs), memo
    twin.train(job.training)
    return twin, twin, memo


def _own_tensors(part: nn.Module) -> Iterator[torch.Tensor]:
    """Parameters, buffers, and tensors that are plain attributes or in a list or dict that is one."""
    for value in (*part._parameters.values(), *part._buffers.values(), *part.__dict__.values()):
        held = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else [value]
        yield from (item for item in held if isinstance(item, torch.Tensor))


@contextmanager
def _attributes_kept(module: nn.Module) -> Iterator[None]:
    kept = [(part, dict(part.__dict__)) for part in module.modules()]
    inner = [(d, dict(d)) for part, _ in kept for d in (part._parameters, part._buffers, part._modules)]
    try:
        yield
    finally:
        for part, attributes in kept:
            part.__dict__.clear()
            part.__dict__.update(attributes)
        for held, items in inner:
            held.clear()
            held.update(items)


@contextmanager
def _generators_kept() -> Iterator[list[bool]]:
    """Leave the random generators as they were.

    Torch's is shared with threads that train: it is put back only if this forward pass drew from it.
    """
    drawn: list[bool] = []
    loaded = "numpy.random" in sys.modules  # or it has no state to keep, and takes longer to load than the count
    before = torch.get_rng_state(), random.getstate(), np.random.get_state() if loaded else None  # noqa: NPY002
    try:
        yield drawn
    finally:
        if any(drawn):
            torch.set_rng_state(before[0])
        if random.getstate() != before[1]:
            random.setstate(before[1])
        if loaded:
            now = np.random.get_state()  # noqa: NPY002
            if now[2:] != before[2][2:] or not np.array_equal(now[1], before[2][1]):
                np.random.set_state(before[2])  # noqa: NPY002


def _recorded(job: _Job, runner: Runner, inputs: tuple[torch.Tensor, ...], how: str, mode: Any) -> CostTable:
    module, call, stand_ins = runner
    recorder = Recorder(module, job.title, job.batch, stand_ins)
    recorder.take_inputs(inputs)
    try:
        with torch.no_grad(), mode, recorder, recorder.watching():
            call(*inputs)
    except Exception as error:
        table = _table(recorder, inputs, how, finished=False)
        raise ForwardFailed(_what_happened(error, recorder, module, inputs, table), table) from error
    finally:
        job.drawn.append(recorder.random)
    return _table(recorder, inputs, how)


def _table(recorder: Recorder, inputs: tuple[torch.Tensor, ...], how: str, finished: bool = True) -> CostTable:
    parts = recorder.paths
    kinds = {path: type(part).__name__ for part, path in parts.items() if has_parts(part)}
    value = inputs[0].element_size() if inputs[0].is_floating_point() or inputs[0].is_complex() else 4
    batch = recorder.batch or 1
    parameters = _unique_bytes(p for part in parts for p in own_parameters(part))
    buffers = _unique_bytes(b for part in parts for b in part._buffers.values() if b is not None)
    sizes = Sizes(value, parameters, buffers, _unique_bytes(inputs) // batch, recorder.peak // batch)
    return CostTable(recorder.title, tuple(recorder.rows(finished)), kinds, sizes, how)


def _unique_bytes(tensors: Iterable[torch.Tensor]) -> int:
    return sum(t.nbytes for t in {id(t): t for t in tensors}.values())


def _what_happened(error: Exception, recorder: Recorder, module: nn.Module, inputs: tuple, table: CostTable) -> str:
    """Where the forward failed, what it was given, torch's own words, the last rows."""
    given = recorder.stack[0].given or tuple(tuple(t.shape) for t in inputs)
    wanted = list(inspect.signature(module.forward).parameters.values())
    needed = [p.name for p in wanted if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if isinstance(error, TypeError) and len(needed) > len(inputs) and len(recorder.stack) <= 2:
        text = f"{recorder.title} takes {len(needed)} inputs ({', '.join(needed)}), but input_size names {len(inputs)}"
        return f"{text}: give a tuple of {len(needed)} shapes, such as ((3, 32, 32), (10,))"
    frame = recorder.stack[-1]
    given = " and ".join(map(str, frame.given or given))
    where = f"at {frame.path} ({type(frame.module).__name__})" if frame.path else "in its own forward"
    lines = [f"{recorder.title} fails {where}, which was given {given} (batch first): {error}"]
    if recorder.failed:
        lines.append(f"The operation that failed: {recorder.failed}")
    if table.rows:
        shown = str(table).split("\n")
        lines += [
            "Up to there:",
            *shown[:2],
            *(["..."] if len(shown) > SHOWN_ROWS + 4 else []),
            *shown[2:-2][-SHOWN_ROWS:],
        ]
    return "\n".join(lines)
