"""A run's warnings reach the user once each, while it runs or at its end, however the progress is shown."""

from __future__ import annotations

import json

import pytest

from pkdcli.cli.progress.base import Watch
from pkdcli.cli.progress.json_lines import JsonLines
from pkdcli.cli.progress.plain import Lines
from pkdcli.launch.job import JobSpec
from pkdcli.launch.outcome import Outcome
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.status import Status


@pytest.fixture
def spec(tmp_path):
    return JobSpec(name="a-run", argv=("true",), run_dir=tmp_path, env={}, needs=())


@pytest.mark.parametrize("kind", [Watch, Lines])
def test_a_warning_is_printed_on_stderr_once(spec, kind, capsys):
    watch, status = kind(), Status(RunPaths(spec.run_dir))
    watch._next = {spec.name: float("inf")}
    watch.on_tick(spec)
    status.warn("the teacher has 0.0 mAP")
    watch.on_tick(spec)
    watch.on_tick(spec)
    status.warn("level 3 teaches nothing")
    watch.on_end(spec, Outcome(0))
    out, err = capsys.readouterr()
    assert out == ""
    assert [line for line in err.splitlines() if "warning" in line] == [
        "a-run: warning: the teacher has 0.0 mAP",
        "a-run: warning: level 3 teaches nothing",
    ]


def test_a_warning_is_an_event_in_json(spec, capsys):
    watch = JsonLines()
    Status(RunPaths(spec.run_dir)).warn("the teacher has 0.0 mAP")
    watch.on_tick(spec)
    watch.on_end(spec, Outcome(0))
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event for event in events if event["event"] == "warning"] == [
        {"event": "warning", "run": "a-run", "text": "the teacher has 0.0 mAP"}
    ]
    assert events[-1]["event"] == "ended"
