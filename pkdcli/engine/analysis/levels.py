"""The levels of a detector, found by looking: its backbone and neck are built and run, without weights or data.

Started as a process by `pkdcli.config.levels.look`: `python -m pkdcli.engine.analysis.levels REQUEST.json`. Torch's
meta device computes the shapes of tensors and nothing else, in milliseconds; where an operation does not know that
device, the modules run on the CPU.
"""

from __future__ import annotations

import ast
import re
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import torch
from torch import Tensor, nn

from pkdcli.compat import activate

activate()

from mmengine.config import ConfigDict  # noqa: E402
from mmengine.registry import init_default_scope  # noqa: E402

from pkdcli.engine.data.loader_errors import described  # noqa: E402
from pkdcli.engine.worker.request import answer  # noqa: E402
from pkdcli.errors import PkdError, nearest  # noqa: E402

from mmdet.registry import MODELS  # isort: skip  # noqa: E402

SIDES = {"meta": (1024, 2048), "cpu": (512, 768)}
"""Of two square images, in pixels. Strides are differences, so that padding does not count: up to 1024, and 256."""
_WEIGHTS = ("init_cfg", "pretrained")
_UNREGISTERED = re.compile(r"([\w.]+) is not in the \S+ registry")
_REMEDY = "Choose a detector of mmdet's with a backbone, or correct the config; `pkd list detectors` names some."


def find(request: Mapping[str, Any]) -> dict[str, Any]:
    """Carry out the request of `pkdcli.config.levels.look`.

    Args:
        request: `models`, each with `model`, a section as Python literals, and `who` (`student`, `teacher`) for errors
            and, where another module than the neck is meant, `tap`; `imports`, modules of the user's own.

    Returns:
        `found`: for each as `look`.

    Raises:
        PkdError: As `look`; or a module of the user's own can't be imported.
    """
    from pkdcli.engine.setup.imports import import_one
    from pkdcli.recipe.references import Import

    for one in request["imports"]:
        import_one(Import(**one))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        asked = request["models"]
        return {"found": [look(ast.literal_eval(one["model"]), one["who"], one.get("tap")) for one in asked]}


def look(model: Mapping[str, Any], who: str, tap: str | None = None) -> dict[str, Any]:
    """Build a detector's backbone and neck, run them on two images, and see what comes out.

    Args:
        model: mmdet model section.
        who: `student` or `teacher`, for errors.
        tap: Dotted name of the module whose outputs are meant; by default the neck, or without one the backbone.

    Returns:
        `module`, the one that was looked at; `single`, whether it puts out one tensor rather than a tuple; and
        `levels`: [stride in pixels, channels] of each, in the order in which they come.

    Raises:
        PkdError: No detector with a backbone, a part that can't be built or run, a tap that is no module, or outputs
            that are no feature maps.
    """
    whole = f"the {who} ({model.get('type')})"
    if not isinstance(model.get("backbone"), Mapping):
        raise PkdError(f"{whole} is no detector with a backbone, so it has no levels that could be compared.", _REMEDY)
    init_default_scope("mmdet")
    section = without_weights(model)
    (module, before), (_, after) = _outputs(section, whole, tap)
    single = isinstance(before, Tensor)
    small, large = _maps(before, whole, module), _maps(after, whole, module)
    return {
        "module": module,
        "single": single,
        "levels": [[_stride(one, other), one[1].shape[1]] for one, other in zip(small, large, strict=True)],
    }


def without_weights(node: Any) -> Any:
    """A section without what says where weights come from, since none are loaded."""
    if isinstance(node, Mapping):
        return ConfigDict({key: without_weights(value) for key, value in node.items() if key not in _WEIGHTS})
    if isinstance(node, (list, tuple)):
        return type(node)(without_weights(one) for one in node)
    return node


def _outputs(section: Mapping[str, Any], whole: str, tap: str | None) -> list[tuple[str, Any]]:
    """The name of the module that is looked at and its outputs for two images, by the quickest way that works."""
    for built_on, run_on in (("meta", "meta"), ("cpu", "meta")):  # a Swin works out numbers while it is built
        with suppress(PkdError):
            return _run(_built(section, built_on, whole).to(run_on), run_on, whole, tap)
    return _run(_built(section, "cpu", whole), "cpu", whole, tap)


def _built(section: Mapping[str, Any], device: str, whole: str) -> nn.Module:
    """Backbone and neck as the parts of one module, in eval mode."""
    parts = nn.Module()
    for name in ("backbone", "neck"):
        part = section.get(name)
        if not part:
            continue
        with _explained(f"{whole}: its {name} ({_type_of(part)}) can't be built to find its levels"):
            with torch.device(device):
                module = MODELS.build(part)
            # Some parameters are made by constructors that take no notice of the device.
            parts.add_module(name, module.to(device))
    return parts.eval()


def _run(parts: nn.Module, device: str, whole: str, tap: str | None) -> list[tuple[str, Any]]:
    """The name of the module that is looked at and its outputs, for each of two images."""
    source = tap or ("neck" if hasattr(parts, "neck") else "backbone")
    known = dict(parts.named_modules())
    if source not in known or not source:
        guess = nearest(source, list(known))
        hint = (f"Did you mean {guess!r}? " if guess else "") + f"Modules: {', '.join(_names(parts))}."
        if source.partition(".")[0] not in dict(parts.named_children()):
            hint += " No more than these of a teacher is run, so what a head or an encoder puts out can't be compared."
        raise PkdError(f"--tap: {whole} has no module {source!r} in its backbone and neck.", hint)
    found: list[tuple[str, Any]] = []
    hook = known[source].register_forward_hook(lambda _module, _inputs, outputs: found.append((source, outputs)))
    with _explained(f"{whole}: its backbone and neck can't be run to find its levels"), torch.no_grad():
        for side in SIDES[device]:
            features = parts.backbone(torch.zeros(1, 3, side, side, device=device))
            if hasattr(parts, "neck"):
                parts.neck(features)
    hook.remove()
    if len(found) != 2:
        times = len(found) / 2
        raise PkdError(
            f"--tap: {whole}: {source} runs {times:g} times an image; one that runs once is needed.",
            "Name a module that runs once, such as neck or backbone.",
        )
    return found


def _names(parts: nn.Module) -> Iterator[str]:
    """The modules that come first to mind: backbone, neck and what these are made of."""
    for name, part in parts.named_children():
        yield name
        yield from (f"{name}.{child}" for child, _ in part.named_children())


def _type_of(part: Any) -> str:
    """The type of a section, or those of a list of sections."""
    sections = part if isinstance(part, (list, tuple)) else [part]
    return ", ".join(str(one.get("type")) if isinstance(one, Mapping) else repr(one) for one in sections)


def _maps(outputs: Any, whole: str, module: str) -> list[tuple[int, Tensor]]:
    """The width and the map of each output (1, C, H, W)."""
    maps = [outputs] if isinstance(outputs, Tensor) else outputs
    if not isinstance(maps, (list, tuple)) or not maps or not all(isinstance(m, Tensor) and m.ndim == 4 for m in maps):
        raise PkdError(
            f"{whole}: its {module} puts out no feature maps (batch, channels, height, width) to compare.",
            _REMEDY,
        )
    return [(one.shape[-1], one) for one in maps]


def _stride(small: tuple[int, Tensor], large: tuple[int, Tensor]) -> int | None:
    """Pixels of the image per position, from how much a map grows with the image; None for one that does not grow."""
    before, after = SIDES[small[1].device.type]
    grown = large[0] - small[0]
    return round((after - before) / grown) if grown > 0 else None


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """Say in which part something went wrong, and what."""
    try:
        yield
    except PkdError:
        raise
    except Exception as error:
        if unregistered := _UNREGISTERED.search(str(error)):
            package = unregistered[1].partition(".")[0] if "." in unregistered[1] else "a package or module of your own"
            remedy = f"It would come from {package}: install that, or name its module in the recipe's `imports`."
            raise PkdError(f"{what}: nothing here registers {unregistered[1]}.", remedy) from error
        raise PkdError(f"{what}: {described(error)}.", _REMEDY) from error


def main(argv: Sequence[str]) -> int:
    """Carry out the request in a JSON file."""
    return answer(argv, find)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
