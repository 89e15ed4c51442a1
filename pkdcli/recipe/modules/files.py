"""The files of Python modules that lie beside recipes, and the hash by which a run knows them. Nothing is imported."""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path


def files_of(module: str, folder: Path) -> list[Path]:
    """The Python files of a module that lies in a folder, in a fixed order; none where there is no such module.

    Args:
        module: Dotted name.
        folder: Where its first part would lie.
    """
    path = folder.joinpath(*module.split("."))
    if (path / "__init__.py").is_file():
        return sorted(path.rglob("*.py"))
    single = path.with_name(f"{path.name}.py")
    return [single] if single.is_file() else []


def needed_files(module: str, folder: Path) -> list[Path]:
    """The files of a module, then those of whatever they import from the same folder, in a fixed order.

    Args:
        module: Dotted name.
        folder: Where its first part lies.
    """
    own = files_of(module, folder)
    if not own:
        return []
    waiting, found = [*own, *_packages_around(module, folder)], set(own)
    while waiting:
        file = waiting.pop()
        found.add(file)
        for name in _imported(file, folder):
            waiting += [one for one in _named(name, folder) if one not in found and one not in waiting]
    return [*own, *sorted(found - set(own))]


def hash_of(files: Sequence[Path]) -> str:
    """A SHA-256 over the contents of files."""
    digest = hashlib.sha256()
    for file in files:
        content = file.read_bytes()
        digest.update(f"{len(content)} ".encode())
        digest.update(content)
    return digest.hexdigest()


def hash_of_module(module: str, folder: Path) -> str | None:
    """The hash of a module and of what it imports from the same folder; None where there is no such module there.

    Args:
        module: Dotted name.
        folder: Where its first part would lie.
    """
    own = files_of(module, folder)
    # An empty file, such as a package's `__init__.py`, changes nothing.
    files = [one for one in needed_files(module, folder) if one in own or one.stat().st_size]
    return hash_of(files) if files else None


def has_hash(module: str, folder: Path, sha256: str | None) -> bool:
    """Whether a module that lies in a folder has the content that a recipe has noted down.

    Args:
        module: Dotted name.
        folder: Where its first part would lie.
        sha256: As `hash_of_module` told it; earlier releases hashed the module's own files alone. None fits all.
    """
    own = files_of(module, folder)
    return bool(own) and (sha256 is None or sha256 in (hash_of_module(module, folder), hash_of(own)))


def _packages_around(module: str, folder: Path) -> list[Path]:
    parts = module.split(".")[:-1]
    places = [folder.joinpath(*parts[:count], "__init__.py") for count in range(1, len(parts) + 1)]
    return [place for place in places if place.is_file()]


def _named(name: str, folder: Path) -> list[Path]:
    """The files that importing a dotted name runs, as far as they lie in the folder and nothing comes before them."""
    if not _is_found_there(name.partition(".")[0], folder):
        return []
    return [*_packages_around(name, folder), *files_of(name, folder)]


def _is_found_there(outermost: str, folder: Path) -> bool:
    """Whether a module of this name would be that of the folder, which is looked into last."""
    if outermost in sys.stdlib_module_names or not files_of(outermost, folder):
        return False
    for finder in sys.meta_path:
        with suppress(Exception):  # whatever finders others have put there
            spec = finder.find_spec(outermost, None)
            if spec is not None:
                places = [spec.origin, *(spec.submodule_search_locations or [])]
                return any(place and Path(place).resolve().is_relative_to(folder.resolve()) for place in places)
    return True


def _imported(file: Path, folder: Path) -> Iterator[str]:
    """The dotted names of all that a file may import, wherever in it."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError, OSError):  # told with its line where it is imported
        return
    package = file.relative_to(folder).parent.parts
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            name = ".".join([*above, *([node.module] if node.module else [])])
            if name:
                yield name
            yield from (f"{name}.{alias.name}" if name else alias.name for alias in node.names if alias.name != "*")
