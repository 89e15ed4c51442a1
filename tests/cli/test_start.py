"""A command imports its own module alone; whatever else is typed is answered by the whole command line."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pkdcli import __main__ as entry
from pkdcli import cli

EVERY = [name for names in cli.COMMANDS.values() for name in names]
GROUPED = [f"{group} {name}" for group, (_, modules) in cli.GROUPS.items() for name in modules]


def test_every_command_is_in_the_whole():
    assert [info.name for info in cli.app.registered_commands] == EVERY
    assert cli.app is cli.app
    groups = {one.name: [info.name for info in one.typer_instance.registered_commands]
              for one in cli.app.registered_groups}  # fmt: skip
    assert [f"{group} {name}" for group, names in groups.items() for name in names] == GROUPED


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["train", "--help"], "train"),
        (["--debug", "report"], "report"),
        (["data", "check", "x.yaml"], "data check"),
        (["--debug", "data", "import"], "data import"),
        (["data", "--help"], None),
        (["data", "chekc"], None),
        (["--help"], None),
        (["--version", "train"], None),
        (["trian"], None),
        ([], None),
    ],
)
def test_the_command_among_words(words, found, monkeypatch):
    assert cli.command_typed(words) == found
    monkeypatch.setenv("_PKD_COMPLETE", "complete_bash")  # the shell asks for what could be typed
    assert cli.command_typed(words) is None


@pytest.mark.parametrize("name", [*EVERY, *GROUPED])
def test_a_command_by_itself_has_the_same_page(name):
    from typer.testing import CliRunner

    words = [*name.split(), "--help"]
    alone, whole = (CliRunner().invoke(app, words, prog_name="pkd") for app in (cli.build(name), cli.app))
    assert alone.exit_code == whole.exit_code == 0
    assert alone.output == whole.output


@pytest.mark.parametrize(("name", "module"), [("list", "look.list"), ("data check", "data.check")])
def test_only_its_own_module_is_imported(name, module):
    script = f"import sys; sys.argv = ['pkd', *{name.split()}, '--help']\nfrom pkdcli.cli import main\n"
    script += "try: main()\nexcept SystemExit: pass\n"
    script += "print(*sorted(name for name in sys.modules if name.count('.') == 3 and name.startswith('pkdcli.cli.')))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == f"pkdcli.cli.{module}"


def test_ctrl_c_while_the_command_line_is_imported(monkeypatch):
    """No traceback: the words of a user who has mistyped are often taken back that soon."""

    class Pressed:
        @staticmethod
        def find_spec(name, path=None, target=None):
            if name == "pkdcli.cli":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "pkdcli.cli")
    monkeypatch.setattr(sys, "meta_path", [Pressed, *sys.meta_path])
    with pytest.raises(SystemExit) as left:
        entry.main()
    assert left.value.code == 130
