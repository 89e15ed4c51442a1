"""Levels found by looking: the numbers of a real forward pass, a distilled step with them, and what is refused."""

from __future__ import annotations

import json

import cv2
import pytest
import torch
from torch import nn

import pkdcli.engine.register  # noqa: F401  before mmdet, which does not import without it
from pkdcli.config import build
from pkdcli.engine.analysis import levels, verify
from pkdcli.engine.distill.encoder import folded, rows_of
from pkdcli.engine.predict import look
from pkdcli.errors import PkdError
from pkdcli.launch import request as asking
from pkdcli.recipe.detectors.read import load_config
from pkdcli.recipe.resolve import Request, resolve
from pkdcli.recipe.schema import Detector

from mmdet.registry import MODELS  # isort: skip
from mmdet.structures import DetDataSample  # isort: skip
from mmengine.config import Config  # isort: skip
from mmengine.logging import MessageHub, MMLogger  # isort: skip
from mmengine.registry import init_default_scope  # isort: skip
from mmengine.structures import InstanceData  # isort: skip
from mmrazor.models.task_modules.recorder import RecorderManager  # isort: skip

RTMDET = "rtmdet/rtmdet_tiny_8xb32-300e_coco.py"
YOLOX = "yolox/yolox_tiny_8xb8-300e_coco.py"
DYHEAD = "dyhead/atss_r50_fpn_dyhead_1x_coco.py"
DETR = "detr/detr_r50_8xb2-150e_coco.py"
DEFORMABLE = "deformable_detr/deformable-detr_r50_16xb2-50e_coco.py"
DINO = "dino/dino-4scale_r50_8xb2-12e_coco.py"
YOLOV3 = "yolo/yolov3_mobilenetv2_8xb24-320-300e_coco.py"

# (stride, channels) of each level, and the sides of the two images of the reference
KNOWN = {
    RTMDET: ([(8, 96), (16, 96), (32, 96)], (64, 128)),
    YOLOX: ([(8, 96), (16, 96), (32, 96)], (64, 128)),
    "ssd/ssd300_coco.py": ([(8, 512), (16, 1024), (32, 512), (64, 256), (64, 256), (64, 256)], (320, 384)),
    YOLOV3: ([(32, 96), (16, 96), (8, 96)], (64, 128)),
    "yolof/yolof_r50-c5_8xb8-1x_coco.py": ([(32, 512)], (64, 128)),
    "centernet/centernet_r18_8xb16-crop512-140e_coco.py": ([(4, 64)], (64, 128)),
    "atss/atss_r50_fpn_1x_coco.py": ([(8, 256), (16, 256), (32, 256), (64, 256), (128, 256)], (128, 256)),
    "tood/tood_r50_fpn_1x_coco.py": ([(8, 256), (16, 256), (32, 256), (64, 256), (128, 256)], (128, 256)),
    "deformable_detr/deformable-detr_r50_16xb2-50e_coco.py": ([(8, 256), (16, 256), (32, 256), (64, 256)], (64, 128)),
    "faster_rcnn/faster-rcnn_r50-caffe-c4_ms-1x_coco.py": ([(16, 1024)], (64, 128)),
}


def section(config: str) -> dict:
    return load_config(config)["model"]


def found(config: str) -> list[tuple[int, int]]:
    return [tuple(level) for level in levels.look(section(config), "student")["levels"]]


def tiny_model(config: str) -> dict:
    """The model of a config as scale tiny shrinks it."""
    return build.detector(known(student=config), known(student=config).student)


def known(**options):
    """A recipe at scale tiny, as it is when the data are known."""
    made = resolve(Request(scale="tiny", init="scratch", **options))
    data = made.data.model_copy(update={"classes": ["a", "b", "c"], "masks": False, "train_images": 8})
    return made.model_copy(update={"data": data, "pretrained": False})


@pytest.fixture(autouse=True)
def _scope():
    init_default_scope("mmdet")


@pytest.mark.parametrize("config", KNOWN)
def test_what_is_found_is_what_a_forward_pass_gives(config):
    expected, (small, large) = KNOWN[config]
    whole = MODELS.build(Config({"model": levels.without_weights(section(config))}).model).eval()
    with torch.no_grad():
        before, after = (whole.extract_feat(torch.rand(1, 3, side, side)) for side in (small, large))
    real = [
        ((large - small) / (two.shape[-1] - one.shape[-1]), one.shape[1])
        for one, two in zip(before, after, strict=True)
    ]
    assert found(config) == real == expected


def test_the_backbone_is_looked_at_where_there_is_no_neck():
    assert levels.look(section("faster_rcnn/faster-rcnn_r50-caffe-c4_ms-1x_coco.py"), "student")["module"] == "backbone"
    assert levels.look(section(RTMDET), "student")["module"] == "neck"


def test_another_module_can_be_looked_at():
    tapped = levels.look(section(RTMDET), "student", "neck.reduce_layers.0")
    assert tapped == {"module": "neck.reduce_layers.0", "single": True, "levels": [[32, 192]]}
    with pytest.raises(PkdError) as error:
        levels.look(section(RTMDET), "student", "nek")
    assert error.value.message == "--tap: the student (RTMDet) has no module 'nek' in its backbone and neck."
    assert error.value.hint.startswith("Did you mean 'neck'? Modules: backbone, backbone.stem, ")
    assert error.value.hint.endswith("so what a head or an encoder puts out can't be compared.")
    with pytest.raises(PkdError) as error:
        levels.look(section(RTMDET), "teacher", "neck.reduce_layer.0")
    assert error.value.hint.startswith("Did you mean 'neck.reduce_layers.0'? Modules: ")
    assert "encoder" not in error.value.hint


@pytest.mark.parametrize(("config", "strides"), [
    ("detr/detr_r50_8xb2-150e_coco.py", [32]),
    ("conditional_detr/conditional-detr_r50_8xb2-50e_coco.py", [32]),
    ("dab_detr/dab-detr_r50_8xb2-50e_coco.py", [32]),
    ("deformable_detr/deformable-detr_r50_16xb2-50e_coco.py", [8, 16, 32, 64]),
    ("dino/dino-4scale_r50_8xb2-12e_coco.py", [8, 16, 32, 64]),
    ("ddq/ddq-detr-4scale_r50_8xb2-12e_coco.py", [8, 16, 32, 64]),
])  # fmt: skip
def test_the_encoder_of_a_detr_has_the_levels_that_it_takes(config, strides):
    model = tiny_model(config)
    width = model["encoder"]["layer_cfg"]["ffn_cfg"]["embed_dims"]
    assert levels.look(model, "student", "encoder") == {
        "module": "encoder", "single": True, "levels": [[stride, width] for stride in strides], "sizes": "neck"
    }  # fmt: skip


def test_taps_inside_of_an_encoder_and_beyond_it():
    model = tiny_model(DINO)
    last = f"encoder.layers.{model['encoder']['num_layers'] - 1}"
    assert [stride for stride, _ in levels.look(model, "teacher", last)["levels"]] == [8, 16, 32, 64]
    refusals = {}
    for tap in ("encoder.layer.0", "decoder", "encoder.layers"):
        with pytest.raises(PkdError) as error:
            levels.look(model, "teacher", tap)
        refusals[tap] = error.value
    for tap in ("encoder.layer.0", "decoder"):
        said = f"--tap: the teacher (DINO) has no module {tap!r} in its backbone, neck and encoder."
        assert refusals[tap].message == said
    assert refusals["encoder.layer.0"].hint.startswith("Did you mean 'encoder.layers.0'? Modules: backbone, ")
    assert refusals["encoder.layer.0"].hint.endswith(", encoder, encoder.layers.")
    assert refusals["decoder"].hint.endswith("so what a head or a decoder puts out can't be compared.")
    times = "--tap: the teacher (DINO): encoder.layers runs 0 times an image; one that runs once is needed."
    assert refusals["encoder.layers"].message == times


def test_a_request_may_name_another_module():
    asked = {"model": repr({"type": "D", "backbone": {"type": "ResNet", "depth": 18}}), "who": "student"}
    request = {"models": [asked, {**asked, "tap": "backbone.layer2"}], "imports": []}
    whole, tapped = levels.find(request)["found"]
    assert (whole["module"], whole["levels"]) == ("backbone", [[4, 64], [8, 128], [16, 256], [32, 512]])
    assert tapped == {"module": "backbone.layer2", "single": True, "levels": [[8, 128]]}


class Slow(nn.Module):
    """A backbone that counts on the CPU, and puts out one tensor of stride 16."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 7, 16, 16)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = self.conv(images)
        return maps if maps.sum().item() < 1e9 else -maps


@pytest.fixture
def slow():
    MODELS.register_module(name="SlowProbe", module=Slow)
    yield {"type": "Probe", "backbone": {"type": "SlowProbe"}}
    MODELS._module_dict.pop("SlowProbe")


def test_what_the_meta_device_can_not_run_is_run_on_the_cpu(slow):
    assert levels.look(slow, "teacher") == {"module": "backbone", "single": True, "levels": [[16, 7]]}


def test_one_tensor_is_recorded_whole(slow):
    model = nn.Module()
    model.backbone = MODELS.build(slow["backbone"])
    recorders = RecorderManager({"fpn": {"type": "mmrazor.PkdSingleOutput", "source": "backbone"}})
    recorders.initialize(model)
    with recorders:
        maps = model.backbone(torch.rand(2, 3, 32, 48))
    assert recorders.get_recorder("fpn").get_record_data(0, 0) is maps
    assert maps.shape == (2, 7, 2, 3)


def broken(config: str, **changes: dict) -> dict:
    model = section(config)
    for part, values in changes.items():
        model[part] |= values
    return model


@pytest.mark.parametrize(
    ("model", "message", "hint"),
    [
        (
            {"type": "ByteTrack", "detector": {}},
            "the student (ByteTrack) is no detector with a backbone, so it has no levels that could be compared.",
            "Choose a detector of mmdet's with a backbone",
        ),
        (
            broken(RTMDET, neck={"type": "FPNN"}),
            "the student (RTMDet): its neck (FPNN) can't be built to find its levels: nothing here registers FPNN.",
            "name its module in the recipe's `imports`",
        ),
        (
            broken(RTMDET, backbone={"type": "mmpretrain.ConvNeXt"}),
            "the student (RTMDet): its backbone (mmpretrain.ConvNeXt) can't be built to find its levels: nothing here "
            "registers mmpretrain.ConvNeXt.",
            "It would come from mmpretrain: install that",
        ),
        (
            broken(RTMDET, neck={"in_channels": [96, 192, 385]}),
            "the student (RTMDet): its backbone and neck can't be run to find its levels: RuntimeError: Given ",
            "correct the config",
        ),
        (
            broken(YOLOX, neck={"wide": 1}),
            "the student (YOLOX): its neck (YOLOXPAFPN) can't be built to find its levels: TypeError: ",
            "correct the config",
        ),
    ],
)
def test_what_has_no_levels_is_refused_with_the_cause(model, message, hint):
    with pytest.raises(PkdError) as error:
        levels.look(model, "student")
    assert error.value.message.startswith(message)
    assert hint in error.value.hint


@pytest.fixture
def _here(monkeypatch, tmp_path):
    """What would be asked of a process is answered in this one, without the seconds of importing."""
    monkeypatch.setenv("PKD_CACHE", str(tmp_path))
    monkeypatch.setattr(asking, "ask", lambda module, request, what: levels.find(json.loads(json.dumps(request))))


def recipe(teacher: str | None, student: str | None, **options):
    """The pair gfl101-gfl50 at scale tiny, with another teacher or student."""
    made, update = known(pair="gfl101-gfl50", **options), {}
    for part, config in (("teacher", teacher), ("student", student)):
        if config:
            update[part] = Detector(name="other", title="Other", kind="one-stage", config=config)
    return made.model_copy(update=update)


def batch(side: int = 128) -> dict:
    generator = torch.Generator().manual_seed(1)
    shapes = {key: (side, side) for key in ("img_shape", "ori_shape", "batch_input_shape", "pad_shape")}
    samples = [DetDataSample(metainfo={**shapes, "scale_factor": (1.0, 1.0)}) for _ in range(2)]
    for sample in samples:
        boxes = torch.tensor([[8.0, 8.0, 56.0, 60.0]])
        sample.gt_instances = InstanceData(bboxes=boxes, labels=torch.tensor([1]))
        sample.ignored_instances = InstanceData(bboxes=boxes[:0], labels=torch.tensor([], dtype=torch.long))
    images = [torch.randint(0, 256, (3, side, side), generator=generator, dtype=torch.uint8) for _ in range(2)]
    return {"inputs": images, "data_samples": samples}


# teacher, student (None: GFL), levels, (student, teacher) levels that are compared, channels of the adapters
STEPS = {
    "rtmdet learns": (None, RTMDET, None, [[0, 0], [1, 1], [2, 2]], (96, 64)),
    "yolox learns": (None, YOLOX, None, [[0, 0], [1, 1], [2, 2]], (96, 64)),
    "rtmdet teaches": (RTMDET, None, None, [[0, 0], [1, 1], [2, 2]], (64, 96)),
    "yolox teaches": (YOLOX, None, None, [[0, 0], [1, 1], [2, 2]], (64, 96)),
    "dyhead learns": (None, DYHEAD, None, [[level, level] for level in range(4)], (256, 64)),
    "yolov3 learns": (None, YOLOV3, None, [[0, 2], [1, 1], [2, 0]], (96, 64)),
}


@pytest.mark.usefixtures("_here")
@pytest.mark.parametrize("case", STEPS)
def test_a_distilled_step_with_levels_that_were_found(case):
    teacher, student, chosen, pairs, channels = STEPS[case]
    torch.manual_seed(0)
    MessageHub.get_current_instance().update_info("iter", 0)  # YOLOX resizes every tenth batch
    made = build.with_adapters(recipe(teacher, student, levels=chosen))
    assert made.adapters == dict.fromkeys((index for index, _ in pairs), channels)
    algorithm = MODELS.build(Config({"model": build.model(made)}).model)
    MMLogger.get_current_instance().setLevel("ERROR")
    algorithm.init_weights()
    algorithm.train()
    losses = algorithm(**algorithm.data_preprocessor(batch(), True), mode="loss")
    assert algorithm.facts()["levels_paired"] == pairs
    distilled = {name: loss for name, loss in losses.items() if name.startswith("distill.")}
    assert list(distilled) == [f"distill.loss_pkd_fpn{index}" for index, _ in pairs]
    assert all(0 < float(loss.detach()) < float("inf") for loss in distilled.values())
    sum(distilled.values()).backward(retain_graph=True)
    for part in (algorithm.student.backbone, algorithm.student.neck, algorithm.distiller.connectors):
        assert any(weight.grad is not None and weight.grad.abs().max() > 0 for weight in part.parameters())
    total, _ = algorithm.parse_losses(losses)
    assert torch.isfinite(total)
    total.backward()
    assert all(weight.grad is None for weight in algorithm.teacher.parameters())


# teacher, student, what is tapped, (student, teacher) levels that are compared
ENCODERS = {
    "an encoder teaches": (DINO, "gfl50", "teacher=encoder", [[0, 0], [1, 1], [2, 2], [3, 3]]),
    "an encoder learns": ("gfl50", DEFORMABLE, "student=encoder", [[0, 0], [1, 1], [2, 2], [3, 3]]),
    "a layer learns from an encoder": (DETR, DETR, "encoder.layers.1", [[0, 0]]),
}


@pytest.mark.usefixtures("_here")
@pytest.mark.parametrize("case", ENCODERS)
def test_a_distilled_step_with_the_levels_of_an_encoder(case):
    teacher, student, tap, pairs = ENCODERS[case]
    torch.manual_seed(0)
    made = build.with_adapters(known(teacher=teacher, student=student, tap=(tap,)))
    algorithm = MODELS.build(Config({"model": build.model(made)}).model)
    MMLogger.get_current_instance().setLevel("ERROR")
    algorithm.init_weights()
    algorithm.train()
    data = algorithm.data_preprocessor(batch(), True)
    for sample in data["data_samples"][:1]:
        sample.set_metainfo({"img_shape": (128, 96)})  # the rest is padding
    algorithm.distiller.measuring = True
    losses = algorithm(**data, mode="loss")
    assert algorithm.facts()["levels_paired"] == pairs
    for measured in algorithm.distiller.measured.values():
        assert measured.connected
        assert measured.detection_grad_norm > 0 or "learns" not in case
    distilled = sum(loss for name, loss in losses.items() if name.startswith("distill."))
    assert 0 < float(distilled.detach()) < float("inf")
    distilled.backward(retain_graph=True)
    if tap != "teacher=encoder":
        first = algorithm.student.encoder.layers[0]
        assert all(weight.grad.abs().max() > 0 for weight in first.ffn.parameters())
    total, _ = algorithm.parse_losses(losses)
    total.backward()
    assert all(weight.grad is None for weight in algorithm.teacher.parameters())


@pytest.mark.usefixtures("_here")
def test_what_a_teachers_encoder_says_is_what_it_says_in_the_whole_detector():
    torch.manual_seed(0)
    made = build.with_adapters(known(teacher=DEFORMABLE, student="gfl50", tap=("teacher=encoder",)))
    algorithm = MODELS.build(Config({"model": build.model(made)}).model)
    section = build.model(made)["teacher"]
    whole = MODELS.build(Config({"model": section}).model).eval()
    whole.init_weights()
    algorithm.teacher.load_state_dict(
        {name: value for name, value in whole.state_dict().items() if not name.startswith("bbox_head.")}
    )
    data = algorithm.data_preprocessor(batch(), True)
    data["data_samples"][0].set_metainfo({"img_shape": (128, 96)})
    rows = []
    whole.encoder.register_forward_hook(lambda _module, _inputs, outputs: rows.append(outputs))
    with torch.no_grad():
        whole.predict(data["teacher_inputs"], data["data_samples"])
    algorithm.record_teacher(data["teacher_inputs"], data["data_samples"])
    recorder = algorithm.distiller.teacher_recorders.get_recorder("fpn")
    maps = [recorder.get_record_data(0, level) for level in range(4)]
    assert [tuple(one.shape[2:]) for one in maps] == [(16, 16), (8, 8), (4, 4), (2, 2)]
    torch.testing.assert_close(maps[0][1, :, 3, 5], rows[0][1, 3 * 16 + 5], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(maps[2][0, :, 1, 2], rows[0][0, 256 + 64 + 1 * 4 + 2], rtol=1e-5, atol=1e-5)
    assert torch.equal(rows_of(maps), rows_of(folded(rows_of(maps), [one.shape[2:] for one in maps])))
    algorithm.record_teacher(data["teacher_inputs"])  # as if nothing were padded
    assert not torch.allclose(recorder.get_record_data(0, 0)[0], maps[0][0], atol=1e-3)
    with pytest.raises(ValueError, match="341 rows are not the positions of levels of"):
        folded(torch.zeros(1, 341, 4), [(16, 16), (8, 8)])


@pytest.mark.usefixtures("_here")
def test_an_encoder_stays_in_float32_whatever_the_precision_of_its_teacher():
    maps = []
    for precision in ("float32", "bfloat16"):
        options = {"teacher": DEFORMABLE, "student": "gfl50", "tap": ("teacher=encoder",)}
        made = build.with_adapters(known(**options, sets=(f"teacher_speed.precision={precision}",)))
        torch.manual_seed(0)  # here, since looking at levels draws weights as well
        algorithm = MODELS.build(Config({"model": build.model(made)}).model)
        nn.init.zeros_(algorithm.teacher.level_embed)  # mmdet leaves it as the memory was
        algorithm.record_teacher(torch.rand(2, 3, 128, 128))
        maps.append(algorithm.distiller.teacher_recorders.get_recorder("fpn").get_record_data(0, 0))
    assert maps[0].dtype == maps[1].dtype == torch.float32
    assert 0 < (maps[0] - maps[1]).abs().mean() < 0.1


@pytest.fixture
def _picture(tmp_path):
    """A picture of 128x96 pixels, picture.png."""
    pixels = torch.randint(0, 256, (96, 128, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    cv2.imwrite(str(tmp_path / "picture.png"), pixels.numpy())


@pytest.mark.usefixtures("_here", "_picture")
def test_pkd_verify_measures_what_is_tapped(tmp_path):
    def features(**options):
        made = known(**options)
        whole = made.model_copy(update={"data": made.data.model_copy(update={"image": 128})}).model_dump(mode="json")
        images = [str(tmp_path / "picture.png")]
        return verify.features({"recipe": whole, "teacher": None, "student": None, "images": images})

    backbones = features(pair="gfl101-gfl50", tap=("backbone",))
    assert [tuple(one.teacher.shape) for one in backbones] == [
        (1, 32, 24, 32), (1, 64, 12, 16), (1, 128, 6, 8), (1, 256, 3, 4)
    ]  # fmt: skip
    encoder = features(teacher="gfl50", student=DEFORMABLE, tap=("student=encoder",))
    assert [tuple(one.teacher.shape[2:]) for one in encoder] == [(12, 16), (6, 8), (3, 4), (2, 2)]
    for level in encoder[:3]:  # its last step is a layer norm; the last level is resized
        torch.testing.assert_close(level.student.var(1, unbiased=False), torch.ones(level.student[:, 0].shape).double(),
                                   rtol=1e-3, atol=1e-3)  # fmt: skip


def test_a_look_of_pkd_diagnose_sees_what_is_tapped():
    torch.manual_seed(0)
    model = MODELS.build(Config({"model": tiny_model(DEFORMABLE)}).model).eval()
    image = torch.randint(0, 256, (3, 90, 120), dtype=torch.uint8)
    rows = []
    model.encoder.layers[0].register_forward_hook(lambda _module, _inputs, outputs: rows.append(outputs))
    sample = DetDataSample(metainfo={"img_shape": (90, 120), "ori_shape": (90, 120), "scale_factor": (1.0, 1.0)})
    with torch.no_grad():
        model.test_step({"inputs": [image], "data_samples": [sample]})
    maps = look.levels_of(model, image, "encoder.layers.0")
    sizes = [tuple(one.shape[2:]) for one in look.levels_of(model, image, None)]
    assert [tuple(one.shape[2:]) for one in maps] == sizes
    torch.testing.assert_close(rows_of(maps), rows[0])


@pytest.mark.usefixtures("_here")
def test_levels_far_apart_by_index_are_paired_by_stride_unless_somebody_says_index():
    by_default = build.with_adapters(recipe(None, YOLOV3))
    assert by_default.loss.levels == "stride"
    assert build.notes(by_default) == [
        "levels of equal stride are compared: by index, the student's level 0 (stride 32) would meet the teacher's "
        "level 0 (stride 8). --levels index compares them by index."
    ]
    for said in ({"levels": "index"}, {"sets": ("loss.levels=index",)}):
        obeyed = build.with_adapters(recipe(None, YOLOV3, **said))
        assert obeyed.loss.levels == "index"
        assert build.notes(obeyed) == []
    again = type(by_default).model_validate(by_default.model_dump())  # as a run's recipe.yaml is read
    assert build.with_adapters(again) == by_default
    assert build.notes(again) == []


@pytest.mark.usefixtures("_here")
def test_no_equal_stride_leaves_index_and_says_so():
    centernet = "centernet/centernet_r18_8xb16-crop512-140e_coco.py"
    made = build.with_adapters(recipe("yolof/yolof_r50-c5_8xb8-1x_coco.py", centernet).model_copy(
        update={"scale": resolve(Request()).scale}
    ))  # fmt: skip
    assert made.loss.levels == "index"
    assert build.notes(made) == [
        "the student's level 0 (stride 4) would meet the teacher's level 0 (stride 32), and none is of equal stride; "
        "--levels 0:0,1:1 names the pairs yourself."
    ]


@pytest.mark.usefixtures("_here")
def test_a_level_that_does_not_exist_is_refused():
    with pytest.raises(PkdError) as error:
        build.with_adapters(recipe(RTMDET, None, levels="0:5"))
    assert error.value.message == "--levels: the teacher has no level 5; it has levels 0 to 2, of strides 8, 16, 32."
