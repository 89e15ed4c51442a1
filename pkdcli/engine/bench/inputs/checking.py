"""Seconds and memory of a look at a data set, in a process of its own: `-m ...checking DATA KIND`."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pkdcli.errors import PkdError


def checked(recipe: Path, kind: str = "check") -> tuple[float, float]:
    """Look at the data set of a recipe, from nothing.

    Args:
        recipe: The YAML file of a data recipe.
        kind: `check`, as its first dry run does; `survey`, as `pkd data check --no-decode` does; or `json`: read its
            annotation files by Python's own reader, and nothing else.

    Returns:
        Seconds, without the start of Python; and GiB that the process took at most.

    Raises:
        PkdError: The data is refused.
    """
    command = [sys.executable, "-m", "pkdcli.engine.bench.inputs.checking", str(recipe), kind]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PkdError(f"the check of {recipe} found:\n{done.stderr.strip()[-2000:]}", "Correct that first.")
    seconds, memory = json.loads(done.stdout)
    return seconds, memory


def _main(recipe: str, kind: str) -> None:
    from pkdcli.data.prepare import facts
    from pkdcli.data.survey.survey import survey
    from pkdcli.recipe.resolve import load_data

    data = load_data(recipe)
    with tempfile.TemporaryDirectory() as cache:
        begin = time.perf_counter()
        if kind == "survey":
            survey(data, decode=False)
        elif kind == "json":
            for split in data.splits.values():
                json.loads(Path(split.annotations).read_bytes())
        else:
            facts(data, Path(cache))
        seconds = time.perf_counter() - begin
    print(json.dumps([round(seconds, 6), round(_peak(), 3)]))


def _peak() -> float:
    """GiB that this process took at most; on Linux `getrusage` would count what started it too."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 2**20
    except (OSError, StopIteration):
        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return used / (2**30 if sys.platform == "darwin" else 2**20)


if __name__ == "__main__":
    try:
        _main(*sys.argv[1:])
    except PkdError as error:
        sys.exit(str(error))
