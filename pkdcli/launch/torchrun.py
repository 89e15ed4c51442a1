"""PyTorch's elastic launcher: its command line, and what its log says of how a run ended."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence

MODULE = "torch.distributed.run"

_ROOT_CAUSE = re.compile(r"Root Cause \(first observed failure\):\s*\n(.*?)(?:={10,}|\Z)", re.DOTALL)
_EXIT_CODE = re.compile(r"exitcode\s*: (-?\d+)")


def command(argv: Sequence[str], processes: int, python: str = sys.executable) -> tuple[str, ...]:
    """The command that starts `argv` in several processes of one machine, which find each other on a free port.

    Args:
        argv: The command of one process.
        processes: How many.
        python: The interpreter that has torch.
    """
    options = ("--standalone", f"--nproc-per-node={processes}", "--max-restarts=0")
    return (python, "-m", MODULE, *options, "--no-python", *argv)


def root_exit_code(log: str) -> int | None:
    """The exit code of the process that failed first, minus the signal's number where one killed it.

    torchrun itself leaves with 1 whatever the workers left with.

    Args:
        log: What torchrun and its workers printed.
    """
    causes = _ROOT_CAUSE.findall(log)
    found = _EXIT_CODE.search(causes[-1]) if causes else None
    return int(found.group(1)) if found else None
