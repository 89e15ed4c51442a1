"""From what sources hold to what a data set is made of: classes renamed, merged or left out; several sources in one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from pkdcli.data.importers.source import Picture, Source
from pkdcli.errors import PkdError, unknown


def parse_map(words: Sequence[str]) -> dict[str, str]:
    """New names by old ones, from `car=vehicle`.

    Raises:
        PkdError: A word without `=`, or a class that is mapped twice.
    """
    found: dict[str, str] = {}
    for word in words:
        old, equals, new = (part.strip() for part in word.partition("="))
        if not equals or not old or not new:
            raise PkdError(f"--map {word!r}: it is not OLD=NEW.", "Example: --map car=vehicle,truck=vehicle")
        if found.setdefault(old, new) != new:
            raise PkdError(f"--map: {old!r} is to become {found[old]!r} and {new!r}.", "Give each class one new name.")
    return found


def merged(sources: Sequence[Source]) -> Source:
    """Several sources as one: classes by their names, file names below the name of each source's folder."""
    if len(sources) == 1:
        return sources[0]
    form = " and ".join(dict.fromkeys(source.form for source in sources))
    whole = Source(form, sources[0].root)
    labels = [source.root.name or "data" for source in sources]
    for at, source in enumerate(sources):
        label = labels[at] if labels.count(labels[at]) == 1 else f"{labels[at]}-{at + 1}"
        for picture in source.pictures:
            picture.name = f"{label}/{picture.name}"
        whole.pictures += source.pictures
        for passed in source.passed:
            passed.file = f"{label}/{passed.file}"
        whole.passed += source.passed
        whole.notes += [f"{label}: {note}" for note in source.notes]
        whole.classes += [name for name in source.classes if name not in whole.classes]
    return whole


def choose_classes(source: Source, names: Sequence[str], renamed: Mapping[str, str]) -> None:
    """Rename, merge and leave out classes of a source, in place.

    Args:
        source: Its objects of other classes are removed; its images stay, as background where nothing is left.
        names: The classes to keep by their new names, in this order; empty for all.
        renamed: New names by old ones.

    Raises:
        PkdError: A class that the source does not have, with the nearest one.
    """
    for old in renamed:
        if old not in source.classes:
            raise unknown("class", old, source.classes, "--map")
    classes = list(dict.fromkeys(renamed.get(name, name) for name in source.classes))
    for name in names:
        if name not in classes:
            raise unknown("class", name, classes, "--classes")
        if names.count(name) > 1:
            raise PkdError(f"--classes: {name!r} is listed twice.", "List each class once.")
    kept = set(names or classes)
    dropped: Counter[str] = Counter()
    for picture in source.pictures:
        for thing in picture.things:
            thing.label = renamed.get(thing.label, thing.label)
            dropped[thing.label] += thing.label not in kept
        picture.things = [thing for thing in picture.things if thing.label in kept]
    source.classes = list(names or classes)
    told = ", ".join(f"{count} of {name!r}" for name, count in sorted(dropped.items()) if count)
    if told:
        source.notes.append(f"Objects of other classes are left out: {told}.")


def without_objects(pictures: Sequence[Picture]) -> int:
    """How many pictures have no object."""
    return sum(not picture.things for picture in pictures)
