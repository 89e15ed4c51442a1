"""Recipes of plug-ins: found by name without importing anything, and refused where a name is not clear."""

from __future__ import annotations

import sys

import pytest
from asking import refused

from pkdcli.folders import recipes_root
from pkdcli.plugins import GROUPS
from pkdcli.recipe import library
from pkdcli.recipe.identity import comparable, run_id
from pkdcli.recipe.resolve import Request, resolve
from pkdcli.recipe.sources import folder_of

LOSSES, RECIPES = GROUPS["losses"], GROUPS["recipes"]
IN_PACKAGE = {RECIPES: {"probe": "probe_pack.recipes"}}
LOSS = "name: mine\ntitle: Mine\nsummary: s\ntype: mine\nweight: {default: 4}\n"
SCHEDULE = "name: short\nepochs: 3\nmilestones: [2]\n"
DETECTOR = "name: probe18\ntitle: P\nkind: one-stage\nconfig: probe18.py\nimports: [probe_hooks]\n"
FILES = {
    "probe_pack/__init__.py": "raise SystemExit('imported')",
    "probe_pack/recipes/losses/mine.yaml": LOSS,
    "probe_pack/recipes/schedules/short.yaml": SCHEDULE,
    "probe_pack/recipes/detectors/probe18.yaml": DETECTOR,
    "probe_pack/recipes/detectors/probe18.py": '_base_ = ["mmdet::retinanet/retinanet_r18_fpn_1x_coco.py"]\n',
    "probe_pack/recipes/detectors/probe_hooks.py": "x = 1\n",
    "probe_pack/recipes/pairs/gfl101-probe18.yaml": "name: gfl101-probe18\nteacher: gfl101\nstudent: probe18\n"
    "schedule: short\n",
}


@pytest.mark.parametrize("value", ["probe_pack.recipes", "probe_pack:recipes"])
def test_a_folder_of_recipes_is_found_without_importing_its_package(install, value):
    folder = install({RECIPES: {"probe": value}}, FILES)
    assert "short" in library.names("schedules")
    assert library.load("schedules", "short").epochs == 3
    assert library.path_of("schedules", "short") == folder / "probe_pack/recipes/schedules/short.yaml"
    assert [one.name for one in library.load_all("schedules")] == ["1x", "2x", "2x+ms", "short"]
    assert "probe_pack" not in sys.modules


def test_what_a_recipe_of_a_plug_in_names_beside_it_is_found(install):
    folder = install(IN_PACKAGE, FILES) / "probe_pack/recipes/detectors"
    recipe = resolve(Request(pair="gfl101-probe18", scale="tiny"))
    assert run_id(recipe).startswith("gfl101-probe18__pkd-w10__short__shapes-tiny__s0-")
    assert "'depth': 18" in recipe.student.config_content
    (module,) = recipe.student.imports
    assert (module.module, module.folder) == ("probe_hooks", str(folder))


def test_a_loss_without_a_recipe_has_one_of_defaults(install):
    install({LOSSES: {"mine": "probe_losses:Mine"}})
    loss = library.load("losses", "mine")
    assert (loss.title, loss.weight.default, loss.params) == ("probe_losses:Mine of pkd-probe", 1, {})
    recipe = resolve(Request(loss="mine", scale="tiny", sets=("loss.params.delta=2",)))
    assert (recipe.loss.type, recipe.loss.weight, recipe.loss.params) == ("mine", 1, {"delta": 2})
    assert run_id(recipe).startswith("gfl101-fcos50__mine-w1__2x__shapes-tiny__s0-")
    error = refused(library.path_of, "losses", "mine")
    assert error.message == (
        "loss 'mine' has no file: it is the plug-in pkd-probe 0.1 (entry point mine = probe_losses:Mine of "
        "pkdcli.losses)."
    )


def test_the_version_of_a_plug_in_is_no_part_of_a_runs_name(install):
    def run():
        recipe = resolve(Request(loss="mine", scale="tiny"))
        return run_id(recipe), comparable(recipe)

    install({LOSSES: {"mine": "probe_losses:Mine"}})
    before = run()
    install({LOSSES: {"mine": "probe_elsewhere:Ours"}}, version="0.2")
    assert run() == before


def test_a_recipe_of_the_same_distribution_takes_the_place_of_the_defaults(install):
    install({**IN_PACKAGE, LOSSES: {"mine": "probe_losses:Mine"}}, FILES)
    assert library.load("losses", "mine").weight.default == 4


def test_a_name_that_pkd_has_is_refused_with_both_sources(install):
    folder = install({**IN_PACKAGE, LOSSES: {"pkd": "probe_losses:Mine"}}, {
        "probe_pack/recipes/schedules/1x.yaml": SCHEDULE.replace("short", "1x")
    })  # fmt: skip
    own = recipes_root()
    error = refused(library.load, "losses", "pkd")
    assert error.message == (
        "loss 'pkd' is not clear: these have that name:\n"
        f"  pkdcli itself ({own}/losses/pkd.yaml)\n"
        "  pkd-probe 0.1 (entry point pkd = probe_losses:Mine of pkdcli.losses)"
    )
    assert error.hint == "Be rid of one: pip uninstall pkd-probe; or install a release of it with another name."
    error = refused(resolve, Request(pair="gfl101-gfl50", schedule="1x", scale="tiny", loss="mse"))
    assert error.message == (
        "schedule '1x' is not clear: these have that name:\n"
        f"  pkdcli itself ({own}/schedules/1x.yaml)\n"
        "  pkd-probe 0.1 (entry point probe = probe_pack.recipes of pkdcli.recipes): "
        f"{folder}/probe_pack/recipes/schedules/1x.yaml"
    )
    # Where the name is not used, nothing is wrong, and what pkd has is listed.
    assert resolve(Request(pair="gfl101-fcos50", scale="tiny", loss="mse")).schedule.name == "2x"
    assert [one.epochs for one in library.load_all("schedules") if one.name == "1x"] == [12]


def test_two_plug_ins_of_one_name_are_refused(install):
    for name in ("pkd-probe", "pkd-third"):
        install({LOSSES: {"mine": "probe_losses:Mine"}}, name=name)
    assert "mine" in library.names("losses")
    assert refused(library.load, "losses", "mine").message == (
        "loss 'mine' is not clear: these have that name:\n"
        "  pkd-probe 0.1 (entry point mine = probe_losses:Mine of pkdcli.losses)\n"
        "  pkd-third 0.1 (entry point mine = probe_losses:Mine of pkdcli.losses)"
    )
    assert "mine" not in [one.name for one in library.load_all("losses")]


def test_a_wrong_recipe_of_a_plug_in_is_refused_where_it_is_named(install):
    install(IN_PACKAGE, {**FILES, "probe_pack/recipes/schedules/wrong.yaml": "epochs: 3\n"})
    error = refused(library.load, "schedules", "wrong")
    assert error.message.splitlines()[0].endswith("probe_pack/recipes/schedules/wrong.yaml: 2 problems:")
    assert [one.name for one in library.load_all("schedules")] == ["1x", "2x", "2x+ms", "short"]


@pytest.mark.parametrize(
    ("value", "cause"),
    [
        ("probe_nothing.recipes", "no package probe_nothing"),
        ("probe_pack.yaml.files", "its package probe_pack has no folder yaml/files"),
    ],
)
def test_a_folder_that_is_not_there_is_told_when_it_is_looked_for(install, value, cause):
    from pkdcli import plugins

    install({RECIPES: {"probe": value}}, FILES)
    assert library.names("schedules") == ["1x", "2x", "2x+ms"]
    error = refused(folder_of, plugins.offered("recipes")[0])
    assert error.message == (
        f"recipes 'probe' of the plug-in pkd-probe 0.1 (entry point probe = {value} of pkdcli.recipes): {cause}."
    )


def test_a_name_that_no_recipe_can_have_is_told_with_its_source(install):
    install({LOSSES: {"My_Loss!": "probe_losses:Mine"}})
    error = refused(library.load, "losses", "My_Loss!")
    assert error.message == (
        "pkd-probe 0.1 (entry point My_Loss! = probe_losses:Mine of pkdcli.losses): name: a name is lower-case "
        "letters, digits and . + _ -, at most 64 of them, not 'My_Loss!'."
    )
