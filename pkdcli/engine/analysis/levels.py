"""The levels of a detector, found by looking: its backbone and neck are built and run, without weights or data.

Of a DETR whose encoder is meant the whole is built, which it makes itself, and run up to there.

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
from pkdcli.engine.distill.encoder import folded, run_encoder, sizes_of  # noqa: E402
from pkdcli.engine.worker.request import answer  # noqa: E402
from pkdcli.errors import PkdError, nearest  # noqa: E402

from mmdet.registry import MODELS  # isort: skip  # noqa: E402

SIDES = {"meta": (1024, 2048), "cpu": (512, 768)}
"""Of two square images, in pixels. Strides are differences, so that padding does not count: up to 1024, and 256."""
ENCODER_SIDES = (128, 256)
"""The same where an encoder runs, on the CPU: mmdet's read the sizes of maps as numbers."""
_PARTS = ("backbone", "neck")
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
        `module`, the one that was looked at; `single`, whether it puts out one tensor rather than a tuple; `levels`:
        [stride in pixels, channels] of each, in the order in which they come; and of an encoder `sizes`, the module
        that puts out the maps which it takes.

    Raises:
        PkdError: No detector with a backbone, a part that can't be built or run, a tap that is no module, or outputs
            that are no feature maps.
    """
    whole = f"the {who} ({model.get('type')})"
    if not isinstance(model.get("backbone"), Mapping):
        raise PkdError(f"{whole} is no detector with a backbone, so it has no levels that could be compared.", _REMEDY)
    init_default_scope("mmdet")
    section = without_weights(model)
    if tap and tap.partition(".")[0] not in _PARTS and isinstance(section.get("encoder"), Mapping):
        return _look_at_encoder(section, whole, tap)
    sides, (module, before), (_, after) = _outputs(section, whole, tap)
    levels = _levels(_maps(before, whole, module), _maps(after, whole, module), sides)
    return {"module": module, "single": isinstance(before, Tensor), "levels": levels}


def _look_at_encoder(section: Mapping[str, Any], whole: str, tap: str) -> dict[str, Any]:
    """The same of the encoder of a DETR, or one of its layers."""
    with _explained(f"{whole}: can't be built to find the levels of its encoder"):
        detector = MODELS.build(section).eval()
    if hasattr(detector, "level_embed"):
        nn.init.zeros_(detector.level_embed)  # mmdet leaves it as the memory was, where no weights are drawn
    if not hasattr(detector, "pre_transformer"):
        raise PkdError(f"--tap: {whole}: its encoder is none of mmdet's DETRs', so its rows can't be told from each "
                       "other.", "Leave --tap out to compare the neck.")  # fmt: skip
    known = {name: one for name, one in detector.named_modules() if name.partition(".")[0] in (*_PARTS, "encoder")}
    _check_tap(tap, known, detector, whole, "decoder")
    before, maps, rows = ("neck" if detector.with_neck else "backbone"), [], []
    hooks = [
        known[before].register_forward_hook(lambda _module, _inputs, outputs: maps.append(outputs)),
        known[tap].register_forward_hook(lambda _module, _inputs, outputs: rows.append(outputs)),
    ]
    with _explained(f"{whole}: can't be run up to its encoder to find its levels"), torch.no_grad():
        for side in ENCODER_SIDES:
            images = torch.zeros(1, 3, side, side)
            run_encoder(detector, detector.extract_feat(images), images)
    for hook in hooks:
        hook.remove()
    _check_times(len(rows), tap, whole)
    try:
        small, large = (folded(row, sizes_of(one)) for row, one in zip(rows, maps, strict=True))
    except (AttributeError, IndexError, ValueError) as error:
        raise PkdError(
            f"{whole}: its {tap} puts out no rows (batch, positions, channels) of an encoder to compare.",
            "Name encoder, or one of its layers, such as encoder.layers.0.",
        ) from error
    levels = _levels(_maps(small, whole, tap), _maps(large, whole, tap), ENCODER_SIDES)
    return {"module": tap, "single": True, "levels": levels, "sizes": before}


def without_weights(node: Any) -> Any:
    """A section without what says where weights come from, since none are loaded."""
    if isinstance(node, Mapping):
        return ConfigDict({key: without_weights(value) for key, value in node.items() if key not in _WEIGHTS})
    if isinstance(node, (list, tuple)):
        return type(node)(without_weights(one) for one in node)
    return node


def _outputs(section: Mapping[str, Any], whole: str, tap: str | None) -> tuple[tuple[int, int], Any, Any]:
    """The sides of two images, and for each the name of the module that is looked at and its outputs.

    By the quickest way that works.
    """
    for built_on, run_on in (("meta", "meta"), ("cpu", "meta")):  # a Swin works out numbers while it is built
        with suppress(PkdError):
            return SIDES[run_on], *_run(_built(section, built_on, whole).to(run_on), run_on, whole, tap)
    return SIDES["cpu"], *_run(_built(section, "cpu", whole), "cpu", whole, tap)


def _built(section: Mapping[str, Any], device: str, whole: str) -> nn.Module:
    """Backbone and neck as the parts of one module, in eval mode."""
    parts = nn.Module()
    for name in _PARTS:
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
    _check_tap(source, known, parts, whole)
    found: list[tuple[str, Any]] = []
    hook = known[source].register_forward_hook(lambda _module, _inputs, outputs: found.append((source, outputs)))
    with _explained(f"{whole}: its backbone and neck can't be run to find its levels"), torch.no_grad():
        for side in SIDES[device]:
            features = parts.backbone(torch.zeros(1, 3, side, side, device=device))
            if hasattr(parts, "neck"):
                parts.neck(features)
    hook.remove()
    _check_times(len(found), source, whole)
    return found


def _check_tap(tap: str, known: Mapping[str, nn.Module], parts: nn.Module, whole: str, more: str = "") -> None:
    """Refuse a tap that is no module which runs.

    Args:
        tap: As it was typed.
        known: The modules that run, by their names.
        parts: What they are in.
        whole: The detector, for the error.
        more: What does not run of a detector whose encoder does; without it, the encoder runs no more than a head.

    Raises:
        PkdError: It is none; with the nearest, and those that there are.
    """
    if tap in known and tap:
        return
    running = {name.partition(".")[0] for name in known} - {""}
    guess = nearest(tap, list(known))
    hint = (f"Did you mean {guess!r}? " if guess else "") + f"Modules: {', '.join(_names(parts, running))}."
    if tap.partition(".")[0] not in running:
        what = f"a head or a {more}" if more else "a head or an encoder"
        hint += f" No more than these of a teacher is run, so what {what} puts out can't be compared."
    where = "backbone, neck and encoder" if more else "backbone and neck"
    raise PkdError(f"--tap: {whole} has no module {tap!r} in its {where}.", hint)


def _check_times(outputs: int, tap: str, whole: str) -> None:
    """Refuse a module that did not run once for each of two images.

    Raises:
        PkdError: It put out something more or less often.
    """
    if outputs != 2:
        raise PkdError(
            f"--tap: {whole}: {tap} runs {outputs / 2:g} times an image; one that runs once is needed.",
            "Name a module that runs once, such as neck or backbone.",
        )


def _names(parts: nn.Module, running: set[str]) -> Iterator[str]:
    """The modules that come first to mind: backbone, neck and what these are made of."""
    for name, part in parts.named_children():
        if name not in running:
            continue
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


def _levels(
    small: list[tuple[int, Tensor]], large: list[tuple[int, Tensor]], sides: tuple[int, int]
) -> list[list[int | None]]:
    """Stride and channels of each level, from its maps of two images.

    The stride is pixels of the image per position, from how much a map grows with the image; None for one that does not
    grow.
    """
    found = []
    for (width, level), (larger, _) in zip(small, large, strict=True):
        grown = larger - width
        found.append([round((sides[1] - sides[0]) / grown) if grown > 0 else None, level.shape[1]])
    return found


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
