"""What each of the paper's figures shows, of which pair, and where its caption and its text disagree."""

from __future__ import annotations

from dataclasses import dataclass

from pkdcli.errors import PkdError, unknown

REDUCTIONS = ("max", "mean", "norm")
COLOR_SCALES = ("shared", "detector", "own")
FORMATS = ("png", "pdf", "svg")


@dataclass(frozen=True)
class Paper:
    """One figure of the appendix.

    Attributes:
        number: 4 to 8.
        pair: Whose features it shows.
        levels: The stages of the patterns.
        channel_levels: The stages whose dominant channels it shows.
        color_scale: `shared` by all patterns, one a `detector`, or each its `own`.
        title: What it is about.
        shows: A caption.
        notes: What the appendix leaves open, and what was made of it.
    """

    number: int
    pair: str
    levels: tuple[str, ...]
    channel_levels: tuple[str, ...]
    color_scale: str
    title: str
    shows: str
    notes: tuple[str, ...] = ()


_STAGES = ("P3", "P4", "P5", "P6")

FIGURES = {
    figure.number: figure
    for figure in (
        Paper(
            4,
            "fcosx101-retina50",
            ("P3",),
            (),
            "shared",
            "Activation patterns and distribution",
            "Activation patterns of the detectors' features (left, one colour scale for all) and how the feature "
            "values are distributed (right).",
            (
                "The appendix does not name Figure 4's pair; its text speaks of heterogeneous detectors with "
                "significantly different magnitudes, and Figure 8 calls those of GFL and FCOS similar. By default it "
                "is the heterogeneous pair of Table 8 that MSE does harm to, FCOS-ResX101 and Retina-Res50.",
            ),
        ),
        Paper(
            5,
            "gfl101-fcos50",
            _STAGES,
            (),
            "detector",
            "Dominant FPN stages",
            "Activation patterns by stage, from left to right from the lowest to the highest, one colour scale a "
            "detector; right: the share that each stage has in the sum of the stages' mean squares.",
        ),
        Paper(
            6,
            "maskswin-faster50",
            ("P3",),
            ("P3", "P6"),
            "detector",
            "Noise and dominant channels",
            "Left: activation patterns, with the share of the activation that lies outside the boxes. Right: in how "
            "many positions each channel is the largest, before and after each channel is normalised.",
            (
                "The caption of Figure 6 says that its dominant channels are those of P3 before normalisation, the "
                "text that channel 210 of P6 is significantly larger than others: both stages are drawn.",
            ),
        ),
        Paper(
            7,
            "retinax101-retina50",
            (),
            ("P3", "P6"),
            "detector",
            "Dominant channels",
            "In how many positions each channel is the largest, before and after each channel is normalised.",
            ("The caption of Figure 7 names no stage: P3 and P6 are drawn, as in Figure 6.",),
        ),
        Paper(
            8,
            "gfl101-fcos50",
            _STAGES,
            (),
            "shared",
            "Activation patterns and distribution by stage",
            "Activation patterns (one colour scale for all) and the distribution of the feature values, from left to "
            "right from the lowest to the highest stage.",
        ),
    )
}


@dataclass(frozen=True)
class Look:
    """How a figure is drawn.

    Attributes:
        levels: The stages of its patterns and distributions.
        channel_levels: The stages of its dominant channels.
        reduce: How a position's channels become one number: `max`, `mean` or `norm`.
        color_scale: `shared`, `detector` or `own`.
    """

    levels: tuple[str, ...]
    channel_levels: tuple[str, ...]
    reduce: str = "max"
    color_scale: str = "shared"


def look(number: int, reduce: str, color_scale: str | None, levels: tuple[str, ...], known: list[str]) -> Look:
    """A figure's look: the paper's, but for what the user asks for.

    Args:
        number: 4 to 8.
        reduce: One of `REDUCTIONS`.
        color_scale: One of `COLOR_SCALES`, or None for the figure's own.
        levels: Stages, or none for the figure's own.
        known: The stages that the detectors have in common.

    Raises:
        PkdError: A stage that the detectors don't both have.
    """
    paper = FIGURES[number]
    for level in levels:
        if level not in known:
            raise unknown("stage", level, known, where="--levels")
    chosen = tuple(level for level in known if level in levels)
    of = [
        (chosen or tuple(one for one in own if one in known)) if own else ()
        for own in (paper.levels, paper.channel_levels)
    ]
    if not any(of):
        raise PkdError(
            f"figure {number} shows {' and '.join(paper.levels or paper.channel_levels)}, which the detectors don't "
            "have in common.",
            f"Choose some with --levels; they have {', '.join(known)}.",
        )
    return Look(of[0], of[1], reduce, color_scale or paper.color_scale)


def numbers(text: str) -> list[int]:
    """The figures that a user asks for: `all`, or numbers with commas between them.

    Raises:
        PkdError: One that is not among them.
    """
    if text.strip() == "all":
        return sorted(FIGURES)
    words = [word.strip() for word in text.split(",") if word.strip()]
    allowed = [*map(str, FIGURES), "all"]
    for word in words or [text]:
        if word not in allowed:
            raise unknown("figure", word, allowed, where="--figure")
    if "all" in words:
        return sorted(FIGURES)
    return sorted({int(word) for word in words})
