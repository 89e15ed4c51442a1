"""Curves made by a second process are those that this one makes, and come even where that process does not live."""

from __future__ import annotations

import os
from datetime import datetime, timezone

import pytest

from pkdcli.reporting.page import beside, details
from pkdcli.reporting.page.build import render
from pkdcli.reporting.page.packed import PackedPanel
from pkdcli.reporting.plots.build import reader
from pkdcli.runs.collect import collect


@pytest.fixture
def jobs(site, monkeypatch):
    monkeypatch.setattr(beside, "share", lambda: 2)
    monkeypatch.setattr(beside, "_CHUNK", 1)
    site.add("base", 16.0, role="baseline")
    for n in range(3):
        site.add(f"mse-{n}", 20.0 + n, weight=float(n + 1), samples=False)
    site.add("none", 19.0, weight=9.0, curves=False, samples=False)
    records = collect(site.root)
    known = {record["run"]: record for record in records}
    return [beside.Job(record, known.get(record["baseline"]), 10) for record in records]


def elsewhere(job):
    assert os.getpid() != PARENT
    return [str(job.record["run"])]


def ends_at_the_third(job):
    if job.record["weight"] == 2.0:
        os._exit(9)
    return beside._packed(job, reader())


PARENT = os.getpid()


def refused(*_, **__):
    raise OSError("Function not implemented")


def test_a_second_process_makes_the_same(jobs, monkeypatch):
    here = list(beside.packed_curves(jobs, reader(), beside=False)())
    assert [len(panels) for panels in here] == [3, 7, 7, 7, 1]
    assert isinstance(here[1][0], PackedPanel)
    assert list(beside.packed_curves(jobs, reader(), beside=True)()) == here
    monkeypatch.setattr(beside, "_packed_there", elsewhere)
    found = list(beside.packed_curves(jobs, refused, beside=True)())
    assert found == [["base"], ["mse-0"], ["mse-1"], ["mse-2"], ["none"]]


def test_what_an_ended_process_has_left_is_made_here(jobs, monkeypatch):
    here = list(beside.packed_curves(jobs, reader(), beside=False)())
    monkeypatch.setattr(beside, "_packed_there", ends_at_the_third)
    assert list(beside.packed_curves(jobs, reader(), beside=True)()) == here


def test_without_a_second_process_or_core(jobs, monkeypatch):
    here = list(beside.packed_curves(jobs, reader(), beside=False)())
    monkeypatch.setattr(beside, "ProcessPoolExecutor", refused)
    assert list(beside.packed_curves(jobs, reader(), beside=True)()) == here
    monkeypatch.delattr(beside, "ProcessPoolExecutor")
    monkeypatch.setattr(beside, "share", lambda: 1)
    assert list(beside.packed_curves(jobs, reader(), beside=True)()) == here


def test_the_page_of_many_runs_is_the_same_either_way(jobs, site, monkeypatch):
    monkeypatch.setattr(details, "MANY", 3)
    records, now = [job.record for job in jobs], datetime(2026, 1, 1, tzinfo=timezone.utc)
    beside_it = render([], [], records, records, site.root, now=now)
    monkeypatch.setattr(beside, "share", lambda: 1)
    assert render([], [], records, records, site.root, now=now) == beside_it
