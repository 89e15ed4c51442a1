"""What the guides in docs/ say is so: commands plan what they say, messages are in the code, tests exist."""

from __future__ import annotations

import ast
import re
import shlex
from functools import cache
from pathlib import Path

import pytest

from pkdcli.runs.paths import RunPaths
from pkdcli.runs.store import write_json

ROOT = Path(__file__).parent.parent
LAUNCHERS = (ROOT / "docs" / "launchers.md").read_text()
FAULTS = (ROOT / "docs" / "faults.md").read_text()

# Faults


def rows() -> list[list[str]]:
    """The cells of the fault table: fault, what is seen, what is kept, tests."""
    lines = [line for line in FAULTS.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


@cache
def texts() -> list[str]:
    """Every string in the package's code; of an f-string the parts between its fields."""
    trees = [ast.parse(path.read_text()) for path in (ROOT / "pkdcli").rglob("*.py")]
    nodes = (node for tree in trees for node in ast.walk(tree))
    return [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]


def test_the_table_has_every_fault_once():
    faults = [row[0] for row in rows()]
    assert len(faults) == len(set(faults)) >= 20


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_a_row_has_a_message_of_the_code_and_tests_that_exist(row):
    _, seen, kept, tests = row
    assert kept
    for message in re.findall(r"`([^`]+)`", seen):
        if " " not in message.strip("…") or message.startswith("pkd "):  # a file or a command
            continue
        for part in filter(str.strip, message.split("…")):
            assert any(part.strip(" .") in text for text in texts()), part
    named = re.findall(r"`([^`]+)`", tests)
    assert named
    for name in named:
        path, _, function = name.partition("::")
        assert re.search(rf"^def {function}\(", (ROOT / path).read_text(), re.MULTILINE), name


# Launchers


def commands() -> list[str]:
    """The `pkd` commands of the guide's bash blocks, without their comments."""
    blocks = re.findall(r"```bash\n(.*?)```", LAUNCHERS, re.DOTALL)
    lines = [line.split(" #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


def test_there_are_commands():
    assert len(commands()) >= 14
    assert all(line.startswith("pkd ") for line in commands())


@pytest.mark.parametrize("line", [line for line in commands() if line.split()[1] in ("train", "sweep")])
def test_a_command_plans_what_it_says(line, pkd, tmp_path):
    (recipe,) = re.findall(r"```yaml\n(.*?)```", LAUNCHERS, re.DOTALL)
    (tmp_path / "here" / "my-cluster.yaml").write_text(recipe)
    answer = pkd(*shlex.split(line)[1:], "--dry-run")
    assert answer.code == 0, answer.err
    assert " runs" in answer.out
    assert ("#SBATCH" in answer.out) == ("--launcher" in line)
    if "my-cluster" in line:
        for words in ("--partition=gpu", "--account=my-project", "--time=24:00:00", "--gpus-per-node=8"):
            assert f"#SBATCH {words}\n" in answer.out
        assert "\nmodule load cuda/12.4\nsource ~/pkd/bin/activate\n" in answer.out
    if "--max-parallel 4" in line:
        assert "--dependency=afterok:<gfl101__teacher" in answer.out
        assert "#SBATCH --array=0-2%4\n" in answer.out


@pytest.mark.parametrize("line", [line for line in commands() if line.split()[1] not in ("train", "sweep")])
def test_a_command_that_tends_runs_does_so(line, pkd, tmp_path):
    run = RunPaths(tmp_path / "runs" / "a-run")
    write_json(run.status, {"run": "a-run", "state": "done"})
    write_json(run.result, {"role": "baseline", "metrics": {"mAP": 1.0}})
    run.student.touch()
    run.log.write_text("a line\n")
    answer = pkd(*("a-run" if word == "RUN" else word for word in shlex.split(line)[1:]))
    assert answer.code == 0, answer.err
    assert answer.out.strip()
