"""A student, or the adapters beside it, that can't learn as they should: frozen, or running away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pkdcli.reporting.curves import number
from pkdcli.reporting.diagnosis import rate
from pkdcli.reporting.diagnosis.cause import Cause, Evidence, log_ramp, ramp, text
from pkdcli.reporting.diagnosis.facts import median

if TYPE_CHECKING:
    from pkdcli.reporting.diagnosis.facts import Facts

FROZEN = (0.9, 0.5)
"""Share of a part's weights that is trained. mmdet freezes the stem and first stage of a pretrained ResNet: 1 %."""
GROWN = (3.0, 10.0)
"""Times its norm at the beginning that an adapter has at the end; good ones stay within a factor of two."""
THROWN = (0.03, 0.1)
"""Share of its weights by which an adapter moves in its three furthest steps, as for the student's own parts: weights
that have blown up move little for their size."""


def frozen(facts: Facts) -> Cause | None:
    """Weights of the student that are not trained, or do not move."""
    scores, evidence = {}, []
    for part in ("backbone", "neck", "head"):
        share, moved = median(facts.update(part, "trained")), facts.update(part)
        known = [one for one in moved if one is not None]
        still = bool(known) and not any(known)
        if share is None:
            continue
        scores[part] = 1.0 if still else ramp(share, *FROZEN)
        if scores[part]:
            evidence.append(Evidence(f"weights of the {part} that are trained", f"{100 * share:.0f} %", "99 % or more"))
        if still:
            evidence.append(Evidence(f"steps that move the {part}", "none", "all"))
    if not scores or not max(scores.values()):
        return None
    worst = max(scores, key=scores.__getitem__)
    if facts.recipe.pretrained is False:
        evidence.append(Evidence("what it starts from", "random weights", "pretrained weights, where it is frozen"))
    keys = [key for key in facts.recipe.config if "frozen" in key or "lr_mult" in key or "requires_grad" in key]
    return Cause(
        "frozen",
        f"the student's {worst} is frozen",
        scores[worst],
        evidence,
        f"Leave out --set config.{keys[0]}=..." if keys else "Unfreeze it (frozen_stages, requires_grad, lr_mult).",
        facts.command(**{f"set:config.{key}": None for key in keys})
        if keys
        else facts.command(**{f"set:config.model.{'architecture.' * facts.distilled}backbone.frozen_stages": "-1"}),
    )


def adapters(facts: Facts) -> Cause | None:
    """Adapters whose weights grow without end."""
    known = [norm for one in facts.updates if (norm := number(one.get("adapters.norm"))) is not None]
    if len(known) < 2 or not known[0]:
        return None
    grown = max(known) / known[0]
    moved, own = rate.furthest(facts, ("adapters",)), rate.furthest(facts)
    # Where the student is thrown about as far, the rate is at fault and not the adapters.
    alone = moved is not None and (own is None or moved > 2 * own)
    thrown = log_ramp(moved, *THROWN) if alone and moved is not None else 0.0
    return Cause(
        "adapters",
        "the adapters diverge: they, and not the student, make up for the teacher's magnitude",
        max(ramp(grown, *GROWN), thrown),
        [
            Evidence("norm of the largest adapter, at its highest / at the beginning", text(grown), "0.5 to 2"),
            Evidence("a step's share of the adapters' weights, in the furthest steps", text(moved), "0.003 to 0.02"),
        ],
        "Take a loss that does not depend on magnitudes.",
        facts.command(loss="pkd", weight=None, temperature=None),
    )
