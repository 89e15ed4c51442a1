"""mmdet's own configs and metafiles, read without mmdet."""

from __future__ import annotations

import pytest

from pkdcli.config import zoo
from pkdcli.errors import ExitCode, PkdError
from pkdcli.recipe.configs import configs_root
from pkdcli.recipe.detectors.read import load_config


def refused(call, *args) -> PkdError:
    with pytest.raises(PkdError) as caught:
        call(*args)
    return caught.value


def test_weights_and_ap_come_from_the_metafile():
    entry = zoo.entry("gfl/gfl_r101_fpn_ms-2x_coco.py")
    assert (entry.name, entry.box_ap) == ("gfl_r101_fpn_ms-2x_coco", 44.7)
    assert entry.weights.startswith("https://download.openmmlab.com/mmdetection/v2.0/gfl/")
    assert entry.weights.endswith(".pth")


def test_a_config_without_a_word_in_the_metafile():
    assert zoo.entry("_base_/models/retinanet_r50_fpn.py") == zoo.ZooEntry("retinanet_r50_fpn", None, None)


def test_a_config_is_the_callers_own_copy():
    first = load_config("gfl/gfl_r101_fpn_ms-2x_coco.py")
    first["model"]["neck"]["out_channels"] = -1
    assert load_config("gfl/gfl_r101_fpn_ms-2x_coco.py")["model"]["neck"]["out_channels"] == 256


def test_inherited_keys_are_there_as_plain_data():
    config = load_config("gfl/gfl_r101_fpn_ms-2x_coco.py")
    assert config["model"]["backbone"]["depth"] == 101
    assert type(config["model"]["backbone"]) is dict
    assert config["train_cfg"]["max_epochs"] == 24


def test_a_wrong_name_is_refused_with_the_nearest():
    error = refused(load_config, "gfl/gfl_r101_fpn_ms_2x_coco.py", "detector x: config")
    assert error.message == "detector x: config: there is no mmdet config 'gfl/gfl_r101_fpn_ms_2x_coco.py'."
    assert error.hint == "Did you mean 'gfl/gfl_r101_fpn_ms-2x_coco.py'?"
    assert refused(load_config, "nowhere/x.py").hint.startswith("Configs are named as in mmdet")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("model = (", "can't read {path}, line 1: SyntaxError: '(' was never closed."),
        ("raise ValueError('no')", "can't read {path}, line 1: ValueError: no."),
        ("a = 1", "{path} is no config of a detector: it has no `model`."),
    ],
)
def test_a_config_of_ones_own_that_is_none(tmp_path, text, says):
    path = tmp_path / "mine.py"
    path.write_text(text)
    error = refused(load_config, str(path), "here")
    assert error.message.startswith("here: " + says.format(path=path))
    assert error.code == ExitCode.USAGE


def test_mmdet_absent_is_what_the_machine_lacks(monkeypatch):
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    error = refused(configs_root.__wrapped__)
    assert (error.code, error.hint) == (ExitCode.MISSING, "pip install mmdet==3.3.0")
