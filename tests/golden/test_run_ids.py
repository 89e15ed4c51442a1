"""Commands that between them touch every field of a recipe still name the runs that they named before."""

from __future__ import annotations

import importlib
import json
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

FILES = {
    "my_hooks.py": "FIRST = 1\n",
    "my_nets.py": "SECOND = 2\n",
    "net.py": '_base_ = ["mmdet::retinanet/retinanet_r18_fpn_1x_coco.py"]\n',
    "mine.yaml": "name: mine\ntitle: Mine\nkind: two-stage\nconfig: net.py\nimports: [my_nets]\nmask: true\n",
    "pair.yaml": "name: mine-mine\nteacher: mine.yaml\nstudent: mine.yaml\nschedule: 1x\ninit: inherit\n",
    "my_loss.yaml": (
        "name: my-loss\ntitle: Mine\nsummary: Mine.\ntype: mse\nimports: [my_hooks]\nweight: {default: 4}\n"
    ),
    "scale.yaml": "name: mine\ndata: shapes\nimage: [320, 320]\nbatch: 4\nstat_chunk: 1\npretrained: false\n",
    "own_scale.yaml": (
        "name: mine\ndata: shapes\nimage: [320, 320]\nbatch: 4\npretrained: false\n"
        "own: {epochs: 2, lr: {AdamW: 0.001}}\n"
    ),
    "w.pth": "weights",
    "mapped.yaml": (
        "name: own\ntrain: {images: ., annotations: train.json}\nval: {images: ., annotations: val.json}\n"
        "map: {cat: feline}\n"
    ),
}

# Each line is typed behind `pkd train --scale tiny --dry-run --json`; a later --scale stands in for that one.
COMMANDS = """\

--pair pair.yaml
--pair maskswin-retina50
--scale paper
--scale paper --set data.name=coco
--loss none
--loss none --amp --seed 3
--loss norm-kl --temperature 10 --weight 3
--loss cwd
--loss mgd
--loss l1 --levels stride
--set loss.name=my-own
--set loss.type=mse
--loss my_loss.yaml
--set loss.params={tau:2}
--set loss.stat_chunk=batch
--schedule 1x
--schedule 2x+ms
--epochs 5
--set schedule.name=longer
--set schedule.milestones=[1,2]
--set schedule.gamma=0.5
--set schedule.warmup=7
--set schedule.momentum=0.8
--set schedule.weight_decay=0.001
--set schedule.multi_scale=[100,160]
--seed 7
--batch-size 4
--accumulate 2
--amp
--deterministic
--max-iters 3
--pair gfl101-gfl50 --init inherit
--set pretrained=true
--set val_images=5
--set teacher_seed=2
--teacher-checkpoint w.pth
--set teacher_speed.fold=false
--set teacher_speed.precision=bfloat16
--set teacher_speed.channels_last=false
--set teacher_speed.compile=true
--set imports=[my_hooks]
--set config.log_level=ERROR
--set teacher.name=another
--set teacher.kind=two-stage
--set teacher.config=net.py
--set teacher.lr=0.5
--set teacher.set={bbox_head.stacked_convs:1}
--set teacher.mask=true
--set student.name=another
--set student.kind=two-stage
--set student.config=net.py
--set student.lr=0.5
--set student.set={bbox_head.stacked_convs:1}
--set student.mask=true
--set data.name=other
--set data.image=64
--set data.exif=stored
--set data.pixel_range=[0,1000]
--set data.background=true
--set scale.name=small
--set scale.image=[128,128]
--set scale.upscale=true
--set scale.val_batch=2
--set scale.epoch_factor=0.5
--set scale.warmup_share=0.5
--set scale.lr_factor=2
--set scale.channels_last=false
--set scale.clip_grad=null
--scale scale.yaml
--set scale.teacher.epochs=2
--set scale.teacher.batch=4
--set scale.teacher.lr.SGD=0.1
--set scale.rules=[]
--data own.yaml
--pair rtmdet-l-rtmdet-tiny
--pair rtmdet-l-rtmdet-tiny --scale own_scale.yaml
--tap backbone
--distill-until 0.5
--teacher gfl101 --student retinanet_r50_fpn_1x_coco
--teacher gfl50
--data mapped.yaml
"""

# Where files lie, texts for people, how often one looks, and what follows from the rest of a recipe.
IN_NO_NAME = {
    *("version", "val_interval", "workers", "checkpoint_minutes", "checkpoint_iters", "adapters", "trackers"),
    "keep_predictions",
    *(f"data.{split}.{key}" for split in ("train", "val", "test") for key in ("images", "annotations", "joined")),
    *(f"data.{key}" for key in ("root", "train_images", "get", "notes", "accept", "warnings")),
    *(f"scale.{key}" for key in ("val_interval", "workers", "batch", "batch_per_process", "data", "lr", "notes")),
    "scale.families",  # those that matter stand in the detectors' rules
    *("teacher.title", "teacher.notes", "student.title", "student.notes", "schedule.notes"),
}


def leaves(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """The key path of every field of a recipe that is no section."""
    for name, field in model.model_fields.items():
        kinds = (field.annotation, *typing.get_args(field.annotation))
        sections = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
        if sections and typing.get_origin(field.annotation) is not list:
            yield from leaves(sections[0], f"{prefix}{name}.")
        else:
            yield prefix + name


def at(recipe: dict[str, Any], path: str) -> list[str]:
    """The value at a key path as JSON, in a list that is empty where its section is null."""
    value: Any = recipe
    for key in path.split("."):
        if value is None or (key == "joined" and key not in value):  # which stands only where files are joined
            return []
        value = value[key]
    return [json.dumps(value, sort_keys=True)]


@pytest.fixture
def planned(type_, own) -> dict[str, list[dict]]:
    """The runs that each command would make, a teacher's own before its student's."""
    here = Path.cwd()
    for name, text in FILES.items():
        (here / name).write_text(text)
    importlib.invalidate_caches()  # this process may have looked for these modules in the folder already
    found = {}
    for words in COMMANDS.splitlines():
        code, out, err = type_("train", "--scale", "tiny", "--dry-run", "--json", *words.split())
        assert code == 0, (words, err)
        found[words] = [json.loads(line) for line in out.splitlines()]
    return found


def test_the_runs_of_these_commands_have_the_names_they_had(planned, golden):
    """A change here orphans every run that users have: it needs a reason."""
    from pkdcli.recipe.schema import Recipe

    lines = [f"pkd train --scale tiny {words}".rstrip() for words in planned]
    ids = ["".join(f"  {run['run']}\n" for run in runs) for runs in planned.values()]
    golden("run_ids.txt", "".join(f"{line}\n{names}" for line, names in zip(lines, ids, strict=True)))
    recipes = [run["recipe"] for runs in planned.values() for run in runs]
    values = {path: {value for one in recipes for value in at(one, path)} for path in leaves(Recipe)}
    assert values.keys() >= IN_NO_NAME
    assert [path for path, seen in values.items() if len(seen) < 2 and path not in IN_NO_NAME] == []
