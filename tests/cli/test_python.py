"""The verbs as functions: what `import pkdcli` costs, what they refuse, and that each equals its command."""

from __future__ import annotations

import inspect
import json
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import matplotlib
import pytest

import pkdcli
from pkdcli.api.verbs import VERBS
from pkdcli.cli import stub
from pkdcli.runs.store import read_json

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "python.md").read_text()
WORDS = {"scale": "tiny"}


def blocks(text: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S)


def test_importing_costs_nothing_and_loads_nothing():
    script = """
        import sys, time
        before, begin = set(sys.modules), time.process_time()
        import pkdcli
        spent = time.process_time() - begin
        pkdcli.__version__, dir(pkdcli)
        print(spent, *sorted({name.partition(".")[0] for name in set(sys.modules) - before}))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True)
    spent, *loaded = done.stdout.split()
    assert loaded == ["__future__", "pkdcli"]
    assert float(spent) < 0.02


def test_what_a_notebook_needs_to_begin_has_no_torch():
    script = "import sys, pkdcli\n" + "".join(f"pkdcli.{name}\n" for name in pkdcli.__all__)
    script += "try: pkdcli.train(wieght=5)\nexcept pkdcli.PkdError: pass\n"
    script += "print([name for name in ('torch', 'pandas', 'mmengine', 'matplotlib') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_stub_is_made_from_the_options():
    assert stub.FILE.read_text() == stub.render(), "run `python -m pkdcli.cli.stub`"
    assert stub.FILE.with_name("py.typed").is_file()


@pytest.mark.parametrize("name", VERBS)
def test_a_verb_says_what_it_does_and_knows_its_name(name):
    verb = getattr(pkdcli, name)
    assert verb.__name__ == name
    assert inspect.getdoc(verb)
    assert verb is getattr(pkdcli, name)


@pytest.mark.parametrize("name", VERBS)
def test_the_guide_has_every_verb(name):
    assert re.search(rf"`{name}\(", GUIDE), "docs/python.md lists what `import pkdcli` offers"


def test_there_is_nothing_else():
    with pytest.raises(AttributeError, match="module 'pkdcli' has no attribute 'trian'"):
        pkdcli.trian  # noqa: B018
    assert set(pkdcli.__all__) == set(dir(pkdcli))


@pytest.mark.parametrize(
    ("call", "message", "hint"),
    [
        (lambda: pkdcli.train(wieght=5), "unknown keyword 'wieght'.", "Did you mean 'weight'?"),
        (lambda: pkdcli.train(epochs="3"), "epochs: '3' is not a whole number of 1 or more.", "Example: epochs=1"),
        (lambda: pkdcli.train(weight=-1), "weight: -1 is not a finite number of 0 or more.", "Example: weight=10"),
        (lambda: pkdcli.train(amp=1), "amp: 1 is not True or False.", "Example: amp=True"),
        (lambda: pkdcli.train("gfl101-fcos51"), "unknown pair 'gfl101-fcos51'.", "Did you mean 'gfl101-fcos50'?"),
        (lambda: pkdcli.sweep(weights=[10, "x"]), "weights: 'x' is not a finite number", "Example: weights=10"),
        (lambda: pkdcli.resume(), "give runs, or --all, and not both.", "Runs that ended without a result"),
        (lambda: pkdcli.load_run("nothing"), "no run begins with 'nothing'.", "pkd status"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_with_the_nearest_word(here, capsys, call, message, hint):
    with pytest.raises(pkdcli.PkdError) as error:
        call()
    assert error.value.message.startswith(message)
    assert hint in (error.value.hint or "")
    assert capsys.readouterr() == ("", "")


def test_too_many_words():
    with pytest.raises(TypeError, match=r"pkdcli.train\(\) takes 1 positional argument, 2 were given"):
        pkdcli.train("gfl101-fcos50", "pkd")
    with pytest.raises(TypeError, match=r"pkdcli.report\(\) takes 0 positional arguments, 1 were given"):
        pkdcli.report("runs")


def as_typed(type_, *words):
    """What a command says as JSON lines."""
    said = type_(*words, "--json")
    assert said.code == 0, said.err
    return [json.loads(line) for line in said.out.splitlines()]


def test_a_plan_is_that_of_the_command(type_, own, capsys):
    words = ("--loss", "mse", "--weights", "10,30", "--seeds", "0,1", "--scale", "tiny", "--data", own)
    typed = [(line["run"], line["state"]) for line in as_typed(type_, "sweep", *words, "--dry-run")]
    plan = pkdcli.sweep(losses="mse", weights=[10, 30], seeds=[0, 1], data=own, dry_run=True, **WORDS)
    assert list(plan.frame()[["run", "state"]].itertuples(index=False, name=None)) == typed
    assert all(run in plan._repr_html_() for run, _ in typed)
    count = len(typed)
    assert repr(plan).startswith(f"Experiment({count} runs, {count} to do: pkdcli.sweep(losses='mse', weights=")
    assert capsys.readouterr() == ("", "")


def test_train_and_sweep_give_what_their_commands_give(type_, own, here, worker, capsys):
    run = pkdcli.train("gfl101-fcos50", loss="mse", weight=50, data=own, **WORDS)
    assert capsys.readouterr() == ("", "")
    words = ("--loss", "mse", "--weight", "50", "--scale", "tiny", "--data", own)
    result = next(line for line in as_typed(type_, "train", *words) if line.get("run") == run.id and "metrics" in line)
    assert (run.state, run.metrics) == ("done", result["metrics"])
    assert run.metrics["mAP"] == 35.0
    runs = pkdcli.sweep(losses="mse", weights=[10, 50], data=own, **WORDS)
    assert [one.metrics["mAP"] for one in runs] == [20.0, 31.0, 35.0]
    assert run in runs
    command = read_json(run.paths.job)
    assert command["launcher"]["name"] == "local"
    frame = pkdcli.report()
    typed = json.loads(type_("report", "--format", "json").out)
    assert list(frame.run) == [row["run"] for row in typed]
    assert sorted(one.id for one in pkdcli.list_runs()) == sorted(frame.run)


def test_a_table_is_the_one_of_the_command(own, worker, type_, here):
    worker()
    words = {"scale": "tiny", "data": own}
    plan = pkdcli.reproduce("table8-plain", dry_run=True, **words)
    assert sorted(plan["role"]) == ["baseline", "distill", "distill", "teacher"]
    assert plan["state"].unique().tolist() == ["to do"]
    assert not (here / "runs").exists()
    found = pkdcli.reproduce("table8-plain", **words)
    again = type_("reproduce", "table8-plain", "--scale", "tiny", "--data", own, "--format", "json")
    assert again.code == 0, again.err
    rows = json.loads(again.out)
    assert json.loads(found.to_json(orient="records")) == rows
    assert [row["mAP"] for row in rows if row["role"] == "distill"] == [35.0, 37.0]
    trained = [*(here / "runs").glob("*/result.json"), *here.parent.glob("cache/teachers/*/result.json")]
    assert sorted(plan["run"]) == sorted(file.parent.name for file in trained)
    assert pkdcli.reproduce("table8-plain", dry_run=True, **words)["state"].unique().tolist() == ["done"]


def test_a_failed_run_raises_what_it_says(own, worker, capsys):
    worker(mse_w50="fails")
    with pytest.raises(pkdcli.PkdError) as error:
        pkdcli.train("gfl101-fcos50", loss="mse", weight=50, data=own, **WORDS)
    assert "the loss is NaN at step 3." in error.value.message
    assert error.value.hint.startswith("Try a smaller --weight.\nlog: ")
    assert int(error.value.code) == 1
    (failed,) = (one for one in pkdcli.sweep(losses="mse", weights=[50], data=own, **WORDS) if one.state == "failed")
    assert failed.reason == "the loss is NaN at step 3."
    assert capsys.readouterr() == ("", "")


def test_a_dead_teacher_is_told_and_its_student_resumed(own, worker):
    worker(teacher="dies")
    with pytest.raises(pkdcli.PkdError, match="not started, since gfl101__teacher"):
        pkdcli.train("gfl101-fcos50", loss="mse", weight=50, data=own, **WORDS)
    worker()
    resumed = pkdcli.resume(everything=True)
    assert {one.state for one in resumed} == {"done"}
    assert {one.recipe.role for one in resumed} == {"teacher", "distill"}
    assert [one.ok for one in pkdcli.cancel(resumed[0].id)] == [True]  # it has ended


def test_a_watcher_is_told_of_everything(own, worker):
    told = []

    class Ear(pkdcli.Watcher):
        def on_plan(self, runs, done):
            told.append(("plan", len(runs), list(done)))

        def on_start(self, spec):
            told.append(("start", spec.name.partition("__")[0]))

        def on_end(self, spec, outcome):
            told.append(("end", spec.name.partition("__")[0], int(outcome.code)))

    pkdcli.train("gfl101-fcos50", data=own, watcher=Ear(), **WORDS)
    assert told == [
        ("plan", 2, []),
        *(("start", "gfl101"), ("end", "gfl101", 0), ("start", "gfl101-fcos50"), ("end", "gfl101-fcos50", 0)),
    ]


def test_bars_say_how_runs_ended(own, worker, capsys):
    run = pkdcli.train("gfl101-fcos50", data=own, watcher=pkdcli.Bars(), **WORDS)
    out, err = capsys.readouterr()
    assert out == ""
    assert f"{run.id}: done, mAP {run.metrics['mAP']:.1f}" in err
    pkdcli.train("gfl101-fcos50", data=own, watcher=pkdcli.Bars(), **WORDS)
    assert f"{run.id}: done before" in capsys.readouterr().err


def test_the_guide_s_lines_do_what_it_says(here, own, worker, monkeypatch, capsys):
    matplotlib.use("Agg")
    text, _, rest = GUIDE.partition("## Weights")  # which are the stand-in's here, and real ones below
    names: dict[str, object] = {}
    for block in blocks(text):
        code = block.replace('scale="tiny"', f'scale="tiny", data={str(own)!r}')
        exec(compile(code, "docs/python.md", "exec"), names)
    assert names["gain"] == 11.0  # of the stand-in: 31 with PKD, 20 without
    assert list(names["mse"].weight) == [10.0, 30.0, 50.0]
    assert (here / "mse.png").stat().st_size > 5000
    assert len(names["plan"].planned) == 3 + 1 + 12  # baselines, the teacher, and two losses at two weights
    out = capsys.readouterr().out
    assert "unknown keyword 'wieght'." in out
    assert "ended well" in out
    assert blocks(rest), "the guide has a part about weights"


def test_the_readme_s_lines_do_what_it_says(own, worker, capsys):
    (block,) = blocks((ROOT / "README.md").read_text())
    names: dict[str, object] = {}
    block = block.replace("\npkdcli.report()", "\ntable = pkdcli.report()")
    exec(block.replace('scale="tiny"', f'scale="tiny", data={str(own)!r}'), names)
    assert names["student"].metrics["mAP"] == 31.0
    rows = {(row.loss, row.weight): (row.mAP, row.gain) for row in names["table"].itertuples()}
    assert (rows["pkd", 10.0], rows["mse", 10.0], rows["mse", 30.0]) == ((31.0, 11.0), (31.0, 11.0), (33.0, 13.0))
    assert capsys.readouterr() == ("", "")


def test_the_guide_s_lines_about_weights(lab, tmp_path, monkeypatch):
    shutil.copytree(lab.runs, tmp_path / "runs")  # an evaluation is kept in the run's folder
    monkeypatch.setenv("PKD_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("PKD_CACHE", str(lab.cache))
    names: dict[str, object] = {}
    (block,) = blocks(GUIDE.partition("## Weights")[2])
    exec(compile("import pkdcli\n" + block, "docs/python.md", "exec"), names)
    result = read_json(lab.run("gfl101-fcos50__pkd") / "result.json")
    assert names["found"].metrics == result["metrics"]
    assert not names["detector"].training
