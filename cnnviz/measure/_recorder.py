"""Watches one forward pass and writes down what each layer did. Private; :mod:`cnnviz.measure` runs it.

A dispatch mode sees every tensor operation of its own thread, functional ones too, and the calls of the watched module
and its parts, which all pass through here, tell whose they are. `torch.utils.flop_counter.FlopCounterMode` would hook
every module of the process: a network that trains in another thread then appears in the table. Its formulas
(`flop_registry`) are used here.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd
from torch.utils._python_dispatch import TorchDispatchMode

from cnnviz.cost import CostRow, Other
from cnnviz.measure import _fields, _layers, _operations
from cnnviz.measure._meta import TENSORS, foremost, result

_CALL = "_compiled_call_impl"  # the attribute of a module that torch calls instead of its forward, if it is there
_PLAIN = (int, float, str, type(None))  # what most arguments are


@dataclass(slots=True)
class Draft:
    """A row in the making."""

    name: str
    kind: str
    call: int = 1
    params: int = 0
    macs: int = 0
    activations: int = 0
    output_shape: tuple[int, ...] | None = None
    seen: Any = None
    inputs: dict[int, None] = field(default_factory=dict)
    other: Other = _operations.NOTHING
    done: bool = False

    def row(self, place: dict[int, int], batch: int) -> CostRow:
        seen = self.seen.size if self.seen else None
        inputs = tuple([place[n] for n in self.inputs if n in place])
        counts = self.params, self.macs // batch, self.activations // batch
        other = self.other if batch == 1 else Other(*(n // batch for n in self.other))
        return CostRow(self.name, self.kind, self.output_shape, *counts, seen, self.call, inputs, other)


@dataclass(slots=True)
class Frame:
    """A module whose forward is running; ``draft`` is the index of its row when it holds no other module."""

    path: str
    module: nn.Module
    draft: int | None
    given: tuple[tuple[int, ...], ...] = ()
    received: frozenset[int] = frozenset()


class Recorder(TorchDispatchMode):
    """Record every layer of ``module`` while it runs once.

    ``batch`` examples were added in front of the shapes that the user gave (0: none), and are divided out again.
    ``stand_ins`` maps the id of a parameter to the tensor that is used in its place.
    """

    def __init__(self, module: nn.Module, title: str, batch: int, stand_ins: dict[int, torch.Tensor]) -> None:
        super().__init__()
        self.paths = {part: path for path, part in module.named_modules()}
        self.title, self.batch, self.stand_ins = title, batch, stand_ins
        self.drafts: list[Draft] = []
        self.stack: list[Frame] = [Frame("", module, None)]
        self.failed: str = ""  # which tensor operation raised, and on what
        self.random = False  # drew from a generator that belongs to everyone
        self.peak = 0
        self._alive: dict[int, Any] = {}
        self._live = 0
        self._traced: dict[int, tuple[int, Any]] = {}  # storage -> (row that wrote it last, receptive field)
        self._unclaimed: dict[int, int] = {}
        for parameter in {id(p): p for part in self.paths for p in own_parameters(part)}.values():
            key = self._parameter_key(parameter)
            self._unclaimed[key] = self._unclaimed.get(key, 0) + parameter.numel()
        self._calls: dict[str, int] = {}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Say that torch need not load its compiler (seconds) to keep it out of the method below."""
        return False

    def take_inputs(self, inputs: tuple[torch.Tensor, ...]) -> None:
        """Mark the network's inputs; the first one's places are what receptive fields are counted in."""
        for n, tensor in enumerate(inputs):
            axes = tensor.dim() - 2
            start = _fields.first(axes) if n == 0 and 1 <= axes <= 3 else None
            self._traced[_key(tensor)] = (-1, start)
            self._keep(_key(tensor), tensor)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Have every call of the module and its parts pass through here, in the place of its compiled form, if any.

        Torch asks for that form before anything else; hooks would cost more than the count itself.
        """
        self._usual = (*_layers.surroundings()[:2], *_layers.PLAIN)
        for part in self.paths:
            rule = _layers.rule_of(part)
            part.__dict__[_CALL] = partial(self._short, part, rule) if rule else partial(self._whole, part)
        try:
            yield
        finally:
            for part in self.paths:
                part.__dict__.pop(_CALL, None)

    def rows(self, finished: bool = True) -> list[CostRow]:
        """Rows of the calls, and after a whole forward pass one for each layer whose parameters nobody read."""
        if finished:
            self._claim_the_rest()
        kept = [n for n, draft in enumerate(self.drafts) if draft.done]
        place = {-1: -1} | {old: new for new, old in enumerate(kept)}
        return [self.drafts[n].row(place, self.batch or 1) for n in kept]

    # Modules

    def _whole(self, module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        """A module's call, from inside and outside of its forward."""
        with torch._C.DisableTorchFunction():  # or function modes would be asked about every shape that is read
            self._enter(module, args, kwargs)
        output = module._call_impl(*args, **kwargs)
        with torch._C.DisableTorchFunction():
            self._leave(module, output)
        return output

    def _short(self, module: nn.Module, rule: _layers.Rule, *args: Any, **kwargs: Any) -> Any:
        """The same for a layer that is one operation, which is written down without being run, if all is as usual."""
        if len(args) == 1 and not kwargs and _layers.surroundings() == self._usual and _layers.untouched(module):
            with torch._C.DisableTorchFunction(), torch._C._DisableTorchDispatch():
                output = self._one_operation(module, rule, args[0])
            if output is not None:
                return output
        return self._whole(module, *args, **kwargs)

    def _one_operation(self, module: nn.Module, rule: _layers.Rule, x: torch.Tensor) -> torch.Tensor | None:
        """What `_enter`, `_note` and `_leave` do, where there is one input, one operation and one output."""
        try:
            call = rule(module, x)
            if call is None:
                return None
            func, args = call
            told = _operations.facts(func)
            out, spare = foremost(told.rule, args)
            keys = [t.untyped_storage()._cdata for t in args[:5] if type(t) in TENSORS]
        except Exception:  # torch will say it in its own words
            return None
        if out is None:
            return None
        traced = [self._traced[key] for key in keys if key in self._traced]
        field = traced[0][1] if len(traced) == 1 else _fields.merged([seen for _, seen in traced])
        if field is not None and not told.keeps_places:
            field = _fields.after(told.name, args, field, out, alias=False)
        index = self._open(self.paths[module] or self.title, type(module).__name__, shared=True)
        draft, key = self.drafts[index], _key(out)
        if out is not x:
            self._keep(key, out, spare)
            draft.activations = out.numel()
        self._traced[key] = index, field
        draft.params = sum([self._unclaimed.pop(key, 0) for key in keys])
        draft.macs = _operations.flops(told, args, {}, out) // 2
        draft.output_shape, draft.seen, draft.done = self._shape(out), field, True
        draft.inputs = {row: None for row, _ in traced}
        draft.other = _operations.more(draft.other, told, args, x, out)
        return out

    def _enter(self, module: nn.Module, args: tuple, kwargs: dict) -> None:
        path = self.paths[module]
        draft = None
        if not has_parts(module) and (path or not _written_in_functions(module)):
            draft = self._open(path or self.title, type(module).__name__, shared=True)
        tensors = _tensors(args) + _tensors(kwargs)
        given = tuple([tuple(t.shape) for t in tensors])
        self.stack.append(Frame(path, module, draft, given, frozenset([_key(t) for t in tensors])))

    def _leave(self, module: nn.Module, output: Any) -> None:
        while self.stack[-1].module is not module or len(self.stack) == 1:  # a forward that caught an exception
            self.stack.pop()
        frame = self.stack.pop()
        if frame.draft is None:
            return
        draft = self.drafts[frame.draft]
        returned = {id(t): t for t in _tensors(output)}.values()
        for tensor in returned:
            source, seen = self._traced.get(_key(tensor), (frame.draft, None))
            if draft.output_shape is None:
                draft.output_shape, draft.seen = self._shape(tensor), seen
            if source != frame.draft and not draft.inputs:
                draft.inputs[source] = None  # a layer that passes its input on
        draft.activations += sum(t.numel() for t in returned if _key(t) not in frame.received)
        if isinstance(module, _ConvNd) and module.weight.is_complex():  # torch makes it of three real ones
            draft.macs, draft.other = draft.macs // 3, draft.other._replace(bias=draft.other.bias // 2)
        draft.params += self._claim_own(module)
        draft.done = True

    def _open(self, name: str, kind: str, shared: bool) -> int:
        self._calls[name] = self._calls.get(name, 0) + 1
        call = self._calls[name]
        if not shared and call > 1:  # another add of the same block is another row, not a shared layer
            name, call = f"{name}_{call}", 1
        self.drafts.append(Draft(name, kind, call))
        return len(self.drafts) - 1

    def _claim(self, key: int) -> int:
        return self._unclaimed.pop(key, 0)

    def _claim_own(self, module: nn.Module) -> int:
        return sum(self._claim(self._parameter_key(p)) for p in own_parameters(module))

    def _parameter_key(self, parameter: torch.Tensor) -> int:
        return _key(self.stand_ins.get(id(parameter), parameter))

    def _claim_the_rest(self) -> None:
        """Parameters that reached their operation by a detour, or none: their module's row, or one of its own."""
        if not self._unclaimed:
            return
        for part, path in self.paths.items():
            count = self._claim_own(part)
            if not count:
                continue
            inside = [d for d in self.drafts if d.done and d.name.rpartition(".")[0] == path and d.kind.islower()]
            if inside:
                next((d for d in inside if d.macs), inside[0]).params += count
            else:
                self.drafts.append(Draft(path or self.title, type(part).__name__, 0, count, done=True))

    # Tensor operations

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        facts = _operations.facts(func)
        if facts.composite:
            with self:
                return func.decompose(*args, **kwargs)
        sources = _tensors(args) + _tensors(kwargs)
        try:
            out = result(facts.rule, args) if facts.rule and not kwargs else None
            out = func(*args, **kwargs) if out is None else out
        except Exception:
            shapes = " with ".join(str(tuple(t.shape)) for t in sources)
            self.failed = f"{_operations.shown(func, args)} of {shapes}"
            raise
        self.random = self.random or facts.draws
        results = _tensors(out)
        if results:
            self._note(func, args, kwargs, sources, results, out)
        return out

    def _note(
        self, func: Any, args: tuple, kwargs: dict, sources: list[torch.Tensor], results: list[torch.Tensor], out: Any
    ) -> None:
        facts = _operations.facts(func)
        keys = [_key(t) for t in sources]
        written = {_key(t): t for t in results}
        fresh = [key for key in written if key not in keys]
        for key in fresh:
            self._keep(key, written[key])
        flops = _operations.flops(facts, args, kwargs, out)
        traced = [self._traced[key] for key in dict.fromkeys(keys) if key in self._traced]
        field = _fields.merged([seen for _, seen in traced])
        if field is not None and not facts.keeps_places:
            field = _fields.after(facts.name, args, field, results[0], not fresh)
        index = self.stack[-1].draft
        if facts.borrows_shape:
            return
        if index is None:
            if not (flops or (traced and (fresh or facts.mutates))):
                self._pass_on(written, field)
                return
            index = self._open_function(func, args, results[0], fresh, field)
        draft = self.drafts[index]
        draft.macs += flops // 2
        draft.other = _operations.more(draft.other, facts, args, sources[0] if sources else None, results[0])
        draft.inputs.update((row, None) for row, _ in traced if row != index)
        draft.params += sum(map(self._claim, keys))
        if fresh or facts.mutates:
            self._traced.update((key, (index, field)) for key in written)
        else:
            self._pass_on(written, field)

    def _open_function(self, func: Any, args: tuple, result: torch.Tensor, fresh: list[int], field: Any) -> int:
        kind, path = _operations.shown(func, args), self.stack[-1].path
        index = self._open(f"{path}.{kind}" if path else kind, kind, shared=False)
        draft = self.drafts[index]
        draft.output_shape, draft.seen, draft.done = self._shape(result), field, True
        draft.activations = result.numel() if fresh else 0
        return index

    def _pass_on(self, written: dict[int, torch.Tensor], field: Any) -> None:
        """A view: written by whoever wrote the values, seen through its own field."""
        for key in written:
            if key in self._traced:
                self._traced[key] = (self._traced[key][0], field)

    def _shape(self, tensor: torch.Tensor) -> tuple[int, ...]:
        shape = tuple(tensor.shape)
        return shape[1:] if self.batch and shape[:1] == (self.batch,) else shape

    def _keep(self, key: int, tensor: torch.Tensor, beside: int = 0) -> None:
        """Count the bytes of a new storage until it dies; those ``beside`` it die at once."""
        if tensor.layout != torch.strided:
            return
        storage = tensor.untyped_storage()
        size = storage.nbytes()
        self._alive[key] = weakref.ref(storage, partial(self._drop, key, size))
        self._live += size
        if self._live + beside > self.peak:
            self.peak = self._live + beside

    def _drop(self, key: int, size: int, _: Any) -> None:
        self._live -= size
        self._traced.pop(key, None)
        self._alive.pop(key, None)


def has_parts(module: nn.Module) -> bool:
    """Whether a module holds others."""
    return bool(module._modules) and any(part is not None for part in module._modules.values())


def _written_in_functions(network: nn.Module) -> bool:
    """Whether a network without parts does its work in functions: each has a row then, as if it were a layer."""
    return not type(network).__module__.startswith("torch.")


def own_parameters(part: nn.Module) -> list[nn.Parameter]:
    """Those of a module itself, not of its parts; torch's own way through them takes ten times as long."""
    return [p for p in part._parameters.values() if p is not None]


def _key(tensor: torch.Tensor) -> int:
    try:
        return tensor.untyped_storage()._cdata
    except (NotImplementedError, RuntimeError):  # a sparse one has none
        return id(tensor)


def _tensors(value: Any) -> list[torch.Tensor]:
    """All tensors in an argument or a result, in order."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, (tuple, list)):
        value = vars(value).values() if hasattr(value, "__dataclass_fields__") else ()
    found = []
    for item in value:
        if isinstance(item, torch.Tensor):
            found.append(item)
        elif not isinstance(item, _PLAIN):
            found += _tensors(item)
    return found
