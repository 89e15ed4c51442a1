"""The segmentations of an annotation file: where they stand in its text, of which form they are, which are usable.

None of them becomes a Python object: COCO's own would be most of the memory.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

NO_MASK, POLYGONS, RUN_LENGTHS, FLAT_POLYGON = range(4)
"""What stands under `segmentation`: nothing, lists of coordinates, an object with counts, one list of coordinates."""


class _OnlyMask(msgspec.Struct, gc=False):
    segmentation: msgspec.Raw = msgspec.Raw(b"")


class _Runs(msgspec.Struct, gc=False):
    counts: list[int] | str
    size: tuple[int, int]


_RUNS = msgspec.json.Decoder(_Runs)
_MASK = msgspec.json.Decoder(_OnlyMask)


class MaskColumns:
    """The masks of N annotations.

    Args:
        n: Annotations.
        keep: Whether `begin`, `length` and `text` are kept.

    Attributes:
        mask: uint8 (N,), one of `NO_MASK`, `POLYGONS`, `RUN_LENGTHS`, `FLAT_POLYGON`.
        unusable: bool (N,), a mask of which mmdet can make nothing: no polygon of three points, or no run lengths.
        run_size: By place, (height, width) of a mask of run lengths.
        begin: int64 (N,), where `segmentation` begins in `text`; 0 where there is none.
        length: int64 (N,), its bytes in `text`.
        text: What `begin` and `length` lie in: the file itself, or a copy of all segmentations.
    """

    def __init__(self, n: int, keep: bool) -> None:
        self.mask, self.unusable = np.zeros(n, dtype=np.uint8), np.zeros(n, dtype=bool)
        self.begin, self.length = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
        self.run_size: dict[int, tuple[int, int]] = {}
        self.text = b""
        self._keep = keep
        self._copied: list[bytes] = []  # segmentations of a file that is no strict JSON
        self._end = 0  # of what was copied, or of the file's text that was gone through

    def add(self, start: int, items: Sequence[Any], written: Sequence[bytes | str], text: bytes | None) -> None:
        """Take the masks of the next annotations.

        Args:
            start: The place of the first.
            items: Each one's unread text (Python values where `text` is None).
            written: The segmentation of each: as in the file, or as a string of the same meaning.
            text: The file's, which the items follow each other in.
        """
        if text is not None and any(type(one) is str for one in written):
            # Items of another form were read as Python values: their masks stand in the file as they are.
            pairs = zip(written, items, strict=True)
            written = [bytes(_MASK.decode(item).segmentation) if one else b"" for one, item in pairs]
        kinds = []
        for index, one in enumerate(written, start):
            # Most masks are one polygon, of whole points and at least three.
            if one[:2] == b"[[" and (commas := one.count(b",")) >= 5 and commas & 1 and one.rfind(b"[", 2) < 0:
                kinds.append(POLYGONS)
                continue
            kinds.append(kind := mask_kind(one))
            if kind != NO_MASK:
                self._look_at(index, kind, one)
        self.mask[start : start + len(kinds)] = kinds
        if self._keep:
            self._place(start, items, kinds, written, text)

    def finish(self, text: bytes | None) -> None:
        """All masks were taken: of the file's text, if it has any."""
        if self._keep:
            self.text = b"".join(self._copied) if text is None else text
        self._copied = []

    def _look_at(self, index: int, kind: int, written: bytes | str) -> None:
        """Note a mask of which mmdet can make nothing."""
        if kind == RUN_LENGTHS:
            try:
                self.run_size[index] = _RUNS.decode(written).size
            except (msgspec.MsgspecError, UnicodeDecodeError):
                self.unusable[index] = True
            return
        try:
            value = json.loads(written)
        except ValueError:
            return
        polygons = [value] if kind == FLAT_POLYGON else value
        self.unusable[index] = not any(
            isinstance(polygon, list) and len(polygon) >= 6 and len(polygon) % 2 == 0 for polygon in polygons
        )

    def _place(
        self,
        start: int,
        items: Sequence[Any],
        kinds: Sequence[int],
        written: Sequence[bytes | str],
        text: bytes | None,
    ) -> None:
        for index, (kind, one) in enumerate(zip(kinds, written, strict=True), start):
            if kind == NO_MASK:
                continue
            self.length[index] = len(one)
            if text is None:
                self._copied.append(one.encode())
                self.begin[index] = self._end
                self._end += len(one)
            else:
                item = bytes(items[index - start])
                self._end = _find(text, item, self._end)
                self.begin[index] = text.find(one, self._end, self._end + len(item))
                self._end += len(item)


def _find(text: bytes, item: bytes, start: int) -> int:
    """Where an item stands, which is just behind the one before. The same bytes elsewhere would mean the same."""
    place = text.find(item, start, start + len(item) + 64)
    return place if place >= 0 else text.find(item, start)


def mask_kind(written: bytes | str) -> int:
    """The form of a segmentation by its first characters."""
    begin = written[:16] if isinstance(written, str) else written[:16].decode("ascii", "replace")
    begin = "".join(begin.split())[:2]
    if begin[:1] == "{":
        return NO_MASK if begin == "{}" else RUN_LENGTHS
    if begin[:1] != "[" or begin == "[]":
        return NO_MASK
    return POLYGONS if begin == "[[" else FLAT_POLYGON
