"""A device "elsewhere" beside the CPU, for machines without a GPU: where a tensor lies matters, what it costs does not.

Each tensor on it stands for one on the CPU that does the work. A calculation that mixes the two is refused, as CUDA
refuses it, and so is a look at the values without ``.cpu()``. `register` makes it, for the rest of the process.
"""

import torch
from torch.utils._pytree import tree_leaves, tree_map, tree_map_only
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

NAME, KEY = "elsewhere", "PrivateUse1"
aten = torch.ops.aten
MOVES = ("aten::_to_copy", "aten::copy_", "aten::index", "aten::_index_put_impl_")  # may have tensors of both
BY_ITSELF = ("CompositeExplicitAutograd", "CompositeExplicitAutogradNonFunctional")  # made from others, by default
_behind: dict[int, tuple[torch.UntypedStorage, torch.Tensor]] = {}  # a storage's address: that storage, and the values


class Elsewhere(torch.Tensor):
    """A tensor on the second device; its values lie `behind` it."""

    @staticmethod
    def __new__(cls, values):
        tensor = torch._C._acc.create_empty_tensor(tuple(values.shape), values.dtype)
        tensor.__class__ = cls
        storage = tensor.untyped_storage()
        _behind[storage._cdata] = storage, values  # kept, or the address would serve another tensor
        return tensor


def is_there(value):
    return isinstance(value, torch.Tensor) and value.device.type == NAME


def behind(value):
    if isinstance(value, torch.device):
        return torch.device("cpu")
    return _behind[value.untyped_storage()._cdata][1] if is_there(value) else value


def done_behind(op, *args, **kwargs):
    """Do on the CPU what was asked of the second device."""
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
    here = [tensor for tensor in tensors if not is_there(tensor) and tensor.dim()]
    if here and not (op.name().startswith(MOVES) and (op.name() in MOVES[:2] or is_there(args[0]))):
        raise RuntimeError(f"{op}: expected all tensors to be on the same device, found {NAME} and cpu")
    to_cpu = getattr(kwargs.get("device"), "type", NAME) == "cpu"
    args, kwargs = tree_map(behind, (args, kwargs))
    result = op(*args, **kwargs)
    if to_cpu:
        return result
    known = {id(behind(tensor)): tensor for tensor in tensors if is_there(tensor)}
    places = {behind(tensor).untyped_storage()._cdata for tensor in known.values()}

    def there(value):
        if id(value) in known:
            return known[id(value)]  # changed in place
        is_view = value.untyped_storage()._cdata in places
        return Elsewhere(value if is_view else value.contiguous())  # there is one memory format there

    return tree_map_only(torch.Tensor, there, result)


def register():
    """Make the second device; what must live as long as it is returned."""
    _setup_privateuseone_for_python_backend(NAME)
    torch.__future__.set_swap_module_params_on_conversion(True)  # a weight that moves stays the same weight, as on CUDA
    everything, each = torch.library.Library("_", "IMPL"), torch.library.Library("aten", "IMPL")
    everything.fallback(done_behind, KEY)
    each.impl("_copy_from", _copy_from, KEY)
    each.impl("convolution_overrideable", _convolution, KEY)
    each.impl("convolution_backward_overrideable", _convolution_backward, KEY)
    for op in _made_from_others():  # they would fill an empty tensor, whose size nobody can change here
        each.impl(
            op.name().removeprefix("aten::"), lambda *args, op=op, **kwargs: done_behind(op, *args, **kwargs), KEY
        )
    for method in ("numpy", "__array__"):
        setattr(torch.Tensor, method, _only_here(getattr(torch.Tensor, method)))
    for kind in (torch.Tensor, torch.nn.Parameter):
        kind.__deepcopy__ = _copied(kind.__deepcopy__)
    torch.Generator = _Generator
    return everything, each


def _made_from_others():
    for name in torch._C._dispatch_get_all_op_names():
        packet, _, overload = name.removeprefix("aten::").partition(".")
        op = getattr(getattr(aten, packet, None), overload or "default", None) if name.startswith("aten::") else None
        has = torch._C._dispatch_has_kernel_for_dispatch_key
        if op is None or not any(has(name, key) for key in BY_ITSELF) or has(name, KEY):
            continue
        views = op._schema.is_mutable or any(one.alias_info for one in op._schema.returns)
        if not views and packet not in ("detach", "alias", "lift_fresh", "_to_copy"):
            yield op


def _copy_from(source, target, non_blocking=False):
    behind(target).copy_(behind(source))
    return target


def _convolution(*args):
    return done_behind(aten.convolution.default, *args)


def _convolution_backward(gradient, x, weight, *rest):
    *rest, wanted = rest
    bias = [len(weight)] if wanted[2] else None
    return done_behind(aten.convolution_backward.default, gradient, x, weight, bias, *rest, wanted)


def _only_here(method):
    def look(self, *args, **kwargs):
        if is_there(self):
            raise TypeError(f"can't convert {NAME} device type tensor to numpy: use Tensor.cpu() first")
        return method(self, *args, **kwargs)

    return look


def _copied(deepcopy):
    def copy(self, memo):
        if type(self) is not Elsewhere:
            return deepcopy(self, memo)
        twin = self.detach().clone()
        twin = twin if is_there(twin) else twin.as_subclass(torch.Tensor)  # it came back
        is_weight = isinstance(self, torch.nn.Parameter)
        memo[id(self)] = torch.nn.Parameter(twin, self.requires_grad) if is_weight else twin
        return memo[id(self)]

    return copy


class _Generator(torch.Generator):
    """Chance of the second device is the CPU's."""

    def __new__(cls, device="cpu"):
        return super().__new__(torch._C.Generator, "cpu")
