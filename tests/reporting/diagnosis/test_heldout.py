"""The ranking on runs that the rules had not seen when they were first judged: as it was then, and as it is today."""

from __future__ import annotations

from pathlib import Path

import pytest
from heldout import FIRST, SECOND, TWO, Held

ALL = {f"b{number}-{name}": one for number, battery in ((1, FIRST), (2, SECOND)) for name, one in battery.items()}
BROKEN = {name: one.cause for name, one in ALL.items() if one.cause != "healthy"}


def named_then(one: Held) -> str:
    """The cause that was named first by rules that had not seen the run."""
    return one.unseen.split(" ")[0].strip("`")


@pytest.mark.parametrize("name", BROKEN)
def test_the_planted_cause_is_named_first(diagnosis, name):
    found = diagnosis(name)
    assert found.named[0].key == BROKEN[name]
    assert found.named[0].evidence


@pytest.mark.parametrize("battery", [FIRST, SECOND])
def test_how_many_were_named_first_by_rules_that_had_not_seen_them(battery):
    """What the page says in words, by the records of then."""
    page = (Path(__file__).parents[3] / "docs" / "diagnose.md").read_text()
    broken = [one for one in battery.values() if one.cause != "healthy"]
    right = sum(named_then(one) == one.cause for one in broken)
    whole = [one for one in battery.values() if one.cause == "healthy"]
    called = sum(named_then(one) == "healthy" for one in whole)
    assert f"named first in {right} of {len(broken)} ({100 * right / len(broken):.0f} %)" in " ".join(page.split())
    assert f"called {called} of {len(whole)} healthy" in " ".join(page.split())


@pytest.mark.parametrize("name", TWO)
def test_two_causes_in_one_run_are_both_named(diagnosis, name):
    """Neither silences the other: both are among the first three."""
    first = [cause.key for cause in diagnosis(f"two-{name}").named[:3]]
    assert set(name.split("+")) <= set(first), first


def test_the_page_shows_the_runs_with_two_causes(diagnosis):
    """What was planted, whether both were named unseen, and what is named today, in its order."""
    page = (Path(__file__).parents[3] / "docs" / "diagnose.md").read_text().split("## Two causes at once")[1]
    page = page.split("\n## ")[0]
    shown = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line[:2] == "| "]
    found = []
    for name, one in TWO.items():
        named = diagnosis(f"two-{name}").named
        found.append([one.planted, one.unseen, ", ".join(f"`{cause.key}` {cause.score:.2f}" for cause in named)])
    print("\n".join(f"| {' | '.join(row)} |" for row in found))
    assert shown[2:] == found
    both = sum(one.unseen == "both" for one in TWO.values())
    assert f"both were named among the first three in {both} of {len(TWO)}" in " ".join(page.split())


def test_the_page_shows_both_batteries(diagnosis):
    """What was planted, what was named then, and what is named today: cause, score, rank, and what is named besides."""
    page = (Path(__file__).parents[3] / "docs" / "diagnose.md").read_text().split("## Runs that it had not seen")[1]
    page = page.split("\n## ")[0]
    lines = [line.strip("|").split("|") for line in page.splitlines() if line.startswith("| ")]
    shown = [[cell.strip() for cell in line] for line in lines if line[0].strip() not in ("planted", "---")]
    found = []
    for name, one in ALL.items():
        named = [(cause.key, cause.score) for cause in diagnosis(name).named]
        keys = [key for key, _ in named]
        rank = str(keys.index(one.cause) + 1) if one.cause in keys else "" if one.cause == "healthy" else "-"
        first = f"`{keys[0]}` {named[0][1]:.2f}" if named else "healthy"
        besides = ", ".join(f"`{key}` {score:.2f}" for key, score in named[1:])
        found.append([one.planted, one.unseen, first, rank, besides])
    print("\n".join(f"| {' | '.join(row)} |" for row in found))
    assert shown == found
