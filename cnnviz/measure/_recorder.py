"""Watches one forward pass and writes down what each layer did. Private; :mod:`cnnviz.measure` runs it.

A dispatch mode sees every tensor operation of its own thread, functional ones too, and hooks on the watched module tell
whose they are. `torch.utils.flop_counter.FlopCounterMode` would hook every module of the process: a network that trains
in another thread then appears in the table. Its formulas (`flop_registry`) are used here.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import bmm_flop, flop_registry, sdpa_flop

from cnnviz.cost import CostRow, Other
from cnnviz.measure import _fields
from cnnviz.measure._meta import known

aten = torch.ops.aten
ACTIVATIONS = {
    "relu", "hardtanh", "sigmoid", "tanh", "gelu", "silu", "elu", "leaky_relu", "_prelu_kernel", "hardswish",
    "hardsigmoid", "mish", "softplus", "log_sigmoid_forward", "rrelu_with_noise", "celu", "selu", "clamp_min",
}  # fmt: skip
_PLAIN = (int, float, str, type(None))  # what most arguments are
POOLED = _fields.POOLS | _fields.ADAPTIVE | {"mean"}
# What a function called in a forward is shown as; others by their own name without underscores.
SHOWN = {
    "addmm": "linear", "mm": "linear", "bmm": "matmul", "baddbmm": "matmul", "mv": "matmul", "dot": "matmul",
    "native_batch_norm": "batch_norm", "native_layer_norm": "layer_norm", "native_group_norm": "group_norm",
    "max_pool2d_with_indices": "max_pool2d", "max_pool3d_with_indices": "max_pool3d", "native_dropout": "dropout",
}  # fmt: skip


def _trilinear_flop(a: Any, weight: Any, b: Any, *_: Any, out_val: Any = None, **__: Any) -> int:
    return 2 * a.shape[0] * weight.shape[0] * b.shape[-1] * (a.shape[-1] + 1)  # x1 W first, then times x2


# Products that torch's table leaves out: a vector on one side, and attention as a CPU computes it.
MORE_FLOPS: dict[Any, Callable[..., int]] = {
    aten.mv: lambda a, b, **_: 2 * a.numel(),
    aten.addmv: lambda c, a, b, **_: 2 * a.numel(),
    aten.dot: lambda a, b, **_: 2 * a.numel(),
    aten.vdot: lambda a, b, **_: 2 * a.numel(),
    aten.addbmm: lambda c, a, b, **_: bmm_flop(a, b),
    aten._scaled_dot_product_flash_attention_for_cpu: sdpa_flop,
    aten._trilinear: _trilinear_flop,
}


@dataclass
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
    other: Other = field(default_factory=Other)
    done: bool = False

    def row(self, place: dict[int, int], batch: int) -> CostRow:
        seen = self.seen.size if self.seen else None
        inputs = tuple(place[n] for n in self.inputs if n in place)
        counts = self.params, self.macs // batch, self.activations // batch
        other = Other(*(n // batch for n in self.other))
        return CostRow(self.name, self.kind, self.output_shape, *counts, seen, self.call, inputs, other)


@dataclass
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
        for parameter in module.parameters():
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
            self._keep(tensor)

    def hooks(self) -> Iterator[Any]:
        """Hook the watched module and its parts; the caller removes the handles."""
        for part in self.paths:
            yield part.register_forward_pre_hook(_plainly(self._enter), with_kwargs=True)
            yield part.register_forward_hook(_plainly(self._leave), with_kwargs=True)

    def rows(self, finished: bool = True) -> list[CostRow]:
        """Rows of the calls, and after a whole forward pass one for each layer whose parameters nobody read."""
        if finished:
            self._claim_the_rest()
        kept = [n for n, draft in enumerate(self.drafts) if draft.done]
        place = {-1: -1} | {old: new for new, old in enumerate(kept)}
        return [self.drafts[n].row(place, self.batch or 1) for n in kept]

    # Modules

    def _enter(self, module: nn.Module, args: tuple, kwargs: dict) -> None:
        path = self.paths[module]
        draft = None
        if next(module.children(), None) is None:
            draft = self._open(path or self.title, type(module).__name__, shared=True)
        tensors = _tensors((args, kwargs))
        given = tuple(tuple(t.shape) for t in tensors)
        self.stack.append(Frame(path, module, draft, given, frozenset(map(_key, tensors))))

    def _leave(self, module: nn.Module, args: tuple, kwargs: dict, output: Any) -> None:
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
        return sum(self._claim(self._parameter_key(p)) for p in module.parameters(recurse=False))

    def _parameter_key(self, parameter: torch.Tensor) -> int:
        return _key(self.stand_ins.get(id(parameter), parameter))

    def _claim_the_rest(self) -> None:
        """Parameters that reached their operation by a detour, or none: their module's row, or one of its own."""
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
        if _composite(func):  # reaches a mode whole under torch.inference_mode
            with self:
                return func.decompose(*args, **kwargs)
        sources = _tensors((args, kwargs))
        try:
            out = known(func, args) if args and not kwargs else None
            out = func(*args, **kwargs) if out is None else out
        except Exception:
            shapes = " with ".join(str(tuple(t.shape)) for t in sources)
            self.failed = f"{_shown(func, args)} of {shapes}"
            raise
        self.random = self.random or (torch.Tag.nondeterministic_seeded in getattr(func, "tags", ()))
        results = _tensors(out)
        if results:
            self._note(func, args, kwargs, sources, results, out)
        return out

    def _note(
        self, func: Any, args: tuple, kwargs: dict, sources: list[torch.Tensor], results: list[torch.Tensor], out: Any
    ) -> None:
        name = _name(func)
        keys = [_key(t) for t in sources]
        written = {_key(t): t for t in results}
        fresh = [key for key in written if key not in keys]
        for key in fresh:
            self._keep(written[key])
        flops = _flops(func, args, kwargs, out)
        traced = [self._traced[key] for key in dict.fromkeys(keys) if key in self._traced]
        field = _fields.merged([seen for _, seen in traced])
        field = _fields.after(func, name, args, field, results[0], not fresh)
        index = self.stack[-1].draft
        if name.endswith("_like") or name.startswith("new_"):
            return  # has the shape of its argument, not its values
        mutates = func._schema.is_mutable if hasattr(func, "_schema") else False
        if index is None:
            if not (flops or (traced and (fresh or mutates))):
                self._pass_on(written, field)
                return
            index = self._open_function(func, args, results[0], fresh, field)
        draft = self.drafts[index]
        draft.macs += flops // 2
        draft.other = _more(draft.other, name, args, sources, results[0])
        draft.inputs.update((row, None) for row, _ in traced if row != index)
        draft.params += sum(map(self._claim, keys))
        if fresh or mutates:
            self._traced.update((key, (index, field)) for key in written)
        else:
            self._pass_on(written, field)

    def _open_function(self, func: Any, args: tuple, result: torch.Tensor, fresh: list[int], field: Any) -> int:
        kind, path = _shown(func, args), self.stack[-1].path
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

    def _keep(self, tensor: torch.Tensor) -> None:
        """Count the bytes of a new storage until it dies."""
        if tensor.layout != torch.strided:
            return
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        self._alive[key] = weakref.ref(storage, lambda _: self._drop(key, size))
        self._live += size
        self.peak = max(self.peak, self._live)

    def _drop(self, key: int, size: int) -> None:
        self._live -= size
        self._traced.pop(key, None)


def _plainly(hook: Callable[..., None]) -> Callable[..., None]:
    """The hook without function modes, which would be asked about every shape that it reads."""

    def called(*given: Any) -> None:
        with torch._C.DisableTorchFunction():
            hook(*given)

    return called


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


@lru_cache(maxsize=4096)
def _composite(func: Any) -> bool:
    if not hasattr(func, "decompose") or getattr(func, "_overloadpacket", None) in flop_registry:
        return False
    try:
        return torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd")
    except RuntimeError:  # prim::device and the like, known to Python only
        return False


@lru_cache(maxsize=4096)
def _name(func: Any) -> str:
    return getattr(func, "_overloadpacket", func).__name__


def _flops(func: Any, args: tuple, kwargs: dict, out: Any) -> int:
    packet = getattr(func, "_overloadpacket", func)
    formula = flop_registry.get(packet) or MORE_FLOPS.get(packet)
    return int(formula(*args, **kwargs, out_val=out)) if formula else 0


def _shown(func: Any, args: tuple) -> str:
    name = _name(func)
    if name == "convolution":
        return f"conv{'_transpose' if args[6] else ''}{args[1].dim() - 2}d"
    return SHOWN.get(name, name.strip("_"))


def _more(other: Other, name: str, args: tuple, sources: list[torch.Tensor], out: torch.Tensor) -> Other:
    """What was done besides MACs, added to what was done before."""
    if name == "addmm" or (name == "convolution" and args[2] is not None):
        return other._replace(bias=other.bias + out.numel())
    if name in _fields.NORMS:
        return other._replace(norm=other.norm + out.numel())
    if name.removesuffix("_") in ACTIVATIONS:
        return other._replace(activation=other.activation + out.numel())
    if name in POOLED:
        return other._replace(pooling=other.pooling + sources[0].numel())
    return other
