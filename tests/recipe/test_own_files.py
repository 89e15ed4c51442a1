"""Recipes and configs of the user's own: where their paths lead from any folder, and what a run keeps of them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from own_files import BASE, asked, refused

from pkdcli.config.build import build_config
from pkdcli.errors import PkdError
from pkdcli.experiment.prepare import recipe_yaml
from pkdcli.recipe import configs, library
from pkdcli.recipe.detectors.read import config_of
from pkdcli.recipe.identity import comparable, run_id
from pkdcli.recipe.modules.files import hash_of
from pkdcli.recipe.resolve import Request, resolve
from pkdcli.recipe.schema import Recipe


@pytest.fixture
def folder(own_folder):
    return own_folder


# Where paths lead


def test_every_path_is_relative_to_the_file_that_names_it(folder):
    recipe = asked(folder)
    assert recipe.student.name == "mine"
    assert recipe.student.config == str(folder / "detectors/nets/net.py")
    assert config_of(recipe.student)["model"]["backbone"]["depth"] == 18
    assert resolve(Request(pair="../pairs/pair.yaml", scale="tiny")) == recipe


def test_absolute_paths_and_paths_from_the_users_home(folder, monkeypatch):
    pair, detector = folder / "pairs/pair.yaml", folder / "detectors/mine.yaml"
    before = run_id(asked(folder))
    pair.write_text(pair.read_text().replace("../detectors", str(folder / "detectors")))
    detector.write_text(detector.read_text().replace("nets/net.py", str(folder / "detectors/nets/net.py")))
    assert run_id(asked(folder)) == before
    monkeypatch.setenv("HOME", str(folder))
    pair.write_text(pair.read_text().replace(str(folder / "detectors"), "~/detectors"))
    detector.write_text(detector.read_text().replace(str(folder / "detectors/nets"), "~/detectors/nets"))
    assert run_id(asked(folder)) == before


def test_a_run_is_the_same_when_its_files_are_moved(folder):
    before = asked(folder)
    (folder / "detectors").rename(folder / "moved")
    pair = folder / "pairs/pair.yaml"
    pair.write_text(pair.read_text().replace("detectors", "moved"))
    assert run_id(asked(folder)) == run_id(before)


def test_schedules_scales_losses_and_tables_are_named_by_paths_too(folder):
    (folder / "pairs/short.yaml").write_text("name: short\nepochs: 2\nmilestones: [1]\n")
    pair = folder / "pairs/pair.yaml"
    pair.write_text(pair.read_text().replace("schedule: 1x", "schedule: short.yaml"))
    (folder / "data.yaml").write_text(
        "name: own\ntrain: {images: i, annotations: t.json}\nval: {images: i, annotations: v.json}\n"
    )
    scales = folder / "scales"
    scales.mkdir()
    tiny = library.path_of("scales", "tiny").read_text()
    tiny = tiny.replace("name: tiny", "name: mine").replace("data: shapes", "data: ../data.yaml")
    (scales / "mine.yaml").write_text(tiny)
    recipe = asked(folder, scale="../scales/mine.yaml")
    assert (recipe.schedule.name, recipe.scale.name) == ("short", "mine")
    assert recipe.data.train.annotations == str(folder / "t.json")

    from pkdcli.recipe.table import expand

    (folder / "pairs/table.yaml").write_text(
        "name: mine\ntitle: Mine\nlayout: methods\nrows:\n  - {pair: pair.yaml, schedule: short.yaml, loss: mse}\n"
    )
    table = library.load("tables", "../pairs/table.yaml")
    for only in ((), ("gfl101-mine",), (str(pair),)):
        (line,) = expand(table, Request(scale="tiny"), [0], only)
        assert (line.recipe.pair, line.recipe.schedule.name) == ("gfl101-mine", "short")
    with pytest.raises(PkdError, match="--only: table mine: unknown pair 'gfl'"):
        expand(table, Request(scale="tiny"), [0], ["gfl"])


def test_a_teachers_checkpoint_is_named_by_the_pair(folder):
    pair = folder / "pairs/pair.yaml"
    pair.write_text(pair.read_text() + "teacher_checkpoint: weights/t.pth\n")
    assert asked(folder).teacher_checkpoint == str(folder / "pairs/weights/t.pth")
    assert asked(folder, teacher_checkpoint="u.pth").teacher_checkpoint == "u.pth"
    assert asked(folder, loss="none").teacher_checkpoint is None


def test_a_file_that_is_not_there_is_named_with_who_names_it_and_where(folder):
    pair = folder / "pairs/pair.yaml"
    pair.write_text(pair.read_text().replace("../detectors/mine.yaml", "mine.yaml"))
    error = refused(folder)
    assert error.message == f"{pair}: student: there is no recipe file {folder / 'pairs/mine.yaml'}."
    assert error.hint == "It should describe a detector. A path in a recipe is relative to the recipe's own folder."


def test_a_path_that_is_right_from_the_working_folder_is_told_as_it_should_be_written(folder, monkeypatch):
    monkeypatch.chdir(folder)
    pair = folder / "pairs/pair.yaml"
    pair.write_text(pair.read_text().replace("../detectors/mine.yaml", "detectors/mine.yaml"))
    error = refused(folder)
    written = re.search(r"write (\S+)\.$", error.hint)[1]
    assert written == "../detectors/mine.yaml"
    pair.write_text(pair.read_text().replace("detectors/mine.yaml", written))
    assert asked(folder).student.name == "mine"


def test_a_wrong_name_in_a_pair_is_told_with_the_pairs_file(folder):
    pair = folder / "pairs/pair.yaml"
    pair.write_text(pair.read_text().replace("teacher: gfl101", "teacher: gfl11"))
    error = refused(folder)
    assert error.message == f"{pair}: teacher: unknown detector 'gfl11'."
    assert error.hint.startswith("Did you mean 'gfl101'? Allowed: ")


@pytest.mark.parametrize("config", ["net.py", "./nets/nat.py", "/nowhere/net.py"])
def test_a_config_that_is_not_there(folder, config):
    detector = folder / "detectors/mine.yaml"
    detector.write_text(detector.read_text().replace("nets/net.py", config))
    error = refused(folder)
    place = Path(config) if config.startswith("/") else folder / "detectors" / config
    assert error.message == f"{detector}: config: there is no file {place}."
    assert error.hint == (
        "A path in a recipe is relative to the recipe's own folder; a config of mmdet's is named with its own, as "
        "gfl/gfl_r50_fpn_1x_coco.py is."
    )


def test_a_config_of_mmdets_stays_its_name(folder):
    detector = folder / "detectors/mine.yaml"
    detector.write_text(detector.read_text().replace("nets/net.py", "retinanet/retinanet_r18_fpn_1x_coco.py"))
    student = asked(folder).student
    assert (student.config, student.config_content) == ("retinanet/retinanet_r18_fpn_1x_coco.py", None)


def test_a_config_that_is_set_is_relative_to_where_it_is_typed(folder):
    recipe = asked(folder, sets=("student.config=../detectors/nets/net.py",), pair="gfl101-fcos50")
    assert recipe.student.config == str(folder / "detectors/nets/net.py")
    assert "'depth': 18" in recipe.student.config_content


# What a run keeps


def test_another_network_in_a_config_is_another_run(folder):
    before = asked(folder)
    net, base = folder / "detectors/nets/net.py", folder / "detectors/nets/base.py"
    net.write_text(net.read_text().replace("depth=18", "depth=34"))
    deeper = asked(folder)
    assert run_id(deeper) != run_id(before)
    assert comparable(deeper) != comparable(before)
    # A file that it inherits from is a part of it.
    base.write_text(BASE + "model = dict(neck=dict(num_outs=4))\n")
    assert len({run_id(one) for one in (before, deeper, asked(folder))}) == 3
    # A comment is none.
    net.write_text("# a comment\n" + net.read_text())
    assert run_id(asked(folder)) != run_id(deeper)
    base.write_text(BASE)
    assert run_id(asked(folder)) == run_id(deeper)


def test_a_run_is_made_of_what_the_config_said(folder, tmp_path):
    recipe = asked(folder)
    (tmp_path / "recipe.yaml").write_text(recipe_yaml(recipe))
    net = folder / "detectors/nets/net.py"
    for change in (lambda: net.write_text(net.read_text().replace("18", "34")), net.unlink):
        change()
        again = library.parse(Recipe, library.read_yaml(tmp_path / "recipe.yaml"), "recipe.yaml")
        assert again == recipe
        assert run_id(again) == run_id(recipe)
        data = again.data.model_copy(update={"classes": ["a"], "train_images": 8})
        alone = again.model_copy(update={"role": "baseline", "teacher": None, "data": data})
        backbone = build_config(alone, "/x")["model"]["backbone"]
        assert (backbone["depth"], backbone["out_indices"]) == (18, (0, 1, 2, 3))
    assert "  config_content: |\n" in (tmp_path / "recipe.yaml").read_text()


def test_a_recipe_of_an_earlier_release_reads_the_file_and_keeps_its_name(folder):
    recipe = asked(folder)
    content = recipe.model_dump(mode="json")
    for part in (content, content["loss"], content["teacher"], content["student"]):
        part.pop("imports")
        part.pop("config_content", None)
    content["scale"].pop("batch_per_process")
    old = library.parse(Recipe, content, "recipe.yaml")
    assert old.student.config_content is None
    assert config_of(old.student)["model"] == config_of(recipe.student)["model"]
    assert run_id(old) != run_id(recipe)  # known by the path, as it was


def test_a_config_comes_back_as_it_was(folder):
    content = configs.read_config(folder / "detectors/nets/net.py", "here")
    again = configs.from_text(configs.as_text(content, "here"))
    assert again == {key: content[key] for key in configs.KEPT if key in content}
    assert again.keys() >= {*configs.SECTIONS, "test_dataloader"}
    assert again["model"]["test_cfg"]["limit"] == float("inf")
    assert type(again["model"]["backbone"]["out_indices"]) is tuple


def test_what_a_recipe_can_not_keep(folder):
    net = folder / "detectors/nets/net.py"
    net.write_text(net.read_text() + "custom_hooks = [len]\n")
    # Trained by the paper's settings, it needs none of its hooks.
    assert "custom_hooks" not in configs.from_text(asked(folder, training="paper").student.config_content)
    net.write_text(net.read_text() + "model['backbone']['depth'] = 3 + 4j\n")
    error = refused(folder)
    assert error.message == f"detector mine: {net}: model.backbone.depth: a complex can't be kept in a recipe."


@pytest.mark.parametrize("text", ["model = open('x')", "import os", "model = ", "model.a = 1"])
def test_what_is_kept_is_never_run(text):
    with pytest.raises(PkdError, match="config_content: not a config as pkd keeps it: "):
        configs.from_text(text)


def test_a_config_that_inherits_from_mmdets_is_read_without_a_warning_and_hides_no_other(folder):
    net = folder / "detectors/nets/net.py"
    net.write_text(net.read_text() + "import warnings\nwarnings.warn('mine to see')\ndel warnings\n")
    code = "import sys, pathlib, pkdcli.recipe.configs as c; c.read_config(pathlib.Path(sys.argv[1]), 'x')"
    done = subprocess.run([sys.executable, "-c", code, str(net)], capture_output=True, text=True, check=True)
    assert [line for line in done.stderr.splitlines() if "Warning" in line and "mine to see" not in line] == []
    assert done.stderr.count("mine to see") >= 1


# Modules that --set names


@pytest.mark.parametrize("assignment", [
    "loss.imports=[probe_set]", "teacher.imports=[probe_set]", "student.imports=[probe_set]", "imports=[probe_set]",
    "loss.type=probe_set:Probe",
])
def test_a_module_that_set_names_is_found_where_the_command_is_typed_and_known_by_its_content(folder, assignment):
    module = folder / "elsewhere/probe_set.py"
    module.write_text("class Probe: pass\n")
    first = asked(folder, sets=(assignment,))
    (one,) = first.named_imports
    assert (one.module, one.folder) == ("probe_set", str(folder / "elsewhere"))
    assert one.sha256 == hash_of([module])
    assert run_id(asked(folder, sets=(assignment,))) == run_id(first)
    module.write_text("class Probe: changed = True\n")
    assert run_id(asked(folder, sets=(assignment,))) != run_id(first)


def test_a_recipes_own_modules_are_not_looked_for_where_the_command_is_typed(folder):
    detector = folder / "detectors/mine.yaml"
    detector.write_text(detector.read_text() + "imports: [probe_set]\n")
    before = asked(folder)
    (folder / "elsewhere/probe_set.py").write_text("")
    assert [one.folder for one in asked(folder).student.imports] == [None]
    assert run_id(asked(folder)) == run_id(before)
