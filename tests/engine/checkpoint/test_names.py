"""Names that wrappers give: taken off where they are known, in whatever order; else named in the error."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections import OrderedDict

import pytest
import torch
from torch import nn

from pkdcli.engine.checkpoint import export_student, load_into, load_state, weights
from pkdcli.errors import PkdError


def net(seed: int = 0, depth: int = 1) -> nn.Module:
    torch.manual_seed(seed)
    return nn.ModuleDict(
        {
            "backbone": nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)),
            "neck": nn.ModuleList(nn.Conv2d(4, 4, 3) for _ in range(depth)),
        }
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weights.pth"


def equal(one, other) -> None:
    assert list(one) == list(other)
    assert all(torch.equal(one[key], other[key]) for key in other)


@pytest.mark.parametrize(
    "prefix",
    [
        "_orig_mod.",
        "module.",
        "module._orig_mod.",
        "_orig_mod.module.",
        "module.module.",
        "_orig_mod.architecture.",
        "architecture._orig_mod.",
        "module.architecture._orig_mod.module.",
        "student._orig_mod.",
        "_fsdp_wrapped_module.",
        "model.",
        "model._orig_mod.",
        "detector.module.",
        "teacher.",
        "module.teacher.",
        "_forward_module.",
        "module.model.",
        "ema_model.module.",
        "model_ema.",
    ],
)
def test_known_wrappers_come_off_and_the_weights_are_the_same(path, prefix):
    source, model = net(1), net(2)
    torch.save({"state_dict": {prefix + key: value for key, value in source.state_dict().items()}}, path)
    report = load_into(model, path, strict="exact", what="the detector")
    assert report.counts() == "9 loaded, 0 missing, 0 unexpected, 0 of another shape"
    equal(model.state_dict(), source.state_dict())


def test_parts_may_be_compiled_alone(path):
    source = net(1)
    state = {key.replace("backbone.", "backbone._orig_mod."): value for key, value in source.state_dict().items()}
    torch.save(state, path)
    equal(load_state(path), source.state_dict())


def test_what_torch_compile_itself_writes(path):
    source, model = net(1), net(2)
    source["backbone"] = torch.compile(source["backbone"])
    whole = torch.compile(source)
    names = list(whole.state_dict())
    assert names[0] == "_orig_mod.backbone._orig_mod.0.weight"
    torch.save({"state_dict": whole.state_dict()}, path)
    load_into(model, path, strict="exact", what="the detector")
    equal(model.state_dict(), net(1).state_dict())
    export_student(whole, path, {"dataset_meta": {"classes": ("a",)}})
    plain = torch.load(path)["state_dict"]
    equal(plain, net(1).state_dict())
    assert plain._metadata["backbone.1"] == {"version": 2}


def test_of_an_algorithm_in_wrappers_the_student_alone_is_taken(path):
    student, teacher = net(1), net(2, depth=3)
    content = {f"_orig_mod.architecture._orig_mod.{key}": value for key, value in student.state_dict().items()}
    content |= {f"_orig_mod.teacher.{key}": value for key, value in teacher.state_dict().items()}
    torch.save({"state_dict": content}, path)
    equal(load_state(path), student.state_dict())


def test_of_a_students_average_that_mmdet_evaluates_the_average_is_taken(path):
    """mmdet's semi-supervised detectors: `teacher` is the average of `student`, and what their tests run."""
    student, teacher = net(1), net(2)
    state = {f"student.{key}": value for key, value in student.state_dict().items()}
    state |= {f"teacher.{key}": value for key, value in teacher.state_dict().items()}
    torch.save({"state_dict": state}, path)
    equal(load_state(path), teacher.state_dict())
    # mmrazor's algorithms have a teacher that is none of the student's making.
    state = {key.replace("student.", "architecture."): value for key, value in state.items()}
    torch.save({"state_dict": state}, path)
    equal(load_state(path), student.state_dict())


@pytest.mark.parametrize("around", ["", "module.", "_orig_mod."])
def test_the_teacher_in_a_distillations_checkpoint_is_taken_where_the_model_is_its(path, around):
    student, teacher, model = net(1), net(2, depth=3), net(3, depth=3)
    state = {f"{around}architecture.{key}": value for key, value in student.state_dict().items()}
    state |= {f"{around}teacher.{key}": value for key, value in teacher.state_dict().items()}
    torch.save({"state_dict": state}, path)
    report = load_into(model, path, strict="exact", what="the teacher")
    equal(model.state_dict(), teacher.state_dict())
    assert (report.part, report.missing, report.unexpected) == ("its teacher", [], [])
    other = net(3)
    assert load_into(other, path, strict="exact", what="the student").part is None
    equal(other.state_dict(), student.state_dict())


def test_averages_with_underscores_stand_in_where_there_are_no_weights(path):
    source, model = net(1), net(2)
    averages = {f"ema_{key.replace('.', '_')}": value for key, value in source.state_dict().items()}
    torch.save({"state_dict": averages}, path)
    report = load_into(model, path, strict="exact", what="the detector")
    equal(model.state_dict(), source.state_dict())
    assert (report.part, report.missing, report.unexpected[:1]) == ("its averages", [], [])
    # Beside weights they are those of the training, and mmdet 2 saved what it had evaluated as the weights.
    evaluated = net(3)
    torch.save({"state_dict": {**evaluated.state_dict(), **averages}}, path)
    report = load_into(model, path, strict="exact", what="the detector")
    equal(model.state_dict(), evaluated.state_dict())
    assert (report.part, len(report.unexpected)) == (None, 9)


@pytest.mark.parametrize("place", ["ema_state_dict", "state_dict_ema", "model_ema", "ema_state", "ema"])
@pytest.mark.parametrize("nested", [False, True])
def test_wherever_an_average_lies_alone(path, place, nested):
    state = net(1).state_dict()
    torch.save({place: {"module": state, "steps": torch.tensor(2)} if nested else state, "epoch": 3}, path)
    equal(load_state(path), state)


def test_safetensors_in_whatever_wrappers(tmp_path):
    from safetensors.torch import save_file

    source, model = net(1), net(2)
    path = tmp_path / "weights.safetensors"
    save_file({f"module._orig_mod.{key}": value for key, value in source.state_dict().items()}, path)
    report = load_into(model, path, strict="exact", what="the detector")
    equal(model.state_dict(), source.state_dict())
    assert report.counts() == "9 loaded, 0 missing, 0 unexpected, 0 of another shape"


def test_what_became_of_the_tensors_is_logged(path, monkeypatch):
    said = []
    monkeypatch.setattr(weights, "print_log", lambda text, logger: said.append((text, logger)))
    state = net(1).state_dict()
    state["data_preprocessor.mean"] = torch.ones(3)
    torch.save({f"teacher.{key}": value for key, value in state.items()}, path)
    load_into(net(2), path, strict="exact", what="the teacher")
    text = f"the teacher: {path}: 9 loaded, 0 missing, 1 unexpected (data_preprocessor.mean), 0 of another shape"
    assert said == [(text, "current")]
    report = weights.LoadReport(["a"], ["b", "c", "d", "e"], [], {"f": ((1,), (2,))})
    assert report.said() == "1 loaded, 4 missing (b, c, d and 1 more), 0 unexpected, 1 of another shape (f)"


def test_what_a_trainer_holds_beside_its_detector_is_left_out(path):
    source, model = net(1), net(2)
    state = {f"model.{key}": value for key, value in source.state_dict().items()}
    torch.save({"state_dict": {**state, "metric.total": torch.ones(1)}, "epoch": 3}, path)
    load_into(model, path, strict="exact", what="the detector")
    equal(model.state_dict(), source.state_dict())


def test_an_average_alone_is_taken_and_beside_weights_it_is_not(path):
    trained, average = net(1).state_dict(), net(2).state_dict()
    ema = {"steps": torch.tensor(8), **{f"module.{key}": value for key, value in average.items()}}
    torch.save({"ema_state_dict": ema}, path)
    equal(load_state(path), average)
    torch.save({"state_dict": trained, "ema_state_dict": ema}, path)  # mmengine: the average is the state_dict
    equal(load_state(path), trained)
    torch.save({"model_state_dict": OrderedDict(trained), "optimizer_state_dict": {}}, path)
    equal(load_state(path), trained)


def test_a_detector_that_holds_its_own_parts_as_its_model_keeps_their_names(path):
    class Holder(nn.Module):
        def __init__(self, seed: int) -> None:
            super().__init__()
            self.model = net(seed)

    source, model = Holder(1), Holder(2)
    torch.save(source.state_dict(), path)
    load_into(model, path, strict="exact", what="the detector")
    equal(model.state_dict(), source.state_dict())


def test_a_prefix_that_nobody_knows_is_named_and_its_remedy_works(path):
    source, model = net(1), net(2)
    state = {f"wrapped.inner.{key}": value for key, value in source.state_dict().items()}
    torch.save({"meta": {"dataset_meta": {"classes": ["a", "b"]}}, "state_dict": state}, path)
    with pytest.raises(PkdError) as caught:
        load_into(model, path, strict="exact", what="the detector")
    first, command = caught.value.hint.splitlines()
    assert first == (
        "Each name in the file begins with 'wrapped.inner.', which is not the model's. Save it without, and give that "
        "file:"
    )
    words = [sys.executable, *shlex.split(command)[1:]]
    subprocess.run(words, cwd=path.parent, check=True)
    load_into(model, path.parent / "plain.pth", strict="exact", what="the detector")
    equal(model.state_dict(), source.state_dict())
    assert torch.load(path.parent / "plain.pth")["meta"]["dataset_meta"]["classes"] == ["a", "b"]


def test_another_architecture_is_not_taken_for_a_prefix(path):
    torch.save(net(1).state_dict(), path)
    with pytest.raises(PkdError, match="7 unexpected, 2 of another shape") as caught:
        load_into(nn.ModuleDict({"backbone": nn.Sequential(nn.Conv2d(3, 8, 3))}), path, strict="exact", what="x")
    assert "begins with" not in caught.value.hint
