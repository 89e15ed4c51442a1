"""The pair of a request: one that has a recipe, or two detectors that were given one by one."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from pkdcli.errors import PkdError
from pkdcli.recipe import library
from pkdcli.recipe.detectors.given import pair_name, paper_schedule
from pkdcli.recipe.detectors.read import config_of
from pkdcli.recipe.own import with_imports
from pkdcli.recipe.schema import Detector, Pair


@dataclass(frozen=True)
class Chosen:
    """A pair with its detectors.

    Attributes:
        pair: As its recipe has it, or as follows from what was given.
        teacher: Read.
        student: Read.
        where: What names its schedule, for messages: the file of its recipe, and a colon.
    """

    pair: Pair
    teacher: Detector
    student: Detector
    where: str = ""


def choose(pair: str, teacher: str | None = None, student: str | None = None) -> Chosen:
    """The pair that was asked for, its detectors read.

    Args:
        pair: The name or the file of its recipe.
        teacher: Takes the place of the pair's: a recipe's name or file, or a config's.
        student: The same.

    Raises:
        PkdError: One of them is nowhere, or something in it is wrong.
    """
    if teacher is not None and student is not None:
        recipe = _of_both(teacher, student)
        return _from_recipe(recipe, library.load("pairs", recipe)) if recipe else _given(None, teacher, student)
    base: Pair = library.load("pairs", pair)
    halves = (base.teacher if teacher is None else teacher, base.student if student is None else student)
    if halves == (base.teacher, base.student):
        return _from_recipe(pair, base)
    recipe = _of_both(*halves)
    return _from_recipe(recipe, library.load("pairs", recipe)) if recipe else _given(base, teacher, student)


def tapped(asked: tuple[str, ...]) -> tuple[str | None, str | None]:
    """The modules of teacher and student that `--tap` names; None where it names none.

    Args:
        asked: `MODULE` of both, `teacher=MODULE`, `student=MODULE`.

    Raises:
        PkdError: One is named twice, or for nobody.
    """
    found: dict[str, str] = {}
    for text in asked:
        who, equals, module = text.partition("=")
        who, module = (who.strip(), module.strip()) if equals else ("both", text.strip())
        if who not in ("teacher", "student", "both") or not module:
            raise PkdError(f"--tap: {text!r} names no module.", "Examples: --tap neck.0, --tap student=backbone")
        if who in found:
            whose = {"both": "for both detectors"}.get(who, f"of the {who}")
            raise PkdError(f"--tap: {found[who]!r} and {module!r}: one module {whose} is compared.", "Leave out one.")
        found[who] = module
    return found.get("teacher", found.get("both")), found.get("student", found.get("both"))


def _of_both(teacher: str, student: str) -> str | None:
    """The name of the recipe of a pair that has these two detectors, both by name; None where there is none."""
    found = [one.name for one in library.load_all("pairs") if (one.teacher, one.student) == (teacher, student)]
    return found[0] if found else None


def _from_recipe(name: str, pair: Pair) -> Chosen:
    where = f"{library.path_of('pairs', name)}: "
    teacher = library.load("detectors", pair.teacher, f"{where}teacher")
    student = library.load("detectors", pair.student, f"{where}student")
    return Chosen(pair, *(with_imports(one, pair.imports) for one in (teacher, student)), where)


def _given(base: Pair | None, teacher: str | None, student: str | None) -> Chosen:
    """A pair without a recipe; a half that is not given is that of `base`, with what `base` says of it."""
    halves, update = [], {}
    for key, word in (("teacher", teacher), ("student", student)):
        if word is None:
            read = with_imports(library.load("detectors", getattr(base, key)), base.imports)
        else:
            read = library.load("detectors", word, None if library.config_of(word) is None else f"--{key}")
        halves.append(read)
    if base is not None and teacher is None:
        update["teacher_checkpoint"] = base.teacher_checkpoint
    if base is not None and student is None:
        update |= {"schedule": base.schedule, "training": base.training}
    else:
        update["schedule"] = _schedule_of(student, halves[1])
    names = {"teacher": halves[0].name, "student": halves[1].name}
    return Chosen(Pair(name=pair_name(*names.values()), **names, **update), *halves)


def _schedule_of(word: str | None, student: Detector) -> str:
    """That of most pairs with this student, so that its baseline serves them all; else by its config's length."""
    pairs = [one for one in library.load_all("pairs") if one.student == word and "schedule" in one.model_fields_set]
    found = Counter(one.schedule for one in pairs)
    return found.most_common(1)[0][0] if found else paper_schedule(config_of(student))
