"""`pkdcli.visualize()` and `pkd visualize` give the same; and the function prints nothing."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from pkdcli.api.visualize import visualize as module
from pkdcli.api.visualize.visualize import visualize
from pkdcli.errors import PkdError

TINY = {"pair": "gfl101-fcos50", "scale": "tiny", "untrained": True, "figure": "7"}
WORDS = ("--pair", "gfl101-fcos50", "--scale", "tiny", "--untrained", "--figure", "7")


@pytest.fixture(autouse=True)
def asked(monkeypatch, measured_features):
    """What the process is asked to measure, which it does in no time."""
    requests = []

    def ask(engine, request, what):
        requests.append(request)
        measured_features(request).write(Path(request["output"]))
        return {}

    monkeypatch.setattr(module, "ask", ask)
    return requests


def test_the_function_gives_what_the_command_prints_and_both_write_the_same(asked, typed, called, micro, places):
    answer = typed("visualize", *WORDS, "--data", micro, "--format", "png", "--json", "--output", places / "a")
    found = called(visualize, **TINY, data=micro, formats="png", output=places / "b")
    (record,), (drawn,) = map(json.loads, answer.out.splitlines()), found.drawn
    files = [str(places / "a" / file.name) for file in drawn.files]
    assert record == {**json.loads(json.dumps(drawn.record())), "files": files}
    assert found.pictures == list(drawn.pictures) == [places / "b" / "figure7.png"]
    assert found.files == list(drawn.files)
    for file in found.files:
        same = (places / "a" / file.name).read_bytes()
        assert file.read_bytes() == same
    assert {**asked[0], "output": None} == {**asked[1], "output": None}
    names = [file.name for file in found.files]
    assert names == ["figure7.png", "figure7-statistics.csv", "figure7-channels.csv", "figure7.md"]


def test_a_dry_run_draws_nothing_and_says_what_it_would(asked, typed, called, micro):
    answer = json.loads(typed("visualize", *WORDS, "--data", micro, "--dry-run", "--json").out)
    found = called(visualize, **TINY, data=micro, dry_run=True)
    (plan,) = found.plans
    assert answer == json.loads(json.dumps(module.planned(plan, found.formats)))
    assert [str(path) for path in found.pictures] == answer["files"]
    assert (found.drawn, found.files, asked) == ((), [], [])
    assert not any(path.exists() for path in found.pictures)


def test_each_figure_is_told_when_it_has_been_drawn(called, micro):
    told = []
    words = {**TINY, "figure": "6,7", "levels": ["P3"], "formats": ["svg"], "data": micro}
    found = called(visualize, **words, on_figure=told.append)
    assert [one.number for one in told] == [6, 7]
    assert tuple(told) == found.drawn
    assert told[0].features is told[1].features


def test_figures_show_themselves_in_a_notebook(called, micro):
    found = called(visualize, **TINY, data=micro, formats=("pdf", "png"))
    content = base64.b64encode(found.pictures[1].read_bytes()).decode()
    assert found._repr_html_() == (
        f'<h4>Figure 7</h4><img alt="figure7.png" src="data:image/png;base64,{content}">'
    )
    assert module.picture([Path("/a/<b>.pdf")]) == "<p>/a/&lt;b&gt;.pdf</p>"


@pytest.mark.parametrize(
    ("keywords", "message", "hint"),
    [
        ({"figuer": "4"}, "unknown keyword 'figuer'.", "Did you mean 'figure'?"),
        ({"figure": "9"}, "--figure: unknown figure '9'.", "Allowed: 4, 5, 6, 7, 8, all."),
        ({"count": 17}, "count: 17 is not a whole number from 1 to 16.", "Example: count=2"),
        ({"reduce": "sum"}, "unknown reduce 'sum'.", "Allowed: max, mean, norm."),
        ({"formats": ["png", "gif"]}, "unknown formats 'gif'.", "Allowed: pdf, png, svg."),
        ({"untrained": 1}, "untrained: 1 is not True or False.", "Example: untrained=True"),
        ({"student": "nothing"}, "there is no run and no checkpoint file 'nothing'.", "`pkd status` lists"),
        ({"images": "absent.png", "scale": "tiny"}, "--image: there is no file absent.png.", "Give JPEG or PNG files."),
    ],
)
def test_wrong_keywords(called, keywords, message, hint):
    with pytest.raises(PkdError) as caught:
        called(visualize, **keywords)
    assert (caught.value.message, caught.value.code) == (message, 2)
    assert caught.value.hint.startswith(hint)


def test_without_coco_the_keyword_that_needs_none_is_named(called, places, monkeypatch):
    monkeypatch.setenv("PKD_COCO", str(places / "nowhere"))
    with pytest.raises(PkdError) as caught:
        called(visualize, figure="5", untrained=True)
    assert caught.value.hint.endswith('in minutes:\n  scale="tiny"')
