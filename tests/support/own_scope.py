"""What a test leaves current in mmengine does not reach the tests that follow it in the same process."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

_MANAGED = {"mmengine.logging": ("MessageHub", "MMLogger"), "mmengine.registry": ("DefaultScope",)}
"""Classes whose newest instance counts as the current one, by the module that has them."""


@pytest.fixture(autouse=True)
def own_scope() -> Iterator[None]:
    """Let mmengine forget the instances that a test made: a Runner without scope leaves `mmengine` as the current one.

    Whoever then builds something of mmdet's by its name is told that no registry has it, and which test that is depends
    on how the tests are shared among processes.
    """
    before = _names()
    yield
    for kind, names in _names().items():
        for name in names - before.get(kind, set()):
            kind._instance_dict.pop(name, None)


def _names() -> dict[type, set[str]]:
    kinds = [
        getattr(sys.modules[module], name)
        for module, names in _MANAGED.items()
        if module in sys.modules
        for name in names
    ]
    return {kind: set(kind._instance_dict) for kind in kinds}
