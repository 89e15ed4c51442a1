"""The allocator of a worker on the CPU."""

from __future__ import annotations

import ctypes

# glibc's mallopt(3): what it is called, and the values that keep freed memory in the process.
_MALLOPT = {-3: 1 << 30, -1: (1 << 31) - 1, -2: 1 << 26}  # mmap threshold, trim threshold, top pad


def keep_freed_memory() -> bool:
    """Have the C library keep what is freed, instead of giving it back and asking for it again in the next step.

    A training step on the CPU frees feature maps of megabytes, which glibc returns to the system by default: the next
    step then pays for every page anew, some twenty thousand page faults a step at scale tiny.

    Returns:
        Whether the C library takes the hint; another one than glibc does not.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return all([mallopt(option, value) == 1 for option, value in _MALLOPT.items()])
