"""What a serving process asks of the interpreter and the native libraries below it.

Standard library only: `prepare_process` has to come before everything else.
"""

from __future__ import annotations

import ctypes
import gc
import os

_M_ARENA_MAX, _M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD = -8, -3, -1
"""glibc's numbers of mallopt's parameters, from malloc.h."""

_ARENAS = 2
_LARGE_BYTES = 4 * 1024 * 1024
"""Blocks from here on are pages of their own, which go back when they are freed. Left to itself glibc raises the limit
to what was freed last, up to 32 MB, and keeps the holes. It is more than any question works with, which would otherwise
get its memory anew from the kernel, page by page."""


def prepare_process() -> None:
    """One core a question, little memory a thread, and a quick start. Call it before anything large is imported.

    Questions run side by side, so a library that spreads one of them over all cores only makes the others wait. What
    the operator set in the environment stays. Garbage collection is off until `settle_process`: what is imported stays,
    and looking through it again and again takes a twelfth of the start.
    """
    for name, value in (("OMP_NUM_THREADS", "1"), ("OPENBLAS_NUM_THREADS", "1"), ("TOKENIZERS_PARALLELISM", "false")):
        os.environ.setdefault(name, value)
    for variable, parameter, number in (
        # glibc gives threads heaps of their own, and none of them shrinks.
        ("MALLOC_ARENA_MAX", _M_ARENA_MAX, _ARENAS),
        ("MALLOC_MMAP_THRESHOLD_", _M_MMAP_THRESHOLD, _LARGE_BYTES),
        ("MALLOC_TRIM_THRESHOLD_", _M_TRIM_THRESHOLD, _LARGE_BYTES),
    ):
        if variable not in os.environ:
            _c_library("mallopt", parameter, number)
    gc.disable()


def settle_process() -> None:
    """Call it when everything is loaded: give back what loading left, and never look through the rest for garbage."""
    gc.collect()
    gc.freeze()
    gc.enable()
    release_memory()


def release_memory() -> None:
    """Give unused pages back to the kernel; takes a few milliseconds."""
    _c_library("malloc_trim", 0)


def _c_library(function: str, *numbers: int) -> None:
    """Call a function of glibc's own; other C libraries do without."""
    called = getattr(ctypes.CDLL(None), function, None)
    if called is not None:
        called(*numbers)
