"""Measuring that survives a busy machine: pieces take turns (A B A B), and ratios are taken round by round.

A load that comes and goes slows neighbours in time alike, so their ratio stays when their seconds do not.
"""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

MB = 2**20
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
clock = "wall"
"""What `interleaved` reads, by default; on a busy machine the processor time of one thread is the steadier one."""


@dataclass
class Section:
    """What one section has found.

    Attributes:
        name: As `--only` names it.
        title: Stands above its table.
        timings: `name`, `seconds` (every sample), `median`.
        ratios: `name`, `of` and `by` (the timings it was made of), `value` (the median over the rounds), `low` and
            `high` (its quartiles), and what was to be reached: `at_least` or `at_most`, or None, with `ok`.
        numbers: `name`, `value`, `unit`, and the bounds as above.
        notes: Conditions, and what a reader must know.
    """

    name: str
    title: str
    timings: list[dict[str, Any]] = field(default_factory=list)
    ratios: list[dict[str, Any]] = field(default_factory=list)
    numbers: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def time(self, samples: Mapping[str, Sequence[float]]) -> None:
        """Note the samples of some pieces, in seconds."""
        for name, seconds in samples.items():
            self.timings.append({"name": name, "seconds": list(seconds), "median": statistics.median(seconds)})

    def ratio(
        self,
        name: str,
        of: Sequence[str],
        by: Sequence[str],
        *,
        at_least: float | None = None,
        at_most: float | None = None,
        times: float = 1.0,
        less: float = 0.0,
    ) -> float:
        """Note the ratio of some timings' sum by others', each round by itself; returns its median.

        Args:
            name: Of the ratio.
            of: The names of the timings above the line.
            by: Those below it.
            at_least: What it should be at least.
            at_most: What it should be at most.
            times: A factor, where K runs are held against one.
            less: Taken off: 1 makes a ratio an overhead.
        """
        taken = {timing["name"]: timing["seconds"] for timing in self.timings}
        above, below = ([sum(one) for one in zip(*(taken[key] for key in keys), strict=True)] for keys in (of, by))
        values = [times * a / b - less for a, b in zip(above, below, strict=True)]
        low, value, high = quartiles(values)
        bounds = _bounds(value, at_least, at_most)
        self.ratios.append({"name": name, "of": list(of), "by": list(by), "times": times, "less": less,
                            "value": value, "low": low, "high": high, **bounds})  # fmt: skip
        return value

    def number(
        self, name: str, value: float, unit: str, *, at_least: float | None = None, at_most: float | None = None
    ) -> None:
        """Note a number that is no time.

        Args:
            name: What it is of.
            value: The number.
            unit: Such as MiB; empty where it has none.
            at_least: What it should be at least.
            at_most: What it should be at most.
        """
        self.numbers.append({"name": name, "value": value, "unit": unit, **_bounds(value, at_least, at_most)})

    def as_dict(self) -> dict[str, Any]:
        """The section as JSON."""
        return asdict(self)


def _bounds(value: float, at_least: float | None, at_most: float | None) -> dict[str, Any]:
    ok = None if at_least is None and at_most is None else value >= at_least if at_most is None else value <= at_most
    return {"at_least": at_least, "at_most": at_most, "ok": ok}


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """The lower quartile, the median and the upper quartile; of a single value that value."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def interleaved(
    pieces: Mapping[str, Callable[[], Any]],
    repeat: int,
    warmup: int = 1,
    wait: Callable[[], None] | None = None,
    read: Callable[[], float] | None = None,
) -> dict[str, list[float]]:
    """Seconds of each piece, by name: a sample a round, in which all pieces take their turn.

    Args:
        pieces: What to time.
        repeat: Rounds that count.
        warmup: Rounds before those.
        wait: Waits for the device; by default for CUDA's where there is one.
        read: Reads the clock, in seconds; by default `clock`. Pieces that are other processes need `elsewhere`.
    """
    wait, read = wait or settle, read or CLOCKS[clock]
    samples: dict[str, list[float]] = {name: [] for name in pieces}
    for turn in range(warmup + repeat):
        for name, piece in pieces.items():
            wait()
            begin = read()
            piece()
            wait()
            if turn >= warmup:
                samples[name].append(read() - begin)
    return samples


def elsewhere() -> Callable[[], float]:
    """The clock for pieces that are processes of their own: the wall's, or the processor time of those that ended."""
    return time.perf_counter if clock == "wall" else _of_children


def _of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def settle() -> None:
    """Wait for what the device still has to do."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def extra_memory(piece: Callable[[], Any], on_gpu: bool | None = None) -> float:
    """The most memory in MiB that a piece had allocated at a time, beyond what there was before it.

    On the CPU by PyTorch's allocator: what a library such as oneDNN takes for itself is not seen.

    Args:
        piece: What is measured.
        on_gpu: Of the GPU, or of the processor; None for the GPU where there is one.
    """
    if torch.cuda.is_available() if on_gpu is None else on_gpu:
        torch.cuda.synchronize()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        piece()
        torch.cuda.synchronize()
        return (torch.cuda.max_memory_allocated() - before) / MB
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        piece()
    events = [event for event in profile.profiler.kineto_results.events() if event.name() == "[memory]"]
    now = most = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        now += event.nbytes()
        most = max(most, now)
    return most / MB
