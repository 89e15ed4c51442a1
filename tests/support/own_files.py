"""A folder of recipes and configs of one's own, typed from elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from pkdcli.errors import ExitCode, PkdError
from pkdcli.recipe.resolve import Request, resolve
from pkdcli.recipe.schema import Recipe

BASE = '_base_ = ["mmdet::retinanet/retinanet_r18_fpn_1x_coco.py"]\n'
CONFIG = "model = dict(backbone=dict(depth=18, out_indices=(0, 1, 2, 3)), test_cfg=dict(limit=float('inf')))\n"


@pytest.fixture
def own_folder(tmp_path, monkeypatch) -> Path:
    """pairs/pair.yaml names ../detectors/mine.yaml, which names nets/net.py; commands are typed elsewhere."""
    for name in ("pairs", "detectors/nets", "elsewhere"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "pairs/pair.yaml").write_text(
        "name: gfl101-mine\nteacher: gfl101\nstudent: ../detectors/mine.yaml\nschedule: 1x\n"
    )
    (tmp_path / "detectors/mine.yaml").write_text(
        "name: mine\ntitle: Mine\nkind: one-stage\nconfig: nets/net.py\n"
    )
    (tmp_path / "detectors/nets/base.py").write_text(BASE)
    (tmp_path / "detectors/nets/net.py").write_text('_base_ = ["./base.py"]\n' + CONFIG)
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path


def asked(folder: Path, **more) -> Recipe:
    return resolve(Request(**{"pair": str(folder / "pairs/pair.yaml"), "scale": "tiny", **more}))


def refused(folder: Path, **more) -> PkdError:
    with pytest.raises(PkdError) as caught:
        asked(folder, **more)
    assert caught.value.code == ExitCode.USAGE
    return caught.value
