"""A whole plug-in package, installed into an environment of its own: listed, trained with, and told of afterwards."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest
import yaml

EXAMPLE = Path(__file__).parent / "plugin_example"
KNOBS = (
    "--scale",
    "tiny",
    "--max-iters",
    "2",
    "--batch-size",
    "4",
    "--workers",
    "0",
    "--set",
    "scale.teacher.epochs=1",
)


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """A fresh environment that sees this one's packages, and `pip install` into it."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder / "env", symlinks=os.name != "nt", with_pip=False)
    python = folder / "env" / ("Scripts" if os.name == "nt" else "bin") / "python"
    (site,) = (folder / "env").glob("[Ll]ib/**/site-packages")
    here = [path for path in sys.path if path and Path(path).is_dir() and "python" in path.lower()]
    (site / "packages_of_the_tests.pth").write_text("\n".join([str(EXAMPLE.parent.parent), *here]))

    def pip(*words: str) -> None:
        command = [sys.executable, "-m", "pip", "--python", str(python), *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def install(version: str) -> None:
        source = folder / version
        shutil.copytree(EXAMPLE, source)
        text = (source / "pyproject.toml").read_text()
        (source / "pyproject.toml").write_text(text.replace('version = "0.1"', f'version = "{version}"'))
        pip("install", "--quiet", "--no-build-isolation", "--no-deps", "--no-index", str(source))

    def pkd(*words: str | Path):
        env = {**os.environ, "PKD_CACHE": str(folder / "cache"), "PKD_RUNS": str(folder / "runs"), "COLUMNS": "120"}
        command = [str(python), "-m", "pkdcli", *map(str, words)]
        return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)

    install("0.1")
    return pkd, install, pip, folder / "runs"


def records(answer) -> list[dict]:
    assert answer.returncode == 0, answer.stderr
    return [json.loads(line) for line in answer.stdout.splitlines()]


@pytest.mark.slow
def test_the_example_is_installed_trains_and_is_told_of(environment, micro):
    pkd, install, pip, runs = environment
    plugins = [one for one in records(pkd("doctor", "--json")) if one["what"].startswith("plug-in ")]
    assert [(one["what"], one["found"], one["ok"]) for one in plugins] == [
        ("plug-in loss log-cosh", "pkd-example 0.1", True),
        ("plug-in launcher nice", "pkd-example 0.1", True),
        ("plug-in tracker lines", "pkd-example 0.1", True),
        ("plug-in recipes example", "pkd-example 0.1", True),
    ]
    (row,) = [row for row in records(pkd("list", "losses", "--json")) if row["name"] == "log-cosh"]
    assert row["from"] == "pkd-example 0.1"
    (row,) = [row for row in records(pkd("list", "launchers", "--json")) if row["name"] == "night"]
    assert (row["kind"], row["from"]) == ("nice", "pkd-example 0.1")
    hook = ("--set", "imports=[pkd_example.hooks]", "--set", "config.custom_hooks=[{type: PriorityHook}]")
    named = ("--loss", "log-cosh", "--schedule", "blink", "--tracker", "lines", "--launcher", "night")
    words = ("train", *named, *hook, "--data", micro, *KNOBS)
    answer = pkd(*words)
    assert answer.returncode == 0, answer.stderr
    (run,) = runs.glob("gfl101-fcos50__log-cosh-w10__blink__micro-tiny__s0-*")
    assert json.loads((run / "result.json").read_text())["loss"] == "log-cosh"
    losses = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert all(record["distill.loss_log_cosh_fpn0"] > 0 for record in losses if record["kind"] == "train")
    told = (run / "trackers" / "lines" / "lines.txt").read_text().splitlines()
    assert told[0] == f"{run.name}: loss log-cosh"
    assert told[1].startswith("1: train/")
    assert yaml.safe_load((run / "recipe.yaml").read_text())["loss"]["type"] == "log-cosh"
    assert json.loads((run / "job.json").read_text())["launcher"]["own"] == {"level": 19}
    level = min(19, os.nice(0) + 19)  # beyond that of the tests themselves
    assert f"priority: nice {level}" in (run / "log.txt").read_text()
    used = {(one["kind"], one["name"]) for one in json.loads((run / "env.json").read_text())["plugins"]}
    assert used == {("losses", "log-cosh"), ("trackers", "lines"), ("launchers", "nice"), ("recipes", "example")}

    # A later release of it answers with the same run, and says that the run is of the one before.
    install("0.2")
    back = "`pip install pkd-example==0.1` brings that back."
    said = "note: the plug-in pkd-example is 0.2 here, and was 0.1 for {}; " + back
    for again, whose in ((pkd(*words), f"{run.name} and 1 more"), (pkd("eval", run), run.name)):
        assert again.returncode == 0, again.stderr
        assert again.stderr.splitlines().count(said.format(whose)) == 1
    # Without it the run is still there, and its command says which name is not known.
    pip("uninstall", "--yes", "--quiet", "pkd-example")
    assert [row["run"] for row in records(pkd("list", "runs", "--json"))] == [run.name]
    gone = pkd(*words)
    assert (gone.returncode, gone.stderr.splitlines()[0]) == (2, "error: unknown launcher 'night'.")
