"""Which rules of a scale shrink which detector."""

from __future__ import annotations

from typing import Any

from pkdcli.recipe.configs import is_own
from pkdcli.recipe.detectors.read import config_of, modules
from pkdcli.recipe.schema import Detector, Rule, Scale


def rules_for(detector: Detector, scale: Scale) -> list[Rule]:
    """The rules that shrink a detector, in the order in which they are tried.

    Args:
        detector: Has those of its family, where the recipe is resolved.
        scale: Has those of all detectors.
    """
    return [*scale.rules, *detector.rules]


def with_family_rules(detector: Detector, scale: Scale) -> Detector:
    """A detector with those of the scale's `families` that match one of its modules, and no rule before them does.

    One of a config of the user's has none of them: it keeps its size, and its runs the names that they had before there
    were families.

    Args:
        detector: Of a recipe that is being resolved.
        scale: As it was read.

    Raises:
        PkdError: The detector's config can't be read.
    """
    if not scale.families or is_own(detector.config):
        return detector
    tried = [*scale.rules, *scale.families]
    used = set()
    for module in modules(config_of(detector)["model"]):
        used.add(next((number for number, rule in enumerate(tried) if matches(module, rule.match)), None))
    own = [rule for number, rule in enumerate(tried) if number in used and number >= len(scale.rules)]
    return detector.model_copy(update={"rules": [*detector.rules, *own]}) if own else detector


def matches(module: dict[str, Any], match: dict[str, Any]) -> bool:
    """Whether a module of a model has all the keys and values of a rule's `match`; of a list of values any will do.

    Args:
        module: A dict with a `type`.
        match: As a rule has it.
    """
    return all(key in module and _is(module[key], value) for key, value in match.items())


def _is(found: Any, wanted: Any) -> bool:
    return found == wanted or (isinstance(wanted, list) and found in wanted)
