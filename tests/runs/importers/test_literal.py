"""Dumped configs are read as literals; nothing in them is run."""

from __future__ import annotations

import pytest

from pkdcli.runs.importers.mmengine.literal import read_config


def read(tmp_path, text):
    (tmp_path / "c.py").write_text(text, encoding="utf-8")
    return read_config(tmp_path / "c.py")


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("dict(a=1, b=dict(c=-2.5))", {"a": 1, "b": {"c": -2.5}}),
        ("{'a': (1, [2, None])}", {"a": [1, [2, None]]}),
        ("{**other, 'a': 1}", {"a": 1}),
        ("{(1, 2): 3, 4: 5}", {4: 5}),
        ("dict([('a', 1)])", None),
        ("dict(a=1, **other)", {"a": 1}),
        ("-'text'", None),
        ("'Fußgänger'", "Fußgänger"),
        ("f'{1}'", None),
        ("base", 7),
        ("absent", None),
    ],
)
def test_a_value(tmp_path, source, value):
    assert read(tmp_path, f"base = 7\nx = {source}\n")["x"] == value


def test_nothing_is_run(tmp_path):
    mark = tmp_path / "mark"
    assert read(tmp_path, f"x = open({str(mark)!r}, 'w')\nopen({str(mark)!r}, 'w')\na = b = 1\n") == {
        "x": None, "a": 1, "b": 1,
    }  # fmt: skip
    assert not mark.exists()


@pytest.mark.parametrize("text", ["x = (", "x = " + "-" * 200_000 + "1", "x = 1 #" + "a" * 5_000_000])
def test_what_is_no_config_is_a_value_error(tmp_path, text):
    with pytest.raises(ValueError, match="config"):
        read(tmp_path, text)


def test_an_empty_file_assigns_nothing(tmp_path):
    assert read(tmp_path, "") == {}
