"""docs/plugins.md shows the example package as it is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pkdcli.plugins import GROUPS

ROOT = Path(__file__).parent
PAGE = (ROOT.parent / "docs" / "plugins.md").read_text(encoding="utf-8")
SHOWN = dict(re.findall(r"```(?:toml|python|yaml)\n# (\S+)\n(.*?)```", PAGE, re.DOTALL))
FILES = [path for path in SHOWN if path.startswith(("pkd_example", "pyproject"))]


@pytest.mark.parametrize("path", FILES)
def test_a_file_of_the_example_is_shown_as_it_is(path):
    assert SHOWN[path] == (ROOT / "plugin_example" / path).read_text(encoding="utf-8")


def test_every_kind_of_plug_in_is_explained():
    assert len(FILES) == 8
    assert re.findall(r"^\| `(pkdcli\.\w+)` \|", PAGE, re.MULTILINE) == list(GROUPS.values())


def test_the_family_on_the_page_is_one(install):
    from pkdcli.config.families import family_of

    install({GROUPS["families"]: {"QueryDet": "my_detectors:query_det"}}, {"my_detectors.py": SHOWN["my_detectors.py"]})
    assert family_of("QueryDet").heads == ("query_head",)
