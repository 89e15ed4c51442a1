"""`pkd bench` as the user sees it: what it asks the process for, tables, JSON, wrong words, Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from asking import answer

from pkdcli.api import benchmark
from pkdcli.api.benchmark import size
from pkdcli.api.options import DEFAULT, SECTIONS
from pkdcli.cli.look import bench as bench_command
from pkdcli.cli.look.bench import duration, in_words
from pkdcli.config.teacher import teacher_recipe
from pkdcli.data.prepare import facts
from pkdcli.errors import PkdError
from pkdcli.recipe.identity import run_id
from pkdcli.recipe.resolve import Request, resolve
from pkdcli.runs.paths import RunPaths, teachers_root
from pkdcli.runs.store import write_json

MACHINE = {"cpu": "A processor", "cores": 2, "threads": 1, "gpu": None, "load": 0.5, "torch": "2.9", "python": "3.11",
           "system": "Linux"}  # fmt: skip


def section(name):
    """A section as the process sends it, in round numbers."""
    bound = {"at_least": None, "at_most": None, "ok": None}
    ratio = {"name": "times faster", "of": ["theirs"], "by": ["ours"], "times": 1.0, "less": 0.0, "value": 9.0,
             "low": 8.5, "high": 9.25}  # fmt: skip
    return {
        "name": name,
        "title": f"Section {name}",
        "timings": [
            {"name": "ours", "seconds": [0.05, 0.06, 0.07], "median": 0.06},
            {"name": "theirs", "seconds": [0.5, 0.54, 2.0], "median": 0.54},
        ],
        "ratios": [{**ratio, **bound, "at_least": 8.0, "ok": True}],
        "numbers": [{"name": "memory", "value": 43.6, "unit": "MiB", **bound, "at_most": 40.0, "ok": False}],
        "notes": ["A note."],
    }


class Desk:
    """The command in-process, its measuring process replaced."""

    def __init__(self, folder, monkeypatch):
        monkeypatch.setenv("PKD_CACHE", str(folder / "cache"))
        monkeypatch.setattr(sys, "argv", ["pkd", "bench"])
        monkeypatch.setattr(benchmark, "_lines", self._lines)
        self.asked, self.raises, self.folder = [], None, folder

    def _lines(self, request):
        self.asked.append(request)
        yield {"machine": MACHINE}
        for number, name in enumerate(request["only"]):
            if number and self.raises:
                raise self.raises
            yield {"doing": name}
            yield {"section": section(name)}

    def __call__(self, *words, code=0):
        return answer(bench_command.command, words, code)


@pytest.fixture
def desk(tmp_path, monkeypatch):
    return Desk(tmp_path, monkeypatch)


def test_a_section_is_a_table(desk):
    lines = [line.rstrip() for line in desk("--only", "losses").stdout.splitlines()]
    assert lines[0] == "Section losses"
    assert [[cell.strip() for cell in line.strip("│┃").split("│" if "│" in line else "┃")]
            for line in lines if line[:1] in "│┃" and line] == [
        ["", "median", "from", "to", "to reach", "reached"],
        ["ours", "60.0 ms", "50.0 ms", "70.0 ms", "", ""],
        ["theirs", "540.0 ms", "500.0 ms", "2.00 s", "", ""],
        ["times faster", "9.000", "8.500", "9.250", "at least 8", "yes"],
        ["memory", "43.6 MiB", "", "", "at most 40", "NO"],
    ]  # fmt: skip
    assert lines[-2:] == [
        "  A note.", "A processor, 2 cores, 1 threads; load 0.5 at the start; torch 2.9, Python 3.11",
    ]  # fmt: skip


def test_what_the_process_is_asked_for(desk):
    desk("--image", "48x64", "--batch", 4, "--threads", 2, "--only", "step, group", "--repeat", 3, "--students", 4,
         "--eval-images", 7, "--report-runs", 9, "--coco-images", 11, "--epochs", 2,
         "--pair", "retinax101-retina50")  # fmt: skip
    (request,) = desk.asked
    recipe = request.pop("recipe")
    assert request == {"teacher": None, "runs": 9, "image": (48, 64), "batch": 4, "threads": 2,
                       "only": ("step", "group"), "repeat": 3, "students": 4, "eval_images": 7, "report_runs": 9,
                       "coco_images": 11, "epochs": 2, "clock": "wall"}  # fmt: skip
    assert (recipe["pair"], recipe["batch"], recipe["role"]) == ("retinax101-retina50", 4, "distill")
    assert not (desk.folder / "cache" / "data").exists()  # nothing is drawn for a bench but its own pictures


def test_a_trained_teacher_is_used_where_its_weights_matter(desk):
    recipe = resolve(Request(scale="tiny"))
    recipe = recipe.model_copy(update={"data": facts(recipe.data, desk.folder / "cache")})
    paths = RunPaths(teachers_root(desk.folder / "cache") / run_id(teacher_recipe(recipe)))
    paths.root.mkdir(parents=True)
    desk("--suggest")
    write_json(paths.result, {"role": "teacher", "metrics": {}})
    desk("--suggest")
    paths.teacher.touch()
    desk("--suggest")
    desk("--only", "step")
    assert [request["teacher"] for request in desk.asked] == [None, None, str(paths.root), None]


@pytest.mark.parametrize(
    ("words", "only"),
    [((), DEFAULT), (("--suggest",), ("suggest",)), (("--suggest", "--only", "step"), ("step", "suggest")),
     (("--only", "suggest", "--suggest"), ("suggest",))],
)  # fmt: skip
def test_which_sections(desk, words, only):
    desk(*words)
    assert desk.asked[0]["only"] == only
    assert "experiment" not in DEFAULT
    assert "experiment" in SECTIONS


def test_processor_time_is_that_of_one_thread(desk):
    answer = desk("--only", "losses", "--clock", "cpu")
    assert (desk.asked[0]["clock"], desk.asked[0]["threads"]) == ("cpu", 1)
    assert answer.stdout.endswith("Python 3.11; processor time\n")


def test_json_is_one_object(desk):
    answer = json.loads(desk("--only", "losses,eval", "--json").stdout)
    assert list(answer) == ["schema", "command", "wishes", "machine", "sections", "complete"]
    assert (answer["schema"], answer["machine"], answer["complete"]) == (1, MACHINE, True)
    assert answer["sections"] == [section("losses"), section("eval")]
    assert answer["wishes"]["only"] == ["losses", "eval"]


def test_ctrl_c_keeps_what_was_measured(desk):
    desk.raises = KeyboardInterrupt()
    answer = desk("--only", "losses,eval", code=130)
    assert "Section losses" in answer.stdout
    assert "Section eval" not in answer.stdout
    assert answer.stderr == "stopped; the sections above are whole.\n"
    answer = json.loads(desk("--only", "losses,eval", "--json", code=130).stdout)
    assert ([one["name"] for one in answer["sections"]], answer["complete"]) == (["losses"], False)


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (("--only", "loses"), "unknown section (--only) 'loses'.", "Did you mean 'losses'? Allowed: "
         + ", ".join(sorted(SECTIONS)) + "."),
        (("--only", ","), "--only: an empty list.", "Leave it out, or give some values with commas between them."),
        (("--image", "256"), "--image: '256' is no size of 32 to 8192 pixels a side.", "Example: --image 256x320"),
        (("--image", "16x64"), "--image: '16x64' is no size of 32 to 8192 pixels a side.", "Example: --image 256x320"),
        (("--clock", "sun"), "unknown --clock 'sun'.", "Allowed: cpu, wall."),
        (("--clock", "cpu", "--threads", "2"),
         "--clock cpu: the processor time of several threads is no time that passes.",
         "Add --threads 1."),
        (("--loss", "none"), "--loss: the baseline distils nothing.", "Name a loss, such as pkd."),
    ],
)  # fmt: skip
def test_wrong_words(desk, words, message, hint):
    with pytest.raises(PkdError) as caught:
        desk(*words)
    assert (caught.value.message, caught.value.hint, caught.value.code) == (message, hint, 2)
    assert desk.asked == []


def test_sizes_durations_and_machines_in_words():
    assert (size(None), size(" 800X1333 ")) == (None, (800, 1333))
    assert [duration(s) for s in (118.0, 1.0, 0.5, 0.00123, 0.000012)] == [
        "118.00 s", "1.00 s", "500.0 ms", "1.2 ms", "12 us",
    ]  # fmt: skip
    assert in_words(None) == "nothing was measured"
    assert in_words({**MACHINE, "gpu": "A GPU"}) == "A GPU; load 0.5 at the start; torch 2.9, Python 3.11"


# The process behind it


WORKER = "pkdcli.engine.bench.worker"


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ('print(\'{"error": {"message": "weights.", "hint": "Others.", "code": 3}}\')', ("weights.", "Others.", 3)),
        ("import sys; sys.exit('no luck')", ("the measurement ended with exit code 1.", "no luck", 1)),
    ],
)
def test_what_goes_wrong_in_the_process_is_said(engine, script, error):
    engine(WORKER, script)
    with pytest.raises(PkdError) as caught:
        list(benchmark._lines({"threads": 1}))
    assert (caught.value.message, caught.value.hint, caught.value.code) == error


def test_threads_reach_the_process_and_its_request_too(engine):
    said = "{'env': os.environ['OMP_NUM_THREADS'], 'request': json.load(open(sys.argv[1]))}"
    script = f"import json, os, sys; print(json.dumps({said}))"
    engine(WORKER, script)
    assert list(benchmark._lines({"threads": 3})) == [{"env": "3", "request": {"threads": 3}}]


def at_work(pid: str) -> bool:
    """Whether a process is there and has not ended; one that nobody has asked about yet stays as a zombie."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_ctrl_c_ends_the_process_and_what_it_has_started(tmp_path):
    """A real `pkd bench`, stopped by Ctrl-C while it imports or measures."""
    env = {**os.environ, "PKD_CACHE": str(tmp_path), "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pkdcli", "bench", "--only", "losses", "--quiet"]
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        deadline = time.monotonic() + 60
        while not (found := children.read_text().split()) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, out, err) == (130, "", "stopped; the sections above are whole.\n")
    assert found
    deadline = time.monotonic() + 30
    while (left := [child for child in found if at_work(child)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == []
