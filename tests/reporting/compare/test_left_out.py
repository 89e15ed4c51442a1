"""`pkd compare` of groups of seeds of which some runs can't be measured: they are left out by name, with a remedy."""

from __future__ import annotations

import csv
import json
import os
import socket

import pytest
from compared_runs import Desk, desk_in, refused

from pkdcli.errors import ExitCode
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.store import write_json

NAMES = ("fcos50__baseline", "gfl101-fcos50__pkd", "--resamples", "0")


@pytest.fixture
def desk(tmp_path, monkeypatch) -> Desk:
    """A baseline and pkd with seeds 0 to 3."""
    desk = desk_in(tmp_path, monkeypatch)
    desk.base = [desk.add("none", 6.0, seed) for seed in range(4)]
    desk.pkd = [desk.add("pkd", 3.0, seed) for seed in range(4)]
    return desk


def unfinished(run: RunPaths, state: str = "interrupted", why: str | None = None, **status) -> None:
    """Leave a run as one that has ended, or waits, without a result."""
    run.predictions.unlink()
    run.result.unlink()
    error = {"message": why, "hint": None, "code": 1} if why else None
    write_json(run.status, {"schema": 1, "run": run.run, "state": state, "error": error, **status})


def lines(text: str, begin: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(begin)]


def by_seed(text: str, kind: str) -> list[tuple[str, str, str]]:
    rows = list(csv.DictReader(text.splitlines()))
    return [(row["key"], row["a"], row["b"]) for row in rows if row["kind"] == kind]


def test_unfinished_runs_are_left_out_by_name_with_their_partners(desk):
    whole = json.loads(desk(*NAMES, "--format", "json").stdout)
    pairs = {row["key"]: row["difference"] for row in whole if row["kind"] == "pair"}
    unfinished(desk.pkd[1])
    unfinished(desk.base[2], "failed", "no memory left on cpu.")
    said = desk(*NAMES).stdout
    assert lines(said, "2 pairs of runs, 30 images."), "seeds 0 and 3"
    b1, b2, p1, p2 = (runs[seed].run for runs in (desk.base, desk.pkd) for seed in (1, 2))
    assert lines(said, "Left out") == [
        f"Left out: {b2} is not finished (failed: no memory left on cpu): a run keeps its detections at its end. pkd "
        f"resume {b2} goes on with it; `pkd status` says how far it is. With it goes its partner of the same seed, "
        f"{p2}.",
        f"Left out: {p1} is not finished (interrupted): a run keeps its detections at its end. pkd resume {p1} goes on "
        f"with it; `pkd status` says how far it is. With it goes its partner of the same seed, {b1}.",
    ]
    text = desk(*NAMES, "--format", "csv").stdout
    assert by_seed(text, "pair") == [(str(n), desk.base[n].run, desk.pkd[n].run) for n in (0, 3)]
    assert by_seed(text, "left_out") == [("2", b2, p2), ("1", b1, p1)]
    (mean,) = [row for row in csv.DictReader(text.splitlines()) if row["key"] == "mAP"]
    assert float(mean["difference"]) == pytest.approx((pairs["0"] + pairs["3"]) / 2), "both sides lose the same seeds"


def test_a_seed_that_is_unfinished_on_both_sides_is_left_out_once_each(desk):
    unfinished(desk.base[1])
    unfinished(desk.pkd[1])
    text = desk(*NAMES, "--format", "csv").stdout
    assert by_seed(text, "left_out") == [("1", desk.base[1].run, ""), ("1", "", desk.pkd[1].run)]
    assert len(by_seed(text, "pair")) == 3
    assert not [line for line in desk(*NAMES).stdout.splitlines() if "With it goes" in line]


def test_a_run_without_a_partner_is_in_the_rows_too(desk):
    more = desk.add("pkd", 3.0, 7)
    text = desk(*NAMES, "--format", "csv").stdout
    assert by_seed(text, "left_out") == [("7", "", more.run)]
    (row,) = [row for row in csv.DictReader(text.splitlines()) if row["kind"] == "left_out"]
    assert row["why"] == "it has no partner of the same seed."


def test_one_that_is_at_work_is_waited_for(desk):
    unfinished(desk.pkd[0], "running", pid=os.getpid(), host=socket.gethostname())
    (line,) = lines(desk(*NAMES).stdout, "Left out")
    name = desk.pkd[0].run
    assert line.startswith(
        f"Left out: {name} is not finished (running): a run keeps its detections at its end. Wait until it is done: "
        f"`pkd status {name}` says how far it is. With it goes"
    )


def test_detections_that_are_gone_or_damaged_cost_their_seed_alone(desk):
    desk.pkd[0].predictions.unlink()
    desk.pkd[1].predictions.write_bytes(b"PK cut short")
    desk.base[2].recipe.write_text("a: [")
    said = desk(*NAMES).stdout
    assert lines(said, "1 pair of runs, 30 images.")
    alone, broken, gone, damaged = lines(said, "Left out")
    assert alone == f"Left out, having no partner of the same seed: {desk.pkd[2].run}.", "whose it was is not known"
    assert broken.startswith(f"Left out: {desk.base[2].recipe}")
    assert f"{desk.pkd[0].run} has kept no detections of its val split. pkd eval {desk.pkd[0].run} evaluates" in gone
    assert f"{desk.pkd[1].predictions} is damaged" in damaged
    assert f"pkd eval {desk.pkd[1].run} finds them again, and keeps them." in damaged


def test_a_group_that_has_none_left_is_refused_with_every_reason(desk):
    for run in desk.pkd:
        unfinished(run)
    error = refused(desk, *NAMES)
    listed = "".join(
        f"\n  {run.run} is not finished (interrupted): a run keeps its detections at its end. pkd resume {run.run} "
        "goes on with it; `pkd status` says how far it is."
        for run in desk.pkd
    )
    assert error.message == f"none of the 4 runs that 'gfl101-fcos50__pkd' means can be compared:{listed}"
    assert error.code == ExitCode.MISSING


def test_the_very_run_that_was_named_is_refused(desk):
    unfinished(desk.pkd[1])
    error = refused(desk, "fcos50__baseline", desk.pkd[1].run)
    assert error.message == f"{desk.pkd[1].run} is not finished (interrupted): a run keeps its detections at its end."
    assert error.hint == f"pkd resume {desk.pkd[1].run} goes on with it; `pkd status` says how far it is."


def test_what_is_left_of_two_groups_is_no_pair_by_being_alone(desk):
    """One run of each is left, of other seeds: two single runs would be a pair, what is left of groups is not."""
    for run in (*desk.base[1:], desk.pkd[0], *desk.pkd[2:]):
        unfinished(run)
    error = refused(desk, *NAMES)
    assert error.message == (
        "fcos50__baseline has seeds 0 and gfl101-fcos50__pkd seeds 1: none is in both. "
        f"{desk.pkd[1].run} has a partner, but {desk.base[1].run} is not finished (interrupted): a run keeps its "
        "detections at its end."
    )
    assert error.hint.startswith(f"pkd resume {desk.base[1].run} goes on with it;")


def test_a_word_for_two_recipes_is_refused_though_one_of_them_is_unfinished(desk):
    other = desk.add("mse", 3.0, 0)
    unfinished(other)
    error = refused(desk, "fcos50__baseline", "gfl101-fcos50__", "--resamples", "0")
    assert error.message.startswith("'gfl101-fcos50__' means runs that differ in more than their seeds: ")
    assert other.run in error.message
