"""Checkpoints: damaged, malicious and foreign ones are refused with a remedy; the others load tensor by tensor."""

from __future__ import annotations

import hashlib
import os
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from pkdcli.engine.checkpoint import LoadReport, export_student, load_into, load_state, sha256
from pkdcli.errors import ExitCode, PkdError


class Net(nn.Module):
    """A detector in small: backbone with BatchNorm, neck of a given depth, head of a given number of classes."""

    def __init__(self, classes: int = 3, width: int = 8, depth: int = 2) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, width, 3), nn.BatchNorm2d(width))
        self.neck = nn.ModuleList(nn.Conv2d(width, width, 3) for _ in range(depth))
        self.head = nn.Conv2d(width, classes, 1)
        self.register_buffer("bins", torch.arange(4.0))


def net(seed: int = 0, **options) -> Net:
    torch.manual_seed(seed)
    model = Net(**options)
    with torch.no_grad():
        model.backbone[1].running_mean.normal_()
    return model


def equal(one, other) -> None:
    assert list(one) == list(other)
    for key in one:
        assert torch.equal(one[key], other[key]), key


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "checkpoint.pth"


# Reading


def test_formats_of_every_origin(path):
    state = net().state_dict()
    for content in (
        state,  # torchvision
        {"state_dict": state, "meta": {"epoch": 12}},  # mmengine
        {"model": state},  # Swin's authors
        OrderedDict((f"module.{key}", value) for key, value in state.items()),  # DistributedDataParallel
        {"state_dict": dict(state), "message_hub": {"log_scalars": {}}, "param_schedulers": [{}]},
    ):
        torch.save(content, path)
        equal(load_state(path), state)
    torch.save(state, path, _use_new_zipfile_serialization=False)
    equal(load_state(path), state)


@pytest.mark.parametrize("prefix", ["architecture.", "student.", "module.architecture."])
def test_only_the_student_is_taken_of_an_algorithm(path, prefix):
    student, teacher = net(1).state_dict(), net(2, depth=5).state_dict()
    whole = prefix.removesuffix("architecture.").removesuffix("student.")
    content = {prefix + key: value for key, value in student.items()}
    content |= {f"{whole}teacher.{key}": value for key, value in teacher.items()}
    content |= {f"{whole}distiller.connectors.0.weight": torch.ones(1)}
    torch.save({"state_dict": content}, path)
    equal(load_state(path), student)


def test_mmengine_checkpoint_with_its_message_hub(path):
    from mmengine.logging import HistoryBuffer

    state = net().state_dict()
    history = HistoryBuffer([1.0, 2.0], [1, 1])
    hub = {"log_scalars": {"train/loss": history}, "runtime_info": {"loss": np.float64(0.5), "iter": np.int64(3)}}
    torch.save({"meta": {"epoch": 1}, "state_dict": state, "message_hub": hub}, path)
    equal(load_state(path), state)


def test_versions_of_layers_survive_the_prefix(path):
    algorithm = nn.ModuleDict({"architecture": net()})
    torch.save({"state_dict": algorithm.state_dict()}, path)
    metadata = load_state(path)._metadata
    assert metadata["backbone.1"] == {"version": 2}
    assert list(metadata) == list(net().state_dict()._metadata)


def fails(path, message: str, code: ExitCode = ExitCode.USAGE) -> PkdError:
    with pytest.raises(PkdError) as caught:
        load_state(path)
    assert caught.value.message == message
    assert caught.value.hint
    assert caught.value.code == code
    return caught.value


def test_absent_file_and_folder(tmp_path):
    fails(tmp_path / "no.pth", f"there is no checkpoint {tmp_path / 'no.pth'}.")
    fails(tmp_path, f"can't read the checkpoint {tmp_path}: Is a directory.")


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("part", [0.0, 0.01, 0.5, 0.99])
def test_truncated(path, part, zipped):
    torch.save({"state_dict": net().state_dict()}, path, _use_new_zipfile_serialization=zipped)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    error = fails(path, f"the checkpoint {path} is damaged: part of it is missing or was changed after it was written.")
    assert error.hint == "Delete it and download or copy it again."


def test_bit_flip_inside_the_zip(path):
    state = net().state_dict()
    torch.save({"state_dict": state}, path)
    with zipfile.ZipFile(path) as file:
        name = max(file.infolist(), key=lambda info: info.file_size)
    data = bytearray(path.read_bytes())
    data[name.header_offset + 200 + name.file_size // 2] ^= 1
    path.write_bytes(bytes(data))
    torch.load(path, weights_only=True)  # torch itself does not notice
    fails(path, f"the checkpoint {path} is damaged: part of it is missing or was changed after it was written.")


@pytest.mark.parametrize("data", [b"\x00" * 100, bytes(range(256))])
def test_another_file(path, data):
    path.write_bytes(data)
    fails(path, f"{path} is not a checkpoint.")


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, {"state_dict": {}}, {"state_dict": {"a": 1}}, torch.ones(2)])
def test_a_file_of_torch_without_weights(path, content):
    torch.save(content, path)
    fails(path, f"{path} holds no tensors by name: it is not a checkpoint.")


def test_zip_of_something_else(path):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("photo.txt", "text")
    with pytest.raises(PkdError, match=r"checkpoint\.pth"):
        load_state(path)


class Malicious:
    def __init__(self, evidence: Path) -> None:
        self.evidence = evidence

    def __reduce__(self):
        return os.mkdir, (str(self.evidence),)


@pytest.mark.parametrize("form", ["zip", "legacy", "protocol 0", "protocol 2", "protocol 4"])
def test_a_pickle_that_runs_code_is_refused_and_named(path, tmp_path, form):
    evidence = tmp_path / "evidence"
    content = {"state_dict": net().state_dict(), "meta": Malicious(evidence)}
    if form.startswith("protocol"):
        path.write_bytes(pickle.dumps(Malicious(evidence), protocol=int(form[-1])))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    error = fails(
        path, f"{path} was not loaded: it asks for posix.mkdir, which a checkpoint of weights has no need of."
    )
    assert "could run code" in error.hint
    assert not evidence.exists()
    pickle.loads(pickle.dumps(Malicious(evidence)))
    assert evidence.exists()  # so the pickle does run code where nobody refuses it


# Loading


def test_exact_loads_everything(path):
    source, model = net(1), net(2)
    torch.save({"state_dict": source.state_dict()}, path)
    report = load_into(model, path, strict="exact", what="teacher gfl101")
    assert report == LoadReport(loaded=list(source.state_dict()))
    assert report.counts() == "14 loaded, 0 missing, 0 unexpected, 0 of another shape"
    equal(model.state_dict(), source.state_dict())


def test_constants_may_be_absent_and_averages_of_training_superfluous(path):
    state = net(1).state_dict()
    del state["bins"], state["backbone.1.num_batches_tracked"]
    state["ema_head_weight"] = torch.ones(1)
    torch.save(state, path)
    model = net(2)
    report = load_into(model, path, strict="exact", what="teacher")
    assert report.missing == ["bins", "backbone.1.num_batches_tracked"]
    assert report.unexpected == ["ema_head_weight"]
    assert torch.equal(model.bins, torch.arange(4.0))


def test_running_statistics_may_not_be_absent(path):
    state = net(1).state_dict()
    del state["backbone.1.running_mean"]
    torch.save(state, path)
    with pytest.raises(PkdError, match="another architecture"):
        load_into(net(2), path, strict="exact", what="teacher")


@pytest.mark.parametrize("strict", ["exact", "resized-heads"])
def test_a_deeper_network_is_refused_both_ways(path, strict):
    torch.save(net(depth=7).state_dict(), path)
    with pytest.raises(PkdError) as caught:
        load_into(net(depth=2), path, strict=strict, what="teacher gfl101")
    assert str(caught.value) == (
        f"{path} is a checkpoint of another architecture than teacher gfl101: "
        "14 loaded, 0 missing, 10 unexpected, 0 of another shape.\n"
        "In the file, not in the model: neck.2.weight, neck.2.bias, neck.3.weight and 7 more.\n"
        "What fits: bins 1 of 1, backbone 7 of 7, neck 4 of 4, head 2 of 2.\n"
        "Give a checkpoint of this architecture, or name the pair and scale that the checkpoint is of."
    )
    torch.save(net(depth=2).state_dict(), path)
    with pytest.raises(PkdError) as caught:
        load_into(net(depth=3), path, strict=strict, what="teacher gfl101")
    assert str(caught.value) == (
        f"{path} is a checkpoint of another architecture than teacher gfl101: "
        "14 loaded, 2 missing, 0 unexpected, 0 of another shape.\n"
        "In the model, not in the file: neck.2.weight, neck.2.bias.\n"
        "What fits: bins 1 of 1, backbone 7 of 7, neck 4 of 6, head 2 of 2.\n"
        "Give a checkpoint of this architecture, or name the pair and scale that the checkpoint is of."
    )
    assert caught.value.code == ExitCode.USAGE


@pytest.mark.parametrize("strict", ["exact", "resized-heads"])
def test_a_wider_network_is_refused_both_ways(path, strict):
    torch.save(net(width=16).state_dict(), path)
    with pytest.raises(PkdError, match="11 of another shape") as caught:
        load_into(net(width=8), path, strict=strict, what="student")
    assert "backbone.0.weight (16, 3, 3, 3) in the file, (8, 3, 3, 3) in the model" in caught.value.hint


def test_other_classes_are_refused_by_exact(path):
    torch.save(net(classes=80).state_dict(), path)
    with pytest.raises(PkdError) as caught:
        load_into(net(classes=3), path, strict="exact", what="teacher")
    assert caught.value.hint == (
        "Of another shape: head.weight (80, 8, 1, 1) in the file, (3, 8, 1, 1) in the model, "
        "head.bias (80,) in the file, (3,) in the model.\n"
        "Only the number of classes differs: give a checkpoint trained on this data set's classes."
    )


def test_resized_heads_keep_their_own_values(path):
    source, model = net(1, classes=80), net(2, classes=3)
    head = model.head.weight.detach().clone()
    torch.save(source.state_dict(), path)
    report = load_into(model, path, strict="resized-heads", what="teacher")
    assert report.mismatched == {"head.weight": ((80, 8, 1, 1), (3, 8, 1, 1)), "head.bias": ((80,), (3,))}
    assert (len(report.loaded), report.missing, report.unexpected) == (12, [], [])
    assert torch.equal(model.head.weight, head)
    for key in report.loaded:
        assert torch.equal(model.state_dict()[key], source.state_dict()[key])


def test_only_the_parts_that_count_are_loaded_and_compared(path):
    source, model = net(1, classes=80), net(2, classes=3)
    head = model.head.weight.detach().clone()
    torch.save(source.state_dict(), path)
    report = load_into(model, path, strict="exact", what="teacher", only=("backbone.", "neck."))
    assert (len(report.loaded), report.missing, report.unexpected, report.mismatched) == (11, [], [], {})
    assert torch.equal(model.head.weight, head)
    for key in report.loaded:
        assert torch.equal(model.state_dict()[key], source.state_dict()[key])


@pytest.mark.parametrize("options", [{"depth": 3}, {"width": 16}])
def test_the_parts_that_count_must_fit(path, options):
    torch.save(net(**options).state_dict(), path)
    with pytest.raises(PkdError, match="another architecture"):
        load_into(net(), path, strict="exact", what="teacher", only=("backbone.", "neck."))


def test_a_checkpoint_without_the_parts_that_count_is_refused(path):
    torch.save({"head.weight": torch.zeros(3, 8, 1, 1)}, path)
    with pytest.raises(PkdError, match="another architecture"):
        load_into(net(), path, strict="exact", what="teacher", only=("backbone.", "neck."))


def test_resized_heads_must_load_half_of_the_parameters(path):
    torch.save(net(classes=500).state_dict(), path)
    with pytest.raises(PkdError, match="another architecture"):
        load_into(net(classes=400), path, strict="resized-heads", what="teacher")


def test_old_names_are_renamed_by_the_layers_themselves(path):
    from mmengine.registry import DefaultScope

    from pkdcli.compat import activate

    activate()
    from mmdet.models import FCOSHead

    with DefaultScope.overwrite_default_scope("mmdet"):
        source, model = (
            nn.ModuleDict({"bbox_head": FCOSHead(3, 8, feat_channels=8, stacked_convs=1, strides=[8], norm_cfg=None)})
            for _ in range(2)
        )
    old = {
        key.replace("conv_cls", "fcos_cls").replace("conv_reg", "fcos_reg"): value
        for key, value in source.state_dict().items()
    }
    assert any("fcos_cls" in key for key in old)
    torch.save({"state_dict": old}, path)
    report = load_into(model, path, strict="exact", what="student")
    assert (report.missing, report.unexpected) == ([], [])
    equal(model.state_dict(), source.state_dict())


# Writing


META = {"dataset_meta": {"classes": ("cell", "plate"), "palette": [(220, 20, 60), (1, 2, 3)]}, "epoch": 12}


def test_export_is_plain_and_loads_with_weights_only(path):
    model = net(3)
    meta = {
        **META,
        "mAP": np.float64(41.5),
        "iter": np.int64(7),
        "folder": Path("runs"),
        "seeds": np.arange(2),
        "loss": torch.tensor(0.5),
        "none": None,
        "flag": np.bool_(True),
    }
    export_student(model, path, meta)
    with torch.serialization.safe_globals([]):
        content = torch.load(path, weights_only=True)
    assert list(content) == ["meta", "state_dict"]
    assert content["meta"] == {
        **META, "mAP": 41.5, "iter": 7, "folder": "runs", "seeds": [0, 1], "loss": 0.5, "none": None, "flag": True,
    }  # fmt: skip
    for key, kind in {"mAP": float, "iter": int, "folder": str, "flag": bool}.items():
        assert type(content["meta"][key]) is kind
    equal(content["state_dict"], model.state_dict())
    assert content["state_dict"]._metadata == model.state_dict()._metadata
    assert torch.serialization.get_unsafe_globals_in_checkpoint(path) == []
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_export_takes_the_student_out_of_the_algorithm(path):
    algorithm = nn.ModuleDict({"architecture": net(1), "teacher": net(2, depth=4)})
    export_student(algorithm, path, META)
    equal(torch.load(path, weights_only=True)["state_dict"], net(1).state_dict())


def test_export_does_not_take_a_whole_storage_along(path):
    model = net()
    model.head.weight = nn.Parameter(torch.zeros(1_000_000)[:24].view(3, 8, 1, 1))
    export_student(model, path, META)
    assert path.stat().st_size < 100_000


def test_export_loads_in_stock_mmengine(path):
    from mmengine.runner import load_checkpoint

    source, model = net(1), net(2)
    export_student(source, path, META)
    content = load_checkpoint(model, str(path), map_location="cpu", strict=True)
    assert content["meta"]["dataset_meta"]["classes"] == ("cell", "plate")
    equal(model.state_dict(), source.state_dict())


def test_export_loads_in_mmdets_init_detector(path):
    from mmengine.config import Config
    from mmengine.registry import DefaultScope

    from pkdcli.compat import activate

    activate()
    from mmdet.apis import init_detector
    from mmdet.registry import MODELS

    detector = dict(
        type="RetinaNet",
        data_preprocessor=dict(type="DetDataPreprocessor"),
        backbone=dict(type="ResNet", depth=18, base_channels=4, init_cfg=None),
        neck=dict(type="FPN", in_channels=[4, 8, 16, 32], out_channels=8, num_outs=5),
        bbox_head=dict(type="RetinaHead", num_classes=2, in_channels=8, stacked_convs=1, feat_channels=8),
    )
    with DefaultScope.overwrite_default_scope("mmdet"):
        student = MODELS.build(detector)
    export_student(student, path, META)
    loaded = init_detector(Config(dict(model=detector)), str(path), palette="coco", device="cpu")
    assert loaded.dataset_meta["classes"] == ("cell", "plate")
    equal(loaded.state_dict(), student.state_dict())


def test_export_without_space_keeps_the_old_file(path, monkeypatch):
    import errno

    export_student(net(1), path, META)
    before = path.read_bytes()

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(PkdError, match="no space left") as caught:
        export_student(net(2), path, META)
    assert caught.value.code == ExitCode.MISSING
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_export_needs_the_classes(path):
    with pytest.raises(KeyError):
        export_student(net(), path, {"dataset_meta": {}})
    assert not path.exists()


def test_sha256(path):
    data = os.urandom(3_000_001)
    path.write_bytes(data)
    assert sha256(path) == hashlib.sha256(data).hexdigest()
    with pytest.raises(PkdError) as caught:
        sha256(path.parent / "no.pth")
    assert caught.value.code == ExitCode.MISSING
