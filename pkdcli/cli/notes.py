"""Words about the machine and the data before any run starts: notes, and what takes its time."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pkdcli.cli.progress.choose import LINE_SECONDS
from pkdcli.errors import PkdError

if TYPE_CHECKING:
    from pkdcli.api.train import Where

SLOW_SECONDS = 3.0  # after which it is said what is being done with a data set


def note(text: str | None, where: Where) -> None:
    """Print a word about the machine, if there is one."""
    if not text or where.quiet:
        return
    if where.json:
        print(json.dumps({"event": "note", "text": text}), flush=True)
    else:
        print(f"note: {text}.", file=sys.stderr, flush=True)


@contextmanager
def said_if_slow(doing: str, data: str, where: Where) -> Iterator[None]:
    """Say what is being done with a data set, if that takes longer than a moment."""

    def say() -> None:
        if where.json:
            print(json.dumps({"event": "data", "data": data, "done": None, "total": None}), flush=True)
        else:
            print(f"{doing} ...", file=sys.stderr, flush=True)

    timer = threading.Timer(SLOW_SECONDS, say)
    timer.daemon = True
    if not where.quiet:
        timer.start()
    try:
        yield
    finally:
        timer.cancel()


def drawing(where: Where) -> Callable[[int, int], None] | None:
    """Told how many pictures of the embedded data set are drawn; a line now and then where there is no terminal."""
    if where.quiet:
        return None
    live = sys.stderr.isatty() and not where.json
    said = time.monotonic()

    def progress(done: int, total: int) -> None:
        nonlocal said
        if not live and time.monotonic() - said < LINE_SECONDS:
            return
        said = time.monotonic()
        if where.json:
            print(json.dumps({"event": "data", "data": "shapes", "done": done, "total": total}), flush=True)
            return
        begin, end = ("\r", "\n" if done == total else "") if live else ("", "\n")
        text = f"drawing the data set shapes: {done}/{total} pictures"
        print(f"{begin}{text}", end=end, file=sys.stderr, flush=True)

    return progress


@contextmanager
def with_tiny_command() -> Iterator[None]:
    """Name the command that was typed, at the scale that needs no COCO, where an error leaves a place for it."""
    try:
        yield
    except PkdError as error:
        error.hint = error.hint and error.hint.replace("{tiny}", tiny_command())
        raise


def tiny_command() -> str:
    """The command that was typed, at the scale that needs no COCO."""
    import shlex

    words, skip = [], False
    for word in sys.argv[1:]:
        if skip or word in ("--scale", "--data"):
            skip = not skip
            continue
        if not word.startswith(("--scale=", "--data=")):
            words.append(word)
    return f"pkd {shlex.join(words)} --scale tiny"
