"""The ranking on runs that were really made: what was planted is named first, and healthy runs are called healthy."""

from __future__ import annotations

from pathlib import Path

import pytest
from battery import BATTERY

from pkdcli.reporting.diagnosis.rank import RULES
from pkdcli.reporting.diagnosis.tables import one_line

BROKEN = {name: one.cause for name, one in BATTERY.items() if one.cause != "healthy"}


@pytest.mark.parametrize("name", BROKEN)
def test_the_planted_cause_is_named_first(diagnosis, folder, name):
    found = diagnosis(name)
    assert found.named[0].key == BROKEN[name]
    assert not found.healthy
    assert one_line(found).startswith(f"something may be wrong: {found.named[0].title}")
    assert one_line(found).endswith(f"; pkd diagnose {folder(name)}")  # which lies where no runs are looked for


def test_healthy_runs_are_called_healthy(recorded, diagnosis):
    names = sorted(one.name for one in (recorded / "runs").glob("healthy*"))
    assert len(names) >= 5
    found = {name: [cause.key for cause in diagnosis(name).named] for name in names}
    assert found == {name: [] for name in names}
    assert one_line(diagnosis(names[0])) is None


def test_every_cause_has_evidence_with_numbers_of_good_runs_and_a_command(diagnosis):
    for name in BROKEN:
        first = diagnosis(name).named[0]
        assert first.evidence
        assert any(one.good for one in first.evidence), name
        assert first.command is None or first.command.startswith("pkd "), name
        assert first.remedy
        assert 0.5 <= first.score <= 1


def test_the_page_tells_of_every_rule():
    page = (Path(__file__).parents[3] / "docs" / "diagnose.md").read_text()
    told = {line.split("`")[1] for line in page.splitlines() if line.startswith("| `")}
    keys = {"data", "labels", "normalisation", "domain", "weak-teacher", "frozen", "rate-high", "rate-low",
            "dead-level", "mispaired", "constant-channels", "overwhelms", "overwhelmed", "adapters", "conflict",
            "too-short", "uncorrelated"}  # fmt: skip
    assert told == keys
    assert len(RULES) == len(keys)


def test_the_planted_cause_is_first_in_nine_of_ten_and_the_page_shows_that_table(diagnosis):
    """Page and records are the same battery: cause planted, cause named, score, rank, and what is named besides."""
    page = (Path(__file__).parents[3] / "docs" / "diagnose.md").read_text().split("## How good it is")[1]
    lines = [line.strip("|").split("|") for line in page.splitlines() if line.startswith("| ")]
    shown = [[cell.strip() for cell in line] for line in lines]
    shown = shown[2 : 2 + len(BATTERY)]
    found, ranks = [], []
    for name, one in BATTERY.items():
        named = [(cause.key, cause.score) for cause in diagnosis(name).named]
        keys = [key for key, _ in named]
        if one.cause == "healthy":
            found.append(["healthy" if not named else keys[0], "", "", ""])
            continue
        ranks.append(keys.index(one.cause) + 1 if one.cause in keys else None)
        besides = ", ".join(f"`{key}` {score:.2f}" for key, score in named[1:])
        found.append([f"`{keys[0]}`", f"{named[0][1]:.2f}", str(ranks[-1] or "-"), besides])
    assert len(ranks) >= 10
    assert sum(rank == 1 for rank in ranks) >= 0.9 * len(ranks)
    assert [row[2:] for row in shown] == found
