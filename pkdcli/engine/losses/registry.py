"""The one table of losses: name -> class.

A user's own loss enters by `register_loss`, as ``module:Class``, or as a plug-in (an entry point of `pkdcli.losses`).
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from pkdcli import plugins
from pkdcli.engine.losses.base import FeatureLoss
from pkdcli.engine.losses.parameters import SHARED, Parameter, checked
from pkdcli.errors import PkdError, unknown

_LOSSES: dict[str, type[nn.Module]] = {}


@dataclass(frozen=True)
class LossFacts:
    """What a reader needs to know of a loss: a line, where it is from, its parameters."""

    name: str
    title: str
    source: str
    parameters: dict[str, Parameter]


def register_loss(name: str) -> Callable[[type[nn.Module]], type[nn.Module]]:
    """Class decorator that makes a loss buildable by name.

    The class takes its parameters as keywords and is called as ``loss(student, teacher)`` on two (N, C, H, W) maps;
    subclass `FeatureLoss` to get weight, resizing and chunks for free, or let `build_loss` wrap a plain module.

    Example:
        >>> @register_loss("huber")
        ... class HuberLoss(FeatureLoss):
        ...     title = "Huber distance"
        ...     statistics = False
        ...     def compare(self, student, teacher):
        ...         return torch.nn.functional.huber_loss(student, teacher)

    Raises:
        PkdError: The name is taken by another class: nothing is overwritten silently.
    """

    def enter(cls: type[nn.Module]) -> type[nn.Module]:
        if _LOSSES.get(name, cls) is not cls:
            taken = _LOSSES[name]
            raise PkdError(f"loss {name!r} is already {taken.__module__}:{taken.__qualname__}.", "Choose another name.")
        _LOSSES[name] = cls
        return cls

    return enter


def build_loss(name: str, weight: float = 1.0, stat_chunk: int | str | None = None, **parameters: Any) -> FeatureLoss:
    """The loss of that name, called as ``loss(student, teacher)`` on two maps (N, C, H, W) of one level.

    Args:
        name: A registered name, a plug-in's, or ``module:Class`` for a user's own.
        weight: Finite, zero or more; already multiplied into what the loss returns.
        stat_chunk: Images per chunk of statistics; None or ``"batch"`` for the whole batch.
        **parameters: The loss's own, for example ``temperature=50`` for norm-kl.

    Raises:
        PkdError: An unknown name or parameter (with the nearest match and the allowed ones), or a value out of range.
    """
    cls = _find(name)
    own = own_parameters(cls)
    for key, value in parameters.items():
        if key not in own:
            raise unknown(f"parameter of loss {name}", key, [*SHARED, *own])
        checked(own[key], value)
    if issubclass(cls, FeatureLoss):
        return cls(weight=weight, stat_chunk=stat_chunk, **parameters)
    return Wrapped(cls(**parameters), weight=weight, stat_chunk=stat_chunk)


def available_losses() -> dict[str, LossFacts]:
    """Every registered loss by name, with its one-line title, source, and parameters with defaults and ranges."""
    return {name: _facts(name, cls) for name, cls in sorted(_LOSSES.items())}


def takes_temperature(name: str) -> bool:
    """Whether the loss of that name has a parameter `temperature`."""
    return "temperature" in own_parameters(_find(name))


def own_parameters(cls: type[nn.Module]) -> dict[str, Parameter]:
    """A loss class's parameters beside weight and stat_chunk: as declared, else as its signature tells."""
    declared = dict(cls.options if issubclass(cls, FeatureLoss) else {})
    for key, argument in inspect.signature(cls.__init__).parameters.items():
        named = argument.kind not in (argument.VAR_KEYWORD, argument.VAR_POSITIONAL)
        if named and key != "self" and key not in SHARED and key not in declared:
            default = None if argument.default is argument.empty else argument.default
            declared[key] = Parameter(key, default, "any")
    return declared


class Wrapped(FeatureLoss):
    """A plain module of two feature maps, given the weight, the resizing and the chunks of a `FeatureLoss`.

    Args:
        inner: Called with (student, teacher), both (N, C, H, W); returns a scalar.
        weight: Multiplies the loss.
        stat_chunk: As for `FeatureLoss`.
    """

    def __init__(self, inner: nn.Module, weight: float = 1.0, stat_chunk: int | str | None = None) -> None:
        super().__init__(weight, stat_chunk)
        self.inner = inner

    def compare(self, student: Tensor, teacher: Tensor) -> Tensor:
        return self.inner(student, teacher)


def plugin_loss(plugin: plugins.Plugin) -> type[nn.Module]:
    """The class of a plug-in's loss, imported.

    Raises:
        PkdError: It can't be imported, is no module of two feature maps, or has a name that another loss has.
    """
    found = plugin.load()
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise plugin.broken(f"{plugin.value} is no class of torch.nn.Module")
    if issubclass(found, FeatureLoss):
        if found.compare is FeatureLoss.compare:
            raise plugin.broken(f"{plugin.value} has no compare(student, teacher)")
    elif not _takes_two(found):
        raise plugin.broken(f"{plugin.value} can't be called as loss(student, teacher): see its forward")
    taken = _LOSSES.get(plugin.name, found)
    if taken is not found:
        raise plugin.broken(f"its name is taken by {taken.__module__}:{taken.__qualname__}")
    return found


def _takes_two(cls: type[nn.Module]) -> bool:
    try:
        inspect.signature(cls.forward).bind(None, None, None)
    except (TypeError, ValueError):
        return False
    return cls.forward is not nn.Module.forward


def _find(name: str) -> type[nn.Module]:
    own = name in _LOSSES and _LOSSES[name].__module__.startswith("pkdcli.")
    plugin = None if own else plugins.find("losses", name)
    if plugin is not None:
        return plugin_loss(plugin)
    if name in _LOSSES:
        return _LOSSES[name]
    if name == "none":
        raise PkdError("'none' is the baseline: it has no distillation loss to build.")
    if ":" not in str(name):
        raise unknown("loss", str(name), [*_LOSSES, *plugins.names("losses")])
    module, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        hint = "Write module:Class; the module must be on PYTHONPATH."
        raise PkdError(f"loss {name!r} cannot be imported: {error}.", hint) from error
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise PkdError(f"loss {name!r} is not a torch.nn.Module class.")
    return found


def _facts(name: str, cls: type[nn.Module]) -> LossFacts:
    first_line = (inspect.getdoc(cls) or "").partition("\n")[0]
    title = getattr(cls, "title", "") or first_line
    source = getattr(cls, "source", "") or f"{cls.__module__}:{cls.__qualname__}"
    return LossFacts(name, title, source, {**SHARED, **own_parameters(cls)})
