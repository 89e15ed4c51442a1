"""docs/detectors.md, made from the catalog and what was measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

CATALOG = Path(__file__).with_name("catalog.yaml")
MEASURED = Path(__file__).with_name("measured.json")
COMMAND = "python -m pkdcli.engine.bench.detectors"
_INTRO = f"""<!-- Made by `{COMMAND} page`; a test holds it to what was measured. -->

# Detectors that work

Any config of mmdet's can be a teacher or a student. These are tried: each trains for one step, with all that belongs to
a run, on a few small pictures on a CPU, at scale `tiny` and with the packages installed that the notes name. As a
student a small GFL teaches it, as a teacher it teaches a small GFL. Levels and adapters are those of full size.

- **teacher**, **student**: `yes`, or refused before anything is trained, with the reason in the notes.
- **levels**: strides in pixels and channels of what is compared: the neck's outputs, or the backbone's (*backbone*).
- **adapters**: how many levels need a 1x1 convolution beside the student where the teacher is a GFL of 256 channels.
- **trained**: what `--training` is by default as a student: by appendix A.2 (`paper`), or by the config's own settings
  (`own`).
- **masks**: for detectors with a mask head, what becomes of them on data without segmentations: `left out`, where they
  learn from boxes alone, or `needed`, where that is refused.

"""


def page() -> str:
    """The page's text."""
    groups = yaml.safe_load(CATALOG.read_text(encoding="utf-8"))
    measured: dict[str, Any] = json.loads(MEASURED.read_text(encoding="utf-8"))
    entries = [entry for group in groups.values() for entry in group]
    lines = [_INTRO + _counts(entries, measured), ""]
    for group, own in groups.items():
        lines += [f"## {group[0].upper()}{group[1:]}", ""]
        lines += ["| family | config | teacher | student | levels | adapters | trained | masks | notes |"]
        lines += ["| --- " * 9 + "|"]
        lines += [_row(entry, measured[entry["config"]]) for entry in own] + [""]
    lines += ["## Try your own", "", "```bash", f"{COMMAND} try atss/atss_r18_fpn_8xb8-amp-lsj-200e_coco.py", "```"]
    lines += ["", f"`{COMMAND} measure` tries all of these again, and `{COMMAND} page` writes this page."]
    return "\n".join(lines).rstrip() + "\n"


def counts(measured: dict[str, Any], role: str) -> dict[str, int]:
    """How many detectors work, are refused, and fail.

    Args:
        measured: As the stored file has it.
        role: `student` or `teacher`.
    """
    states = [one[role]["state"] for one in measured.values()]
    return {state: states.count(state) for state in ("works", "refused", "fails")}


def _counts(entries: list[dict[str, Any]], measured: dict[str, Any]) -> str:
    number = len(entries)
    found = {role: counts(measured, role) for role in ("student", "teacher")}
    texts = [
        f"{one['works']} work as {role}s, {one['refused']} refused, {one['fails']} failing"
        for role, one in found.items()
    ]
    return f"Of these {number} configs {texts[0]}; {texts[1]}."


def _row(entry: dict[str, Any], found: dict[str, Any]) -> str:
    levels = found.get("levels")
    strides = "/".join(str(stride or "?") for stride, _ in levels) if levels else ""
    channels = {channels for _, channels in levels or ()}
    widths = "/".join(str(width) for _, width in levels or ()) if len(channels) > 1 else "".join(map(str, channels))
    place = " (backbone)" if found.get("module") == "backbone" else ""
    cells = [
        entry["family"],
        f"`{entry['config'].removesuffix('.py')}`",
        *(_state(found[role]) for role in ("teacher", "student")),
        f"{strides} x {widths}{place}" if levels else "",
        str(found["adapters"]) if found.get("adapters") else "",
        found.get("training", ""),
        _masks(found),
        "; ".join(_notes(found)),
    ]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _state(outcome: dict[str, Any]) -> str:
    return {"works": "yes", "refused": "refused", "fails": "fails"}[outcome["state"]]


def _masks(found: dict[str, Any]) -> str:
    if not found.get("masks"):
        return ""
    return "left out" if found["boxes"]["state"] == "works" else "needed"


def _notes(found: dict[str, Any]) -> list[str]:
    reasons = [found[role].get("reason", "") for role in ("student", "teacher")]
    notes = [f"needs `{one}`" for one in found.get("packages", ())] + list(found.get("notes", ()))
    return [*notes, *dict.fromkeys(" ".join(reason.split()).rstrip(".") for reason in reasons if reason)]


def write(path: Path) -> Path:
    """Write the page."""
    from pkdcli.runs.store import write_text

    write_text(path, page())
    return path
