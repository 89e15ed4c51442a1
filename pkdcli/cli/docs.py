"""The pages of docs/commands, made from the commands themselves: `python -m pkdcli.cli.docs [FOLDER]`."""

from __future__ import annotations

import re
import sys
import typing
from pathlib import Path
from typing import Any

_MARKUP = re.compile(r"\[/?(?:bold|dim|italic|red|green|cyan)(?: [a-z]+)?\]|\[/\]")
_FIRST = "<!-- Made by `python -m pkdcli.cli.docs`; a test holds it to the code. -->"


def pages() -> dict[str, str]:
    """The text of every page by its file's name: one a command, and `index.md`."""
    import typer

    from pkdcli.cli import app

    group = typer.main.get_command(app)
    commands: dict[str, Any] = {}
    for name, command in group.commands.items():
        if not command.hidden:
            commands |= {f"{name} {one}": inner for one, inner in getattr(command, "commands", {}).items()} or {
                name: command
            }
    lines = [_FIRST, "", "# Commands", "", "| command | what it does |", "| --- | --- |"]
    lines += [f"| [`pkd {name}`]({_file(name)}) | {_summary(command)} |" for name, command in sorted(commands.items())]
    lines += ["", "Of `pkd` itself:", "", *_options(group)]
    found = {"index.md": "\n".join(lines).rstrip() + "\n"}
    return found | {_file(name): _page(name, command) for name, command in commands.items()}


def _file(name: str) -> str:
    return f"{name.replace(' ', '-')}.md"


def write(folder: Path) -> list[Path]:
    """Write the pages, and take away those of commands that are no more."""
    from pkdcli.runs.store import write_text

    texts = pages()
    for path in folder.glob("*.md"):
        if path.name not in texts:
            path.unlink()
    for name, text in texts.items():
        write_text(folder / name, text)
    return [folder / name for name in texts]


def _page(name: str, command: Any) -> str:
    text, examples = _parts(command.help or "")
    arguments = [param for param in command.params if param.param_type_name == "argument"]
    usage = " ".join(["pkd", name, "[OPTIONS]", *(_argument(one) for one in arguments)])
    lines = [_FIRST, "", f"# pkd {name}", "", text, "", "```", usage, "```", ""]
    if examples:
        lines += ["## Examples", "", "```bash", *examples, "```", ""]
    told = [one for one in arguments if getattr(one, "help", None)]
    if told:
        lines += ["## Arguments", "", "| argument | |", "| --- | --- |"]
        lines += [f"| `{_cell(_argument(one))}` | {_cell(one.help)} |" for one in told] + [""]
    return "\n".join([*lines, *_options(command)]).rstrip() + "\n"


def _parts(text: str) -> tuple[str, list[str]]:
    """A command's description, and its examples."""
    text, _, rest = text.replace("\f", "").partition("[bold]Examples[/bold]")
    examples = [_MARKUP.sub("", line).strip() for line in rest.splitlines()]
    return _MARKUP.sub("", text).strip(), [line for line in examples if line]


def _summary(command: Any) -> str:
    return _cell(_parts(command.help or "")[0].partition("\n\n")[0])


def _argument(param: Any) -> str:
    text = param.metavar or param.name.upper()
    return text if text.startswith("[") or param.required else f"[{text}]"


def _options(command: Any) -> list[str]:
    """Tables of options, a heading for each of their panels."""
    panels: dict[str, list[Any]] = {}
    for param in command.params:
        if param.param_type_name == "option" and not param.hidden:
            panels.setdefault(getattr(param, "rich_help_panel", None) or "Options", []).append(param)
    # The types are those of the function: Typer's parameter objects differ from release to release.
    types = typing.get_type_hints(command.callback) if command.callback else {}
    lines: list[str] = []
    for panel, params in panels.items():
        lines += [f"## {panel}", "", "| option | default | |", "| --- | --- | --- |"]
        lines += [f"| {_names(one, types)} | {_default(one)} | {_cell(one.help or '')} |" for one in params] + [""]
    return lines


def _names(param: Any, types: dict[str, Any]) -> str:
    names = [*param.opts, *param.secondary_opts]
    metavar = "" if param.is_flag else f" {param.metavar or _word(types.get(param.name))}"
    return _cell(", ".join(f"`{name}{metavar}`" for name in names))


def _word(annotation: Any) -> str:
    """What to type for a value of this type."""
    inner = [one for one in typing.get_args(annotation) if one is not type(None)]
    if inner:
        return _word(inner[0])
    return {int: "INTEGER", float: "NUMBER", Path: "PATH"}.get(annotation, "TEXT")


def _default(param: Any) -> str:
    default = param.default
    if default is None or default is False or default == () or not isinstance(default, (str, int, float)):
        return ""
    return f"`{'on' if default is True else default}`"


def _cell(text: str) -> str:
    return " ".join(_MARKUP.sub("", text).split()).replace("|", "\\|")


if __name__ == "__main__":
    for path in write(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/commands")):
        print(path)
