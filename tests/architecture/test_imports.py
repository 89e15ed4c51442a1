"""The law of imports: rooms in layers, torch in its own, no circle, nothing too large."""

from __future__ import annotations

from pathlib import Path
from statistics import median

import pytest
from source import PACKAGE, Source

# Top to bottom: a room imports from itself and from the rows below its own, never upwards nor sideways.
LAYERS = (
    {"__main__"},
    {"cli"},
    {"api"},
    {"reporting"},
    {"experiment"},
    {"config"},
    {"launch", "data"},
    {"runs"},
    {"recipe"},
    {"destinations", "errors", "folders", "cores", "findings", "options", "pages", "plugins"},
)
GROUND = LAYERS[-1]
RANK = {room: rank for rank, rooms in enumerate(LAYERS) for room in rooms}
# Beside the layers: started as a process by `launch`, and imported by nobody.
ENGINE_USES = {"config", "data", "runs", "recipe", "compat", *GROUND}
# Mends the OpenMMLab stack: any process may need that, and it must work before all else.
COMPAT_USES = {"errors"}
TORCH = {"torch", "torchvision", "mmcv", "mmdet", "mmrazor"}

# Imports that the law forbids and that stay, with the reason.
EXCEPTIONS = {
    ("pkdcli.recipe.configs.read", "compat"): "reading mmdet's configs needs the stack mended, and loads no torch",
    ("pkdcli.engine.worker.plugins", "launch"): "`pkd doctor` imports every plug-in in a process that has torch",
    ("pkdcli.runs.run", "engine"): "`Run.load_model()`, which is asked for where torch is wanted",
}
# What is still to be opened. A line that is no longer true fails, so that the lists only shrink.
TO_DO: set[str] = set()
CIRCLES_TO_DO: set[str] = set()
LONG_TO_DO: set[str] = set()
FOLDERS_TO_DO: set[str] = set()


@pytest.fixture(scope="module")
def source() -> Source:
    return Source(Path(__file__).parents[2])


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else module


def allowed(room: str, target: str) -> bool:
    if room == target:
        return True
    if room == PACKAGE:  # the facade, which loads a verb's module when it is first asked for
        return target in RANK and RANK[target] >= RANK["api"]
    if room == "engine":
        return target in ENGINE_USES
    if room == "compat":
        return target in COMPAT_USES
    if room in GROUND:
        return target in GROUND
    return target in RANK and RANK[room] < RANK[target]


def test_rooms_import_downwards_only(source):
    found = {
        f"{module} imports {target}"
        for module, targets in source.imports.items()
        for target in targets
        if target.startswith(f"{PACKAGE}.")
        and not allowed(room_of(module), room_of(target))
        and (module, room_of(target)) not in EXCEPTIONS
    }
    assert found - TO_DO == set(), "against the law at the top of this file"
    assert TO_DO - found == set(), "opened: take these lines out of TO_DO"


def test_exceptions_are_needed(source):
    used = {(module, room_of(target)) for module, targets in source.imports.items() for target in targets}
    assert EXCEPTIONS.keys() - used == set()


def test_every_room_has_its_place_in_the_law(source):
    rooms = {room_of(module) for module in source.modules} - {PACKAGE}
    assert rooms - RANK.keys() == {"engine", "compat"}


def test_torch_is_loaded_in_the_engine_and_in_compat_only(source):
    homes = {
        room_of(module) for module, targets in source.imports.items() if TORCH & {one.split(".")[0] for one in targets}
    }
    assert homes == {"engine", "compat"}


def test_no_modules_import_each_other_in_a_circle(source):
    assert {", ".join(circle) for circle in source.circles} == CIRCLES_TO_DO


def test_no_module_and_no_folder_is_too_large(source):
    sizes = source.files(PACKAGE)
    assert {name for name, lines in sizes.items() if lines > 300} == LONG_TO_DO
    assert median(sizes.values()) <= 110
    assert {name for name, count in source.folders.items() if count > 15} == FOLDERS_TO_DO


def test_imports_are_seen_wherever_they_run(tmp_path):
    """The test of the tests: imports in functions, of submodules, relative ones; not those for type checkers."""
    folder = tmp_path / PACKAGE / "room"
    folder.mkdir(parents=True)
    (tmp_path / PACKAGE / "__init__.py").write_text("")
    (folder / "__init__.py").write_text("from .a import f")
    (folder / "a.py").write_text("def f():\n    from pkdcli.room import b\n    import torch.nn as nn\n")
    (folder / "b.py").write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pkdcli.room.c\n"
        "else:\n    from ..room import a\n"
    )
    (folder / "c.py").write_text("from pkdcli.room.b import a as x\n")
    found = Source(tmp_path)
    assert found.imports == {
        "pkdcli": set(),
        "pkdcli.room": {"pkdcli.room.a"},
        "pkdcli.room.a": {"pkdcli.room.b", "torch.nn"},
        "pkdcli.room.b": {"typing", "pkdcli.room.a"},
        "pkdcli.room.c": {"pkdcli.room.b"},
    }
    assert found.circles == [["pkdcli.room.a", "pkdcli.room.b"]]


@pytest.mark.parametrize(
    ("room", "target", "expected"),
    [
        ("cli", "api", True),
        ("api", "cli", False),
        ("api", "engine", False),
        ("launch", "data", False),
        ("engine", "launch", False),
        ("engine", "config", True),
        ("errors", "recipe", False),
        ("pkdcli", "api", True),
        ("pkdcli", "cli", False),
        ("options", "errors", True),
        ("compat", "recipe", False),
    ],
)
def test_the_law_says_of_two_rooms(room, target, expected):
    assert allowed(room, target) is expected
