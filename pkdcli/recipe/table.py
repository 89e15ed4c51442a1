"""A table recipe -> its lines, each with the recipes of its run and of its baseline for every seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from pkdcli.errors import unknown
from pkdcli.recipe import library
from pkdcli.recipe.resolve import Request, resolve
from pkdcli.recipe.schema import Recipe, TableRecipe, TableRow
from pkdcli.recipe.sweep import baseline_of


@dataclass(frozen=True)
class Line:
    """One experiment of a table.

    Attributes:
        row: The row of the recipe that asks for it.
        runs: The distilled run by seed.
        baselines: The student alone, by seed.
    """

    row: TableRow
    runs: dict[int, Recipe]
    baselines: dict[int, Recipe]

    @property
    def recipe(self) -> Recipe:
        """The distilled run of the first seed: what does not depend on the seed is read from it."""
        return next(iter(self.runs.values()))


def expand(table: TableRecipe, base: Request, seeds: Sequence[int], only: Sequence[str] = ()) -> list[Line]:
    """The lines of a table, in its order.

    Args:
        table: The table recipe.
        base: Scale, data, and everything else that a row does not say.
        seeds: A run each.
        only: Pairs to keep; all where empty.

    Raises:
        PkdError: A pair in `only` that the table does not have, or whatever `resolve` refuses.
    """
    pairs = {row.pair: library.load("pairs", row.pair, f"table {table.name}: pair").name for row in table.rows}
    wanted = [pair for pair, name in pairs.items() if not only or {pair, name} & set(only)]
    for word in only:
        if word not in pairs and word not in pairs.values():
            raise unknown("pair", word, list(dict.fromkeys(pairs.values())), f"--only: table {table.name}")
    lines = []
    for row in table.rows:
        if row.pair not in wanted:
            continue
        for weight in row.weights or [None]:
            asked = replace(
                base, pair=row.pair, schedule=row.schedule, loss=row.loss, weight=weight, temperature=row.temperature
            )
            by_seed = {seed: replace(asked, seed=seed) for seed in dict.fromkeys(seeds)}
            lines.append(
                Line(
                    row,
                    {seed: resolve(request) for seed, request in by_seed.items()},
                    {seed: baseline_of(request) for seed, request in by_seed.items()},
                )
            )
    return lines


def recipes(lines: Sequence[Line]) -> Iterator[Recipe]:
    """Every recipe of the lines, a group's baselines before its students; the same one may come again."""
    for line in lines:
        yield from line.baselines.values()
        yield from line.runs.values()
