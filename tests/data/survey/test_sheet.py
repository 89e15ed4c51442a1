"""The page of images with their boxes."""

from __future__ import annotations

import re

from pkdcli.data.survey.sheet import SHOWN, write_sheet


def test_every_box_is_where_it_is_annotated_and_what_is_wrong_comes_first(own, tmp_path):
    own.splits["train"]["annotations"][20]["bbox"] = [100, 5, 90, 20]
    own.splits["train"]["categories"][0]["name"] = own.splits["val"]["categories"][0]["name"] = "<cat> & co"
    own.paint("train", "3.png", 3, (20, 20))
    text = write_sheet(own.look(), tmp_path / "new" / "sheet.html").read_text()
    figures = re.findall(r"<figure.*?</figure>", text, re.DOTALL)
    assert len(figures) == 24 <= 2 * SHOWN
    captions = [re.search("<figcaption>(.*?)</figcaption>", one)[1] for one in figures]
    assert captions[:2] == ["3.png: is 20 x 20 pixels, but 160 x 120 in the annotations", "11.png"]
    assert ['class="suspect"' in one for one in figures] == [True, True] + 22 * [False]
    assert "data:image/jpeg;base64," not in figures[0]
    assert figures[1].count("data:image/jpeg;base64,") == 1
    wrong = '<rect x="100.0" y="5.0" width="90.0" height="20.0" stroke="#da0b0b" class="wrong">'
    assert f"{wrong}<title>&lt;cat&gt; &amp; co, id 21</title>" in figures[1]
    assert "<cat>" not in text
    assert "1 boxes reach beyond their picture" in text
