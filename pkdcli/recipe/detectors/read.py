"""A detector's whole config: mmdet's own, or what a file of the user's said when the recipe was resolved."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pkdcli.recipe.configs import config_path, from_text, read_config
from pkdcli.recipe.schema import Detector


def load_config(config: str, where: str = "config") -> dict[str, Any]:
    """An mmdet config as plain nested dicts; the caller's own copy.

    Args:
        config: mmdet's own by its relative name, or the absolute path of a file.
        where: File and key path that name it, for messages.

    Raises:
        PkdError: There is no such config, or it can't be read.
    """
    return read_config(config_path(config, where), where)


def config_of(detector: Detector) -> dict[str, Any]:
    """A detector's config: of a config of one's own, what it said when the recipe was resolved. The caller's own copy.

    Raises:
        PkdError: It can't be read.
    """
    if detector.config_content is not None:
        return from_text(detector.config_content, f"detector {detector.name}: config_content")
    return load_config(detector.config, f"detector {detector.name}: config")


def modules(node: Any) -> Iterator[dict[str, Any]]:
    """Every module (a dict with a `type`) inside a model, outer ones first."""
    if isinstance(node, dict):
        if "type" in node:
            yield node
        for value in list(node.values()):
            yield from modules(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from modules(value)


def bare(section: Any) -> str:
    """The type of a section without the registry that it is looked up in; empty where there is none."""
    return str(section.get("type", "")).rpartition(".")[2] if isinstance(section, dict) else ""


def unwrapped(dataset: Any) -> Iterator[dict[str, Any]]:
    """A data set's section and what it wraps, the outermost first; of several side by side the first."""
    while isinstance(dataset, dict):
        yield dataset
        inner = dataset.get("dataset") or dataset.get("datasets")
        dataset = inner[0] if isinstance(inner, (list, tuple)) and inner else inner
