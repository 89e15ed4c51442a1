"""Configs of the user's own: what is wrong with them is said with file and line, and what of them a run is known by."""

from __future__ import annotations

from pathlib import Path

import pytest
from own_files import asked, refused

import pkdcli
from pkdcli.errors import PkdError
from pkdcli.recipe import configs
from pkdcli.recipe.resolve import Request, resolve


@pytest.fixture
def folder(own_folder):
    return own_folder


# Configs that can't be read, and that are no detector's

WHOLE = (
    "optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1))\ntrain_cfg = dict(max_epochs=1)\nparam_scheduler = []\n"
)


@pytest.mark.parametrize(("text", "said", "hint"), [
    ("model = dict(\n  a=1\nx = 3\n", ", line 1: SyntaxError: '(' was never closed.",
     "A config is Python: mend that line."),
    ("model = dict(a=1)\n\nx = 1 / 0\n", ", line 3: ZeroDivisionError: division by zero.", None),
    ("def f():\n    return {}['b']\n\nmodel = f()\n", ", line 2: KeyError: 'b'.", None),
    ("import sys\nsys.exit(3)\n", ", line 2: SystemExit: 3.", None),
    ("from torch.optim import SGD\nmodel = 1 / 0\n", ", line 2: ZeroDivisionError: division by zero.", None),
])  # fmt: skip
def test_a_config_that_fails_is_told_with_file_and_line(folder, text, said, hint):
    net, base = folder / "detectors/nets/net.py", folder / "detectors/nets/base.py"
    if not text.startswith("from torch"):  # mmengine inherits from no config that imports its types
        before = base.read_text()
        base.write_text(text)
        error = refused(folder)
        place, _, what = said.partition(": ")
        assert error.message == (
            f"detector mine: config: can't read {base}{place}, from which {net} inherits: {what}"
        )
        assert error.hint == hint
        base.write_text(before)
    net.write_text(text)
    error = refused(folder)
    assert error.message == f"detector mine: config: can't read {net}{said}"
    assert error.hint == hint


def test_a_base_that_mmdet_has_not_is_told_with_the_nearest(folder):
    (folder / "detectors/nets/base.py").write_text('_base_ = ["mmdet::retinanet/retinanet_r18_fpn_1x_coc.py"]\n')
    assert refused(folder).hint == "Did you mean mmdet::retinanet/retinanet_r18_fpn_1x_coco.py?"


def test_a_base_of_a_package_that_is_not_there_is_told_with_its_name(folder):
    (folder / "detectors/nets/base.py").write_text('_base_ = ["mmrotate::x/y.py"]\n')
    error = refused(folder)
    assert error.message.endswith(
        "ModuleNotFoundError: mmrotate is not installed, please install mmrotate manually."
    )
    assert error.hint == "Type: pip install mmrotate"


@pytest.mark.parametrize(("model", "said"), [
    ("x = 1", "it has no `model`"),
    ("model = 3", "its `model` is a int, no dict"),
    ("model = dict(type='ImageClassifier', head=dict())", "its `model` is a ImageClassifier, without a `backbone`"),
    ("model = dict(type='EncoderDecoder', backbone=dict(type='ResNet'), decode_head=dict())",
     "its `model` is a EncoderDecoder, with a `decode_head`"),
    ("model = dict(backbone=dict(type='ResNet'))", "its `model` has no `type`"),
    ("model = dict(type='SoftTeacher', detector=dict(type='FasterRCNN'))",
     "its `model` is a SoftTeacher around one, its `detector`"),
])  # fmt: skip
def test_a_config_that_is_no_detectors(folder, model, said):
    net = folder / "detectors/nets/net.py"
    net.write_text(f"{model}\n{WHOLE}")
    assert refused(folder).message == f"detector mine: config: {net} is no config of a detector: {said}."


def test_a_config_without_its_training_is_told_what_it_lacks(folder):
    net = folder / "detectors/nets/net.py"
    net.write_text("model = dict(type='RetinaNet', backbone=dict(type='ResNet'))\n")
    assert refused(folder).message == (
        f"detector mine: config: {net} has no optim_wrapper, train_cfg, param_scheduler."
    )


@pytest.mark.parametrize(("more", "said"), [
    ("optim_wrapper = dict(_delete_=True, type='OptimWrapper')",
     "optim_wrapper.optimizer: should be a dict with `type` and `lr`."),
    ("train_cfg = dict(_delete_=True, type='EpochBasedTrainLoop')",
     "train_cfg: should be a dict with `max_epochs` or `max_iters`."),
    ("param_scheduler = [dict(by_epoch=True)]", "param_scheduler: should be a list of dicts with `type`."),
])  # fmt: skip
def test_a_section_that_does_not_say_what_a_training_needs(folder, more, said):
    net = folder / "detectors/nets/net.py"
    net.write_text(net.read_text() + f"{more}\n")
    assert refused(folder).message == f"detector mine: config: {net}: {said}"


def test_a_scheduler_alone_is_one_of_a_list(folder):
    net = folder / "detectors/nets/net.py"
    net.write_text(net.read_text() + "param_scheduler = dict(_delete_=True, type='ConstantLR', factor=1.0)\n")
    content = configs.from_text(asked(folder).student.config_content)
    assert content["param_scheduler"] == [{"type": "ConstantLR", "factor": 1.0}]


def test_what_a_config_prints_does_not_stand_in_the_answer(folder, capsys):
    net = folder / "detectors/nets/net.py"
    net.write_text(net.read_text() + "print('read')\n")
    asked(folder)
    printed = capsys.readouterr()
    assert (printed.out, set(printed.err.splitlines())) == ("", {"read"})


def counting(folder, file: str) -> Path:
    """Have a config write a line into a file whenever it is run."""
    runs = folder / "runs.txt"
    path = folder / "detectors/nets" / file
    path.write_text(path.read_text() + f"open({str(runs)!r}, 'a').write('run\\n')\n")
    return runs


def test_a_config_is_run_once_however_often_it_is_asked_for(folder):
    runs = counting(folder, "net.py")
    first = asked(folder)
    assert asked(folder, loss="mse", weight=10.0).student == first.student
    path = folder / "detectors/nets/net.py"
    mine = configs.read_config(path, "config")
    mine["model"]["backbone"]["depth"] = 99  # a copy of its own
    assert configs.read_config(path, "config")["model"]["backbone"]["depth"] == 18
    assert runs.read_text() == "run\n"


def test_a_config_is_run_again_when_it_or_what_it_inherits_from_has_changed(folder):
    runs = counting(folder, "net.py")
    changes = {"net.py": "model = dict(neck=dict(num_outs=4))", "base.py": "train_cfg = dict(max_epochs=7)"}
    for file, more in changes.items():
        before = asked(folder)
        path = folder / "detectors/nets" / file
        path.write_text(f"{path.read_text()}{more}\n")
        assert asked(folder).student.config_content != before.student.config_content
    assert runs.read_text() == "run\n" * 3


def test_a_function_called_from_python_runs_a_config_again(folder, monkeypatch):
    runs = counting(folder, "net.py")
    monkeypatch.chdir(folder / "pairs")
    for _ in range(2):
        pkdcli.train(pair="pair.yaml", scale="tiny", dry_run=True)
    assert runs.read_text() == "run\n" * 2


def test_a_preprocessor_beside_the_model_is_the_models_as_mmengine_has_it(folder):
    net = folder / "detectors/nets/net.py"
    net.write_text(
        "data_preprocessor = dict(type='DetDataPreprocessor', mean=[1.0, 2.0, 3.0])\n"
        "model = dict(type='RetinaNet', backbone=dict(type='ResNet'))\n" + WHOLE
    )
    model = configs.from_text(asked(folder).student.config_content)["model"]
    assert model["data_preprocessor"] == {"type": "DetDataPreprocessor", "mean": [1.0, 2.0, 3.0]}


def test_types_that_a_config_imports_are_known_by_their_registered_names(folder):
    net = folder / "detectors/nets/net.py"
    net.write_text(
        "from mmdet.models import RetinaNet\nfrom torch.nn import ReLU\nfrom torch.optim import SGD\n"
        "model = dict(type=RetinaNet, backbone=dict(type='ResNet', act_cfg=dict(type=ReLU)))\n"
        "optim_wrapper = dict(optimizer=dict(type=SGD, lr=0.1))\ntrain_cfg = dict(max_epochs=1)\nparam_scheduler = []\n"
    )
    content = configs.from_text(asked(folder).student.config_content)
    assert content["model"]["type"] == "RetinaNet"
    assert content["model"]["backbone"]["act_cfg"]["type"] == "torch.nn.ReLU"  # mmengine imports it by this name
    assert content["optim_wrapper"]["optimizer"]["type"] == "SGD"


def test_types_that_a_config_names_with_their_registry_stay_as_they_are(folder):
    net = folder / "detectors/nets/net.py"
    net.write_text(net.read_text() + "model['neck'] = dict(type='mmdet.FPN')\n")
    assert "'type': 'mmdet.FPN'" in asked(folder).student.config_content


# What a training by a config's own settings is known by


def test_a_training_of_its_own_is_known_by_pipeline_hooks_and_tests_too_and_by_no_path():
    def identities(**changes) -> tuple[str, str]:
        path = configs.config_path("rtmdet/rtmdet_tiny_8xb32-300e_coco.py")
        content = configs.read_config(path, "here")
        for place, value in changes.items():
            node, *rest = place.split("__")
            if not rest:
                content[node] = value
                continue
            inside = content[node]
            for part in rest[:-1]:
                inside = inside[part]
            inside[rest[-1]] = value
        text = configs.as_text(content, "here", own=True)
        return configs.identity_of(text), configs.identity_of(text, own=True)

    paper, own = identities()
    assert paper != own
    for change in (
        {"custom_hooks": []},
        {"auto_scale_lr": {"enable": False, "base_batch_size": 32}},
        {"train_dataloader__batch_size": 8},
        {"train_dataloader__dataset__pipeline": []},
        {"val_dataloader__dataset__pipeline": []},
        {"default_hooks__ema": {"type": "EMAHook"}},
    ):
        found = identities(**change)
        assert found[0] == paper, change
        assert found[1] != own, change
    for change in (
        {"train_dataloader__num_workers": 0, "train_dataloader__dataset__ann_file": "/elsewhere/train.json"},
        {"train_dataloader__dataset__data_prefix": {"img": "/elsewhere"}},
        {"default_hooks__checkpoint": {"type": "CheckpointHook", "interval": 7}},
    ):
        assert identities(**change) == (paper, own), change
    assert identities(optim_wrapper__optimizer__lr=1.0)[0] != paper


def test_what_a_training_of_its_own_depends_on_has_to_be_kept(folder):
    net = folder / "detectors/nets/net.py"
    content = {**configs.read_config(net, "here"), "custom_hooks": [len]}
    assert "custom_hooks" not in configs.from_text(configs.as_text(content, "here"))
    with pytest.raises(PkdError, match=r"here: custom_hooks\.0: a builtin_function_or_method can't be kept"):
        configs.as_text(content, "here", own=True)


def test_a_student_by_its_configs_own_settings_is_refused_where_these_can_not_be_kept(folder):
    """Left out in silence, a hook would make another training of it; the paper's settings need none."""
    net = folder / "mine.py"
    net.write_text('_base_ = ["mmdet::retinanet/retinanet_r18_fpn_1x_coco.py"]\ncustom_hooks = [len]\n')
    with pytest.raises(PkdError, match=r"custom_hooks\.0: a builtin_function_or_method can't be kept"):
        resolve(Request(student=str(net), scale="tiny"))
    kept = resolve(Request(student=str(net), scale="tiny", training="paper"))
    assert "custom_hooks" not in kept.student.config_content
