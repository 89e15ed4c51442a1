"""The page as text: whole, escaped, quick, and of the same numbers as every other format."""

from __future__ import annotations

import json
import re
import time
from html.parser import HTMLParser

import pytest

from pkdcli.reporting import formats
from pkdcli.reporting.page.build import _HERE, render
from pkdcli.reporting.page.samples import Samples, thumbnail
from pkdcli.reporting.table import Table
from pkdcli.reporting.tables.build import as_tables
from pkdcli.reporting.tables.runs import runs_table
from pkdcli.runs.collect import collect
from pkdcli.runs.store import write_json

EVIL = "<img src=x onerror=hacked=1>"


class Page(HTMLParser):
    """Elements, and the rows of every table by its place."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.tables, self.handlers = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for key, value in attrs:
            if key == "id":
                self.ids.append(value)
            if key.startswith("on") or (key in ("src", "href") and re.match(r"https?:|//|javascript:", value or "")):
                self.handlers.append((tag, key, value))
        if tag == "table":
            self.tables.append([])
        if tag == "tr" and self.tables:
            self.tables[-1].append([])
        if tag in ("td", "th") and self.tables:
            self.tables[-1][-1].append("")

    def handle_data(self, data):
        if self.tables and self.tables[-1] and self.tables[-1][-1] and self.lasttag in ("td", "th", "a", "b", "button"):
            self.tables[-1][-1][-1] += data.strip()


def made(root, **options):
    records = collect(root)
    tables, notes = as_tables(records, records, "auto", options.get("mean", False), False) if records else ([], [])
    return render(tables, notes, records, records, root), tables, records


def test_one_file_without_network_or_handlers(whole_site):
    text, _, records = made(whole_site.root)
    page = Page(text)
    assert page.handlers == []
    assert "link" in page.tags  # the empty icon, so that a browser asks for none
    assert page.tags.count("template") == len(records) == 11
    assert page.tags.count("h1") == 1


def test_what_users_write_is_escaped(whole_site):
    text, _, _ = made(whole_site.root)
    assert EVIL not in text
    assert "</template><script>hacked" not in text
    assert "<b>" not in re.sub(r"<b>[\d. ±]*</b>", "", text.split("<script")[0])
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)[1])
    assert data["sets"][0]["classes"] == ["circle", EVIL]  # as text, for the script to show as text
    assert any("</template>" in part for part in data["parts"])


@pytest.mark.parametrize("mean", [False, True])
def test_the_tables_are_those_of_every_format(whole_site, mean):
    text, tables, _ = made(whole_site.root, mean=mean)
    shown = [rows for rows in Page(text).tables if rows and rows[0] and "mAP" in rows[0]]
    for table in tables:
        cells = [row for section in table.sections for row in section]
        assert any([row[-len(table.columns) :] for row in rows[1:]] == cells for rows in shown), table.title
    if mean:
        return
    # Runs one by one too, to the digit.
    markdown = formats.to_markdown([*tables, runs_table(collect(whole_site.root))], [])
    numbers = {cell for rows in shown for row in rows[1:] for cell in row if re.fullmatch(r"[+-]?\d+\.\d", cell)}
    assert len(numbers) > 40
    assert all(re.search(rf"(?<![\d.]){re.escape(number)}(?!\d)", markdown) for number in numbers)


def test_what_is_bold_elsewhere_is_so_here_in_columns_of_words_too(whole_site):
    records = collect(whole_site.root)
    rows, bold = [[["a", "GO", "+3.0"]]], {(0, 0, 1), (0, 0, 2)}
    table = Table("Is the gain real?", ["method", "verdict", "gain"], 2, rows, bold)
    text = render([table], [], records, records, whole_site.root)
    assert '<td class="best">GO</td>' in text
    assert '<td class="number best">+3.0</td>' in text


def test_unfinished_runs_say_so(whole_site):
    text, _, _ = made(whole_site.root)
    assert "1 failed" in text
    assert "1 interrupted" in text
    assert "epoch 4 of 6, iteration 40 of 60" in text


def test_paths_are_told_from_the_current_folder(site, monkeypatch):
    site.add("only", 30.0)
    assert str(site.root / "only") in made(site.root)[0]
    monkeypatch.chdir(site.root.parent)
    text, _, _ = made(site.root)
    assert ">runs/only<" in text
    assert str(site.root) not in text


def test_nothing_at_all(tmp_path):
    text, _, _ = made(tmp_path / "none")
    assert "No runs." in text
    assert "pkd sweep" in text
    assert Page(text).tags.count("h1") == 1


def test_one_run(site):
    site.add("only", 30.0)
    text, _, _ = made(site.root)
    page = Page(text)
    assert page.tags.count("template") == 1
    assert "AP by object size" in text


def test_three_hundred_runs_are_made_quickly_and_share_what_they_can(site):
    site.add("base", 16.0, role="baseline")
    for n in range(299):
        site.add(f"mse-{n}", 20.0 + n / 30, weight=float(n + 1))
    records = collect(site.root)
    tables, notes = as_tables(records, records, "auto", False, False)
    begin = time.process_time()
    text = render(tables, notes, records, records, site.root)
    assert time.process_time() - begin < 15
    assert len(text) < 9e6
    assert text.count("data:image/webp") == 5


def test_without_images_and_curves(site):
    site.add("bare", 20.0, curves=False, samples=False)
    folder = site.add("gone", 21.0, weight=20.0)
    for image in site.folder.iterdir():
        image.unlink()
    text, _, _ = made(site.root)
    assert text.count("data:image/webp") == 0
    assert "Detections" in text
    (folder / "samples.json").write_text('{"images": [{"width": 1}, 3], "classes": null}')
    assert "<h3>Detections</h3>" not in made(site.root)[0]


def test_the_teacher_s_detections_are_its_own_run_s_or_those_of_pkd_eval(site, tmp_path):
    folder = site.add("pkd", 30.0, loss="pkd")
    samples = Samples()
    assert samples.of_teacher(str(folder), "shapes", "val") is None
    site.samples(folder / "eval" / "teacher-shapes-val.samples.json", 0.5)
    assert samples.of_teacher(str(folder), "shapes", "val") is None  # read once
    samples = Samples()
    assert samples.of_teacher(str(folder), "shapes", "val") == 0
    site.samples(tmp_path / "teacher" / "samples.json", 0.7)
    write_json(folder / "job.json", {"teacher": str(tmp_path / "teacher")})
    samples = Samples()
    place = samples.of_teacher(str(folder), "shapes", "val")
    assert samples.sets[place]["found"][0][0] == [11, 10, 30, 31, 0, 0.7]
    assert len(samples.images) == 5


def test_a_thumbnail_of_what_is_no_image(tmp_path):
    (tmp_path / "text.png").write_text("no image")
    assert thumbnail(tmp_path / "text.png") == ""
    assert thumbnail(tmp_path / "absent.png") == ""
    assert thumbnail(tmp_path) == ""


def luminance(colour):
    digits = colour.lstrip("#")
    digits = "".join(2 * digit for digit in digits) if len(digits) == 3 else digits
    parts = [int(digits[n : n + 2], 16) / 255 for n in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1])
def test_contrast_in_both_schemes(scheme):
    css = (_HERE / "page.css").read_text()
    block = re.findall(r":root[^{]*\{([^}]*)\}", css)[scheme]
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]+)", block))

    def ratio(a, b):
        low, high = sorted((luminance(colours[a]), luminance(colours[b])))
        return (high + 0.05) / (low + 0.05)

    for back in ("bg", "card", "soft"):
        for text in ("text", "quiet", "link", "good", "bad"):
            assert ratio(text, back) >= 4.5, (text, back)
    for name in ("good", "bad", "warn", "busy"):
        assert ratio(name, f"{name}-bg") >= 4.5, name
    for n in range(8):  # lines and bars
        assert ratio(f"c{n}", "card") >= 3, n
    for n in range(6):  # numbers inside bars
        assert ratio("inside", f"c{n}") >= 3, n


def test_the_ap_of_each_class_unfolds(site):
    site.add("base", 20.0, role="baseline", classes={"cat": 20.0, "dog": None, EVIL: 3.0})
    site.add("mse", 22.0, classes={"cat": 23.26, "dog": None, EVIL: 2.0})
    site.add("old", 21.0, weight=30.0)
    text, _, _ = made(site.root)
    assert text.count("<details><summary>AP by class</summary>") == 2
    assert EVIL not in text
    rows = [table for table in Page(text).tables if table[0] == ["class", "baseline", "this run", "gain"]]
    assert rows[1][1:3] == [["cat", "20.0", "23.3", "+3.3"], ["dog", "", "", ""]]
    assert rows[1][3][1:] == ["3.0", "2.0", "-1.0"]
    assert rows[0][1] == ["cat", "", "20.0", ""]
