"""Table recipes: which runs a table is made of, and that every published number of the appendix has its line."""

from __future__ import annotations

from collections import Counter

import pytest

from pkdcli.config.teacher import teacher_recipe
from pkdcli.errors import PkdError
from pkdcli.recipe import library
from pkdcli.recipe.identity import run_id
from pkdcli.recipe.resolve import Request
from pkdcli.recipe.table import expand, recipes
from pkdcli.reporting.published import read_published

APPENDIX8 = {
    ("fcosx101-retina50", "1x"): [5, 10, 20],
    ("fcosx101-retina50", "2x"): [5, 10, 20],
    ("gfl101-fcos50", "1x"): [50, 70],
    ("gfl101-fcos50", "2x"): [10, 30, 50, 70, 80],
    ("retinax101-retina50", "2x"): [5, 10, 15],
    ("maskswin-faster50", "2x"): [3, 5, 6, 10],
}


def lines_of(name, seeds=(0,), only=(), **request):
    return expand(library.load("tables", name), Request(**{"scale": "tiny", **request}), seeds, only)


def runs_of(lines):
    """Role by run id, teachers included."""
    roles = {}
    for recipe in recipes(lines):
        roles[run_id(recipe)] = recipe.role
        if recipe.teacher:
            roles[run_id(teacher_recipe(recipe))] = "teacher"
    return roles


@pytest.mark.parametrize("scale", ["tiny", "paper"])
@pytest.mark.parametrize(
    ("name", "distilled", "baselines", "teachers"),
    [("table7", 2, 2, 2), ("table8", 20, 5, 4), ("table8-plain", 2, 1, 1)],
)
def test_runs_of_a_table(name, distilled, baselines, teachers, scale):
    counts = Counter(runs_of(lines_of(name, scale=scale)).values())
    assert counts == {"distill": distilled, "baseline": baselines, "teacher": teachers}


def test_table8_is_the_appendix_line_by_line():
    found = {}
    for line in lines_of("table8"):
        assert (line.recipe.loss.name, line.recipe.loss.temperature) == ("mse", None)
        found.setdefault((line.recipe.pair, line.recipe.schedule.name), []).append(line.recipe.loss.weight)
    assert found == APPENDIX8
    assert list(found) == list(APPENDIX8)


def test_table7_is_the_appendix_line_by_line():
    lines = lines_of("table7")
    assert [
        (r.pair, r.schedule.name, r.loss.name, r.loss.weight, r.loss.temperature) for r in (x.recipe for x in lines)
    ] == [("retinax101-retina50", "2x", "norm-kl", 10, 50), ("gfl101-gfl50", "1x", "norm-kl", 10, 50)]


@pytest.mark.parametrize(("name", "methods"), [("table7", {"norm-kl"}), ("table8", {"mse"})])
def test_every_published_row_has_its_line_and_every_line_its_row(name, methods):
    table = library.load("tables", name)
    rows = [row for row in read_published() if row["table"] == table.published]
    published = {(r["pair"], r["schedule"], r["method"], r["weight"]) for r in rows if r["method"] in methods}
    ours = {(r.pair, r.schedule.name, r.loss.name, r.loss.weight) for r in (x.recipe for x in lines_of(name))}
    assert ours == published


def test_plain_fcos_stands_beside_the_numbers_of_the_pair_with_tricks():
    first, second = lines_of("table8-plain")
    assert first.row is second.row
    assert first.row.published == "gfl101-fcos50"
    assert (first.recipe.student.name, first.recipe.schedule.name) == ("fcos50-plain", "1x")
    shared = {run for run, role in runs_of(lines_of("table8")).items() if role == "teacher"}
    assert {run for run, role in runs_of([first, second]).items() if role == "teacher"} <= shared


def test_baselines_never_inherit_and_are_shared_by_pairs_with_the_student():
    lines = lines_of("table8")
    assert {line.recipe.init for line in lines if line.recipe.pair == "retinax101-retina50"} == {"inherit"}
    assert {one.init for line in lines for one in line.baselines.values()} == {"scratch"}
    retina = {run_id(x.baselines[0]) for x in lines if x.recipe.student.name == "retina50" and x.row.schedule == "2x"}
    assert len(retina) == 1


def test_seeds_multiply_students_and_baselines_but_not_teachers():
    lines = lines_of("table7", seeds=(0, 1, 2, 1))
    assert [list(line.runs) for line in lines] == [[0, 1, 2], [0, 1, 2]]
    assert Counter(runs_of(lines).values()) == {"distill": 6, "baseline": 6, "teacher": 2}
    assert [recipe.seed for recipe in lines[0].runs.values()] == [0, 1, 2]


def test_only_keeps_a_pair_in_the_order_of_the_table():
    lines = lines_of("table8", only=("maskswin-faster50", "gfl101-fcos50"))
    assert [(line.recipe.pair, line.recipe.loss.weight) for line in lines][:3] == [
        ("gfl101-fcos50", 50), ("gfl101-fcos50", 70), ("gfl101-fcos50", 10),
    ]  # fmt: skip
    assert len(lines) == 11


def test_only_refuses_a_pair_that_the_table_does_not_have():
    with pytest.raises(PkdError) as caught:
        lines_of("table7", only=("gfl101-gfl5",))
    assert caught.value.message == "--only: table table7: unknown pair 'gfl101-gfl5'."
    assert caught.value.hint == "Did you mean 'gfl101-gfl50'? Allowed: gfl101-gfl50, retinax101-retina50."


def test_a_user_s_table_without_weights_takes_the_loss_s_own(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "name: mine\ntitle: Mine\nlayout: methods\nrows:\n"
        "  - {pair: maskswin-fcos50, schedule: 1x, loss: pkd}\n"
        "  - {pair: gfl101-fcos50, schedule: 1x, loss: norm-kl, temperature: 500}\n"
    )
    lines = expand(library.load("tables", str(path)), Request(scale="tiny"), [0])
    assert [(line.recipe.loss.weight, line.recipe.loss.temperature) for line in lines] == [(6.0, None), (10.0, 500.0)]


def test_every_problem_of_a_table_is_named_at_once(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "name: mine\ntitle: Mine\nlayout: table8\nrows:\n  - {pair: a, schedule: 1x, los: mse, weights: [-1]}\n"
    )
    with pytest.raises(PkdError) as caught:
        library.load("tables", str(path))
    assert caught.value.message == (
        f"{path}: 4 problems:\n"
        "  layout: should be 'methods' or 'weights', not 'table8'\n"
        "  rows.0.loss: is missing\n"
        "  rows.0.weights.0: should be greater than or equal to 0, not -1\n"
        "  rows.0.los: unknown key; did you mean 'loss'?"
    )


def test_a_table_needs_a_row(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\ntitle: Mine\nlayout: weights\nrows: []\n")
    with pytest.raises(PkdError, match="rows: List should have at least 1 item"):
        library.load("tables", str(path))
