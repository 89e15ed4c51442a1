"""A teacher whose features of each batch are computed once, however many students learn from them."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any

from torch import Tensor, nn

Features = dict[str, list[Any]]
"""What the teacher's recorders hold after its forward pass, by their names."""


class SharedTeacher:
    """The teacher of a group of students, its view of the batch and its feature maps in the current step.

    Attributes:
        teacher: Of all students; None until the first of them is built.
        forwards: Forward passes of the teacher so far.
        asked: How many times students have asked for its features.
        seconds: Spent on them, in this process.
    """

    def __init__(self) -> None:
        self.teacher: nn.Module | None = None
        self.forwards = self.asked = 0
        self.seconds = 0.0
        self._inputs: dict[Hashable, Tensor] = {}
        self._records: list[tuple[Tensor, Features, list[tuple[Tensor, int]]]] = []

    def begin(self) -> None:
        """A step with other images begins."""
        self._inputs.clear()
        self._records.clear()

    def inputs(self, view: Hashable, make: Callable[[], Tensor]) -> Tensor:
        """The teacher's view of the batch, as large as the students' (N, 3, H, W).

        Args:
            view: What a student's preprocessor does to the pixels; equal ones show the teacher the same.
            make: Makes it.
        """
        if view not in self._inputs:
            self._inputs[view] = make()
        return self._inputs[view]

    def features(self, inputs: Tensor, make: Callable[[], Mapping[str, list[Any]]]) -> Features:
        """The teacher's feature maps, to be used as constants.

        They are made again where a student's loss has written into those that were there.

        Args:
            inputs: The teacher's view of the batch.
            make: Runs the teacher on it.
        """
        self.asked += 1
        for seen, records, versions in self._records:
            if seen is inputs and all(tensor._version == version for tensor, version in versions):
                return {name: list(buffer) for name, buffer in records.items()}
        begin = time.perf_counter()
        records = {name: list(buffer) for name, buffer in make().items()}
        self.seconds += time.perf_counter() - begin
        self.forwards += 1
        self._records = [one for one in self._records if one[0] is not inputs]
        self._records.append((inputs, records, [(tensor, tensor._version) for tensor in _tensors(records)]))
        return {name: list(buffer) for name, buffer in records.items()}


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from _tensors(one)
    elif isinstance(value, Mapping):
        yield from _tensors(list(value.values()))
