"""`pkd export` of a finished run: what is written is the detector, with pkd, and without it."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from pkdcli.api.export import export as module
from pkdcli.errors import ExitCode, PkdError

GUIDE = (Path(__file__).parents[2] / "docs" / "deploy.md").read_text()


def commands(program: str) -> list[list[str]]:
    """The words of the guide's commands that begin with some words."""
    lines = [line for block in re.findall(r"```bash\n(.*?)```", GUIDE, re.DOTALL) for line in block.splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith(program)]


@pytest.fixture(scope="module")
def exported(lab, tmp_path_factory):
    """Everything that can be written of the run with pkd, by docs/deploy.md's command: its answer, and the folder."""
    here = tmp_path_factory.mktemp("export")
    (words,) = commands("pkd export")
    assert words[words.index("-o") + 1] == "student/"
    words[words.index("-o") + 1] = str(here / "student")
    answer = lab.pkd(*words, "--json")
    assert answer.code == 0, answer.err
    return json.loads(answer.out), here / "student"


def test_the_guides_other_commands_do_what_it_says(exported, lab):
    """In the folder that the guide is in, with pictures; its scripts run where pkdcli can't be imported."""
    _, out = exported
    here = out.parent
    pictures = sorted((lab.data.parent / "images" / "val").iterdir())
    (here / "photos").mkdir()
    for name, picture in zip(("street", "square"), pictures, strict=False):
        cv2.imwrite(str(here / "photos" / f"{name}.jpg"), cv2.imread(str(picture)))
    (words,) = commands("pkd predict")
    answer = lab.pkd(*words, cwd=here)
    assert answer.code == 0, answer.err
    written = {path.name for path in (here / "found").iterdir()}
    assert written == {"pictures", "page", "page.html", "predictions.csv", "summary.json", "predictions-student.json",
                       "predictions-teacher.json"}  # fmt: skip

    for script in re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL):
        (here / re.match(r"# (\S+)\n", script)[1]).write_text(script)
    stand_in = Path(__file__).parents[1] / "stock_mmdet.py"
    said = {}
    for words in commands("python "):
        command = [sys.executable, *([stand_in, "--script"] if words[0] == "stock.py" else []), *words]
        env = {**os.environ, "HOME": str(here), "MPLCONFIGDIR": str(here), "PYTHONPATH": ""}
        env["PYTHONDONTWRITEBYTECODE"] = "1"  # the folder of the files is held to its list
        done = subprocess.run(command, cwd=here, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (words, done.stderr[-2000:])
        said[" ".join(words)] = done.stdout
    assert len(said) == 4
    assert [line.split()[0] for line in said["batch.py photos/street.jpg photos/square.jpg"].splitlines()] == [
        "photos/street.jpg", "photos/square.jpg"
    ]  # fmt: skip
    measured = json.loads((lab.run("gfl101-fcos50__pkd") / "result.json").read_text())["metrics"]["mAP"]
    found = float(re.search(r"'coco/bbox_mAP': (?:np\.float64\()?([-0-9.e]+)", said["stock.py"])[1])
    assert 100 * found == pytest.approx(measured, abs=0.1)


def test_everything_is_written_and_nothing_besides(exported):
    record, out = exported
    names = ["student.pth", "student.py", "student.safetensors", "student.torchscript.pt", "student.onnx"]
    names += ["student.int8.onnx", "predict.py"]
    assert record["files"] == [str(out / name) for name in names]
    beside = ["student.onnx.json", "student.int8.json", "student.torchscript.json"]
    assert sorted(path.name for path in out.iterdir()) == sorted([*names, *beside])


def test_the_graphs_are_the_detector(exported, lab):
    record, out = exported
    for name, beside in (("student.onnx", "student.onnx.json"), ("student.torchscript.pt", "student.torchscript.json")):
        about = json.loads((out / beside).read_text())
        assert about == record["about"][name]
        apart = about["difference"]
        assert apart["images"] == 8
        assert apart["detections"] > 0
        assert (apart["scores"] <= 1e-3, apart["pixels"] <= 1e-3, apart["without"]) == (True, True, 0)
    about = record["about"]["student.onnx"]
    assert (about["opset"], about["batch"], about["size"]) == (18, "any", "any")
    assert about["preprocess"]["resize"] == {"size": [96, 96], "keep_ratio": True, "interpolation": "bilinear"}
    measured = json.loads((lab.run("gfl101-fcos50__pkd") / "result.json").read_text())["metrics"]["mAP"]
    assert about["mAP"]["onnx"] == pytest.approx(measured, abs=0.1)
    assert about["mAP"]["pytorch"] == pytest.approx(measured, abs=0.1)
    assert 0 <= record["about"]["student.int8.onnx"]["mAP"]["int8"] <= 100
    assert (out / "student.int8.onnx").stat().st_size < 0.6 * (out / "student.onnx").stat().st_size


def test_the_batch_is_any_and_what_is_beside_an_image_does_not_matter(exported):
    import onnxruntime

    session = onnxruntime.InferenceSession(str(exported[1] / "student.onnx"), providers=["CPUExecutionProvider"])
    generator = np.random.default_rng(0)
    image = generator.uniform(0, 255, (1, 3, 96, 64)).astype(np.float32)
    sizes = np.array([[96, 64]], np.int64)
    alone = session.run(None, {"images": image, "sizes": sizes})
    beside = np.full((3, 3, 96, 64), 99, np.float32)
    beside[1] = image[0]
    several = session.run(None, {"images": beside, "sizes": np.array([[50, 64], [96, 64], [96, 30]], np.int64)})
    for one, other in zip(alone, several, strict=True):
        assert len(other) == 3
        assert np.allclose(one[0], other[1], atol=1e-3)


def test_predict_py_needs_neither_pkdcli_nor_torch(exported, lab, tmp_path):
    """The script beside finds what `pkd predict` finds; importing the stack would raise."""
    _, out = exported
    picture = sorted((lab.data.parent / "images" / "val").iterdir())[0]
    refuse = (
        "import sys, runpy\n"
        "for name in ('pkdcli', 'torch', 'mmdet', 'mmcv', 'mmengine', 'onnx'): sys.modules[name] = None\n"
        f"sys.argv = ['predict.py', {str(picture)!r}, '--score', '0']\n"
        f"runpy.run_path({str(out / 'predict.py')!r}, run_name='__main__')\n"
    )
    env = {**os.environ, "PYTHONPATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", refuse], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    script = [json.loads(line) for line in done.stdout.splitlines()]
    run = lab.run("gfl101-fcos50__pkd")
    answer = lab.pkd("predict", run, picture, "--score", "0", "--no-pictures", "-o", tmp_path / "found", "-q")
    assert answer.code == 0, answer.err
    found = json.loads((tmp_path / "found" / "predictions.json").read_text())
    names = {one["id"]: one["name"] for one in found["categories"]}
    assert len(script) == len(found["annotations"]) > 0
    mine = sorted((names[one["category_id"]], one["score"]) for one in found["annotations"])
    theirs = sorted((one["class"], one["score"]) for one in script)
    assert [name for name, _ in mine] == [name for name, _ in theirs]
    assert [score for _, score in theirs] == pytest.approx([score for _, score in mine], abs=1e-3)
    assert len((out / "predict.py").read_text().splitlines()) <= 60


def test_safetensors_are_the_weights(exported, lab):
    import torch
    from safetensors import safe_open

    weights = torch.load(lab.run("gfl101-fcos50__pkd") / "student.pth")["state_dict"]
    with safe_open(exported[1] / "student.safetensors", "pt") as file:
        assert json.loads(file.metadata()["classes"])[:2] == ["circle", "square"]
        assert set(file.keys()) == set(weights)
        assert all(torch.equal(file.get_tensor(key), value) for key, value in weights.items())


def test_the_folder_is_all_that_stock_mmdet_takes(exported, lab, tmp_path):
    """Where importing pkdcli raises, init_detector loads strictly and Runner.test() gives the run's numbers."""
    _, out = exported
    picture = next((lab.data.parent / "images" / "val").iterdir())
    alone = tmp_path / "alone"
    alone.mkdir()
    for name in ("student.py", "student.pth"):
        shutil.copy(out / name, alone / name)
    script = Path(__file__).parents[1] / "stock_mmdet.py"
    env = {**os.environ, "HOME": str(tmp_path), "MPLCONFIGDIR": str(tmp_path)}
    command = [sys.executable, str(script), str(alone), str(picture)]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    answer = json.loads((tmp_path / "answer.json").read_text())
    assert (answer["strict"], answer["pkdcli"]) == (True, [])
    measured = json.loads((lab.run("gfl101-fcos50__pkd") / "result.json").read_text())["metrics"]["mAP"]
    assert 100 * answer["metrics"]["coco/bbox_mAP"] == pytest.approx(measured, abs=0.1)


def test_a_folder_that_is_there_is_not_written_over(exported, lab):
    _, out = exported
    answer = lab.pkd("export", lab.run("gfl101-fcos50__pkd"), "-o", out)
    assert answer.code == 2
    assert answer.err == f"error: {out} is there already.\nGive another with -o DIR, or write into it with --force.\n"


def test_without_onnxruntime_the_line_to_type_is_told(monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None if name == "onnxruntime" else True)
    with pytest.raises(PkdError) as caught:
        module.export(target="any", formats="onnx")
    assert caught.value.message == "--format onnx needs onnxruntime, which is not installed."
    assert caught.value.hint == "Type: pip install 'pkdcli[export]'"
    assert caught.value.code == ExitCode.MISSING


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"int8": True}, "--int8 is a form of ONNX."),
        ({"int8": True, "raw": True, "formats": "onnx"}, "--int8 is for graphs with boxes; --raw has none."),
        ({"raw": True}, "--raw is for graphs, and none is asked for."),
        ({"raw": True, "formats": "safetensors"}, "--raw is for graphs, and none is asked for."),
        ({"formats": "onyx"}, "unknown formats 'onyx'."),
    ],
)
def test_wrong_words(words, message):
    with pytest.raises(PkdError) as caught:
        module.export(target="any", **words)
    assert caught.value.message == message
