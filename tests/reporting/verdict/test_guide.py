"""docs/is-my-gain-real.md: its commands run, its words are the code's, and its numbers those of the formulas."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from pkdcli.reporting.statistics import holm, t_interval, t_quantile, t_test
from pkdcli.reporting.verdict import judge
from pkdcli.reporting.verdict.sequential import level_at

PAGE = (Path(__file__).parents[3] / "docs" / "is-my-gain-real.md").read_text()


def commands() -> list[str]:
    """The `pkd` commands of the page's bash blocks, without their comments."""
    blocks = re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)
    return [line.split(" #")[0].strip() for block in blocks for line in block.splitlines()]


def rows(headings: str) -> list[list[str]]:
    """The cells of the table with such headings."""
    (table,) = [part for part in PAGE.split("\n\n") if part.startswith(f"| {headings}")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()[2:]]


def test_there_are_commands():
    assert len(commands()) == 6


@pytest.mark.parametrize("line", [line for line in commands() if line.split()[1] != "sweep"])
def test_a_command_that_looks_does_so(line, lab):
    answer = lab.pkd(*shlex.split(line)[1:])
    assert answer.code == 0, answer.err
    shown = {"compare": "95 % over images", "--plot": "gain over the baseline (AP points)", "csv": "gain_lower",
             "--verdict": "INCONCLUSIVE"}  # fmt: skip
    assert next(text for word, text in shown.items() if word in line.split()) in answer.out


@pytest.mark.parametrize("line", [line for line in commands() if line.split()[1] == "sweep"])
def test_a_sweep_says_what_it_costs(line, pkd):
    answer = pkd(*shlex.split(line.removesuffix(" --dry-run"))[1:], "--dry-run")
    assert answer.code == 0, answer.err
    assert re.search(r"^At least 3 seeds: 10 runs to do.*\nAt most 10 seeds: 31 runs to do", answer.out, re.MULTILINE)


def test_the_words_are_the_codes():
    words = re.findall(r"^\| \*\*([A-Z -]+)\*\* \|", PAGE, re.MULTILINE)
    assert words == [judge.GO, judge.NO_GO, judge.INCONCLUSIVE, judge.NOT_JUDGED]


def test_the_example_is_worked_out_right():
    """From the mAP that the runs ended with, seed 0 and seed 1."""
    reached = {"mse": (36.39645, 36.39058), "norm-kl": (37.00954, 35.07032), "pkd": (35.43349, 36.15789)}
    gains = {name: [values[0] - 30.89326, values[1] - 29.47058] for name, values in reached.items()}
    p_values = holm({name: t_test(values) for name, values in gains.items()})
    for name, values in gains.items():
        found = t_interval(values)
        ends = f"{found.mean:+.1f}    {found.lower:+.1f} to {found.upper:+.1f}"
        row = next(line for line in PAGE.splitlines() if f" {name}-w10" in line)
        assert re.sub(" +", " ", row).endswith(re.sub(" +", " ", f"INCONCLUSIVE 2 {ends} {p_values[name]:.3f}"))
    mse = t_interval(gains["mse"])
    assert f"s = {mse.half_width / t_quantile(1) * 2**0.5:.1f}" == "s = 1.0"
    assert "mse gained 5.5 and 6.9 mAP: m = 6.2, s = 1.0, so the interval goes from -2.8 to +15.2" in PAGE


def spreads(seeds: int, level: float = 0.05) -> float:
    return t_quantile(seeds - 1, 1 - level) / seeds**0.5


def test_the_widths_of_intervals_are_those_of_the_formulas():
    widths = rows("seeds | the interval is the mean ± |")
    assert [int(seeds) for seeds, _ in widths] == [1, 2, 3, 4, 5, 10]
    for seeds, text in widths[1:]:
        assert text == f"{spreads(int(seeds)):.1f} spreads"


def test_the_levels_of_the_looks_are_those_that_are_used():
    looks = rows("seeds | level of this look |")
    assert len(looks) == 5
    for seeds, level, width, once in looks:
        exact = level_at(int(seeds))
        assert (level, width.split()[0], once) == (
            f"{exact:.3f}", f"{spreads(int(seeds), exact):.1f}", f"{spreads(int(seeds)):.1f}")  # fmt: skip
    assert f"a = {level_at(3):.3f}" in PAGE


def test_what_is_found_is_what_drawing_lots_finds():
    random, seeds = np.random.default_rng(1), np.arange(1, 21)
    levels = np.array([level_at(count) for count in range(3, 21)])
    table = rows("true gain, in spreads |")
    assert len(table) == 5
    for true, *shares in table:
        gains = random.normal(float(true), 1.0, (20_000, 20))
        sums, squares = gains.cumsum(1), (gains**2).cumsum(1)
        t = sums[:, 1:] / np.sqrt(seeds[1:]) / np.sqrt((squares - sums**2 / seeds)[:, 1:] / (seeds - 1)[1:])
        p_values = 2 * stats.t.sf(np.abs(t), seeds[1:] - 1)
        crossed = np.logical_or.accumulate(p_values[:, 1:] < levels, axis=1)
        found = [*(crossed[:, count - 3].mean() for count in (3, 5, 10, 20)), (p_values[:, 3] < 0.05).mean()]
        # Four standard errors at most are 1.4 %, and the table is in whole ones.
        assert [100.0 if share == "all" else float(share.split()[0]) for share in shares] == pytest.approx(
            [100 * share for share in found], abs=2
        )


def test_many_methods_and_many_looks():
    assert f"{100 * (1 - 0.95**20):.0f} of a hundred" in PAGE.replace("\n", " ")
