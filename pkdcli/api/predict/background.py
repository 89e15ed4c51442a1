"""Work that is done in threads while the detector looks at the next images: reading, drawing and writing pictures."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from pkdcli import cores

THREADS = 4  # at most: encoding and decoding let other threads run
WAITING = 16  # pieces at most that are not done; then the next waits, so that memory does not grow


class Background:
    """Threads for pieces of work, and one of its own for those that keep their order.

    An error of a piece is raised by whoever hands over one of the next, or closes.

    Args:
        threads: How many; by default as many as there are cores, and four at most.
    """

    def __init__(self, threads: int | None = None) -> None:
        self._any = ThreadPoolExecutor(threads or max(1, min(THREADS, cores.share())))
        self._one = ThreadPoolExecutor(1)
        self._waiting: deque[Future[None]] = deque()

    def at_any_time(self, work: Callable[[], None]) -> None:
        """Have a piece done before, after or beside others.

        Args:
            work: The piece.
        """
        self._add(self._any.submit(work))

    def in_turn(self, work: Callable[[], None]) -> None:
        """Have a piece done after those that were handed over so before.

        Args:
            work: The piece.
        """
        self._add(self._one.submit(work))

    def _add(self, future: Future[None]) -> None:
        self._waiting.append(future)
        while len(self._waiting) > WAITING:
            self._waiting.popleft().result()

    def close(self) -> None:
        """Wait for what was handed over; the first error of it is raised when all has ended."""
        for pool in (self._any, self._one):
            pool.shutdown(wait=True)
        while self._waiting:
            self._waiting.popleft().result()
