"""`pkd list`: what there is."""

from __future__ import annotations

import json

from pkdcli.recipe import library
from pkdcli.runs.store import write_json


def test_list_names_what_the_folders_hold(type_):
    said = type_("list", "--json")
    rows = [json.loads(line) for line in said.out.splitlines()]
    found = {kind: [row["name"] for row in rows if row["list"] == kind] for kind in {row["list"] for row in rows}}
    folders = {"data": "datasets"}
    assert found == {
        kind: library.names(folders.get(kind, kind))
        for kind in ("pairs", "detectors", "losses", "schedules", "data", "scales", "tables", "launchers")
    }
    detectors = {row["name"]: row["box AP on COCO"] for row in rows if row["list"] == "detectors"}
    assert {row["kind"] for row in rows if row["list"] == "detectors"} == {"one-stage", "two-stage"}
    assert (detectors["gfl101"], detectors["fcos50"]) == (44.7, 38.7)


def test_list_of_losses_and_of_those_that_no_recipe_can_name(type_):
    named, said = type_("list", "losses", "--json"), type_("list", "losses", "--all", "--json")
    assert said.out.startswith(named.out)
    others = [json.loads(line) for line in said.out[len(named.out) :].splitlines()]
    assert {row["name"]: row["why"] for row in others} == library.unavailable_losses()
    assert "CRDLoss" in type_("list", "losses", "--all").out
    refused = type_("list", "pairs", "--all")
    assert (refused.code, refused.err) == (
        2,
        "error: --all: there is no more to say of pairs.\nIt belongs to: pkd list losses.\n",
    )


def test_list_of_one_kind(type_):
    said = type_("list", "schedules")
    assert (said.code, said.err) == (0, "")
    assert (
        said.out
        == """\
schedules
┏━━━━━━━┳━━━━━━━━┳━━━━━━━━━━━━┳━━━━━━━━━━━━━┓
┃ name  ┃ epochs ┃ milestones ┃ multi_scale ┃
┡━━━━━━━╇━━━━━━━━╇━━━━━━━━━━━━╇━━━━━━━━━━━━━┩
│ 1x    │     12 │ 8, 11      │ -           │
│ 2x    │     24 │ 16, 22     │ -           │
│ 2x+ms │     24 │ 16, 22     │ 480, 800    │
└───────┴────────┴────────────┴─────────────┘
"""
    )


def test_list_of_runs(type_, here):
    assert type_("list", "runs").out.endswith("no runs yet: pkd train --pair gfl101-fcos50 --scale tiny\n")
    write_json(here / "runs" / "a" / "status.json", {"state": "failed"})
    assert type_("list", "runs", "--json").out == '{"list": "runs", "run": "a", "state": "failed", "mAP": null}\n'
    assert type_("list", "runs", "--json", "--runs", "elsewhere").out == ""


def test_failed_and_smoke_runs_are_counted_and_shown_when_asked_for(type_, run, here):
    run("bad", "failed")
    run("worse", "failed")
    run("whole", "done", result=True)
    run("cut", "done", result=True)
    cut = {"role": "baseline", "metrics": {"mAP": 1.0}, "max_iters": 2, "val_images": 8}
    write_json(here / "runs" / "cut" / "result.json", cut)
    said = type_("list", "runs").out
    assert said.endswith("2 failed runs hidden: --all\n1 smoke run hidden: --all\n")
    assert [name for name in ("bad", "worse", "whole", "cut") if name in said] == ["whole"]
    everything = type_("list", "runs", "--all").out
    assert all(name in everything for name in ("bad", "worse", "whole", "cut"))
    assert "hidden" not in everything
    assert len(type_("list", "runs", "--json").out.splitlines()) == 4
