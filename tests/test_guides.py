"""The guides in docs/: their files are written, their commands run, and the pages of the commands are the code's."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from pkdcli.cli import docs

FOLDER = Path(__file__).parent.parent / "docs"
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
