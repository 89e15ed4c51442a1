"""The guides in docs/: their files are written, their commands run, and the pages of the commands are the code's."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import hotcoco
import pytest

from pkdcli.cli import docs
from pkdcli.data.shapes import dataset

FOLDER = Path(__file__).parent.parent / "docs"
PICTURES = 40
# What makes the guide's training last seconds: small pictures, few epochs, and one seed of the three.
SMALL = ("--epochs", "2", "--batch-size", "8", "--workers", "0", "--set", "scale.teacher.epochs=1",
         "--set", "scale.image=[96, 96]")  # fmt: skip
GUIDES = ("add-a-pair.md", "add-a-loss.md", "add-a-data-set.md")


def blocks(guide: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (FOLDER / guide).read_text(), re.DOTALL)


def write_files(guide: str, folder: Path) -> list[str]:
    """Write the files that a guide shows, each named by its first line."""
    names = []
    for block in blocks(guide, "yaml") + blocks(guide, "python"):
        name = re.match(r"# (\S+)\n", block)[1]
        (folder / name).write_text(block)
        names.append(name)
    return names


@pytest.mark.parametrize("guide", GUIDES)
def test_a_guides_commands_do_what_it_says(guide, lab, tmp_path):
    assert write_files(guide, tmp_path)
    for part in ("images", "annotations"):
        shutil.copytree(lab.data.parent / part, tmp_path / part)
    lines = [line for block in blocks(guide, "bash") for line in block.splitlines()]
    assert lines
    for line in lines:
        answer = lab.pkd(*shlex.split(line)[1:], cwd=tmp_path)
        assert answer.code == 0, (line, answer.err)
        assert re.search(r"\d runs", answer.out), line


@pytest.mark.slow
def test_the_guides_loss_trains(lab, tmp_path):
    write_files("add-a-loss.md", tmp_path)
    words = ("--loss", "huber.yaml", "--data", lab.data, *lab.knobs)
    answer = lab.pkd("train", *words, cwd=tmp_path)
    assert answer.code == 0, answer.err
    (run,) = lab.runs.glob("gfl101-fcos50__huber-w10__*")
    assert "my_losses:HuberLoss" in (run / "recipe.yaml").read_text()
    shutil.rmtree(run)


def test_the_pages_of_the_commands_are_the_codes():
    there = {path.name: path.read_text(encoding="utf-8") for path in (FOLDER / "commands").glob("*.md")}
    assert there == docs.pages(), "Type: python -m pkdcli.cli.docs"


def test_every_command_and_option_has_its_page():
    import typer

    from pkdcli.cli import app

    pages = docs.pages()
    for name, command in typer.main.get_command(app).commands.items():
        for param in command.params:
            for option in [*param.opts, *param.secondary_opts] if param.param_type_name == "option" else []:
                assert f"`{option}" in pages[f"{name}.md"], (name, option)


def test_pages_of_commands_that_are_no_more_go(tmp_path):
    (tmp_path / "gone.md").write_text("old")
    docs.write(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(docs.pages())


def test_the_index_leads_to_every_page():
    index = (FOLDER / "index.md").read_text()
    linked = {target for target in re.findall(r"\]\(([^)#]+)", index) if not target.startswith("http")}
    there = {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.md")} - {"index.md"}
    assert linked == {name for name in there if not name.startswith("commands/") or name == "commands/index.md"}


def write_voc(folder: Path, drawn: Path) -> None:
    """The folder that the guide begins with: Annotations/0001.xml, JPEGImages/0001.jpg ...

    Args:
        folder: Becomes it.
        drawn: Empty, for the pictures of `shapes` that it is made of.
    """
    dataset.generate(drawn, {"train": PICTURES})
    truth = json.loads((drawn / "annotations" / "train.json").read_text())
    (folder / "JPEGImages").mkdir(parents=True)
    for number, image in enumerate(truth["images"], 1):
        pixels = cv2.imread(str(drawn / "images" / "train" / image["file_name"]))
        image["file_name"] = f"{number:04}.jpg"
        cv2.imwrite(str(folder / "JPEGImages" / image["file_name"]), pixels)
    (drawn / "jpg.json").write_text(json.dumps(truth))
    written = hotcoco.COCO(str(drawn / "jpg.json")).to_voc(str(folder))
    assert written["images"] == PICTURES


@pytest.mark.slow
def test_the_guide_leads_from_voc_files_to_a_student_elsewhere(pkd, tmp_path):
    here, runs = tmp_path / "here", tmp_path / "runs"
    write_voc(here / "cells", tmp_path / "drawn")
    said: dict[str, list[str]] = {}
    for line in [line for block in blocks("distil-your-own.md", "bash") for line in block.splitlines()]:
        program, *words = shlex.split(line)
        if program == "python":
            done = subprocess.run([sys.executable, *words], cwd=here, capture_output=True, text=True, check=False)
            code, out, err = done.returncode, done.stdout, done.stderr
        else:
            assert program == "pkd"
            if words[0] == "sweep":
                words = [*("0" if word == "0,1,2" else word for word in words), *SMALL]
            answer = pkd(*words)
            code, out, err = answer.code, answer.out, answer.err
        assert code == 0, (line, out[-1000:], err[-2000:])
        said.setdefault(" ".join(shlex.split(line)[:2]), []).append(out)
    assert {name: len(answers) for name, answers in said.items()} == {
        **{"pkd data": 2, "pkd sweep": 2, "pkd report": 2, "pkd compare": 1, "pkd eval": 1, "pkd export": 1},
        **{"pkd predict": 1, "python student/predict.py": 2},
    }

    imported = json.loads((here / "cells-coco" / "import.json").read_text())
    assert imported["images"] == {"train": 32, "val": 4, "test": 4}
    assert "0 things to know" in said["pkd data"][1]
    assert "3 runs" in said["pkd sweep"][0]
    names = {path.name.rpartition("-")[0] for path in runs.iterdir() if (path / "result.json").is_file()}
    assert names == {"fcos50__baseline__2x__cells-tiny__s0", "gfl101-fcos50__pkd-w10__2x__cells-tiny__s0"}
    assert "pkd-w10 2x cells-tiny" in said["pkd report"][1]
    assert re.search(r"\b(NO-GO|GO|INCONCLUSIVE)\b", said["pkd report"][1])
    about = [json.loads((here / "student" / name).read_text()) for name in ("student.onnx.json", "student.int8.json")]
    assert abs(about[0]["mAP"]["onnx"] - about[0]["mAP"]["pytorch"]) <= 0.1
    assert about[0]["difference"]["pixels"] <= 1e-3
    assert about[1]["mAP"]["pytorch"] == about[0]["mAP"]["pytorch"]
    assert len(list((here / "found" / "pictures").iterdir())) == PICTURES
    assert (here / "found" / "page.html").is_file()
    for answer in said["python student/predict.py"]:
        for one in map(json.loads, answer.splitlines()):
            assert one["class"] in about[0]["classes"]
