"""Which way of showing progress fits: a screen in a terminal, plain lines when piped, JSON lines, or nothing."""

from __future__ import annotations

from rich.console import Console

from pkdcli.cli.progress.base import Watch
from pkdcli.cli.progress.json_lines import JsonLines
from pkdcli.cli.progress.plain import Lines


def watcher(*, json: bool, quiet: bool) -> Watch:
    """The watcher that fits: JSON, quiet, a live screen or plain lines.

    Args:
        json: JSON lines were asked for.
        quiet: Only results and failures were.
    """
    if json:
        return JsonLines()
    if quiet:
        return Watch()
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal or console.is_dumb_terminal:
        return Lines()
    from pkdcli.cli.progress.live import Screen

    return Screen(console)
