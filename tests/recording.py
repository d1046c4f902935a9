"""CUDA graphs on a CPU: the calls that reach the kernels are recorded, with their tensors, and made again.

As with a CUDA graph the recording itself changes no tensor, a number is the number of the recording for ever, and a
tensor is a place. A generator goes on from call to call.
"""

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter, tree_map_only


class Tape(TorchDispatchMode):
    """Records each call below autograd, and what the tensors held before."""

    def __init__(self):
        super().__init__()
        self.calls, self.before = [], {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        for tensor in tensors((args, kwargs)):  # all: batch norm changes what its schema says that it reads
            place = tensor.untyped_storage()
            self.before.setdefault(place.data_ptr(), (place, place.clone()))
        result = func(*args, **kwargs)
        known = {tensor.untyped_storage().data_ptr() for tensor in tensors((args, kwargs))}
        made = [tensor for tensor in tensors(result) if tensor.untyped_storage().data_ptr() not in known]
        places = tree_map_only(torch.Tensor, torch.Tensor.detach, (args, kwargs))  # `.data = ` moves a weight away
        self.calls.append((func, *places, result, made))
        return result

    def put_back(self):
        for place, value in self.before.values():
            place.copy_(value)

    @torch.no_grad()
    def replay(self):
        for func, args, kwargs, result, made in self.calls:
            again = func(*args, **kwargs)
            for old, new in zip(tensors(result), tensors(again), strict=True):
                if any(old is tensor for tensor in made):
                    old.copy_(new)


def tensors(tree):
    return [leaf for leaf in tree_iter(tree) if isinstance(leaf, torch.Tensor)]


def record(work, device, generator=None):
    """In the place of `cnnviz.training._recorded.record`."""
    state = None if generator is None else generator.get_state()
    with Tape() as tape:
        result = work()
    tape.put_back()
    if generator is not None:
        generator.set_state(state)
    return result, tape.replay
