"""Recorded runs with one thing changed, for the tests of the rules of `pkd diagnose`."""

from __future__ import annotations

import dataclasses

from pkdcli.reporting.diagnosis.facts import Facts


def of(facts: Facts, **changes) -> Facts:
    return dataclasses.replace(facts, **changes)


def recipe_with(facts: Facts, **changes) -> Facts:
    return of(facts, recipe=facts.recipe.model_copy(update=changes))


def records(column: list[dict], **values) -> list[dict]:
    """Records with the same values in each, whose names have a double underscore for a dot."""
    return [{**one, **{key.replace("__", "."): value for key, value in values.items()}} for one in column]
