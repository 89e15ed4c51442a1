"""The folder that plots are written into: looked at before the work, and filled with all of them or none."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from pkdcli.destinations import check_destination, destination
from pkdcli.errors import ExitCode, PkdError

if TYPE_CHECKING:
    from pkdcli.reporting.plots.figure import Figure

OPTION = "--plot-dir"


def check_folder(folder: Path) -> None:
    """Refuse a folder that plots can't be written into, before anything is read or drawn.

    Raises:
        PkdError: It is a file, or may not be written, or matplotlib is not installed (exit code 3).
    """
    check_destination(folder, OPTION, folder=True)
    if find_spec("matplotlib") is None:
        raise PkdError(
            f"{OPTION} needs matplotlib, which is not installed.", "Type: pip install matplotlib", ExitCode.MISSING
        )


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """A folder beside, whose files are moved into this one when all are written; where that fails none is left.

    Args:
        folder: It is made if it is not there.

    Raises:
        PkdError: It can't be written, with the remedy of `--plot-dir` (exit code 3).
    """
    made = [one for one in (folder, *folder.parents) if not os.path.lexists(one)]
    try:
        with destination(folder, OPTION, folder=True):
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".pkd-", suffix=".part", dir=folder) as beside:
                yield Path(beside)
                for name in sorted(os.listdir(beside)):
                    os.replace(Path(beside) / name, folder / name)
    except BaseException:
        for one in made:  # those that are empty, the innermost first
            with suppress(OSError):
                one.rmdir()
        raise


def write_figures(figures: Sequence[Figure], folder: Path) -> list[Path]:
    """Write every figure as PNG, SVG and PDF, and what it shows as `captions.md`: all of it or nothing.

    Args:
        figures: What to draw.
        folder: Where to write.

    Returns:
        The pictures, in order.

    Raises:
        PkdError: The folder can't be written.
    """
    from pkdcli.reporting.plots import files

    folder = folder.expanduser()
    with staged(folder) as beside:
        written = files.write_figures(figures, beside)
    return [folder / path.name for path in written]
