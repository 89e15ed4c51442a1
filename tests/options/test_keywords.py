"""Keywords of Python functions: sorted into groups, read as the command line reads its options."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pytest

from pkdcli.errors import PkdError
from pkdcli.launch.options import LaunchOptions
from pkdcli.options import Only, OutputOptions, like, option, sort_keywords
from pkdcli.recipe.options import RecipeOptions, RunOptions, SweepOptions, TableOptions, TeacherOptions

TRAIN = (RunOptions, RecipeOptions, TeacherOptions, LaunchOptions, OutputOptions)


@dataclass(frozen=True, kw_only=True)
class Others:
    """What no command of pkd has yet."""

    colour: str = option("red", "A colour.", choices=("red", "green"))
    pair: tuple[str, str] | None = option(None, "Two words.")
    dpi: int = option(220, "Dots an inch.", min=50, max=1200)
    files: tuple[Path, ...] = option((), "Files.", names=("--file",), repeatable=True)
    batch: int | None = like(RecipeOptions, "batch_size", names=("--batch",))


def wrong(groups, **keywords) -> tuple[str, str | None]:
    with pytest.raises(PkdError) as caught:
        sort_keywords(groups, keywords)
    assert caught.value.code == 2
    return caught.value.message, caught.value.hint


def test_keywords_become_the_groups():
    given = {"pair": "gfl101-gfl50", "weight": 5, "epochs": 2, "gpus": 2, "runs": "here", "teacher_checkpoint": "t.pth"}
    assert sort_keywords(TRAIN, given) == (
        RunOptions(pair="gfl101-gfl50", weight=5.0),
        RecipeOptions(epochs=2),
        TeacherOptions(teacher_checkpoint=Path("t.pth")),
        LaunchOptions(gpus=2),
        OutputOptions(runs=Path("here")),
    )
    assert sort_keywords(TRAIN, {}) == tuple(group() for group in TRAIN)


def test_an_unknown_keyword_gets_the_nearest():
    message, hint = wrong(TRAIN, wieght=5)
    assert message == "unknown keyword 'wieght'."
    assert hint.startswith("Did you mean 'weight'? Allowed: account, accumulate, allow_bad_data, amp, batch_size, ")
    assert wrong(TRAIN, no_pretrained=True)[1].startswith("Did you mean 'pretrained'? ")


@pytest.mark.parametrize(
    ("keyword", "value", "allowed", "example"),
    [
        ("weight", -1, "a finite number of 0 or more", "10"),
        ("weight", True, "a finite number of 0 or more", "10"),
        ("weight", "5", "a finite number of 0 or more", "10"),
        ("weight", float("nan"), "a finite number of 0 or more", "10"),
        ("weight", [1], "a finite number of 0 or more", "10"),
        ("temperature", 0, "a finite number above 0", "10"),
        ("checkpoint_minutes", -0.5, "a finite number of 0 or more", "10"),
        ("epochs", True, "a whole number of 1 or more", "1"),
        ("epochs", "3", "a whole number of 1 or more", "1"),
        ("epochs", 0, "a whole number of 1 or more", "1"),
        ("epochs", 1.0, "a whole number of 1 or more", "1"),
        ("accumulate", None, "a whole number of 1 or more", "1"),
        ("seed", -1, "a whole number of 0 or more", "0"),
        ("amp", 1, "True or False", "True"),
        ("amp", "yes", "True or False", "True"),
        ("share_teacher", 0, "True or False", "True"),
        ("scale", 5, "a text", "'paper'"),
        ("scale", None, "a text", "'paper'"),
        ("loss", ["pkd"], "a text", "'pkd'"),
        ("runs", 5, "a path", "'PATH'"),
        ("sets", {"a": 1}, "a text", "'KEY=VALUE'"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(keyword, value, allowed, example):
    message, hint = wrong(TRAIN, **{keyword: value})
    assert (message, hint) == (f"{keyword}: {value!r} is not {allowed}.", f"Example: {keyword}={example}")


@pytest.mark.parametrize("weights", ["10,30", " 10, 30,", [10, 30], (10.0, 30), range(10, 31, 20)], ids=repr)
def test_a_list_is_given_as_one_or_as_it_is_typed(weights):
    (sweep,) = sort_keywords([SweepOptions], {"weights": weights})
    assert sweep == SweepOptions(weights=(10.0, 30.0))


def test_lists_of_the_other_kinds():
    given = {"seeds": "0,1,2", "losses": ["pkd", "mse"], "temperatures": 5, "pairs": "gfl101-gfl50", "sets": "a=1,2"}
    (sweep,) = sort_keywords([SweepOptions], given)
    assert (sweep.seeds, sweep.losses, sweep.temperatures) == ((0, 1, 2), ("pkd", "mse"), (5.0,))
    assert (sweep.pairs, sweep.sets) == (("gfl101-gfl50",), ("a=1,2",))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"weights": []}, "weights: an empty list."),
        ({"weights": ""}, "weights: an empty list."),
        ({"weights": "10,x"}, "weights: 'x' is not a finite number of 0 or more."),
        ({"weights": [10, -1]}, "weights: -1 is not a finite number of 0 or more."),
        ({"weights": [10, "30"]}, "weights: '30' is not a finite number of 0 or more."),
        ({"temperatures": [0]}, "temperatures: 0 is not a finite number above 0."),
        ({"seeds": [0.5]}, "seeds: 0.5 is not a whole number of 0 or more."),
        ({"seeds": "0.5"}, "seeds: '0.5' has a number that is not whole."),
        ({"losses": [5]}, "losses: 5 is not a text."),
        ({"weights": {10: 30}}, "weights: {10: 30} is not a finite number of 0 or more."),
    ],
    ids=repr,
)
def test_a_wrong_list(given, message):
    assert wrong([SweepOptions], **given)[0] == message


def test_the_names_of_the_command_line_are_keywords_too():
    assert sort_keywords([SweepOptions], {"loss": "pkd", "weight": 5, "set": ["a=1"]}) == (
        SweepOptions(losses=("pkd",), weights=(5.0,), sets=("a=1",)),
    )
    twice = wrong([SweepOptions], weights=[1], weight=2)
    assert twice == ("weights and weight name the same thing twice.", "Leave out one of the two.")


def test_an_empty_folder_is_refused():
    assert wrong([OutputOptions], runs="") == (
        "runs: an empty name.",
        "Leave it out, or give a folder; . is the working folder.",
    )


def test_what_has_to_be_there():
    missing = ("table is missing.", "table: table7, table8, table8-plain, or a YAML file.")
    assert wrong([TableOptions], scale="tiny") == missing
    assert sort_keywords([TableOptions], {"table": Path("my.yaml")}) == (TableOptions(table="my.yaml"),)


def test_a_group_in_part_and_with_other_defaults():
    part = Annotated[OutputOptions, Only("runs", "json")]
    assert sort_keywords([part], {"json": True}) == (OutputOptions(json=True),)
    assert wrong([part], quiet=True) == ("unknown keyword 'quiet'.", "Allowed: json, runs.")
    base = RunOptions(scale="tiny", weight=3.0)
    assert sort_keywords([base], {"seed": 1}) == (RunOptions(scale="tiny", weight=3.0, seed=1),)


def test_the_other_kinds_of_values():
    given = {"colour": "green", "pair": ["a", "b"], "dpi": 50, "files": "a.png", "batch": 2}
    (found,) = sort_keywords([Others], given)
    assert found == Others(colour="green", pair=("a", "b"), dpi=50, files=(Path("a.png"),), batch=2)
    assert wrong([Others], colour="gren") == ("unknown colour 'gren'.", "Did you mean 'green'? Allowed: green, red.")
    assert wrong([Others], pair=["a"]) == ("pair: 1 values given.", "It takes 2.")
    assert wrong([Others], dpi=1201)[0] == "dpi: 1201 is not a whole number from 50 to 1200."
    assert wrong([Others], batch=0)[0] == "batch: 0 is not a whole number of 1 or more."
