"""`--grid KEY=A,B,C`: what it is read as, and the sweep that it makes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pkdcli.errors import PkdError
from pkdcli.recipe.axes.grid import GridAxis, axes, combinations
from pkdcli.recipe.identity import run_id
from pkdcli.recipe.resolve import Request
from pkdcli.recipe.sweep import Grid, expand


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("loss.levels=index,stride", ("index", "stride")),
        ("loss.levels = index , stride", ("index", "stride")),
        ('loss.levels=index,"0:1,1:2"', ("index", '"0:1,1:2"')),
        ("loss.levels=[[0,1],[1,2]],index", ("[[0,1],[1,2]]", "index")),
        ("config.a={b: 1, c: 'x,]'},null", ("{b: 1, c: 'x,]'}", "null")),
        ("student.lr=0.02", ("0.02",)),
    ],
)
def test_values_are_parted_by_commas_outside_quotes_and_brackets(text, values):
    (found,) = axes([text])
    assert found == GridAxis(text.partition("=")[0].strip(), values)


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        (["loss.levels"], "--grid: 'loss.levels' should look like KEY=A,B,C."),
        (["=a,b"], "--grid: '=a,b' should look like KEY=A,B,C."),
        (["loss..levels=a"], "--grid: 'loss..levels=a' should look like KEY=A,B,C."),
        (["loss.levels="], "--grid loss.levels: an empty value in ''."),
        (["loss.levels=index,,stride"], "--grid loss.levels: an empty value in 'index,,stride'."),
        (["loss.levels=[0,1"], "--grid loss.levels: ] is missing in '[0,1'."),
        (["loss.levels=index,index"], "--grid loss.levels: index stands twice."),
        (["seed=0,1", "seed=2"], "--grid seed is given twice."),
    ],
)
def test_what_is_no_grid_is_refused(grid, message):
    with pytest.raises(PkdError) as error:
        axes(grid)
    assert error.value.message == message
    assert error.value.code == 2


def test_every_combination():
    found = axes(["loss.levels=index,stride", "student.lr=0.02,0.04"])
    assert combinations(found) == [
        ("loss.levels=index", "student.lr=0.02"),
        ("loss.levels=index", "student.lr=0.04"),
        ("loss.levels=stride", "student.lr=0.02"),
        ("loss.levels=stride", "student.lr=0.04"),
    ]
    assert combinations([]) == [()]


BASE = Request(scale="tiny")


def sweep(*grid, **changes):
    return expand(replace(BASE, **changes), Grid(losses=("pkd",), keys=axes(grid)))


def test_a_sweep_has_a_run_for_each_and_baselines_where_they_differ():
    found = sweep("loss.levels=index,stride", "student.lr=0.02,0.04")
    assert [(one.role, one.student.lr, one.loss.levels) for one in found] == [
        ("baseline", 0.02, "index"),
        ("distill", 0.02, "index"),
        ("baseline", 0.04, "index"),
        ("distill", 0.04, "index"),
        ("distill", 0.02, "stride"),
        ("distill", 0.04, "stride"),
    ]
    assert len({run_id(one) for one in found}) == 6


def test_the_runs_are_those_of_set():
    (*_, gridded) = sweep("student.lr=0.02")
    (*_, plain) = sweep(sets=("student.lr=0.02",))
    assert run_id(gridded) == run_id(plain)


def test_a_key_that_leads_nowhere_is_said_of_grid_with_the_nearest():
    with pytest.raises(PkdError) as error:
        sweep("loss.levls=index,stride")
    assert error.value.message == "--grid loss.levls: loss has no key 'levls'."
    assert error.value.hint.startswith("Did you mean 'levels'?")
