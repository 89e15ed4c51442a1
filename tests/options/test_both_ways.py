"""Whatever the command line takes for an option, Python takes, with the same value; what one refuses, both do."""

from __future__ import annotations

import os
import sys
from dataclasses import MISSING, dataclass
from pathlib import Path

import pytest
import typer
from hypothesis import example, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from pkdcli.api.options import BenchmarkOptions, EvalOptions, VerifyOptions, VisualizeOptions
from pkdcli.api.runs.cancel import CancelOptions
from pkdcli.api.runs.clean import CleanOptions
from pkdcli.api.runs.resume import ResumeOptions
from pkdcli.cli.typer_options import spread
from pkdcli.errors import PkdError
from pkdcli.launch.options import LaunchOptions
from pkdcli.options import OutputOptions, fields, option, sort_keywords
from pkdcli.recipe.options import RecipeOptions, RunOptions, SweepOptions, TableOptions, TeacherOptions

GROUPS = (
    *(RunOptions, SweepOptions, TableOptions, RecipeOptions, TeacherOptions, LaunchOptions, OutputOptions),
    *(EvalOptions, VerifyOptions, VisualizeOptions, BenchmarkOptions, ResumeOptions, CancelOptions, CleanOptions),
)
REFUSED = "refused"


@dataclass(frozen=True, kw_only=True)
class Kinds:
    """An option of each kind, so that each is tried on its own."""

    whole: int = option(5, min=2, max=9)
    count: int | None = option(None, min=0)
    rate: float = option(0.5, above=0)
    weight: float | None = option(None, min=0)
    weights: tuple[float, ...] = option((), min=0)
    seeds: tuple[int, ...] = option(())
    names: tuple[str, ...] = option(())
    word: str = option("a")
    colour: str = option("red", choices=("red", "green"))
    colours: tuple[str, ...] = option((), choices=("red", "green"))
    runs: Path | None = option(None, folder=True)


@pytest.fixture(scope="module")
def typed():
    """What a command gets for one option, or that it was refused."""
    kept = []

    def command(group: Kinds) -> None:
        kept.append(group)

    app = typer.Typer()
    app.command()(spread(command))
    runner = CliRunner()

    def typed(name, text):
        kept.clear()
        answer = runner.invoke(app, [f"--{name}={text}"])
        if isinstance(answer.exception, PkdError) or answer.exit_code == 2:
            return REFUSED
        if answer.exception is not None:
            raise answer.exception
        return getattr(kept[0], name)

    return typed


def in_python(**keywords):
    (name,) = keywords
    try:
        return getattr(sort_keywords([Kinds], keywords)[0], name)
    except PkdError as error:
        told = error.code == 2 and error.message.startswith((f"{name}: ", f"unknown {name} "))
        return REFUSED if told else error.message


FEW = settings(max_examples=40, deadline=None)


@FEW
@given(st.integers(-20, 20))
@example(2)
@example(9)
def test_whole_numbers(typed, number):
    for name in ("whole", "count"):
        assert typed(name, str(number)) == in_python(**{name: number})
    assert in_python(whole=number) == (number if 2 <= number <= 9 else REFUSED)


@FEW
@given(st.floats(width=32) | st.integers(-5, 5))
@example(0.0)
@example(float("inf"))
@example(float("nan"))
@example(10**400)
def test_numbers(typed, number):
    for name in ("rate", "weight"):
        assert typed(name, repr(number)) == in_python(**{name: number})
    assert (in_python(rate=number) == REFUSED) is not (0 < number <= sys.float_info.max)


@FEW
@given(st.lists(st.floats(-1, 1e6) | st.integers(0, 100), max_size=4))
@example([0.1, 1e-9])
def test_lists_of_numbers(typed, numbers):
    text = ",".join(map(repr, numbers))
    expected = typed("weights", text)
    assert in_python(weights=text) == in_python(weights=numbers) == in_python(weights=tuple(numbers)) == expected
    assert in_python(weights=iter(numbers)) == expected
    assert (expected == REFUSED) is (not numbers or min(numbers) < 0)


@FEW
@given(st.lists(st.integers(-2, 10**6), max_size=4))
@example([-1])
@example([0])
def test_lists_of_whole_numbers(typed, numbers):
    expected = typed("seeds", ",".join(map(str, numbers)))
    assert in_python(seeds=numbers) == in_python(seeds=",".join(map(str, numbers))) == expected
    assert (expected == REFUSED) is (not numbers or min(numbers) < 0)


WORDS = st.text("abcé -_./:", max_size=6)


@FEW
@given(st.lists(WORDS, max_size=3))
@example([""])
@example(["a", ""])
@example([" a "])
def test_lists_of_words(typed, words):
    text = ",".join(words)
    assert typed("names", text) == in_python(names=text)
    if all(word == word.strip() and word for word in words):
        assert in_python(names=words) == in_python(names=text)


@FEW
@given(WORDS)
@example("")
@example("red")
@example("Red")
@example("red ")
def test_words_and_folders(typed, word):
    assert typed("word", word) == in_python(word=word) == word
    assert typed("colour", word) == in_python(colour=word) == (word if word in ("red", "green") else REFUSED)
    assert typed("runs", word) == in_python(runs=word) == (Path(word) if word else REFUSED)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("red", ("red",)),
        ("red,green", ("red", "green")),
        (["green"], ("green",)),
        ("red,gren", REFUSED),
        ([], REFUSED),
        ("", REFUSED),
        (",", REFUSED),
        (["red", 3], REFUSED),
    ],
)
def test_lists_of_the_only_words(typed, words, expected):
    assert in_python(colours=words) == expected
    if isinstance(words, str):
        assert typed("colours", words) == expected


class Index:
    def __index__(self):
        return 3


class Floating:
    def __float__(self):
        return 2.5


class Folder(os.PathLike):
    def __fspath__(self):
        return "a/b"


@pytest.mark.parametrize(
    ("keyword", "value", "expected"),
    [
        ("whole", Index(), 3),
        ("whole", 3.0, REFUSED),
        ("whole", "3", REFUSED),
        ("whole", True, REFUSED),
        ("whole", None, REFUSED),
        ("whole", [3], REFUSED),
        ("count", None, None),
        ("rate", Floating(), 2.5),
        ("rate", "2.5", REFUSED),
        ("rate", True, REFUSED),
        ("rate", 1 + 2j, REFUSED),
        ("rate", b"1", REFUSED),
        ("weights", 3, (3.0,)),
        ("weights", Floating(), (2.5,)),
        ("weights", {1: 2}, REFUSED),
        ("weights", {1.0}, (1.0,)),
        ("weights", range(2), (0.0, 1.0)),
        ("weights", [[1]], REFUSED),
        ("weights", None, REFUSED),
        ("weights", "1;2", REFUSED),
        ("seeds", [1.0], REFUSED),
        ("seeds", "1.0,2", (1, 2)),
        ("seeds", "1.5", REFUSED),
        ("seeds", [True], REFUSED),
        ("names", b"a", REFUSED),
        ("names", ["a,b"], ("a,b",)),
        ("word", Path("a"), REFUSED),
        ("word", b"a", REFUSED),
        ("runs", Folder(), Path("a/b")),
        ("runs", Path("a"), Path("a")),
        ("runs", 3, REFUSED),
        ("runs", None, None),
    ],
)
def test_values_of_other_types(keyword, value, expected):
    found = in_python(**{keyword: value})
    assert found == expected
    assert type(found) is type(expected)


def test_numpys_numbers_are_numbers():
    import numpy as np

    assert in_python(whole=np.int64(3)) == 3
    assert in_python(rate=np.float32(0.5)) == 0.5
    assert in_python(weights=np.array([1.0, 2.0])) == (1.0, 2.0)
    assert in_python(seeds=np.arange(3)) == (0, 1, 2)
    assert in_python(whole=np.float64(3)) == REFUSED
    assert in_python(rate=np.array([1.0, 2.0])) == REFUSED


def test_a_list_of_pandas_is_a_list():
    import pandas as pd

    assert in_python(weights=pd.Series([1, 2])) == (1.0, 2.0)
    assert in_python(names=pd.Index(["a", "b"])) == ("a", "b")
    assert in_python(weights=pd.Series([1.0, None])) == REFUSED


# The options there are


def every_field():
    every = [(group, field) for group in GROUPS for field in fields(group)]
    return [pytest.param(group, field, id=f"{group.__name__}.{field.name}") for group, field in every]


@pytest.mark.parametrize(("group", "field"), every_field())
def test_a_default_is_a_value_that_the_option_takes(group, field):
    if field.default is MISSING:
        with pytest.raises(PkdError, match=f"^{field.name} is missing"):
            sort_keywords([group], {})
    elif field.default != ():
        needed = {one.name: "x" for one in fields(group) if one.default is MISSING}
        (made,) = sort_keywords([group], {**needed, field.name: field.default})
        assert getattr(made, field.name) == field.default


@pytest.mark.parametrize(("group", "field"), every_field())
def test_an_object_is_taken_by_none(group, field):
    with pytest.raises(PkdError) as caught:
        sort_keywords([group], {field.name: object()})
    assert caught.value.message.startswith(f"{field.name}: <object object at ")
    assert caught.value.hint.startswith(f"Example: {field.name}=")
