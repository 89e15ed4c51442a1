"""How large a block of a feature map is to be on this processor: tried out once, in a tenth of a second at most.

A block pays where everything that is done to it finds it in the cache; the smaller it is, the more often threads are
called and wait for each other. Which size is best depends on the caches of a core and on what cores share (a virtual
machine's two may be one), on the threads, and on how fast Python is. So it is tried out, on what the losses do.
It is a matter of speed alone: a channel's numbers are the same, to the last bit, in blocks of any size.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache

import torch

USUAL = 1 << 20
"""Bytes of a buffer for each of up to four threads; two to five buffers are in use at a time."""

LARGEST = 4 << 20
TIMES = (0.5, 1.0, 2.0)  # of the usual size
CLEARLY = 0.9  # of the usual size's time: what is closer may be chance
BUDGET = 0.1  # seconds; on a busy machine fewer rounds, and the usual size where there is not even one
_ROUNDS = 5
_ROWS, _LENGTH = 128, 16384  # two maps of 8 MB, which are in no core's own cache


@lru_cache
def room(threads: int) -> int:
    """Bytes that a buffer of a block may take.

    Args:
        threads: Of PyTorch, as many as work at a block.
    """
    usual = USUAL * min(threads, 4)
    sizes = sorted({min(int(usual * times), LARGEST) for times in TIMES} | {usual})
    return choose(sizes, usual, _trial())


def choose(
    sizes: list[int], usual: int, trial: Callable[[int], None], read: Callable[[], float] = time.perf_counter
) -> int:
    """The size whose trial is clearly the quickest, else the usual one.

    Args:
        sizes: To try, by turns; the least time of each counts, which leaves out what other programs add.
        usual: One of them.
        trial: Does something in blocks of a size.
        read: Reads the clock, in seconds.
    """
    begin, seconds = read(), {size: [] for size in sizes}
    trial(usual)
    for _ in range(_ROUNDS):
        for size in sizes:
            start = read()
            trial(size)
            seconds[size].append(read() - start)
            if read() - begin > BUDGET:
                break
        else:
            continue
        break
    rounds = min(len(found) for found in seconds.values())
    if rounds < 2:
        return usual
    best = {size: min(found[:rounds]) for size, found in seconds.items()}
    quickest = min(best, key=best.__getitem__)
    return quickest if best[quickest] < CLEARLY * best[usual] else usual


def _trial() -> Callable[[int], None]:
    maps = torch.linspace(-2, 2, 2 * _ROWS * _LENGTH).view(2, _ROWS, _LENGTH)

    def run(size: int) -> None:
        rows = max(1, size // (_LENGTH * maps.itemsize))
        first, second = torch.empty(2, rows, _LENGTH)
        for start in range(0, _ROWS, rows):
            s, t = maps[0, start : start + rows], maps[1, start : start + rows]
            a = torch.sub(s, t, out=first[: len(s)])
            torch.exp(a, out=second[: len(s)]).mul_(s)
            torch.mul(a, t, out=a).sum(1)
            torch.linalg.vector_norm(second[: len(s)], dim=1)

    return run
