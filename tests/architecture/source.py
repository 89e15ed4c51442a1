"""The source of a checkout as data: its modules, their imports, circles, sizes and public functions.

Only `ast` reads it, nothing is imported, so that it also works on an older checkout.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

PACKAGE = "pkdcli"


@dataclass(frozen=True)
class Function:
    """A public function or method.

    Attributes:
        name: Its dotted name from the package on.
        parameters: Its parameters without `self` and `cls`.
        undocumented: Those that its docstring's `Args:` does not name.
        command: Whether its docstring is a page of help, which has its options' help instead.
        inherits: Whether it is a method of a class with a base, where the base may say what the arguments are.
    """

    name: str
    parameters: tuple[str, ...]
    undocumented: tuple[str, ...]
    command: bool
    inherits: bool


@dataclass(frozen=True)
class Source:
    """The package and the tests of one checkout.

    Attributes:
        root: The checkout's folder, which has `pkdcli/` and `tests/`.
    """

    root: Path
    _trees: dict[str, ast.Module] = field(default_factory=dict, compare=False)

    @cached_property
    def modules(self) -> dict[str, Path]:
        """Every module's dotted name and file; a package's name stands for its `__init__.py`."""
        return {_dotted(file.relative_to(self.root)): file for file in sorted((self.root / PACKAGE).rglob("*.py"))}

    def tree(self, module: str) -> ast.Module:
        """The syntax tree of a module, parsed once."""
        if module not in self._trees:
            self._trees[module] = ast.parse(self.modules[module].read_text("utf-8"))
        return self._trees[module]

    @cached_property
    def imports(self) -> dict[str, set[str]]:
        """What every module imports, inside functions too but not for type checkers: dotted names, others' too."""
        return {module: set(self._imports_of(module)) for module in self.modules}

    def _imports_of(self, module: str) -> Iterator[str]:
        for node in _running(self.tree(module)):
            if isinstance(node, ast.Import):
                yield from (one.name for one in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = self._absolute(module, node)
                for one in node.names:
                    # `from package import name` loads the submodule of that name where there is one.
                    inner = f"{base}.{one.name}"
                    yield inner if inner in self.modules else base

    def _absolute(self, module: str, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        parts = module.split(".")
        drop = node.level - (self.modules[module].name == "__init__.py")
        return ".".join([*parts[: len(parts) - drop], *([node.module] if node.module else [])])

    @cached_property
    def circles(self) -> list[list[str]]:
        """The groups of modules of which each imports each other, at once or over others."""
        reached = {module: self._reached(module) for module in self.modules}
        groups = {
            tuple(sorted(other for other in found if module in reached[other]))
            for module, found in reached.items()
            if module in found
        }
        return sorted(map(list, groups))

    def _reached(self, module: str) -> set[str]:
        found: set[str] = set()
        ahead = [module]
        while ahead:
            new = (self.imports[ahead.pop()] & self.modules.keys()) - found
            found |= new
            ahead.extend(new)
        return found

    def files(self, folder: str) -> dict[str, int]:
        """The Python files under a folder of the checkout, and how many lines each has."""
        files = sorted((self.root / folder).rglob("*.py"))
        return {file.relative_to(self.root).as_posix(): len(file.read_text("utf-8").splitlines()) for file in files}

    @cached_property
    def folders(self) -> dict[str, int]:
        """How many Python files each folder of the package and the tests has, without those of its folders."""
        counts: dict[str, int] = {}
        for name in [*self.files(PACKAGE), *self.files("tests")]:
            folder = name.rpartition("/")[0]
            counts[folder] = counts.get(folder, 0) + 1
        return counts

    @cached_property
    def functions(self) -> list[Function]:
        """The package's public functions and methods of public classes, in the order of the files."""
        return [one for module in self.modules for one in _functions(self.tree(module), module)]


def _dotted(file: Path) -> str:
    parts = file.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _running(node: ast.AST) -> Iterator[ast.AST]:
    """Every node under this one but those under `if TYPE_CHECKING:`, which no program runs."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            for other in child.orelse:
                yield other
                yield from _running(other)
            continue
        yield child
        yield from _running(child)


def _functions(node: ast.Module | ast.ClassDef, name: str, inherits: bool = False) -> Iterator[Function]:
    for child in node.body:
        if isinstance(child, ast.ClassDef) and not child.name.startswith("_"):
            yield from _functions(child, f"{name}.{child.name}", bool(child.bases))
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) and not child.name.startswith("_"):
            arguments = child.args
            every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
            every += [one for one in (arguments.vararg, arguments.kwarg) if one]
            parameters = tuple(one.arg for one in every if one.arg not in ("self", "cls"))
            text = (ast.get_docstring(child) or "").partition("Args:\n")[2]
            told = {
                word.strip(" *")
                for names in re.findall(r"^ +((?:\*{0,2}\w+(?:, )?)+)(?: \(.*\))?:", text, re.M)
                for word in names.split(",")
            }
            undocumented = tuple(one for one in parameters if one not in told)
            decorators = [ast.unparse(one) for one in child.decorator_list]
            command = any(".command(" in one or ".callback(" in one or "spread" in one for one in decorators)
            yield Function(f"{name}.{child.name}", parameters, undocumented, command, inherits)
