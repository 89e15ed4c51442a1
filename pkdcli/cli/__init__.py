"""The command line: each command parses, calls one function, renders. No torch here, nor in anything it imports.

Command modules import nothing heavy at their top: pydantic, pandas and mmengine are imported inside the functions that
need them, so that `pkd --help` answers at once.
"""

from __future__ import annotations

import os
import sys

import typer

from pkdcli.cli.look import bench, clean, doctor, logs, report, show, status, verify, visualize
from pkdcli.cli.look import list as listing
from pkdcli.cli.run import cancel, reproduce, resume, sweep, train
from pkdcli.cli.run import eval as evaluate
from pkdcli.errors import ExitCode, PkdError
from pkdcli.folders import cache_root

_CONTEXT = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(
    name="pkd",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings=_CONTEXT,
    help="Knowledge-distillation experiments on object detectors.\n\n"
    "[bold]pkd train --pair gfl101-fcos50 --scale tiny[/bold] runs a whole one on two CPU cores, in minutes.",
)

_RUN, _LOOK = "Run", "Look"
for _name, _function, _panel in (
    ("train", train.command, _RUN),
    ("sweep", sweep.command, _RUN),
    ("reproduce", reproduce.command, _RUN),
    ("eval", evaluate.command, _RUN),
    ("resume", resume.command, _RUN),
    ("cancel", cancel.command, _RUN),
    ("status", status.command, _LOOK),
    ("logs", logs.command, _LOOK),
    ("report", report.command, _LOOK),
    ("list", listing.command, _LOOK),
    ("show", show.command, _LOOK),
    ("visualize", visualize.command, _LOOK),
    ("verify", verify.command, _LOOK),
    ("bench", bench.command, _LOOK),
    ("doctor", doctor.command, _LOOK),
    ("clean", clean.command, _LOOK),
):
    app.command(_name, rich_help_panel=_panel, context_settings=_CONTEXT)(_function)


def _version(wanted: bool) -> None:
    if wanted:
        from pkdcli import __version__

        print(__version__)
        raise typer.Exit


@app.callback()
def _main(
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
    version: bool = typer.Option(
        False, "--version", help="Show the version and leave.", callback=_version, is_eager=True
    ),
) -> None:
    pass


def run() -> None:
    """Run the command line and leave with its exit code; errors are shown without a traceback."""
    # matplotlib, which mmengine imports too, would otherwise write its font list into the user's home.
    os.environ.setdefault("MPLCONFIGDIR", str(cache_root() / "matplotlib"))
    try:
        app(prog_name="pkd")
    except PkdError as error:
        code = _fail(error)
    except KeyboardInterrupt:
        code = ExitCode.INTERRUPTED
    except BrokenPipeError:  # `pkd report | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = ExitCode.OK
    except Exception as error:
        code = _fail(_unforeseen(error))
    sys.exit(int(code))


def _unforeseen(error: Exception) -> PkdError:
    if isinstance(error, OSError) and error.filename:
        found = PkdError(f"{error.filename}: {error.strerror}.", None, ExitCode.MISSING)
    else:
        hint = "This is a defect of pkd; `pkd --debug ...` shows where."
        found = PkdError(f"unforeseen {type(error).__name__}: {error}", hint, ExitCode.RUN_FAILED)
    found.__cause__ = error
    return found


def _fail(error: PkdError) -> ExitCode:
    from pkdcli.cli.console import show_error

    if "--debug" in sys.argv[1:]:
        import traceback

        traceback.print_exception(error)
    show_error(error)
    return error.code
