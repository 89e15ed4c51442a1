"""The command line: each command parses, calls one function, renders. No torch here, nor in anything it imports.

Command modules import nothing heavy at their top: pydantic, pandas and mmengine are imported inside the functions that
need them, so that `pkd --help` answers at once. Where a command is typed, only its own module is imported.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module

import typer

from pkdcli.cli import streams
from pkdcli.errors import ExitCode, PkdError
from pkdcli.folders import libraries_environment

_CONTEXT = {"help_option_names": ["-h", "--help"]}

# Groups of commands: the modules of their sub-commands by their names, in a room of the group's name.
GROUPS = {
    "data": ("Import and check data sets.", {"check": "check", "import": "importing"}),
}
# Each is the function `command` of a module of its name, in the room of its panel's name.
COMMANDS = {
    "run": ("train", "sweep", "tune", "reproduce", "eval", "resume", "cancel"),
    "look": (
        *("status", "logs", "report", "compare", "diagnose", "list", "show", "visualize", "verify", "bench", "doctor"),
        *("clean", "rm"),
    ),
    "use": ("predict", "export", "profile", "archive", "unpack"),
}


def build(only: str | None = None) -> typer.Typer:
    """The whole command line, or one command of it by itself, which is ready sooner.

    Args:
        only: The command's name, with its group's before it.
    """
    made = typer.Typer(
        name="pkd",
        no_args_is_help=True,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings=_CONTEXT,
        help="Knowledge-distillation experiments on object detectors.\n\n"
        "[bold]pkd train --pair gfl101-fcos50 --scale tiny[/bold] runs a whole one on two CPU cores, in minutes.",
    )
    for room, names in COMMANDS.items():
        for name in names:
            if only in (None, name):
                function = import_module(f"pkdcli.cli.{room}.{name}").command
                made.command(name, rich_help_panel=room.capitalize(), context_settings=_CONTEXT)(function)
    for group, (text, modules) in GROUPS.items():
        if only in (None, group, *(f"{group} {name}" for name in modules)):
            made.add_typer(_group(group, text, modules, only), name=group, rich_help_panel=group.capitalize())
    made.callback()(_main)
    return made


def _group(group: str, text: str, modules: dict[str, str], only: str | None) -> typer.Typer:
    """The commands of a group, or the one that was typed."""
    made = typer.Typer(help=text, no_args_is_help=True, rich_markup_mode="rich", context_settings=_CONTEXT)
    for name, module in modules.items():
        if only in (None, group, f"{group} {name}"):
            function = import_module(f"pkdcli.cli.{group}.{module}").command
            made.command(name, context_settings=_CONTEXT)(function)
    return made


def command_typed(words: Sequence[str]) -> str | None:
    """The command among the words behind `pkd`; None where it has to be looked for by the whole command line."""
    typed = [word for word in words if word != "--debug"]
    known = [name for names in COMMANDS.values() for name in names]
    known += [f"{group} {name}" for group, (_, modules) in GROUPS.items() for name in modules]
    first = next((text for text in (" ".join(typed[:2]), *typed[:1]) if text in known), None)
    return None if any(name.endswith("_COMPLETE") for name in os.environ) else first


def __getattr__(name: str) -> typer.Typer:
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()["app"] = build()
    return globals()["app"]


def _version(wanted: bool) -> None:
    if wanted:
        from pkdcli import __version__

        print(__version__)
        raise typer.Exit


def _main(
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
    version: bool = typer.Option(
        False, "--version", help="Show the version and leave.", callback=_version, is_eager=True
    ),
) -> None:
    pass


def main() -> None:
    """Run the command line and leave with its exit code; errors are shown without a traceback."""
    streams.prepare()
    os.environ["MPLCONFIGDIR"] = libraries_environment()["MPLCONFIGDIR"]
    try:
        try:
            build(command_typed(sys.argv[1:]))(prog_name="pkd")
        finally:
            sys.stdout.flush()  # an output that can't be written is met here, and not at Python's end
    except PkdError as error:
        code = _fail(error)
    except KeyboardInterrupt:
        code = ExitCode.INTERRUPTED
    except (BrokenPipeError, SystemExit) as error:
        if not streams.reader_gone(error):
            raise
        streams.discard()
        code = ExitCode.OK  # `pkd report | head`: whoever reads has all that is wanted
    except Exception as error:
        code = _fail(streams.output_error(error) or _unforeseen(error))
    sys.exit(int(code))


def _unforeseen(error: Exception) -> PkdError:
    if isinstance(error, OSError) and error.filename:
        found = PkdError(f"{error.filename}: {error.strerror}.", None, ExitCode.MISSING)
    elif isinstance(error, ModuleNotFoundError) and error.name and not error.name.startswith("pkdcli"):
        hint = "Type: pkd doctor, which names the package and how to install it."
        found = PkdError(f"this needs {error.name}, which is not installed.", hint, ExitCode.MISSING)
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
    with suppress(OSError, SystemExit):  # standard error can't be written either
        show_error(error)
    streams.discard()
    return error.code
