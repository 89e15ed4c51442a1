"""Options are declared once, and reach commands as they were declared."""

from __future__ import annotations

import re
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from pkdcli import cli
from pkdcli.cli import app
from pkdcli.cli.typer_options import spread
from pkdcli.errors import PkdError
from pkdcli.launch.options import LaunchOptions
from pkdcli.options import Only, OutputOptions, fields, option, sort_keywords
from pkdcli.recipe.options import RecipeOptions, RunOptions, SweepOptions, TableOptions, TeacherOptions

# Options that have the name of another one, and are another.
HOMONYMS = {
    ("report", "--pair"): "which runs are shown, not what is run",
    ("report", "--loss"): "which runs are shown, not what is run",
    ("report", "--seeds"): "how the runs of several seeds are shown",
    ("visualize", "--levels"): "which stages are drawn",
    ("report", "--format"): "of the tables that are shown",
    ("verify", "--format"): "of the claims that are shown",
    ("visualize", "--format"): "of pictures",
    ("visualize", "--pair"): "each figure has one of its own",
    ("visualize", "--teacher"): "a run, a file of weights or zoo",
    ("visualize", "--student"): "a run, a file of weights or zoo",
    ("bench", "--students"): "how many are measured",
    ("visualize", "--scale"): "none is given to a run's own detectors",
    ("visualize", "--image"): "instead of the data set's first ones",
    ("report", "--output"): "a file, or report.html",
    ("verify", "--output"): "a folder",
    ("visualize", "--output"): "a folder",
    ("eval", "--scale"): "of a bare checkpoint",
    ("predict", "--scale"): "of a bare checkpoint",
    ("export", "--scale"): "of a bare checkpoint",
    ("compare", "--format"): "of the tables that are shown",
    ("export", "--format"): "what the detector becomes",
    ("compare", "--output"): "a file",
    ("compare", "--plot"): "of what two runs differ in",
    ("compare", "--plot-dir"): "the same",
    ("diagnose", "--format"): "of the causes that are shown",
    ("diagnose", "--output"): "a file",
    ("predict", "--output"): "a folder of pictures and detections",
    ("export", "--output"): "a folder of the detector",
    ("compare", "--split"): "one that was evaluated, which is not done here",
    ("predict", "--model"): "also both",
    ("export", "--model"): "which one becomes a file",
    ("export", "--image"): "what the file is checked on",
    ("predict", "--batch"): "images at a time, not what is measured",
    ("resume", "--all"): "every run that ended without a result",
    ("tune", "--weight"): "a range",
    ("tune", "--temperature"): "a range",
    ("list", "--all"): "also the losses that no recipe can name",
    ("bench", "--only"): "sections of the measurements",
    ("bench", "--image"): "the size of the images",
    ("bench", "--json"): "one object, and not a line of each event",
    ("bench", "--epochs"): "of the experiment, which has no schedule",
    ("bench", "--threads"): "of the step that is measured",
    ("profile", "--scale"): "of a pair; paper by default",
    ("profile", "--threads"): "of what is measured, of no run",
    ("profile", "--batch"): "one number, not the sizes of a table",
    ("profile", "--repeat"): "rounds of a measurement, not repetitions of a section",
    ("profile", "--device"): "several, one after another",
    ("archive", "--teacher"): "whether teachers are packed",
    ("unpack", "--teacher"): "whether teachers are put into place",
    ("unpack", "--data"): "where a data set lies now, NAME=FOLDER",
    ("archive", "--output"): "the archive",
    ("report", "--split"): "whose numbers are shown, not what is evaluated",
    ("rm", "--yes"): "runs as a whole, not files of theirs",
    ("rm", "--force"): "runs that others need",
    ("archive", "--force"): "an archive that is there",
    ("unpack", "--force"): "runs that are there",
}


def declarations():
    """(command, long name, what declares it) of every option of every command."""
    for info in app.registered_commands:
        for name, hint in typing.get_type_hints(info.callback, include_extras=True).items():
            for said in getattr(hint, "__metadata__", ()):
                declared = getattr(said, "declared", None)
                first = id(declared.origin or declared) if declared else (info.name, name)
                if not isinstance(said, typer.models.OptionInfo):
                    continue
                # Typer takes the first name for a default until it reads the annotation.
                words = [word for word in (said.default, *(said.param_decls or ())) if isinstance(word, str)]
                for word in words or ["--" + name.replace("_", "-")]:
                    if word.startswith("--"):
                        yield info.name, word.split("/")[0], first


def test_no_option_is_declared_twice():
    places: dict[str, dict[object, list[str]]] = {}
    for command, word, declared in declarations():
        if (command, word) not in HOMONYMS:
            places.setdefault(word, {}).setdefault(declared, []).append(command)
    assert {word: list(found.values()) for word, found in places.items() if len(found) > 1} == {}
    assert places["--scale"].popitem()[1] == ["train", "sweep", "tune", "reproduce", "verify", "bench"]
    assert {"--weight", "--weights", "--runs", "--wait", "--share-teacher", "--sbatch-option"} <= set(places)


@pytest.mark.parametrize("name", ["train", "sweep", "tune", "reproduce"])
def test_a_command_that_takes_groups_is_short(name):
    lines = (Path(cli.__file__).parent / "run" / f"{name}.py").read_text().splitlines()
    assert len(lines) <= 60


def test_every_homonym_is_there_and_another_option():
    found: dict[str, dict[str, object]] = {}
    for command, word, declared in declarations():
        found.setdefault(word, {})[command] = declared
    for command, word in HOMONYMS:
        ours = found[word][command]
        # Another homonym may be the same option: a bare checkpoint's scale, of eval as of predict.
        others = [declared for name, declared in found[word].items() if name != command
                  and not (declared == ours and (name, word) in HOMONYMS)]  # fmt: skip
        assert others, word
        assert ours not in others


GROUPS = (RunOptions, SweepOptions, TableOptions, RecipeOptions, TeacherOptions, LaunchOptions, OutputOptions)


@dataclass(frozen=True, kw_only=True)
class Others:
    """The kinds of options that those groups lack."""

    colour: str = option("red", "A colour.", choices=("red", "green"))
    two: tuple[str, str] | None = option(None, "Two words.")
    dpi: int = option(220, "Dots an inch.", min=50, max=1200)
    files: tuple[Path, ...] = option((), "Files.", names=("--file", "-f"), repeatable=True)
    rate: float = option(0.5, "A rate.", above=0)


def typed(*words: str, group: type):
    """The group that a command of its options is called with, or Typer's answer where it is not called."""
    called = []

    def command(group) -> None:
        called.append(group)

    command.__annotations__["group"] = group
    app = typer.Typer()
    app.command()(spread(command))
    answer = CliRunner().invoke(app, list(words))
    if answer.exception and not isinstance(answer.exception, SystemExit):
        raise answer.exception
    return called[0] if called else answer


VALUES = {bool: True, int: 2, float: 2.5, str: "word", Path: Path("a/b")}


@pytest.mark.parametrize("group", [*GROUPS, Others], ids=lambda group: group.__name__)
def test_a_group_is_spread_and_comes_back(group):
    needed = ["table8"] if group is TableOptions else []
    assert typed(*needed, group=group) == group(**({"table": "table8"} if needed else {}))
    words, values = list(needed), {"table": "table8"} if needed else {}
    for field in fields(group):
        if field.option.argument:
            continue
        value = (field.option.choices or (VALUES[field.kind],))[-1] if field.name != "dpi" else 300
        values[field.name] = (value,) * (field.count or 2) if field.several else value
        if field.kind is bool:
            words.append(field.names[0].split("/")[0])
        elif field.listed:
            words += [field.names[0], f"{value},{value}"]
        elif field.count:
            words += [field.names[0], value, value]
        else:
            words += [field.names[-1], str(value)] * (2 if field.several else 1)
    assert typed(*words, group=group) == group(**values)
    assert sort_keywords([group], values) == (group(**values),)


def test_a_flag_is_denied():
    assert typed("--no-pretrained", "--no-share-teacher", group=TeacherOptions) == TeacherOptions(
        pretrained=False, share_teacher=False
    )


def test_a_command_takes_a_group_in_part_with_other_defaults_and_parameters_of_its_own():
    @spread
    def command(
        name: Annotated[str, typer.Argument()],
        run: Annotated[RunOptions, Only("pair", "scale", "weight")] = RunOptions(scale="tiny", weight=3.0, seed=7),
        output: Annotated[OutputOptions, Only("json")] = OutputOptions(),
        much: Annotated[int, typer.Option()] = 1,
    ) -> None:
        print(name, run.scale, run.weight, run.seed, run.pair, output.json, much)

    app = typer.Typer()
    app.command()(command)
    answer = CliRunner().invoke(app, ["me", "--json", "--pair", "mine"])
    assert answer.output == "me tiny 3.0 7 mine True 1\n"
    assert CliRunner().invoke(app, ["me", "--scale", "paper", "--weight", "1"]).output.startswith("me paper 1.0 7 ")
    assert CliRunner().invoke(app, ["me", "--quiet"]).exit_code == 2
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "120"}).output
    assert re.search(r"--scale .*tiny: minutes on two cores. +\[default: tiny\]", shown)
    assert re.search(r"--weight .*\n.*\[default: 3\]", shown)


def test_two_groups_with_one_option_are_a_defect_of_the_command():
    def command(run: RunOptions, sweep: SweepOptions) -> None:
        pass

    with pytest.raises(TypeError, match="two groups have the option 'scale'"):
        spread(command)


@pytest.mark.parametrize(
    ("group", "words", "keywords"),
    [
        (RunOptions, ["--weight", "-1"], {"weight": -1}),
        (RunOptions, ["--temperature", "0"], {"temperature": 0}),
        (RecipeOptions, ["--checkpoint-minutes", "-1"], {"checkpoint_minutes": -1}),
        (SweepOptions, ["--weights", "1,-1"], {"weights": "1,-1"}),
        (SweepOptions, ["--seeds", "0.5"], {"seeds": "0.5"}),
        (SweepOptions, ["--loss", ","], {"loss": ","}),
        (OutputOptions, ["--runs", ""], {"runs": ""}),
        (Others, ["--rate", "0"], {"rate": 0}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_both_refuse_the_same_in_the_same_words(group, words, keywords):
    with pytest.raises(PkdError) as on_the_line:
        typed(*words, group=group)
    with pytest.raises(PkdError) as in_python:
        sort_keywords([group], keywords)
    (keyword,) = keywords
    label, message = on_the_line.value.message.split(": ", 1)
    assert label == words[0]
    assert in_python.value.message.replace("'", "") == f"{keyword}: {message}".replace("'", "")


@pytest.mark.parametrize(
    ("group", "word", "least"),
    [(RecipeOptions, "epochs", 1), (RunOptions, "seed", 0), (LaunchOptions, "gpus-per-node", 0), (Others, "dpi", 50)],
)
def test_both_have_the_same_bounds(group, word, least):
    keyword = word.replace("-", "_")
    assert getattr(typed(f"--{word}", str(least), group=group), keyword) == least
    assert getattr(sort_keywords([group], {keyword: least})[0], keyword) == least
    assert typed(f"--{word}", str(least - 1), group=group).exit_code == 2
    with pytest.raises(PkdError, match=f"^{keyword}: {least - 1} is not a whole number "):
        sort_keywords([group], {keyword: least - 1})


def test_the_only_words():
    with pytest.raises(PkdError) as caught:
        typed("--colour", "gren", group=Others)
    assert (caught.value.message, caught.value.hint) == (
        "unknown --colour 'gren'.",
        "Did you mean 'green'? Allowed: green, red.",
    )
