"""The page of a comparison: as text, and in a real browser."""

from __future__ import annotations

import dataclasses
import json
import math
import re

import cv2
import numpy as np
import pytest
from drawn_detections import data_set, detections

from pkdcli.data.scoring.ground_truth import load_annotations
from pkdcli.recipe.resolve import Request, resolve
from pkdcli.reporting.compare.figures import compared_figures
from pkdcli.reporting.compare.groups import Group, against
from pkdcli.reporting.compare.scored import Scored
from pkdcli.reporting.compare.tables import compared_tables
from pkdcli.reporting.page.compared import render_compared
from pkdcli.reporting.statistics import Interval

EVIL = "</script><img src=x onerror=hacked=1>"


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """A baseline, two students and a teacher; a class, an image and a run have names that are HTML."""
    folder = tmp_path_factory.mktemp("compared")
    content = data_set(12)
    content["categories"][1]["name"] = EVIL
    content["images"][0]["file_name"] = f"{EVIL.replace('/', '')}.png"
    path = folder / "val.json"
    path.write_text(json.dumps(content))
    truth = load_annotations(path)
    for image in content["images"]:
        cv2.imwrite(str(folder / image["file_name"]), np.full((500, 500, 3), 90, np.uint8))

    def group(name, noise, seed, loss):
        found = dataclasses.replace(detections(content, noise, seed), classes=("car", EVIL))
        recipe = resolve(Request(scale="tiny", loss=loss))
        return Group(name, (Scored(f"pair__{name}__1x", recipe, "val", truth, found, folder),))

    base, pkd, mse = group("baseline", 12, 1, "none"), group("pkd", 5, 2, "pkd"), group(f"mse {EVIL}", 8, 3, "mse")
    return [against(base, other, 30) for other in (pkd, mse)], group("teacher", 3, 4, "none")


@pytest.fixture(scope="module")
def text(compared):
    found, teacher = compared
    tables = compared_tables(found, {"mAP": 90.0}, teacher)
    return render_compared(tables, compared_figures(found, teacher), found, teacher, [f"A note {EVIL}"])


def test_names_are_only_text(text):
    assert EVIL not in text
    assert text.count("<img") == 0
    assert "&lt;/script&gt;&lt;img src=x onerror=hacked=1&gt;" in text
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL).group(1)
    assert json.loads(data)["sets"][0]["classes"] == ["car", EVIL]
    assert not re.search(r'(?:src|href)="?(?:https?:)?//', text)


def test_the_numbers_are_those_of_the_tables(text, compared):
    found, teacher = compared
    for one in found:
        interval = one.metrics["mAP"].by_images
        assert f"{interval.mean:+.1f} mAP</b>" in text
        assert f"95 % over images: {interval.lower:+.1f} to {interval.upper:+.1f}" in text
    for group in (teacher, found[0].a):
        assert f"Loc {group.errors['Loc']:.1f}" in text
        assert f'style="--share:{round(100 * group.confusion[0, 0] / group.confusion[0].sum())}%"' in text
    assert f"teacher {teacher.calibration_error:.3f}" in text


def test_each_image_is_there_once(text, compared):
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL).group(1))
    wanted = {image for one in compared[0] for image, _, _ in one.by_image[:6]}
    assert len(data["images"]) == len(wanted)
    assert all(image["src"].startswith("data:image/webp") for image in data["images"])
    assert [one["images"] for one in data["sets"]] == [list(range(len(wanted)))] * 4


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_the_page_in_a_browser(opened, text, tmp_path, width, scheme):
    path = tmp_path / "compare.html"
    path.write_text(text, encoding="utf-8")
    browser = opened(path.as_uri(), width, scheme)
    assert browser.execute_script("return document.documentElement.scrollWidth") == width
    assert browser.execute_script("return document.documentElement.dataset.theme") == scheme
    columns = browser.execute_script("return [...document.querySelector('.shots').querySelectorAll('figcaption')]"
                                     ".map(one => one.firstChild.textContent)")  # fmt: skip
    assert columns == ["ground truth", "teacher", "baseline", "pkd", f"mse {EVIL}"]
    assert "not among its images" not in browser.find_element("css selector", "#images").text
    heading = next(th for th in browser.find_elements("css selector", "#tables th") if th.text.startswith("B - A"))
    button = heading.find_element("css selector", "button")
    button.send_keys("\ue007")  # Enter
    assert heading.get_attribute("aria-sort") == "descending"
    slider = browser.find_element("css selector", "#score")
    slider.send_keys("\ue014")  # Right
    assert browser.find_element("css selector", "output[for=score]").text == "0.35"


def of_seeds(one, lower, upper):
    metrics = {**one.metrics, "mAP": dataclasses.replace(one.metrics["mAP"], by_seeds=Interval(1.0, lower, upper, 5))}
    return dataclasses.replace(one, metrics=metrics)


@pytest.mark.parametrize(("lower", "upper", "way"), [(0.5, 1.5, "up"), (-0.5, 2.5, ""), (-math.inf, math.inf, "up")])
def test_a_difference_has_a_colour_where_both_intervals_leave_no_doubt(compared, lower, upper, way):
    (one, _), _ = compared
    found = [of_seeds(one, lower, upper)]
    text = render_compared(compared_tables(found), compared_figures(found), found)
    told = f"; over seeds: {lower:+.1f} to {upper:+.1f}</span>" if math.isfinite(lower) else "</span>"
    images = one.metrics["mAP"].by_images
    assert images.lower > 0
    assert f'<b class="verdict {way}">' in text
    assert f"95 % over images: {images.lower:+.1f} to {images.upper:+.1f}{told}" in text
