"""The commands that a verdict names make just what is lacking: they are typed here."""

from __future__ import annotations

import json
import shlex

import pytest

from pkdcli.api.options.keywords import as_words
from pkdcli.options import fields, sort_keywords
from pkdcli.recipe.identity import comparable, experiment
from pkdcli.recipe.options import RecipeOptions, RunOptions, SweepOptions, TeacherOptions, grid, request
from pkdcli.recipe.resolve import resolve
from pkdcli.recipe.seeds import SeedOptions, seeds_in_turn
from pkdcli.recipe.sweep import expand
from pkdcli.reporting.verdict.commands import baseline_command, more_seeds_command, seeds_command
from pkdcli.reporting.verdict.unlike import unlike_recipes
from pkdcli.runs.store import write_text


@pytest.fixture
def asked(record, tmp_path):
    """A record of a run that was asked for by such a command; none by default."""

    def asked(command=None, **changes):
        if command is not None:
            (tmp_path / "env.json").write_text(json.dumps({"command": command}))
        return record(path=str(tmp_path), foreign=None, **changes)

    return asked


def typed(command, *groups):
    """The groups of options that a command's words stand for."""
    known = {name: field for group in groups for field in fields(group) for name in field.names}
    given, words = {}, iter(shlex.split(command)[2:])
    for word in words:
        field = known[word]
        value = True if field.kind is bool else next(words)
        one = field.kind(value) if field.kind in (int, float) and not field.several else value
        given.setdefault(field.name, []).append(one)
    flat = {name: values if len(values) > 1 else values[0] for name, values in given.items()}
    return sort_keywords(groups, as_words(flat))


SWEEP = ("pkd sweep --loss mse,pkd --weights 10,30 --pair gfl101-fcos50,gfl101-gfl50 --scale tiny --seeds 0,1,2 "
         "--batch-size 16 --epochs 4 --amp --set scale.warmup_share=0.2 --set loss.levels=stride --quiet")  # fmt: skip


def test_a_baseline_is_asked_for_as_its_method_was(asked):
    found = baseline_command(asked(SWEEP), 4)
    assert found == (
        "pkd train --pair gfl101-fcos50 --loss none --schedule 2x --scale tiny --batch-size 16 --epochs 4 --amp "
        "--set scale.warmup_share=0.2 --seed 4"
    )


def test_more_seeds_are_of_that_method_alone(asked):
    found = more_seeds_command(asked(SWEEP.replace("--quiet", "--data own.yaml -q --no-baseline")))
    assert found == (
        "pkd sweep --pair gfl101-fcos50 --loss mse --weights 10 --schedule 2x --scale tiny --batch-size 16 --epochs 4 "
        "--amp --set scale.warmup_share=0.2 --set loss.levels=stride --data own.yaml --until-decided"
    )


def test_the_commands_make_runs_that_can_be_compared(asked):
    asking = SWEEP.replace("--set loss.levels=stride ", "").replace(" --quiet", "")
    sweep, recipe, teacher = typed(asking, SweepOptions, RecipeOptions, TeacherOptions)
    methods = [one for one in expand(request(sweep, recipe, teacher), grid(sweep)) if one.role == "distill"]
    method = next(one for one in methods if one.pair == "gfl101-fcos50" and one.loss.name == "mse"
                  and one.loss.weight == 10 and one.seed == 2)  # fmt: skip
    run, recipe, teacher = typed(baseline_command(asked(asking), 2), RunOptions, RecipeOptions, TeacherOptions)
    baseline = resolve(request(run, recipe, teacher))
    assert (baseline.role, comparable(baseline)) == ("baseline", comparable(method))
    more = typed(more_seeds_command(asked(asking)), SweepOptions, SeedOptions, RecipeOptions, TeacherOptions)
    found = expand(request(more[0], more[2], more[3]), grid(more[0]))
    assert more[1] == SeedOptions(until_decided=True)
    assert [one.role for one in found] == ["baseline", "distill"]
    assert experiment(found[1]) == experiment(method)


def test_they_name_the_folder_where_the_run_is_now(asked, tmp_path):
    record = asked("pkd train --scale tiny --runs /elsewhere/runs")
    assert f" --runs {tmp_path.parent} --seed 3" in baseline_command(record, 3)
    assert f" --runs {tmp_path.parent} --until-decided" in more_seeds_command(record)


@pytest.mark.parametrize("command", [None, "pkdcli.sweep(weights=[10])", "pkd reproduce table8", "pkd train --old 3",
                                     "pkd train 'x", 7])  # fmt: skip
def test_without_a_command_that_is_known_the_columns_tell(asked, command):
    found = baseline_command(asked(command), 0, ["batch"])
    assert found == (
        "pkd train --pair gfl101-fcos50 --loss none --scale tiny --schedule 2x --data shapes --batch-size 8 --seed 0"
    )


def test_detectors_in_place_of_the_pairs_stay(asked):
    command = "pkd train --teacher gfl101 --student mine/student.py --scale tiny --share-teacher --init scratch"
    record = asked(command, pair=None, student="student", schedule=None)
    assert baseline_command(record, 1) == (
        "pkd train --teacher gfl101 --student mine/student.py --loss none --scale tiny --seed 1"
    )
    several = asked(command.replace("--student mine/student.py", "--student fcos50,retina50"), pair=None)
    assert baseline_command(several, 1).startswith("pkd train --teacher gfl101 --student fcos50 --loss none ")


def test_detectors_stand_for_a_pair_that_has_no_name(asked):
    assert baseline_command(asked(pair=None), 0).startswith("pkd train --teacher gfl101 --student fcos50 --loss none ")


def test_imported_runs_get_no_seeds_from_here(asked):
    assert more_seeds_command(asked() | {"foreign": "mmdet"}) is None


def test_a_sweep_of_given_seeds(asked):
    assert seeds_command(asked(None), [0, 1, 4]).endswith(" --loss mse --weights 10 --scale tiny --schedule 2x --data "
                                                          "shapes --seeds 0,1,4")  # fmt: skip
    assert seeds_command(asked() | {"foreign": "mmdet"}, [0, 1]) is None


@pytest.mark.parametrize(("known", "most", "end"), [
    ([0, 1, 2], 10, "--until-decided"), ([0, 1, 2], 11, "--until-decided --max-seeds 11"),
    ([0, 2], None, "--seeds 0,2 --until-decided"), (range(12), 12, "--until-decided --max-seeds 12"),
])  # fmt: skip
def test_the_seeds_that_are_known_and_the_limit_are_told_where_they_are_not_the_commands_own(asked, known, most, end):
    found = more_seeds_command(asked(SWEEP), known, most)
    assert found.endswith(f"--set loss.levels=stride {end}")
    sweep, seeds, *_ = typed(found, SweepOptions, SeedOptions, RecipeOptions, TeacherOptions)
    in_turn, _ = seeds_in_turn(sweep.seeds, seeds, 3)
    assert in_turn[: len(known)] == list(known)
    assert most is None or len(in_turn) >= most


def test_the_keys_in_which_recipes_differ_are_named(record, tmp_path):
    from pkdcli.recipe.resolve import Request

    recipes = {"a": Request(scale="tiny"), "b": Request(scale="tiny", loss="none", amp=True, accumulate=2),
               "c": Request(scale="tiny", loss="none")}  # fmt: skip
    for name, one in recipes.items():
        write_text(tmp_path / name / "recipe.yaml", json.dumps(resolve(one).model_dump(mode="json")))
    a, b, c = (record(name, path=str(tmp_path / name)) for name in recipes)
    assert unlike_recipes(a, b) == ["accumulate", "amp"]
    assert unlike_recipes(a, c) == []
    assert unlike_recipes(a, record("gone", path=str(tmp_path / "gone"))) == []
