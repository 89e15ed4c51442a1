"""Trainings that take turns in one process draw, log and name things as if each were alone."""

from __future__ import annotations

import os
import random

import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope

from pkdcli.engine.worker.isolation import ProcessIsolation, free_memory


def draw():
    return random.random(), float(np.random.rand()), float(torch.rand(()))


def fail_after_drawing():
    draw()
    raise ValueError("inside")


def seed(number):
    random.seed(number)
    np.random.seed(number)
    torch.manual_seed(number)


@pytest.fixture
def two(tmp_path):
    made = [ProcessIsolation(tmp_path / f"{name}.txt") for name in "ab"]
    yield made
    for one in made:
        one.close()


def test_each_goes_on_with_its_own_random_numbers_and_the_outside_with_those_it_had(two):
    alone = {}
    for number in (1, 2, 3):
        seed(number)
        alone[number] = [draw(), draw()]
    seed(3)
    found = {1: [], 2: [], 3: [draw()]}
    for number, one in zip((1, 2), two, strict=True):
        with one.activate():
            seed(number)
            found[number].append(draw())
    for number, one in zip((1, 2), two, strict=True):
        with one.activate():
            found[number].append(draw())
    found[3].append(draw())
    assert found == alone


def test_what_is_printed_goes_to_the_log_of_the_one_at_work_even_past_python(two, tmp_path):
    for name, one in zip("ab", two, strict=True):
        with one.activate():
            print(f"ü of {name}", flush=True)
            os.write(1, f"raw {name}\n".encode())
    assert [(tmp_path / f"{name}.txt").read_text("utf-8") for name in "ab"] == ["ü of a\nraw a\n", "ü of b\nraw b\n"]


def test_the_scope_of_one_is_not_that_of_the_other_nor_outside(two):
    before = DefaultScope.get_current_instance()
    first, second = two
    with first.activate():
        DefaultScope.get_instance("isolation-first", scope_name="mmdet")
    with second.activate():
        DefaultScope.get_instance("isolation-second", scope_name="mmrazor")
    with first.activate():
        assert DefaultScope.get_current_instance().scope_name == "mmdet"
    with second.activate():
        assert DefaultScope.get_current_instance().scope_name == "mmrazor"
    if before is not None:
        assert DefaultScope.get_current_instance() is before
    first.close()
    assert not DefaultScope.check_instance_created("isolation-first")
    assert DefaultScope.check_instance_created("isolation-second")


def test_an_error_inside_leaves_the_outside_as_it_was(two, capfd):
    seed(5)
    expected = draw()
    seed(5)
    with pytest.raises(ValueError, match="inside"), two[0].activate():
        fail_after_drawing()
    assert draw() == expected
    os.write(1, b"outside\n")
    assert capfd.readouterr().out == "outside\n"


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU's own memory counts there")
@pytest.mark.parametrize(
    ("limit", "free"),
    [(None, 4_096_000), ("max", 4_096_000), ("1000000", 1_000_000 - 300_000 + 50_000), ("90000000", 4_096_000)],
)
def test_free_memory_is_the_least_of_the_machines_and_the_containers(tmp_path, limit, free):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal: 9000 kB\nMemAvailable:    4000 kB\n")
    if limit is not None:
        group = tmp_path / "sys/fs/cgroup"
        group.mkdir(parents=True)
        (group / "memory.max").write_text(limit + "\n")
        (group / "memory.current").write_text("300000\n")
        (group / "memory.stat").write_text("anon 7\ninactive_file 50000\n")
    assert free_memory(tmp_path) == free
