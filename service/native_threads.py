"""What a serving process asks of the native libraries below it. Standard library only: it has to come before them."""

from __future__ import annotations

import ctypes
import os

_M_ARENA_MAX = -8
"""glibc's number of mallopt's parameter, from malloc.h."""


def prepare_process() -> None:
    """One core a question, and little memory a thread. Call it before numpy, faiss or the tokeniser are imported.

    Questions run side by side, so a library that spreads one of them over all cores only makes the others wait. What
    the operator set in the environment stays.
    """
    for name, value in (("OMP_NUM_THREADS", "1"), ("TOKENIZERS_PARALLELISM", "false")):
        os.environ.setdefault(name, value)
    if "MALLOC_ARENA_MAX" not in os.environ:
        # glibc gives threads heaps of their own, and none of them shrinks. Other C libraries have no mallopt.
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(_M_ARENA_MAX, 2)
