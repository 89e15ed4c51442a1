"""CVAT for images 1.1: one XML file with `<annotations>` at its top, and an `<image>` for each picture."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from pkdcli.data.importers.files import Tree, located, skip_unlisted
from pkdcli.data.importers.polygons import area_of, box_of, turned_box
from pkdcli.data.importers.source import Picture, Source, Thing, finite, in_order, split_in

FORM = "CVAT"
_OTHER = ("polyline", "points", "cuboid", "skeleton", "ellipse", "tag")


def read(tree: Tree, files: list[Path]) -> Source:
    """The pictures of CVAT files.

    Args:
        tree: The files of the source.
        files: The XML files.
    """
    found = Source(FORM, tree.root)
    labels: list[str] = []
    taken: set[Path] = set()
    for file in files:
        said = tree.relative(file)
        try:
            top = ElementTree.parse(file).getroot()
        except ElementTree.ParseError as error:
            found.skip(said, f"is no whole XML: {error}")
            continue
        labels += [(one.text or "").strip() for one in top.iterfind("meta//labels/label/name")]
        tracks = top.findall("track")
        if tracks:
            found.skip(said, f"{len(tracks)} tracks of a video: export the task as `CVAT for images 1.1`")
        for item in top.findall("image"):
            picture = _picture(item, file, tree, found)
            if picture is not None and picture.path in taken:
                found.skip(f"{said}, image {item.get('id', '?')}", f"{picture.name} was taken already")
            elif picture is not None:
                taken.add(picture.path)
                found.pictures.append(picture)
    used = {thing.label for picture in found.pictures for thing in picture.things}
    found.classes = in_order(used, [name for name in labels if name])
    skip_unlisted(tree, found, taken, "no <image> is about this image")
    return found


def _picture(item: ElementTree.Element, file: Path, tree: Tree, found: Source) -> Picture | None:
    where = f"{tree.relative(file)}, image {item.get('id', '?')}"
    image = located(tree, found, where, file, item.get("name", ""))
    if image is None:
        return None
    path, sizes = image
    written = (finite(item.get("width")), finite(item.get("height")))
    if None in written:
        written = sizes[1]
    if written not in sizes:
        told = f"is annotated as {written[0]:g} x {written[1]:g}, but {tree.name_of(path)} is"
        found.skip(where, f"{told} {sizes[1][0]} x {sizes[1][1]}")
        return None
    split = split_in(item.get("subset") or "") or split_in(tree.name_of(path))
    picture = Picture(path, tree.name_of(path), int(written[0]), int(written[1]), split=split)
    for number, shape in enumerate(item, 1):
        place = f"{where}, shape {number}"
        if shape.tag in _OTHER:
            found.skip(place, f"a {shape.tag} is no box, polygon or mask", wrong=shape.tag != "tag")
            continue
        thing = _thing(shape)
        if isinstance(thing, str):
            found.skip(place, thing)
        elif thing is not None:
            picture.things.append(thing)
    return picture


def _thing(shape: ElementTree.Element) -> Thing | str | None:
    """An object, what is wrong with it, or None for an element that is no shape."""
    label = shape.get("label", "").strip()
    if shape.tag == "box":
        sides = [finite(shape.get(key)) for key in ("xtl", "ytl", "xbr", "ybr")]
        if None in sides:
            return "has no four corners"
        left, top, right, bottom = sides
        points, degrees = None, finite(shape.get("rotation")) or 0.0
        box = (left, top, right - left, bottom - top)
        if degrees:
            points = turned_box(left, top, right, bottom, degrees)
            box = box_of(points)
    elif shape.tag == "polygon":
        try:
            points = [float(side) for pair in shape.get("points", "").split(";") for side in pair.split(",")]
        except ValueError:
            return "its points are no numbers"
        if len(points) < 6 or len(points) % 2:
            return "has fewer than three points"
        box = box_of(points)
    elif shape.tag == "mask":
        sides = [finite(shape.get(key)) for key in ("left", "top", "width", "height")]
        if None in sides:
            return "has no left, top, width and height"
        points, box = None, tuple(sides)
    else:
        return None
    if not label:
        return "has no label"
    if min(box[2:]) <= 0:
        return "has no width or height"
    box = tuple(round(side, 3) for side in box)
    if points is None:
        return Thing(label, box)
    return Thing(label, box, segmentation=[points], area=round(area_of(points), 3))
