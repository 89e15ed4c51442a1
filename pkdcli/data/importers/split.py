"""Shares of a data set with the classes spread evenly over them, and what belongs together kept together."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np

from pkdcli.data.importers.source import SPLITS, Picture
from pkdcli.errors import PkdError

USUAL = (0.8, 0.1, 0.1)
"""Shares of train, val and test where nobody says any and the source has no splits."""

FEW = 10
"""Groups below which there is no test split by default."""


def shares_of(numbers: Sequence[float]) -> dict[str, float]:
    """The share of each split.

    Args:
        numbers: Of train and val, or of train, val and test; they add up to 1.

    Raises:
        PkdError: Another count of them, or another sum.
    """
    if len(numbers) not in (2, 3) or any(not 0 < one < 1 for one in numbers) or abs(sum(numbers) - 1) > 1e-6:
        given = ",".join(f"{one:g}" for one in numbers)
        raise PkdError(
            f"--split {given}: these are no shares of train and val, or of train, val and test.",
            "Two or three numbers between 0 and 1 that add up to 1, such as --split 0.8,0.1,0.1 or --split 0.8,0.2.",
        )
    return dict(zip(SPLITS, numbers, strict=False))


def groups_of(pictures: Sequence[Picture], by: str | None) -> list[str]:
    """The group of each picture, which stays in one split.

    Args:
        pictures: The pictures.
        by: `folder` for the folder they lie in, or a regular expression for a part of their names: its first group
            in parentheses, or all that it finds. None where each picture is alone.

    Raises:
        PkdError: No regular expression, or one that finds nothing in any name.
    """
    names = [picture.name for picture in pictures]
    if by is None:
        return names
    if not by:
        raise PkdError("--group-by: an empty word.", "Leave it out, or give `folder` or a regular expression.")
    if by == "folder":
        return [str(PurePosixPath(name).parent) for name in names]
    try:
        pattern = re.compile(by)
    except re.error as error:
        raise PkdError(
            f"--group-by {by!r} is no regular expression: {error}.",
            "Example: --group-by '^([^_]+)_' takes what stands before the first _; --group-by folder the folder.",
        ) from None
    found = [pattern.search(name) for name in names]
    if names and not any(found):
        raise PkdError(
            f"--group-by {by!r} fits none of the {len(names)} file names, the first is {names[0]}.",
            "Example: --group-by '^([^_]+)_' takes what stands before the first _; --group-by folder the folder.",
        )
    return [
        name if match is None else (match.group(1) if pattern.groups else match.group()) or name
        for name, match in zip(names, found, strict=True)
    ]


def stratify(pictures: Sequence[Picture], shares: dict[str, float], seed: int, by: str | None = None) -> list[str]:
    """The split of each picture, by iterative stratification (Sechidis et al. 2011): the rarest class is dealt first.

    Args:
        pictures: The pictures.
        shares: Of each split, adding up to 1.
        seed: Decides between what is equal otherwise.
        by: As for `groups_of`.
    """
    groups = groups_of(pictures, by)
    order = list(dict.fromkeys(groups))
    place = {name: at for at, name in enumerate(order)}
    labels = sorted({thing.label for picture in pictures for thing in picture.things})
    column = {label: at for at, label in enumerate(labels)}
    # Columns: objects of each class, then images; a group is a row.
    counts = np.zeros((len(order), len(labels) + 1))
    for picture, group in zip(pictures, groups, strict=True):
        row = counts[place[group]]
        row[-1] += 1
        for label, number in Counter(thing.label for thing in picture.things).items():
            row[column[label]] += number
    names, share = list(shares), np.array(list(shares.values()))
    wanted = share[:, None] * counts.sum(axis=0)
    rng = np.random.default_rng(seed)
    tie = rng.permutation(len(order))
    of_group = np.full(len(order), -1)
    left = counts > 0
    free = np.ones(len(order), dtype=bool)
    while free.any():
        remaining = (left & free[:, None]).sum(axis=0)
        classes = [at for at in range(len(labels)) if remaining[at]]
        at = min(classes, key=lambda one: (remaining[one], one)) if classes else len(labels)
        rows = np.flatnonzero(free & left[:, at])
        # Large groups first: they fit nowhere else in the end.
        for row in rows[np.lexsort((tie[rows], -counts[rows, at]))]:
            # A split that has its share of images takes no more, so that their numbers are as asked for.
            room = wanted[:, -1] >= counts[row, -1] / 2
            # Of its own share: else the largest groups would all go to train.
            want = np.where(room if room.any() else True, wanted[:, at] / share, -np.inf)
            best = np.flatnonzero(want >= want.max() - 1e-9)
            if len(best) > 1:
                images = wanted[best, -1]
                best = best[images >= images.max() - 1e-9]
            chosen = int(best[0] if len(best) == 1 else rng.choice(best))
            of_group[row] = chosen
            wanted[chosen] -= counts[row]
            free[row] = False
    return [names[of_group[place[group]]] for group in groups]


def check_split(pictures: Sequence[Picture], classes: Sequence[str], splits: Sequence[str]) -> list[str]:
    """Refuse splits that nothing can be learned from, and say which classes a split lacks.

    Args:
        pictures: With their splits.
        classes: Names of the classes.
        splits: Those that there are to be.

    Returns:
        Classes that are not measured somewhere, a sentence each.

    Raises:
        PkdError: A split without images, or a class that is measured and not learned.
    """
    images = {name: sum(one.split == name for one in pictures) for name in splits}
    for name, number in images.items():
        if not number:
            raise PkdError(
                f"the split leaves {name} without an image: there are {len(pictures)} in all.",
                "Give it a larger share with --split, or leave it out: --split 0.8,0.2 makes train and val alone. "
                "With --group-by a group stays in one split, so there have to be enough of them.",
            )
    holders = {label: Counter() for label in classes}
    for picture in pictures:
        for label in {thing.label for thing in picture.things}:
            holders[label][picture.split] += 1
    said = []
    for label, counts in holders.items():
        total = sum(counts.values())
        if total and not counts["train"]:
            where = ", ".join(name for name in splits if counts[name])
            raise PkdError(
                f"the split leaves the class {label!r} out of train: all {total} images with it are in {where}, so it "
                "would be measured and never learned.",
                "Deal anew with --split 0.8,0.1,0.1 (another --seed where you have done so), take groups that are "
                "smaller with --group-by, or leave the class out with --classes.",
            )
        lacking = [name for name in splits if total and not counts[name]]
        if lacking:
            said.append(
                f"the class {label!r} is left out of {' and '.join(lacking)}: only {total} "
                f"{'image has' if total == 1 else 'images have'} it, and its AP can't be measured there."
            )
    return said
