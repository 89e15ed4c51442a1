"""Pascal VOC: an XML file for each image, with `<annotation>` at its top."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from pkdcli.data.importers.files import Tree, located, skip_unlisted
from pkdcli.data.importers.source import Picture, Source, Thing, finite, in_order, split_in

FORM = "Pascal VOC"
_CORNERS = ("xmin", "ymin", "xmax", "ymax")


class _Corners(NamedTuple):
    label: str
    corners: tuple[float, ...]
    difficult: bool
    place: str


def read(tree: Tree, files: list[Path], first_pixel: int | None = None) -> Source:
    """The pictures of VOC files.

    Args:
        tree: The files of the source.
        files: The XML files.
        first_pixel: The number of the first pixel: 1, as in Pascal VOC itself, where both ends belong to a box, or 0,
            where a box ends before its last corner. None to take 0 where some box begins there.
    """
    found = Source(FORM, tree.root)
    raw: list[tuple[Picture, list[_Corners]]] = []
    taken: set[Path] = set()
    sets = _image_sets(tree)
    for file in files:
        picture = _picture(file, tree, found, taken)
        if picture is not None:
            taken.add(picture[0].path)
            picture[0].split = sets.get(file.stem, split_in(tree.relative(file)))
            raw.append(picture)
    from_zero = sum(min(one.corners[:2]) < 1 for _, things in raw for one in things)
    zero = from_zero > 0 if first_pixel is None else first_pixel == 0
    if zero and first_pixel is None:
        found.notes.append(
            f"{from_zero} boxes begin at pixel 0, so pixels are counted from 0 and not from 1 as in Pascal VOC itself; "
            "`--first-pixel 1` counts them from 1."
        )
    for picture, things in raw:
        for one in things:
            xmin, ymin, xmax, ymax = one.corners
            box = (xmin, ymin, xmax - xmin, ymax - ymin)
            if not zero:  # both ends are pixels of the box
                box = (xmin - 1, ymin - 1, xmax - xmin + 1, ymax - ymin + 1)
            if min(box[2:]) <= 0:
                corners = ", ".join(f"{side:g}" for side in one.corners)
                found.skip(one.place, f"its corners {corners} leave no width or height")
                continue
            picture.things.append(Thing(one.label, box, ignore=one.difficult))
        found.pictures.append(picture)
    difficult = sum(thing.ignore for picture in found.pictures for thing in picture.things)
    if difficult:
        found.notes.append(
            f"{difficult} difficult objects have `ignore` 1: they are not learned, and a detection on them counts "
            "neither as right nor as wrong, as in Pascal VOC."
        )
    listed = next((path for path in tree.files(".txt") if path.name == "labels.txt"), None)
    labels = {thing.label for picture in found.pictures for thing in picture.things}
    names = [line.strip() for line in listed.read_text(errors="replace").splitlines()] if listed else []
    found.classes = in_order(labels, [name for name in names if name])
    skip_unlisted(tree, found, taken, "no XML file is about this image")
    return found


def _picture(file: Path, tree: Tree, found: Source, taken: set[Path]) -> tuple[Picture, list[_Corners]] | None:
    said = tree.relative(file)
    try:
        top = ElementTree.parse(file).getroot()
    except ElementTree.ParseError as error:
        found.skip(said, f"is no whole XML: {error}")
        return None
    except OSError as error:
        found.skip(said, f"can't be read: {error.strerror}")
        return None
    if top.tag != "annotation":
        found.skip(said, f"begins with <{top.tag}>, not with <annotation>", wrong=False)
        return None
    name = (top.findtext("filename") or "").strip()
    image = located(tree, found, said, file, name, file.stem)
    if image is None:
        return None
    path, sizes = image
    if path in taken:
        found.skip(said, f"another XML file is about {tree.name_of(path)} already")
        return None
    written = (finite(top.findtext("size/width")), finite(top.findtext("size/height")))
    size = sizes[1]
    if all(side and side > 0 for side in written):
        if written not in sizes:
            found.skip(
                said,
                f"was made for a picture of {written[0]:g} x {written[1]:g}, but {tree.name_of(path)} is "
                f"{size[0]} x {size[1]}",
            )
            return None
        size = (int(written[0]), int(written[1]))
    things = []
    for number, item in enumerate(top.findall("object"), 1):
        place = f"{said}, object {number}"
        label = (item.findtext("name") or "").strip()
        corners = [finite(item.findtext(f"bndbox/{corner}")) for corner in _CORNERS]
        if not label:
            found.skip(place, "has no <name>")
        elif any(corner is None for corner in corners):
            found.skip(place, "has no <bndbox> of four numbers")
        else:
            hard = (item.findtext("difficult") or "").strip().lower() in ("1", "true")
            things.append(_Corners(label, tuple(corners), hard, place))
    return Picture(path, tree.name_of(path), *size), things


def _image_sets(tree: Tree) -> dict[str, str]:
    """By an image's stem, the split that `ImageSets/Main/{train,val,test}.txt` puts it into."""
    found: dict[str, str] = {}
    for path in tree.files(".txt"):
        if path.stem in ("train", "val", "test") and path.parent.parent.name == "ImageSets":
            for line in path.read_text(errors="replace").splitlines():
                if words := line.split():
                    found.setdefault(words[0], path.stem)
    return found
