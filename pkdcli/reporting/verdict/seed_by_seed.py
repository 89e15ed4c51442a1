"""Verdicts of methods that get one seed after another: which is decided after how many, and which goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pkdcli.reporting.statistics import Interval, all_the_same, holm, seeds_to_decide
from pkdcli.reporting.verdict.judge import GO, INCONCLUSIVE, LEVEL, NO_GO, NOT_JUDGED, THE_SAME, Verdict
from pkdcli.reporting.verdict.sequential import FIRST, MOST, level_at, sequential_interval, sequential_p
from pkdcli.runs.record import Record


@dataclass
class SeedBySeed:
    """Methods that are looked at after each seed, until each is decided.

    What is said after so many seeds depends on their gains alone, and not on when they were trained, nor on how often
    the command was typed: a look is repeated with the same gains and says the same.

    Attributes:
        methods: What is known of each, by any key: a run of it.
        first: Seeds at the first look.
        decided: After how many seeds each that is decided was.
        stopped: Why a method gets no further seeds although it is not decided.
    """

    methods: Mapping[str, Record]
    first: int = FIRST
    decided: dict[str, int] = field(default_factory=dict)
    stopped: dict[str, str] = field(default_factory=dict)

    @property
    def open(self) -> list[str]:
        """The methods that are to get another seed."""
        return [key for key in self.methods if key not in self.decided and key not in self.stopped]

    def look(self, gains: Mapping[str, Mapping[int, float]], seeds: Sequence[int]) -> list[Verdict]:
        """What is known after some seeds, of every method.

        All methods are judged together, by Holm's method: one that is decided stays so and makes it easier for the
        others.

        Args:
            gains: AP points over the baseline by seed, of each method.
            seeds: Those that are looked at, in order.
        """
        known = {key: self._so_far(key, gains[key], seeds) for key in self.methods}
        p_values = {key: sequential_p(list(found.values()), self.first) for key, found in known.items()}
        corrected = holm(p_values)
        for key in self.methods:
            if key not in self.decided and corrected[key] < LEVEL:
                self.decided[key] = len(known[key])
        left = len(self.methods) - len(self.decided)
        return [self._verdict(key, known[key], corrected[key], LEVEL / max(left, 1)) for key in self.methods]

    def _so_far(self, key: str, gains: Mapping[int, float], seeds: Sequence[int]) -> dict[int, float]:
        found = {seed: gains[seed] for seed in seeds if seed in gains}
        return dict(list(found.items())[: self.decided.get(key, len(found))])

    def _verdict(self, key: str, gains: dict[int, float], p_value: float, level: float) -> Verdict:
        method, values = self.methods[key], list(gains.values())
        if not gains:
            return Verdict(method, NOT_JUDGED, why=self.stopped.get(key, "it has no gain yet."))
        interval = sequential_interval(values, self.first)
        tested = p_value if len(values) >= self.first else None
        if key in self.decided:
            return Verdict(method, GO if interval.mean > 0 else NO_GO, gains, interval, tested)
        more = seeds_to_decide(values, MOST - len(values), lambda seeds: 1 - level_at(seeds, self.first, level))
        return Verdict(
            method, INCONCLUSIVE, gains, interval, tested, None, more, self._why(key, values, more, interval)
        )

    def _why(self, key: str, values: Sequence[float], more: int | None, interval: Interval) -> str:
        if key in self.stopped:
            return self.stopped[key]
        if all_the_same(values):
            return THE_SAME
        if len(values) < self.first:
            return f"the first look is at {self.first} seeds."
        if more is None:
            return f"{MOST} seeds would not tell at this spread: the difference is too small."
        by_itself = interval.lower > 0 or interval.upper < 0
        start = "decided by itself, but not among so many methods (Holm); " if by_itself else ""
        return f"{start}about {max(more, 1)} more seed{'s' if more > 1 else ''} would decide it, at this spread."
