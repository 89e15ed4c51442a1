"""The page in a real browser: sorting, filtering, a run, both colour schemes, at the width of a desk and of a phone."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from pkdcli.reporting.curves import read_curves
from pkdcli.reporting.page.build import render
from pkdcli.reporting.plots import svg
from pkdcli.reporting.plots.training import run_panels
from pkdcli.reporting.tables.build import as_tables
from pkdcli.runs.collect import collect
from pkdcli.runs.searches import Search, keep_search

WIDTHS = (1280, 390)
SORTED = "return [...document.querySelectorAll('#runs tbody tr')].map(row => row.cells[0].textContent)"
SHOWN = (
    "return [...document.querySelectorAll('#runs tbody tr')].filter(r => !r.hidden).map(r => r.cells[0].textContent)"
)


@pytest.fixture(scope="module")
def address(whole_site, tmp_path_factory):
    records = collect(whole_site.root)
    tables, notes = as_tables(records, records, "auto", False, False)
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render(tables, notes, records, records, whole_site.root), encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def page(opened, address):
    """Opens the page at a width in a scheme, at a place of it."""

    def open_page(width=1280, scheme="light", anchor=""):
        return opened(address + anchor, width, scheme)

    return open_page


def find(browser, selector):
    return browser.find_element("css selector", selector)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_the_window(page, width, scheme):
    browser = page(width, scheme)
    assert browser.execute_script("return document.documentElement.scrollWidth") == width
    assert browser.execute_script("return document.documentElement.dataset.theme") == scheme
    assert len(browser.find_elements("css selector", ".plot svg.chart")) >= 6
    browser = page(width, scheme, "#run=pkd-s0")
    assert browser.execute_script("const one = document.querySelector('dialog'); return [one.open, one.scrollWidth <= "
                                  "one.clientWidth]") == [True, True]  # fmt: skip


def test_sorting_by_a_number(page):
    browser = page()
    before = browser.execute_script(SORTED)
    heading = next(th for th in browser.find_elements("css selector", "#runs th") if th.text.startswith("mAP"))
    button = heading.find_element("css selector", "button")
    button.click()
    falling = ["pkd-s0", "pkd-s1", "mse-30", "mse-10", "other", "base", "base-s1", "mse-50"]
    assert heading.get_attribute("aria-sort") == "descending"
    after = browser.execute_script(SORTED)
    assert after[:8] == falling
    assert after[8].startswith("evil")
    assert set(after[9:]) == {"failed", "open"}  # without a number: last in either order
    button.send_keys("\ue007")  # Enter
    assert heading.get_attribute("aria-sort") == "ascending"
    assert browser.execute_script(SORTED)[1:9] == falling[::-1]
    assert set(browser.execute_script(SORTED)[9:]) == {"failed", "open"}
    button.send_keys(" ")
    assert heading.get_attribute("aria-sort") == "none"
    assert browser.execute_script(SORTED) == before


def test_sorting_a_table_of_sections_mixes_them_and_back(page):
    browser = page()
    text = "return [...document.querySelectorAll('#tables table')[0].tBodies].map(body => body.rows.length)"
    before = browser.execute_script(text)
    assert len(before) == 2
    button = browser.find_elements("css selector", "#tables table:first-of-type th button")[3]
    button.click()
    assert browser.execute_script(text) == [sum(before), 0]
    button.click()
    button.click()
    assert browser.execute_script(text) == before


def test_filtering(page):
    browser = page()
    every = browser.execute_script(SHOWN)
    browser.execute_script("const one = document.querySelector('[name=loss]'); one.value = 'pkd';"
                           "one.dispatchEvent(new Event('input', {bubbles: true}))")  # fmt: skip
    assert browser.execute_script(SHOWN) == ["pkd-s0", "pkd-s1"]
    assert find(browser, "#shown").text == f"2 of {len(every)} runs"
    # Teachers and baselines stay beside every loss.
    rows = [row.text for row in browser.find_elements("css selector", "#tables table:first-of-type tbody tr")]
    assert any("(teacher)" in text for text in rows)
    assert not any("mse" in text for text in rows)
    find(browser, "#filters [type=reset]").click()
    browser.execute_async_script("setTimeout(arguments[0], 20)")
    assert browser.execute_script(SHOWN) == every
    find(browser, "[name=text]").send_keys("RETINAX101")
    assert browser.execute_script(SHOWN) == ["other"]
    find(browser, "[name=text]").clear()
    browser.execute_script("const one = document.querySelector('[name=pair]'); one.value = 'retinax101-retina50';"
                           "one.dispatchEvent(new Event('input', {bubbles: true}))")  # fmt: skip
    assert all("retinax101" in one.get_attribute("data-pair")
               for one in browser.find_elements("css selector", ".plot, .card") if one.is_displayed())  # fmt: skip


@pytest.mark.parametrize("width", WIDTHS)
def test_opening_a_run(page, whole_site, width):
    browser = page(width)
    link = next(a for a in browser.find_elements("css selector", "#runs td a") if a.text == "pkd-s0")
    link.send_keys("\ue007")
    browser.execute_async_script("setTimeout(arguments[0], 50)")
    assert find(browser, "#run-title").text == "pkd, weight 10"
    assert browser.current_url.endswith("#run=pkd-s0")
    recipe = find(browser, "dialog pre[data-parts]").get_attribute("textContent")
    assert recipe == (whole_site.root / "pkd-s0" / "recipe.yaml").read_text()
    rows = [[cell.text for cell in row.find_elements("css selector", "td")]
            for row in browser.find_elements("css selector", "dialog .metrics tbody tr")]  # fmt: skip
    assert rows[-1] == ["39.0", "59.5", "40.0", "35.0", "38.0", "44.0", "+22.9"]
    assert len(browser.find_elements("css selector", "dialog svg.chart")) == 7
    browser.switch_to.active_element.send_keys("\ue00c")  # Escape
    browser.execute_async_script("setTimeout(arguments[0], 50)")
    assert not browser.execute_script("return document.querySelector('dialog').open")
    assert browser.switch_to.active_element.text == "pkd-s0"


def test_detections_beside_the_ground_truth(page):
    browser = page(anchor="#run=pkd-s0")
    captions = "return [...document.querySelector('.shots').querySelectorAll('figcaption')].map(one => one.innerText)"
    assert browser.execute_script(captions) == [
        "ground truth\n2 objects in 0.png", "baseline\n1 of 2 found, 1 wrong", "pkd, weight 10\n1 of 2 found, 1 wrong",
    ]  # fmt: skip
    assert len(browser.find_elements("css selector", ".shots")) == 4
    next(b for b in browser.find_elements("css selector", ".samples button") if b.text == "Show all 5 images").click()
    assert len(browser.find_elements("css selector", ".shots")) == 5
    browser.execute_script("const one = document.querySelector('#score'); one.value = 0.5;"
                           "one.dispatchEvent(new Event('input', {bubbles: true}))")  # fmt: skip
    assert browser.execute_script(captions)[1:] == [
        "baseline\n0 of 2 found, 0 wrong",
        "pkd, weight 10\n1 of 2 found, 0 wrong",
    ]
    assert browser.execute_script(
        "return document.querySelector('.shots image').getAttribute('href').slice(0, 15)"
    ) == ("data:image/webp")


SCALES = """
const chart = document.querySelector('.plot.search [aria-label*="how far"]'), box = chart.getBoundingClientRect();
const inside = [...chart.querySelectorAll('text')].map(one => one.getBoundingClientRect())
  .every(one => one.left >= 0 && one.right <= window.innerWidth);
const size = Math.min(...[...chart.querySelectorAll('text')].map(one => one.getBoundingClientRect().height));
return [chart.querySelectorAll('polyline').length, inside, size >= 10, box.width <= window.innerWidth]
"""


@pytest.mark.parametrize("width", WIDTHS)
def test_a_search_reads_well_at_either_width(opened, whole_site, tmp_path, width):
    curves = {"mse-10": {"weight": 10.0}, "mse-30": {"weight": 30.0}, "mse-50": {"weight": 50.0}}
    found = Search("mse", (30, 60), {"weight": (1.0, 100.0)}, {}, curves)
    keep_search(whole_site.root, found)
    try:
        records = collect(whole_site.root)
        (tmp_path / "report.html").write_text(render([], [], records, records, whole_site.root), encoding="utf-8")
    finally:
        (whole_site.root / "tune" / "mse.json").unlink()
    browser = opened((tmp_path / "report.html").as_uri(), width)
    assert find(browser, ".plot.search h3").text.startswith("Search for the best weight: mse, GFL-Res101")
    assert browser.execute_script(SCALES) == [3, True, True, True]
    assert browser.execute_script("return document.documentElement.scrollWidth") == width
    legend = [one.text for one in browser.find_elements("css selector", ".plot.search .legend li")]
    assert legend == ["at the end", "after 30 steps", "baseline, no distillation", "best", "runner-up", "left behind"]
    browser.execute_script("const one = document.querySelector('[name=pair]'); one.value = 'retinax101-retina50';"
                           "one.dispatchEvent(new Event('input', {bubbles: true}))")  # fmt: skip
    assert not find(browser, ".plot.search").is_displayed()


def test_failed_and_hostile_runs_are_only_text(page):
    browser = page(anchor="#run=failed")
    assert "loss is NaN at step 40 <img src=x onerror=hacked=1>" in find(browser, "dialog .alert").text
    assert "Give a smaller weight." in find(browser, "dialog .alert").text
    assert find(browser, "dialog .chip").text == "failed"
    browser = page(anchor="#run=" + quote("evil <img src=x onerror=hacked=1>"))
    assert "</template><script>hacked=1</script>" in find(browser, "dialog pre").get_attribute("textContent")
    assert browser.execute_script("return document.querySelectorAll('img, [onerror]').length") == 0


def test_neighbours_and_the_scheme_by_hand(page):
    browser = page(anchor="#run=pkd-s0")
    find(browser, "dialog [data-step='1']").click()
    browser.execute_async_script("setTimeout(arguments[0], 50)")
    assert browser.current_url.endswith("#run=pkd-s1")
    find(browser, "dialog [data-close]").click()
    find(browser, "#theme").click()
    assert browser.execute_script("return document.documentElement.dataset.theme") == "dark"
    browser.refresh()
    assert browser.execute_script("return document.documentElement.dataset.theme") == "dark"
    browser.execute_script("localStorage.clear()")


def test_values_under_the_pointer(page):
    browser = page(anchor="#run=pkd-s0")
    text = browser.execute_script("""
        const svg = document.querySelectorAll('dialog svg.chart')[1], box = svg.getBoundingClientRect();
        svg.dispatchEvent(new PointerEvent('pointermove', {clientX: box.right - 12, clientY: box.top + 50}));
        return svg.parentElement.querySelector('.tip').innerText.split('\\n');
    """)
    step, own, baseline = text
    assert abs(float(step) - 60) < 0.5
    assert own.startswith("this run: 39") or own.startswith("this run: 38.9")
    assert baseline.startswith("baseline: 16")


def test_the_curves_of_a_run_are_drawn_as_those_of_the_figures(page, whole_site):
    """The script's elements against those that svg.py writes, as the browser reads both."""
    records = {record["run"]: record for record in collect(whole_site.root)}
    baseline = records[records["pkd-s0"]["baseline"]]
    curves = {run: read_curves(records[run]["path"]) for run in ("pkd-s0", baseline["run"])}
    panels = run_panels(records["pkd-s0"], curves["pkd-s0"], (baseline, curves[baseline["run"]]))
    browser = page(anchor="#run=pkd-s0")
    every = "return [...document.querySelectorAll('dialog svg.chart')].map(one => one.outerHTML)"
    drawn = browser.execute_script(every)
    read = "const one = document.createElement('div'); one.innerHTML = arguments[0]; return one.firstChild.outerHTML"
    written = [browser.execute_script(read, svg.draw(panel, f"{panel.title} of pkd-s0")) for panel in panels]
    assert drawn == written
    legends = "return [...document.querySelectorAll('dialog .panel .legend')].map(one => one.innerText.split('\\n'))"
    assert browser.execute_script(legends) == [panel.names for panel in panels if len(panel.names) > 1]


def test_the_environment_of_a_run(page):
    browser = page(anchor="#run=pkd-s0")
    rows = "return [...document.querySelectorAll('dialog [data-env] > div')].map(one => one.textContent)"
    assert browser.execute_script(rows) == ["torch2.15.0"]
