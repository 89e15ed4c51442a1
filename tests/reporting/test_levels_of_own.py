"""Levels of a student whose config is the user's own: known by what the run keeps of it, which is never run."""

from __future__ import annotations

import pytest
import yaml

from pkdcli.reporting.levels import level_name

MODEL = "model = {'backbone': {'type': 'ResNet'}, 'neck': {'num_outs': 5, 'out_channels': 64, 'start_level': 1}}\n"


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (MODEL, "P3 (stride 8)"),
        (None, "level 0"),  # a run of a release before: its file is not run for a report
        ("model = open('x')\n", "level 0"),
        ("model = 3\n", "level 0"),
        ("x = 3\n", "level 0"),
    ],
)
def test_a_level_by_what_the_run_keeps(tmp_path, content, name):
    student = {"config": str(tmp_path / "own.py"), "config_content": content}
    (tmp_path / "own.py").write_text("raise SystemExit")
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump({"student": student}))
    assert level_name({"path": str(tmp_path)}, 0) == name
