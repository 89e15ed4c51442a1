"""What is found out about a detector from its config, for people: kind, levels, training, the zoo's AP."""

from __future__ import annotations

from pkdcli.config.detector import detector_model
from pkdcli.config.levels import Named, Outputs
from pkdcli.config.levels.keys import outputs_of
from pkdcli.config.levels.look import looker
from pkdcli.config.own import own_words
from pkdcli.config.zoo import entry
from pkdcli.errors import PkdError
from pkdcli.recipe import library
from pkdcli.recipe.carried_out import ALPHA
from pkdcli.recipe.configs import is_own
from pkdcli.recipe.detectors.read import config_of
from pkdcli.recipe.detectors.training import own_by_default, own_length
from pkdcli.recipe.own import with_content
from pkdcli.recipe.schema import Detector

_CLASSES = 80  # of COCO; levels do not depend on them


def found(detector: Detector) -> dict[str, str]:
    """What there is to know of a detector at full size, in words by what it is about.

    Args:
        detector: By its recipe, or as its config has it.

    Raises:
        PkdError: Its config can't be read.
    """
    detector = with_content(detector)
    said = {"kind": f"{detector.kind}: the loss weight alpha is {ALPHA[detector.kind]:g} where it teaches"}
    try:
        said["levels"] = _levels(detector)
    except PkdError as error:  # a package that is not there, for one
        said["levels"] = f"unknown: {error.message}"
    return {**said, "training": _training(detector), "mmdet's zoo": _zoo(detector)}


def _levels(detector: Detector) -> str:
    model = detector_model(detector, library.load("scales", "paper"), _CLASSES, pretrained=False)
    (outputs,) = outputs_of([Named(model, "detector", detector.tap)], looker(detector.imports))
    return f"{len(outputs.levels)} of its {outputs.module}: {described(outputs)}"


def described(outputs: Outputs) -> str:
    """Strides and channels of levels, in words."""
    strides = ", ".join(str(level.stride or "?") for level in outputs.levels)
    channels = [str(level.channels) for level in outputs.levels]
    channels = channels[:1] if len(set(channels)) == 1 else channels
    return f"strides {strides}; {', '.join(channels)} channels"


def _training(detector: Detector) -> str:
    """By which settings it is trained as a student where nobody says how."""
    config = config_of(detector)
    try:
        own = "; ".join(own_words(config))
    except PkdError as error:
        own = error.message.rstrip(".")
    if own_by_default(config):
        return f"own, by its config: {own}; {own_length(config)} epochs"
    return f"paper, by appendix A.2: SGD at {detector.lr:g} for 16 images, with steps (its config: {own})"


def _zoo(detector: Detector) -> str:
    if is_own(detector.config):
        return "none: a config of your own"
    zoo = entry(detector.config)
    ap = "no box AP on COCO" if zoo.box_ap is None else f"box AP {zoo.box_ap:g} on COCO"
    return f"{ap}, {zoo.weights or 'no weights'}"
