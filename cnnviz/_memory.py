"""Memory while a network is trained: reused as long as it lasts, and a plain sentence when it does not. Private."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
from collections.abc import Callable
from typing import Any

import torch


@functools.cache
def keep_freed_memory() -> None:
    """Let glibc reuse what a step frees. By itself it hands it back and fetches it anew, a sixth of LeNet's time."""
    with contextlib.suppress(OSError, AttributeError, TypeError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(-3, 32 << 20)  # M_MMAP_THRESHOLD: the most that it takes, and where its own rule ends up in time
        mallopt(-1, 128 << 20)  # M_TRIM_THRESHOLD
        mallopt(-8, 2)  # M_ARENA_MAX: or each new thread fills a new arena, of up to 8 a core


def within_memory(batch_size: int, work: Callable[[], Any], word: str = "batch_size") -> Any:
    """Do it; where memory runs out, say what would work, and hold on to nothing that filled it."""
    try:
        return work()
    except RuntimeError as error:  # torch.OutOfMemoryError of a GPU is one; the CPU's allocator raises a plain one
        if not is_about_memory(error):
            raise
        half = f"try {word}={batch_size // 2}" if batch_size > 1 else "use smaller pictures or a smaller network"
        text = f"out of memory with {word}={batch_size}: {half} ({str(error).splitlines()[0]})"
    gc.collect()  # only here: the exception held the frames, and they the tensors
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    raise torch.OutOfMemoryError(text)


def is_about_memory(error: BaseException) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
