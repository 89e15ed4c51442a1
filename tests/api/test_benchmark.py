"""`pkdcli.benchmark()` and `pkd bench` give the same; and the function prints nothing."""

from __future__ import annotations

import json
import math

import pytest

from pkdcli.api import benchmark as module
from pkdcli.api.benchmark import Benchmark, benchmark
from pkdcli.api.options import DEFAULT, BenchmarkOptions
from pkdcli.errors import PkdError
from pkdcli.launch.outcome import Watcher

MACHINE = {"cpu": "A processor", "cores": 2, "threads": 1, "gpu": None, "load": 0.5, "torch": "2.9", "python": "3.11",
           "system": "Linux"}  # fmt: skip
NO_BOUND = {"at_least": None, "at_most": None, "ok": None}
SECTION = {
    "title": "What it takes",
    "timings": [{"name": "ours", "seconds": [0.05, 0.06, 0.07], "median": 0.06}],
    "ratios": [
        {"name": "times faster", "value": 9.0, "low": 8.5, "high": 9.25, **NO_BOUND, "at_least": 8.0, "ok": True}
    ],
    "numbers": [{"name": "memory", "value": 43.6, "unit": "MiB", **NO_BOUND, "at_most": 40.0, "ok": False}],
    "notes": [],
}

# What the process that measures prints, of whatever sections it is asked for.
WORKER = f"""
import json, sys
only = json.load(open(sys.argv[1]))["only"]
print(json.dumps({{"machine": {MACHINE!r}}}))
for name in only:
    print(json.dumps({{"doing": name}}))
    if name == "data":
        print(json.dumps({{"error": {{"message": "no pictures.", "hint": "Draw some.", "code": 3}}}}))
        sys.exit(3)
    print(json.dumps({{"section": {{"name": name, **{SECTION!r}}}}}))
"""


@pytest.fixture
def worker(engine):
    engine("pkdcli.engine.bench.worker", WORKER)


class Listening(Watcher):
    def __init__(self):
        self.told = []

    def doing(self, text):
        self.told.append(text)
        return super().doing(text)


def test_the_function_gives_what_the_command_prints_as_json(worker, typed, called):
    answer = json.loads(typed("bench", "--only", "losses,eval", "--repeat", "3", "--image", "64x96", "--json").out)
    found = called(benchmark, only=["losses", "eval"], repeat=3, image="64x96")
    record = json.loads(json.dumps(found.record()))
    assert record == {key: answer[key] for key in ("wishes", "machine", "sections", "complete")}
    assert (found.machine, found.complete) == (MACHINE, True)
    assert [one["name"] for one in found.sections] == ["losses", "eval"]
    assert (record["wishes"]["image"], record["wishes"]["repeat"]) == ([64, 96], 3)


def test_each_section_is_told_when_it_has_been_measured_and_what_is_being_done(worker, called):
    told, watcher = [], Listening()
    called(benchmark, only="losses,eval", on_section=told.append, watcher=watcher)
    assert [one["name"] for one in told] == ["losses", "eval"]
    assert watcher.told == ["starting ...", "measuring losses ...", "measuring eval ..."]


def test_what_was_measured_before_an_error_is_kept(worker, places, called):
    told = []
    with pytest.raises(PkdError) as caught:
        called(benchmark, only="losses,data,eval", on_section=told.append)
    assert (caught.value.message, caught.value.hint, caught.value.code) == ("no pictures.", "Draw some.", 3)
    assert [one["name"] for one in told] == ["losses"]
    found = module.planned(BenchmarkOptions(only=("losses", "data")), Watcher())
    with pytest.raises(PkdError):
        found.measure()
    assert ([one["name"] for one in found.sections], found.complete) == (["losses"], False)


def test_the_frame_has_a_row_for_each_timing_ratio_and_number(worker, called):
    frame = called(benchmark, only="losses").frame()
    assert list(frame.columns) == list(module.COLUMNS)
    rows = [[None if isinstance(cell, float) and math.isnan(cell) else cell for cell in row]
            for row in frame.astype(object).to_numpy().tolist()]  # fmt: skip
    assert rows == [
        ["losses", "timing", "ours", 0.06, 0.05, 0.07, "s", None, None, None],
        ["losses", "ratio", "times faster", 9.0, 8.5, 9.25, None, 8.0, None, True],
        ["losses", "number", "memory", 43.6, None, None, "MiB", None, 40.0, False],
    ]
    assert "<td>times faster</td>" in called(benchmark, only="losses")._repr_html_()


def test_without_a_word_the_usual_sections_are_measured(places):
    assert module.planned(BenchmarkOptions(), Watcher()).settings["only"] == DEFAULT
    assert isinstance(module.planned(BenchmarkOptions(clock="cpu"), Watcher()), Benchmark)


@pytest.mark.parametrize(
    ("keywords", "message", "hint"),
    [
        ({"onyl": "losses"}, "unknown keyword 'onyl'.", "Did you mean 'only'?"),
        ({"only": "loses"}, "unknown section (--only) 'loses'.", "Did you mean 'losses'?"),
        ({"repeat": 0}, "repeat: 0 is not a whole number of 1 or more.", "Example: repeat=5"),
        ({"clock": "sun"}, "unknown clock 'sun'.", "Allowed: cpu, wall."),
        ({"image": (64, 96)}, "image: (64, 96) is not a text.", "Example: image='HxW'"),
        ({"loss": "none"}, "--loss: the baseline distils nothing.", "Name a loss, such as pkd."),
    ],
)
def test_wrong_keywords(called, keywords, message, hint):
    with pytest.raises(PkdError) as caught:
        called(benchmark, **keywords)
    assert (caught.value.message, caught.value.code) == (message, 2)
    assert caught.value.hint.startswith(hint)
