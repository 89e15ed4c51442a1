"""`pkd diagnose` on runs that were really made, and what `pkd train` ends with."""

from __future__ import annotations

import json
import shlex
import shutil

import pytest
from typer.testing import CliRunner

import pkdcli
from pkdcli.api.diagnosis.diagnose import Diagnosed, ending
from pkdcli.reporting.diagnosis.cause import Cause, Evidence
from pkdcli.reporting.diagnosis.rank import Diagnosis
from pkdcli.runs.paths import RunPaths


@pytest.fixture
def copied(lab, tmp_path):
    """A copy of the lab's pkd run, to spoil."""
    run = lab.run("gfl101-fcos50__pkd")
    shutil.copytree(run, tmp_path / "runs" / run.name)
    return tmp_path / "runs" / run.name


def test_causes_as_data_and_the_exit_code(lab):
    answer = lab.pkd("diagnose", "gfl101-fcos50__pkd", "--json")
    found = json.loads(answer.out)
    assert answer.code == (0 if found["healthy"] else 1)
    assert found["run"] == lab.run("gfl101-fcos50__pkd").name
    assert found["healthy"] == (not found["causes"])
    scores = [one["score"] for one in found["causes"] + found["unlikely"]]
    assert scores == sorted(scores, reverse=True)
    assert all(one["score"] >= 0.5 for one in found["causes"])
    (balance,) = [one for one in found["causes"] + found["unlikely"] if one["key"] == "overwhelms"]
    assert balance["evidence"][0]["what"].startswith("gradient of the distillation / of the detection loss, at P")
    assert float(balance["evidence"][0]["here"]) > 0
    (rate,) = [one for one in found["causes"] + found["unlikely"] if one["key"] == "rate-high"]
    (moved,) = [one["here"] for one in rate["evidence"] if one["what"].startswith("a step's share")]
    assert 0 < float(moved) < 1


def test_a_planted_cause_for_people_in_markdown_and_in_a_line(lab, copied):
    lines = [json.loads(line) for line in (copied / "metrics.jsonl").read_text().splitlines()]
    for one in lines:
        if one["kind"] == "levels":
            one["level2.loss"] = 0.0
    (copied / "metrics.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines) + '{"kind": "lev')
    answer = lab.pkd("diagnose", copied)
    assert answer.code == 1
    assert "a dead level: nothing is learned from the teacher at P5 (stride 32)" in answer.out
    assert "P5 (stride 32): its weighted loss" in answer.out
    answer = lab.pkd("diagnose", copied, "--format", "md")
    assert "| P5 (stride 32): its weighted loss | 0 | above 0 |" in answer.out
    answer = lab.pkd("diagnose", copied, "-o", copied / "why.md", "--quiet")
    assert (answer.code, answer.out) == (1, "")
    # The lab's teacher has seen four batches, which is said before what it shows.
    assert "| 2 | dead-level | 1.00 |" in (copied / "why.md").read_text()
    line = lab.pkd("diagnose", copied, "--quiet").out
    assert line.startswith("something may be wrong: the teacher is no better than the student on this data (and ")
    assert line.endswith(f" more); pkd diagnose {copied}\n")  # not where runs are looked for
    (look,) = [note for note in json.loads(lab.pkd("diagnose", copied, "--json").out)["notes"] if "--look" in note]
    assert look == f"`pkd diagnose {copied} --look` also runs both nets over a few images."


def test_its_twin_in_python(lab, monkeypatch):
    monkeypatch.setenv("PKD_CACHE", str(lab.cache))
    run = pkdcli.load_run("fcos50__baseline", runs=lab.runs)
    found = pkdcli.diagnose(run, runs=lab.runs)
    assert found.healthy == (found.line is None)
    frame = found.frame()
    assert list(frame.columns) == ["cause", "likely", "score", "title", "evidence", "here", "good", "command"]
    assert {"rate-high", "rate-low"} <= set(frame.cause)
    assert "overwhelms" not in set(frame.cause)  # it has no teacher
    assert set(frame[frame.likely].cause) == {one["key"] for one in found.record()["causes"]}
    assert set(frame[~frame.likely].cause) == {one["key"] for one in found.record()["unlikely"]}


CAUSES = (Cause("domain", "off its domain", 0.7, [Evidence("a", "1", "2"), Evidence("b", "3", "4")], "Do.", "pkd x"),
          Cause("data", "<faults>", 0.5), Cause("frozen", "frozen", 0.3, [Evidence("c", "5", "6")]))  # fmt: skip


def test_likely_and_unlikely_causes_are_called_so_in_every_form():
    found = Diagnosed(Diagnosis("some-run", CAUSES, ("a note",)))
    frame = found.frame()
    assert list(zip(frame.cause, frame.likely, frame.evidence, strict=True)) == [
        ("domain", True, "a"), ("domain", True, "b"), ("data", True, ""), ("frozen", False, "c")
    ]  # fmt: skip
    record = found.record()
    assert [(one["key"], one["likely"]) for one in record["causes"]] == [("domain", True), ("data", True)]
    assert [(one["key"], one["likely"]) for one in record["unlikely"]] == [("frozen", False)]
    page = found._repr_html_()
    assert "<p><b>2. data</b></p>" in page
    assert "<td>&lt;faults&gt;</td>" in page
    assert "<p>a note</p>" in page
    assert "frozen" not in page


def test_nothing_of_a_healthy_run_looks_like_a_cause():
    found = Diagnosed(Diagnosis("some-run", CAUSES[2:], mAP=31.0))
    assert (found.healthy, found.line, found.record()["causes"]) == (True, None, [])
    assert found.frame().query("likely").empty
    assert len(found.frame()) == 1
    (table,) = found.tables()
    said = "some-run, mAP 31.0: nothing is wrong with it"
    assert (table.title, table.columns[0], table.sections) == (said, "unlikely", [[["frozen", "0.30", "frozen"]]])
    assert found._repr_html_().startswith(f"<p><b>{said}</b></p><table><thead><tr><th>unlikely</th>")
    none = Diagnosed(Diagnosis("some-run", ())).frame()
    assert (len(none), none.query("likely").empty) == (0, True)


def test_a_look_at_both_nets(lab):
    answer = lab.pkd("diagnose", "gfl101-fcos50__pkd", "--look", "--images", "4", "--json")
    assert answer.code in (0, 1), answer.err
    found = json.loads(answer.out)
    (labels,) = [one for one in found["causes"] + found["unlikely"] if one["key"] == "labels"]
    (of_teacher,) = [one for one in labels["evidence"] if one["what"].startswith("AP50 of the teacher")]
    assert all(0 <= float(value) <= 100 for value in of_teacher["here"].split(", "))
    assert not any("--look" in note for note in found["notes"])


def test_a_look_without_weights_says_what_goes_without(lab, copied):
    (copied / "student.pth").unlink()
    answer = lab.pkd("diagnose", copied, "--look")
    assert answer.code == 3
    assert f"--look: {copied.name} is not finished: there is no" in " ".join(answer.err.split())
    assert "Without --look it is diagnosed from what it has recorded so far." in answer.err


def test_runs_that_can_not_be_diagnosed(lab, copied):
    answer = lab.pkd("diagnose", "gfl101-fcos50__pdk")
    assert (answer.code, "no run begins with 'gfl101-fcos50__pdk'" in answer.err) == (2, True)
    answer = lab.pkd("diagnose", copied, "-o", "why.csv")
    assert (answer.code, "unknown --format 'csv'" in answer.err) == (2, True)
    (copied / "metrics.jsonl").unlink()
    (copied / "result.json").unlink()
    answer = lab.pkd("diagnose", copied)
    assert answer.code == 3
    assert f"{copied.name} has recorded no step yet: there is nothing to diagnose." in answer.err
    assert f"See what it is at: pkd logs {copied}" in " ".join(answer.err.split())


def test_a_run_without_a_record_of_a_step_says_why(lab, copied):
    """Finished, but its file was emptied; failed at once."""
    (copied / "metrics.jsonl").write_text('{"kind": "start", "iter": 0, "epoch": 0}\n{"kind": "tra')
    answer = lab.pkd("diagnose", copied)
    said = " ".join(answer.err.split())
    assert answer.code == 3
    assert f"{copied.name} is finished, but" in said
    assert "metrics.jsonl tells of no step of it: there is nothing to diagnose." in said
    assert "Put that file back, or train the run again in another folder." in said
    (copied / "result.json").unlink()
    failed = {"run": copied.name, "state": "failed", "error": {"message": "out of memory."}}
    (copied / "status.json").write_text(json.dumps(failed))
    answer = lab.pkd("diagnose", copied)
    said = " ".join(answer.err.split())
    assert answer.code == 3
    assert f"{copied.name} failed before its first step was recorded: out of memory." in said
    assert f"There is nothing to diagnose; see all of it: pkd logs {copied}" in said


@pytest.mark.parametrize(
    "odd",
    [{"iter": None}, {"iter": "3"}, {"kind": ["train"]}, {"kind": None}, {"level": 3, "levels.x": 1, "levelx.r": 2.0}],
)
def test_odd_records_are_passed_over(lab, copied, odd):
    """As of another release, or of a file that was mended by hand."""
    whole = json.loads(lab.pkd("diagnose", copied, "--json").out)
    lines = [json.loads(line) for line in (copied / "metrics.jsonl").read_text().splitlines()]
    lines += [{**one, **odd} for one in lines[1:6]]
    (copied / "metrics.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    answer = lab.pkd("diagnose", copied, "--json")
    assert answer.code == (0 if whole["healthy"] else 1), answer.err
    if "kind" in odd or "iter" in odd:
        assert json.loads(answer.out) == whole


def test_training_ends_with_the_likeliest_cause(lab):
    said = lab.pkd("diagnose", "gfl101-fcos50__pkd", "--quiet").out.strip()
    words = ("train", "--loss", "pkd", "--data", lab.data, *lab.knobs)
    answer = lab.pkd(*words)  # finished already
    assert answer.code == 0
    assert [line for line in answer.err.splitlines() if "may be wrong" in line] == ([said] if said else [])
    assert "may be wrong" not in lab.pkd(*words, "--quiet").err


def test_what_training_ends_with_is_never_an_error(lab, copied, tmp_path):
    assert ending(RunPaths(tmp_path / "nowhere")) is None
    recipe = copied / "recipe.yaml"
    text = recipe.read_text()
    recipe.write_text(text.replace("max_iters: null", "max_iters: 4"))
    assert ending(RunPaths(copied)) is None  # a smoke run
    recipe.write_text("no recipe: [")
    assert ending(RunPaths(copied)) is None


def test_every_command_that_is_named_works_when_it_is_typed(lab, monkeypatch):
    from pkdcli.api.diagnosis.diagnose import DiagnoseOptions, diagnose
    from pkdcli.cli import app
    from pkdcli.options import OutputOptions
    from pkdcli.reporting.diagnosis import balance, levels, rate, student, teacher
    from pkdcli.reporting.diagnosis.facts import facts_of

    monkeypatch.setenv("PKD_CACHE", str(lab.cache))
    monkeypatch.setenv("PKD_RUNS", str(lab.runs))
    run = lab.run("gfl101-fcos50__pkd")
    found = diagnose(DiagnoseOptions(name=str(run)), OutputOptions()).found
    facts = facts_of(RunPaths(run), lab.cache)
    for one in facts.levels:
        one |= {"level1.loss": 0.0, **{f"level{n}.constant_teacher": 0.6 for n in (0, 2, 3)}}
    for one in facts.updates:
        one |= {"backbone.trained": 0.0, "adapters.norm": float(one["iter"])}
    facts.recipe.loss.levels = "0:2,1:1"
    rules = (levels.dead, levels.constant, levels.mispaired, student.frozen, student.adapters, balance.overwhelms,
             rate.too_high, rate.too_low, teacher.weak)  # fmt: skip
    causes = [*found.causes, *(cause for rule in rules if (cause := rule(facts)))]
    commands = {one.command for one in causes} | {note[note.index("pkd ") :] for note in found.notes if ": pkd" in note}
    commands = {text for text in commands if text and not text.startswith("pkd data")}
    assert len(commands) >= 7
    for text in sorted(commands):
        answer = CliRunner().invoke(app, [*shlex.split(text)[1:], "--dry-run"])
        assert answer.exit_code == 0, (text, answer.output, answer.exception)
