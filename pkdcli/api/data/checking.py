"""Look at a whole data set before anything is trained on it: `pkdcli.data_check()` and `pkd data check`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pkdcli.api.options.keywords import options_of
from pkdcli.errors import ExitCode, PkdError
from pkdcli.launch.outcome import Watcher
from pkdcli.options import HOW, WHERE, option
from pkdcli.runs.store import named_by

if TYPE_CHECKING:
    import pandas as pd

    from pkdcli.data.survey.faults import Fault
    from pkdcli.recipe.schema import Data


@dataclass(frozen=True, kw_only=True)
class DataCheckOptions:
    """Which data set is checked, and what is written.

    Attributes:
        data: Name or file of a data recipe, or the folder of an import.
        decode: Decode every image file.
        fix: A folder for a repaired copy of the annotations, or None.
        html: A file for a page of images with their boxes, or None.
        force: Replace what an earlier check has written there.
    """

    data: str = option(
        help="A data set's name or YAML file, or the folder of an import.",
        metavar="DATA",
        names_of="datasets",
        argument=True,
    )
    decode: bool = option(
        True,
        "Decode every image, and compare all with each other.",
        names=("--decode/--no-decode",),
        panel=HOW,
    )
    fix: Path | None = option(
        None, "Write repaired annotations and a data recipe there; the original stays.", metavar="DIR", panel=WHERE
    )
    html: Path | None = option(None, "Write a page of images with their boxes.", metavar="FILE", panel=WHERE)
    force: bool = option(False, "Replace what is there (--fix, --html).", panel=WHERE)


@dataclass
class Checked:
    """What was found.

    Attributes:
        name: Of the data set.
        splits: By split: images, boxes, sizes and shapes, of all classes and of each.
        faults: What is wrong or odd; what spoils a training first.
        repaired: What `fix` has changed, one sentence each.
        files: What was written.
    """

    name: str
    splits: dict[str, dict[str, Any]]
    faults: list[Fault]
    repaired: list[str] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether nothing was found that would spoil a training."""
        return all(one.weight != "spoils" for one in self.faults)

    def record(self) -> dict[str, Any]:
        """All of it as plain data, as `pkd data check --json` prints it."""
        return {
            "data": self.name,
            "ok": self.ok,
            "splits": self.splits,
            "faults": [one.record() for one in self.faults],
            "repaired": self.repaired,
            "files": self.files,
        }

    def frame(self) -> pd.DataFrame:
        """A row for each split and class: boxes, images, shares of small, medium and large, median sides and shape."""
        import pandas as pd

        rows = []
        for split, numbers in self.splits.items():
            for name, one in {"": numbers["all"], **numbers["classes"]}.items():
                medians = {key: one[key] and one[key][1] for key in ("width", "height", "aspect")}
                rows.append({"split": split, "class": name, "boxes": one["boxes"], "images": one["images"],
                             **one["sizes"], **medians})  # fmt: skip
        return pd.DataFrame(rows)

    def _repr_html_(self) -> str:
        """The numbers as a table, for notebooks."""
        return self.frame().to_html(index=False, na_rep="", float_format="{:.3g}".format)


def data_check(options: DataCheckOptions | None = None, *, watcher: Watcher | None = None, **keywords: Any) -> Checked:
    """Look at a whole data set: counts and sizes by class, and every fault with file, id and remedy.

    Args:
        options: Which, and what to write; or give its fields as keywords.
        watcher: Told of what is being done.
        **keywords: The fields of `DataCheckOptions`.

    Raises:
        PkdError: There is no such data set, or what was to be written can't be. What is wrong with the data is not
            raised but returned.
    """
    from pkdcli.data.joined.classes import has_joins
    from pkdcli.data.joined.make import notes_of
    from pkdcli.data.survey.faults import ODD, SPOILS, Fault
    from pkdcli.data.survey.survey import survey

    asked = options_of(DataCheckOptions, options, keywords)
    watcher = watcher or Watcher()
    asked_for = load(asked.data)
    for path, name in ((asked.fix, "--fix"), (asked.html, "--html")):
        if path is not None and path.exists() and not asked.force and not (path.is_dir() and not any(path.iterdir())):
            raise PkdError(f"{name}: {path} exists already.", "Name another, or add --force to replace it.")
    try:
        data = _present(asked_for, watcher)
    except PkdError as error:
        if not has_joins(asked_for) or error.code == ExitCode.MISSING or asked.fix or asked.html:
            raise
        # Nothing can be made of files of which one can't be read: what is wrong with it is what there is to say.
        wrong = Fault("", "refused", SPOILS, error.message.rstrip("."), remedy=error.hint or "")
        return Checked(asked_for.name, {}, [wrong])
    found = survey(data, decode=asked.decode, doing=watcher.doing, counting=watcher.counting)
    told = [Fault(split, "joined", ODD, text.rstrip(".")) for split, texts in notes_of(data).items() for text in texts]
    checked = Checked(data.name, found.splits, found.faults + told)
    if asked.fix is not None:
        from pkdcli.data.survey.repair import repair

        with named_by("--fix DIR"):
            recipe, checked.repaired = repair(found, asked.fix.expanduser().absolute())
        checked.files["fix"] = str(recipe)
    if asked.html is not None:
        from pkdcli.data.survey.sheet import write_sheet

        with named_by("--html FILE"):
            checked.files["html"] = str(write_sheet(found, asked.html.expanduser().absolute()))
    return checked


def load(name: str) -> Data:
    """A data recipe by its name or file, or the one in the folder of an import.

    Raises:
        PkdError: There is none.
    """
    from pkdcli.recipe.resolve import load_data

    folder = Path(name).expanduser()
    if folder.is_dir():
        recipes = sorted(folder.glob("*.yaml"))
        if len(recipes) == 1:
            return load_data(str(recipes[0].absolute()))
        if not recipes and not name.isidentifier():
            raise PkdError(
                f"{folder} holds no data recipe (*.yaml).",
                f"Make one of annotations in another form: pkd data import {name}",
            )
    return load_data(name)


def _present(data: Data, watcher: Watcher) -> Data:
    """The data set with absolute paths; the embedded one is drawn first."""
    from functools import partial

    from pkdcli.data.prepare import present
    from pkdcli.folders import cache_root

    return present(data, cache_root(), partial(watcher.on_data, data.name))
