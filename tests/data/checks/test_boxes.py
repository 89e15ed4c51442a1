"""How boxes are written, against slow counts and readings."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pkdcli.data.annotations.read import Annotations, read
from pkdcli.data.checks.boxes import check_form, check_names
from pkdcli.data.checks.findings import Findings
from pkdcli.errors import PkdError

SLOWLY = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
WIDTH, HEIGHT = 200, 100


def written(folder: Path, boxes: list[tuple[int, int, list[float]]], names: list[str] | None = None) -> Annotations:
    """The split with an annotation for each (image, class, box)."""
    names = names or ["0.jpg", "1.jpg", "2.jpg"]
    content = {
        "images": [{"id": n, "file_name": name, "width": WIDTH, "height": HEIGHT} for n, name in enumerate(names)],
        "annotations": [
            {"id": n, "image_id": image, "category_id": kind, "bbox": box} for n, (image, kind, box) in enumerate(boxes)
        ],
        "categories": [{"id": 0, "name": "a"}, {"id": 1, "name": "b"}],
    }
    file = folder / "a.json"
    file.write_text(json.dumps(content), "utf-8")
    return read(file)


BOXES = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 1), st.sampled_from([[0, 0, 9, 9], [0, 0, 9, 9.5], [1, 0, 9, 9]])),
    max_size=24,
)


@SLOWLY
@given(BOXES)
def test_copies_are_counted_as_a_counter_counts_them(tmp_path, boxes):
    found = Findings()
    told = check_form(written(tmp_path, boxes), [], found)
    counts = Counter((image, kind, tuple(box)) for image, kind, box in boxes)
    copies = len(boxes) - len(counts)
    text = f"{copies} of {len(boxes)} boxes stand there before, with the same image, class and numbers, the first in "
    if copies:
        first = next(image for image, kind, box in boxes if counts[image, kind, tuple(box)] > 1)
        text += f"{first}.jpg"
    assert bool(found) is (copies > 0 and copies >= len(boxes) / 4)
    assert told == ([f"{text}."] if copies and not found else [])
    if found:
        with pytest.raises(PkdError) as caught:
            found.refuse(Path("a.json"), "mine.yaml: train")
        assert caught.value.message == f"mine.yaml: train: a.json: {text}."
        assert "write `accept: [doubled]` into the data recipe" in caught.value.hint
        assert check_form(written(tmp_path, boxes), ["doubled"], Findings()) == [f"{text}."]


@st.composite
def corners(draw) -> tuple[int, int, int, int]:
    """A box of at least 10 pixels that lies in the right lower quarter of its picture."""
    x, y = draw(st.integers(WIDTH // 2, WIDTH - 20)), draw(st.integers(HEIGHT // 2, HEIGHT - 20))
    return x, y, draw(st.integers(x + 10, WIDTH)), draw(st.integers(y + 10, HEIGHT))


@SLOWLY
@given(st.lists(corners(), min_size=8, max_size=20, unique=True))
def test_corners_are_recognised_and_right_boxes_let_pass(tmp_path, boxes):
    found = Findings()
    assert check_form(written(tmp_path, [(0, 0, [*box]) for box in boxes]), [], found) == []
    with pytest.raises(PkdError, match=r"if they were the corners \[x1, y1, x2, y2\]") as caught:
        found.refuse(Path("a.json"), None)
    assert "write [x1, y1, x2 - x1, y2 - y1]" in caught.value.hint
    right = [(0, 0, [x1, y1, x2 - x1, y2 - y1]) for x1, y1, x2, y2 in boxes]
    found = Findings()
    assert check_form(written(tmp_path, right), [], found) == []
    assert not found


@SLOWLY
@given(st.lists(st.sampled_from(["a.jpg", "b.jpg", "c.jpg"]), min_size=1, max_size=6))
def test_files_that_are_listed_twice_are_said_with_the_first(tmp_path, names):
    told = check_names(written(tmp_path, [], names))
    again = [name for place, name in enumerate(names) if name in names[:place]]
    text = f"{len(again)} of {len(names)} images are listed before under another id, the first is"
    assert told == ([f"{text} {again[0]}."] if again else [])
