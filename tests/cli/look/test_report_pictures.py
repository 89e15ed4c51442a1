"""`pkd report` with plots, and as a page."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from pkdcli.cli.look.report import command as report
from pkdcli.errors import ExitCode, PkdError
from pkdcli.runs.store import write_json

SIX = ("mAP", "AP50", "AP75", "AP_S", "AP_M", "AP_L")


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    """A runs folder with a baseline and two weights of mse; the current folder is another."""
    root = tmp_path / "runs"
    for run, mAP, changes in (("base", 16.04, {"role": "baseline", "loss": "none", "weight": None}),
                              ("mse-10", 31.5, {}), ("mse-30", 33.26, {"weight": 30.0})):  # fmt: skip
        data = {
            **{"schema": 1, "run": run, "role": "distill", "pair": "gfl101-fcos50", "teacher": "gfl101"},
            **{"student": "fcos50", "loss": "mse", "weight": 10.0, "schedule": "2x", "data": "shapes", "split": "val"},
            **{"scale": "tiny", "seed": 0, "batch": 8, "epoch": 6, "epochs": 6, **changes},
        }
        write_json(root / run / "status.json", {**data, "state": "done"})
        metrics = dict(zip(SIX, (mAP, mAP + 20, mAP, None, mAP, mAP), strict=True))
        write_json(root / run / "result.json", {**data, "metrics": metrics})
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("COLUMNS", "70")
    monkeypatch.setenv("NO_COLOR", "1")
    return root


def run(root, *words):
    app = typer.Typer()
    app.command()(report)
    result = CliRunner().invoke(app, ["--runs", str(root), *map(str, words)])
    if isinstance(result.exception, PkdError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


SWEEP = """\
mAP by loss weight: gfl101 → fcos50, 2x, shapes val, scale tiny
baseline, no distillation 16.0 ██████████████████▍
mse, weight 10            31.5 ████████████████████████████████████
mse, weight 30            33.3 ██████████████████████████████████████
mAP (AP points)
"""


def trimmed(text):
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


def test_plots_in_the_terminal(sweep):
    assert SWEEP in trimmed(run(sweep, "--plot").stdout)


def test_plots_leave_data_alone(sweep):
    result = run(sweep, "--format", "json", "--plot")
    assert [record["run"] for record in json.loads(result.stdout)] == ["base", "mse-10", "mse-30"]
    assert SWEEP in trimmed(result.stderr)


def test_plots_in_a_folder(sweep, tmp_path):
    result = run(sweep, "--plot-dir", tmp_path / "plots")
    name = "weights__gfl101-fcos50__2x__shapes-tiny"
    files = {path.name for path in (tmp_path / "plots").iterdir()}
    assert {f"{name}.png", f"{name}.svg", f"{name}.pdf", "captions.md"} <= files
    assert f"Wrote {tmp_path / 'plots' / name}.png" in result.stderr
    assert "█" not in result.stdout


def test_nothing_to_plot(tmp_path):
    assert "Nothing to plot: no distilled run here has a result." in run(tmp_path / "none", "--plot").stderr


def test_a_folder_that_cannot_be_written(sweep, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(PkdError, match="a file stands where a folder should be") as error:
        run(sweep, "--plot-dir", tmp_path / "file")
    assert error.value.code == ExitCode.MISSING


@pytest.mark.parametrize("words", [("--format", "html"), ("--output", "report.html")])
def test_the_page_is_a_file(sweep, words):
    result = run(sweep, *words)
    assert result.stdout == ""
    assert result.stderr == "Wrote report.html\n"
    with open("report.html", encoding="utf-8") as file:
        text = file.read()
    assert text.lstrip().startswith("<!doctype html>")
    for number in ("16.0", "31.5", "33.3", "+17.2"):
        assert f">{number}<" in text


def test_the_page_of_two_runs(sweep, tmp_path):
    path = tmp_path / "two.html"
    run(sweep, "--compare", "mse-10", "mse-30", "-o", path)
    text = path.read_text(encoding="utf-8")
    assert "A: mse-10, B: mse-30" in text
    assert text.count("<template data-run") == 2


def test_the_page_of_a_choice_and_of_nothing(sweep, tmp_path):
    path = tmp_path / "a.html"
    run(sweep, "--where", "weight=30", "-o", path)
    assert path.read_text(encoding="utf-8").count("<template data-run") == 1
    run(tmp_path / "none", "-o", path)
    assert "No runs in" in path.read_text(encoding="utf-8")


def test_without_plots_matplotlib_stays_out(sweep):
    code = "import sys\nfrom pkdcli.__main__ import main\ntry:\n    main()\nexcept SystemExit:\n    pass\n"
    code += "print([m for m in ('matplotlib', 'jinja2', 'torch', 'cv2') if m in sys.modules], file=sys.stderr)"
    command = [sys.executable, "-c", code, "report", "--runs", str(sweep)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stderr.strip() == "[]"
    assert "mse, weight 30" in result.stdout
