"""What a fake GPU counts, and the line of code that something comes from."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_HERE = str(Path(__file__).parent)
_PACKAGES = ("/pkdcli/", "/mmdet/", "/mmrazor/", "/mmengine/", "/mmcv/")


@dataclass(frozen=True)
class Transfer:
    """One copy between the processor's memory and the device's.

    Attributes:
        up: To the device, or back.
        bytes: Copied.
        pinned: Whether the processor's memory is page-locked.
        non_blocking: Whether that was asked for.
        where: The line of code.
    """

    up: bool
    bytes: int
    pinned: bool
    non_blocking: bool
    where: str

    @property
    def waits(self) -> bool:
        """Whether the processor waits for it, as for all but a copy of pinned memory that may go on by itself."""
        return not (self.pinned and self.non_blocking)


@dataclass
class Counts:
    """What happened in a stretch of code.

    Attributes:
        operations: Kernels by the name of the operation that launched them.
        waits: Waits of the processor for the device, by (reason, line).
        transfers: Copies between the two.
    """

    operations: Counter[str] = field(default_factory=Counter)
    waits: Counter[tuple[str, str]] = field(default_factory=Counter)
    transfers: list[Transfer] = field(default_factory=list)

    @property
    def kernels(self) -> int:
        """Operations that launch a kernel; views, allocations and copies to or from the device are none."""
        return sum(self.operations.values())

    @property
    def syncs(self) -> int:
        """Times that the processor waited for the device."""
        return sum(self.waits.values())

    @property
    def uploaded(self) -> int:
        """Bytes copied to the device."""
        return sum(one.bytes for one in self.transfers if one.up)


_open: list[Counts] = []


@contextmanager
def counting() -> Iterator[Counts]:
    """Count what happens inside; may be nested."""
    counts = Counts()
    _open.append(counts)
    try:
        yield counts
    finally:
        # By identity: two that have counted the same are equal.
        _open[:] = [one for one in _open if one is not counts]


def note_kernel(name: str) -> None:
    """An operation launches a kernel."""
    for counts in _open:
        counts.operations[name] += 1


def note_wait(reason: str) -> None:
    """The processor waits for the device."""
    if _open:
        place = reason, where()
        for counts in _open:
            counts.waits[place] += 1


def note_transfer(up: bool, size: int, pinned: bool, non_blocking: bool) -> None:
    """Bytes are copied between the two; the processor waits, unless the copy can go on by itself.

    Args:
        up: To the device; otherwise from it.
        size: Bytes.
        pinned: The processor's side is in pinned memory.
        non_blocking: The copy was asked not to wait.
    """
    if not _open:
        return
    one = Transfer(up, size, pinned, non_blocking, where())
    for counts in _open:
        counts.transfers.append(one)
    if one.waits:
        note_wait("copy to the device" if up else "copy from the device")


def where() -> str:
    """The innermost line of this project, mmdet, mmrazor, mmengine or mmcv, else of the caller: `file.py:12`."""
    frame, first = sys._getframe(1), "?"
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith(_HERE) and "/torch/" not in file:
            if first == "?":
                first = f"{Path(file).name}:{frame.f_lineno}"
            for package in _PACKAGES:
                if package in file:
                    return f"{file[file.rindex(package) + 1 :]}:{frame.f_lineno}"
        frame = frame.f_back
    return first
