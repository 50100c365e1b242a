"""Keeps glibc from holding on to memory for every thread.

Its allocator gives each thread an arena of its own, and freed blocks of bodies stay in all of
them: with 32 threads that is tens of MiB that nobody uses. Python runs one thread at a time, so
two arenas serve them all.
"""

from __future__ import annotations

import ctypes
import sys

_M_ARENA_MAX = -8  # <malloc.h>


def limit_arenas(most: int = 2) -> None:
    """Let threads share ``most`` arenas from now on. Does nothing without glibc."""
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:  # musl has no arenas, and no mallopt
            mallopt(_M_ARENA_MAX, most)
