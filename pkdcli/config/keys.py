"""Set keys with dots in nested dicts, lists and tuples, keeping the kinds of what is replaced."""

from __future__ import annotations

from typing import Any

from pkdcli.errors import PkdError, nearest

# YAML and JSON know no tuples, and these arguments of transforms have to be some (or lists of some: a list of lists).
# `img` is what `Pad` fills with, inside of its `pad_val`.
TUPLES = {"scale", "scales", "img_scale", "crop_size", "size", "scale_factor", "meta_keys", "short_edge_length",
          "img_border_value", "n_holes", "n_patches", "img"}  # fmt: skip


def set_key(node: Any, path: str, value: Any, where: str) -> None:
    """Set a key with dots; the last part may be new in a dict, or the next of a list; the others must exist.

    A list in the place of a tuple becomes one, and so does one for an argument that has to be a tuple.

    Args:
        node: A dict or list, which is changed.
        path: Such as `train_dataloader.dataset.pipeline.2.scale`.
        value: As YAML gives it.
        where: Of the setting, for errors.

    Raises:
        PkdError: A part of the path leads nowhere; names the nearest key.
    """
    _set(node, path.split("."), value, f"{where}: {path}")


def _set(node: Any, parts: list[str], value: Any, where: str) -> Any:
    """The node with the key set: itself, or a new one where it is a tuple."""
    part, rest = parts[0], parts[1:]
    if isinstance(node, dict):
        if rest and not isinstance(node.get(part), (dict, list, tuple)):
            raise _absent(node, part, where)
        node[part] = _set(node[part], rest, value, where) if rest else like(node.get(part), value, part)
        return node
    if isinstance(node, (list, tuple)) and part.isdigit() and int(part) <= len(node):
        index, items = int(part), list(node)
        if index == len(items):
            if rest or isinstance(node, tuple):
                raise _absent(node, part, where)
            node.append(like(None, value, ""))
            return node
        old = items[index]
        if rest and not isinstance(old, (dict, list, tuple)):
            raise _absent(node, part, where)
        items[index] = _set(old, rest, value, where) if rest else like(old, value, "")
        if isinstance(node, tuple):
            return type(node)(items)
        node[:] = items
        return node
    raise _absent(node, part, where)


def _absent(node: Any, part: str, where: str) -> PkdError:
    if isinstance(node, dict) and part in node:
        kind = "empty" if node[part] is None else repr(node[part])
        return PkdError(f"{where}: {part} is {kind}, so there is no key in it.", f"Set {part} itself to a mapping.")
    if isinstance(node, (list, tuple)):
        hint = f"Items there: 0 to {len(node) - 1}." if node else "It is an empty list."
        return PkdError(f"{where}: there is no key {part!r}.", hint)
    keys = sorted(str(key) for key in node) if isinstance(node, dict) else []
    guess = nearest(part, keys)
    hint = (f"Did you mean {guess!r}? " if guess else "") + (f"Keys there: {', '.join(keys)}." if keys else "")
    return PkdError(f"{where}: there is no key {part!r}.", hint or None)


def like(old: Any, new: Any, key: str) -> Any:
    """A value in the place of another, with tuples where those were or have to be.

    Args:
        old: What is replaced, or None.
        new: Lists, dicts and scalars.
        key: The key it stands under.
    """
    if isinstance(new, dict):
        before = old if isinstance(old, dict) and old.get("type") == new.get("type", old.get("type")) else {}
        return {name: like(before.get(name), item, str(name)) for name, item in new.items()}
    if not isinstance(new, list):
        return new
    if new and all(isinstance(item, list) for item in new) and _of_tuples(old, key):
        filled = [tuple(like(None, part, "") for part in item) for item in new]
        return tuple(filled) if isinstance(old, tuple) else filled
    items = old if isinstance(old, (list, tuple)) else ()
    filled = [like(items[n] if n < len(items) else None, item, "") for n, item in enumerate(new)]
    scalars = not any(isinstance(item, (list, dict)) for item in filled)
    return tuple(filled) if isinstance(old, tuple) or (old is None and key in TUPLES and scalars) else filled


def _of_tuples(old: Any, key: str) -> bool:
    """Whether what stands there is a list of tuples, or has to be."""
    if isinstance(old, (list, tuple)) and old:
        return all(isinstance(item, tuple) for item in old)
    return key in TUPLES
