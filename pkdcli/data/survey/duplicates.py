"""Images that are the same, by the bytes of their files or by what they look like."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from pkdcli.data.survey.files import Seen

ALIKE = 0.985
"""Correlation of two small grey pictures from which they are taken for one image (saved anew, resized, lighter)."""

_DISTANCE = 3  # bits of 64 in which the hashes of such images differ at most; four bands of 16 bits find all of them
_BANDS = 4
_CROWDED = 2000  # images of one band beyond which they are compared with the first of them alone
_FLAT = 2.0  # grey levels: a picture that varies by less looks like every other


def perceptual_hash(thumb: np.ndarray) -> int:
    """64 bits that stay almost the same when an image is saved anew or resized: the signs of its lowest frequencies.

    The well-known pHash: the 8 x 8 lowest frequencies of the cosine transform, each compared with their median.

    Args:
        thumb: uint8 (THUMB, THUMB), grey.
    """
    import cv2

    low = cv2.dct(thumb.astype(np.float32))[:8, :8].ravel()
    bits = low > np.median(low[1:])
    return int(np.packbits(bits).view(">u8")[0])


def equal(seen: Iterable[tuple[str, Seen]]) -> list[list[tuple[str, str]]]:
    """Groups of files of the same bytes: (split, name) of each; the same file under one name and split counts once.

    Args:
        seen: The split and what was seen of each file.
    """
    groups: dict[bytes, dict[tuple[str, str], None]] = defaultdict(dict)
    for split, one in seen:
        if one.digest is not None:
            groups[one.digest].setdefault((split, one.name))
    return [list(group) for group in groups.values() if len(group) > 1]


def alike(seen: Sequence[tuple[str, Seen]]) -> list[tuple[tuple[str, str], tuple[str, str]]]:
    """Pairs of files that look the same and are not of the same bytes.

    Args:
        seen: The split and what was seen of each file.
    """
    usable = [
        (split, one) for split, one in seen if one.thumb is not None and float(one.thumb.std()) >= _FLAT
    ]
    hashes = [perceptual_hash(one.thumb) for _, one in usable]
    tried: set[tuple[int, int]] = set()
    found = []
    for band in range(_BANDS):
        groups: dict[int, list[int]] = defaultdict(list)
        for place, value in enumerate(hashes):
            groups[(value >> (16 * band)) & 0xFFFF].append(place)
        for group in groups.values():
            firsts = group if len(group) <= _CROWDED else group[:1]
            for at, first in enumerate(firsts):
                for second in group[at + 1 :]:
                    if (hashes[first] ^ hashes[second]).bit_count() > _DISTANCE or (first, second) in tried:
                        continue
                    tried.add((first, second))
                    (split, one), (other_split, other) = usable[first], usable[second]
                    if one.digest != other.digest and _correlation(one.thumb, other.thumb) >= ALIKE:
                        found.append(((split, one.name), (other_split, other.name)))
    return found


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    a, b = (one.astype(np.float64).ravel() - one.mean() for one in (first, second))
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


