"""The check of a data set is measured in a process of its own."""

from __future__ import annotations

import pytest

from pkdcli.engine.bench.inputs.checking import checked
from pkdcli.errors import PkdError


def test_the_seconds_and_the_memory_of_a_check(micro):
    ballast = bytearray(b"x") * 600_000_000  # of this process, which is not counted
    seconds, memory = checked(micro)
    assert len(ballast) == 600_000_000
    assert 0 < seconds < 60
    assert 0.02 < memory < 0.5  # Python, numpy and pydantic; torch alone would take more


def test_data_that_is_refused(tmp_path):
    with pytest.raises(PkdError) as caught:
        checked(tmp_path / "absent.yaml")
    file = tmp_path / "absent.yaml"
    assert caught.value.message == (
        f"the check of {file} found:\nthere is no recipe file {file}.\nIt should describe a data set."
    )


def test_the_memory_of_who_asks_is_not_counted(micro):
    held = bytearray(700 * 2**20)  # written, as zeros alone would take no memory
    held[:: 2**12] = b"\1" * len(held[:: 2**12])
    assert checked(micro)[1] < 0.5
    assert len(held) > 0
