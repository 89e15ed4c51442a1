"""What a command prints to may be closed, full, or have a reader that goes away: the words and exit codes are true."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import typer

from pkdcli.cli.plan import interruptible
from pkdcli.errors import ExitCode

PKD = (sys.executable, "-m", "pkdcli")
LOOKS = ("--help", "list", "sweep --scale tiny --dry-run --json")  # printed by typer, by rich, and line by line
FULL = (
    3,
    "error: can't write to standard output: No space left on device.\n"
    "Send it to another file (>FILE), where there is room.\n",
)
STOPPED = "nobody reads the output any more: stopped; type the same command again to go on.\n"


def shell(line: str, words: str, here) -> tuple[int, str]:
    """Exit code and stderr of a command in a shell's line, in which "$@" is the command."""
    command = ["sh", "-c", line, "sh", *PKD, *words.split()]
    process = subprocess.run(command, cwd=here, capture_output=True, text=True, check=False)
    return process.returncode, process.stderr


@pytest.mark.parametrize("words", LOOKS)
def test_a_reader_that_goes_away_has_all_that_it_wants(words, here):
    reader, writer = os.pipe()
    os.close(reader)
    process = subprocess.run([*PKD, *words.split()], cwd=here, stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert (process.returncode, process.stderr) == (0, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has a disk that is always full")
@pytest.mark.parametrize("words", LOOKS)
def test_an_output_on_a_full_disk_is_told(words, here):
    assert shell('"$@" >/dev/full', words, here) == FULL


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has a disk that is always full")
def test_where_not_even_that_can_be_told_the_exit_code_tells(here):
    assert shell('"$@" >/dev/full 2>&1', "list", here) == (3, "")
    assert shell('"$@" 2>/dev/full', "list nope", here) == (2, "")


@pytest.mark.parametrize("words", LOOKS)
def test_a_command_without_streams_does_its_work(words, here):
    assert shell('"$@" <&- >&-', words, here) == (0, "")
    assert shell('"$@" <&- >&- 2>&-', words, here) == (0, "")


def test_nobody_is_asked_where_standard_input_is_closed(here):
    run = here / "runs" / "a"
    run.mkdir(parents=True)
    (run / "status.json").write_text('{"run": "a", "state": "failed"}')
    (run / "recipe.yaml").write_text("role: baseline\n")
    told = (2, "error: nothing is removed: there is nobody to ask.\nAdd --yes; --dry-run shows what would go.\n")
    assert shell('"$@" <&-', "rm a", here) == told
    assert run.exists()


def test_no_file_gets_the_number_of_a_closed_stream_and_runs_have_streams(here):
    script = (
        "import subprocess, sys; from pkdcli.cli import streams; streams.prepare();"
        "number = open('file', 'w').fileno();"
        "code = subprocess.run([sys.executable, '-c', 'print(1, flush=True)']).returncode;"
        "sys.exit(0 if number > 2 and code == 0 else 1)"
    )
    line = ["sh", "-c", '"$@" <&- >&-', "sh", sys.executable, "-c", script]
    assert subprocess.run(line, cwd=here, stderr=subprocess.PIPE, check=False).returncode == 0
    assert (here / "file").read_text() == ""


# Commands that carry runs out


def break_pipe(kind):
    try:
        raise BrokenPipeError
    except BrokenPipeError:
        raise kind(1)  # noqa: B904 (as rich and typer do it)


@pytest.mark.parametrize("kind", [BrokenPipeError, SystemExit])
def test_runs_without_a_reader_are_interrupted_and_not_done(kind, capsys):
    with pytest.raises(typer.Exit) as caught, interruptible():
        break_pipe(kind)
    assert caught.value.exit_code == ExitCode.INTERRUPTED
    assert capsys.readouterr().err == STOPPED


def test_another_exit_stays_what_it_is(capsys):
    with pytest.raises(SystemExit) as caught, interruptible():
        raise SystemExit(3)
    assert caught.value.code == 3
    assert capsys.readouterr().err == ""
