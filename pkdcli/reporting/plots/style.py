"""What all figures share: type, colours, sizes, and how they are written."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

from matplotlib import rc_context
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from pkdcli.runs.store import write_bytes

WIDTH = 7.2  # inches: both columns of a paper
COLORS = {"teacher": "#0072B2", "student": "#D55E00", "distilled": "#009E73"}  # Okabe and Ito's, for every eye
LINES = {"teacher": "-", "student": "--", "distilled": "-."}  # also told apart in grey
COLORMAP = "viridis"
GREY = "#4d4d4d"
DPI = 220  # of pictures, unless somebody wants others

RC = {
    **{"font.size": 8, "axes.titlesize": 8, "axes.labelsize": 8, "legend.fontsize": 7, "figure.titlesize": 9},
    **{"xtick.labelsize": 7, "ytick.labelsize": 7, "axes.linewidth": 0.6, "font.family": "DejaVu Sans"},
    **{"xtick.major.width": 0.6, "ytick.major.width": 0.6, "axes.spines.top": False, "axes.spines.right": False},
    **{"pdf.fonttype": 42, "svg.fonttype": "none", "svg.hashsalt": "pkd"},  # text stays text
}

# Of each format the time of writing, which would make every file another one.
_UNDATED = {"png": {"Software": None}, "pdf": {"CreationDate": None, "ModDate": None}, "svg": {"Date": None}}


def folded(title: str, inches: float) -> str:
    """A title on two lines where it is too long for one: broken at its middle blank, or else hyphen.

    Args:
        title: In the size of a figure's titles.
        inches: The width there is for it.
    """
    if len(title) * 0.068 <= inches:
        return title
    breaks = [n + 1 for n, character in enumerate(title) if character == (" " if " " in title else "-")]
    middle = min(breaks, key=lambda n: abs(n - len(title) / 2), default=None)
    return title if middle is None else f"{title[:middle].rstrip()}\n{title[middle:]}"


def fitting(text: str, inches: float, most: float) -> float:
    """The size in points, at most so much, at which the longest line of a text is no longer than so many inches.

    Args:
        text: One line or several.
        inches: The width there is for it.
        most: The largest size, in points.
    """
    longest = max(len(line) for line in text.splitlines())
    return min(most, inches * 72 / (0.62 * longest))


def short(value: float, like: float = 1.0) -> str:
    """A number with two decimals, or one from 10 on; with two digits where its kind is small, as `like` tells.

    Args:
        value: The number.
        like: A number of its kind, which tells how small they are.
    """
    decimals = 2 if abs(value) < 10 else 1
    text = f"{round(value, decimals) + 0.0:.{decimals}f}" if abs(like) >= 0.1 else f"{value:.2g}"
    return text.replace("-", "\N{MINUS SIGN}")


def save(draw: Callable[[], Figure], paths: dict[str, Path], dpi: int = DPI) -> None:
    """Draw a figure and write it in some formats, each file whole or not at all.

    Args:
        draw: Draws it.
        paths: By format, `png`, `pdf` or `svg`.
        dpi: Dots an inch, of a PNG and of the pictures inside the others.
    """
    with rc_context(RC):
        figure = draw()
        for kind, path in paths.items():
            # Pictures inside PDF and SVG have as many dots; text and lines have none.
            picture = io.BytesIO()  # on a full disk matplotlib's PDFs end in an error of another kind
            figure.savefig(picture, format=kind, dpi=dpi, metadata=_UNDATED[kind])
            write_bytes(path, picture.getvalue())


def norm(arrays: list, clip: float = 0.005) -> tuple[Normalize, str]:
    """A colour scale over some arrays without their outermost values, and which ends of its bar are pointed.

    Args:
        arrays: Of any shapes.
        clip: The share of the values that lies beyond each end, 0 to 1.

    Returns:
        The scale, and `neither`, `min`, `max` or `both` as matplotlib's `extend`.
    """
    import numpy as np

    flat = np.concatenate([array.ravel() for array in arrays])
    low, high = np.quantile(flat, [clip, 1 - clip])
    if low == high:
        low, high = flat.min(), flat.max() + (flat.min() == flat.max())
    ends = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}
    return Normalize(low, high), ends[bool(flat.min() < low), bool(flat.max() > high)]
