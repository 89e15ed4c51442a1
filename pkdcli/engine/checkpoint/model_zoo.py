"""Weights by the names that mmdet's configs have for them: torchvision://, open-mmlab://, mmcls://, mmdet::, https."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pkdcli.engine.checkpoint import download
from pkdcli.engine.checkpoint.transfer import Progress
from pkdcli.errors import PkdError, nearest


def resolve_weights(name: str, cache: Path, *, progress: Progress | None = None) -> Path:
    """The local file of weights named as in mmdet's configs.

    Args:
        name: `torchvision://resnet50`, `open-mmlab://detectron2/resnet50_caffe`, `mmcls://resnet50`,
            `mmdet::gfl/gfl_r101_fpn_ms-2x_coco.py` (the zoo's weights of that config), an https address, or a path.
        cache: See `download.fetch`.
        progress: See `Progress`.

    Raises:
        PkdError: See `download.fetch`; or the zoo has no weights of that name (exit code 2).
    """
    return download.fetch(_address(name), cache, progress=progress)


def _address(name: str) -> str:
    if name.startswith("mmdet::"):
        return _address_in_metafile(name)
    scheme, _, model = name.partition("://")
    if scheme in ("torchvision", "modelzoo"):
        from mmengine.runner.checkpoint import get_torchvision_models

        return _entry("torchvision", model, get_torchvision_models())
    if scheme in ("open-mmlab", "openmmlab"):
        # mmengine's own function would create its cache folder in the user's home.
        return _entry("open-mmlab", _hub("deprecated").get(model, model), _hub("openmmlab"))
    if scheme == "mmcls":
        return _entry("mmcls", model, _hub("mmcls"))
    return name


def _hub(table: str) -> dict[str, str]:
    import mmengine

    return json.loads((Path(mmengine.__file__).parent / "hub" / f"{table}.json").read_text(encoding="utf-8"))


def _entry(zoo: str, model: str, table: Mapping[str, str]) -> str:
    if model not in table:
        guess = nearest(model, table)
        raise PkdError(
            f"{zoo}:// has no weights called {model!r}.",
            (f"Did you mean {zoo}://{guess}? " if guess else "")
            + f"It has {len(table)} models; see their documentation.",
        )
    return table[model]


def _address_in_metafile(name: str) -> str:
    from mmengine.hub import get_config

    try:
        return get_config(name, pretrained=True).model_path
    except (AssertionError, AttributeError, FileNotFoundError, KeyError, ValueError) as error:
        raise PkdError(
            f"mmdet's model zoo has no weights for {name}.", "Name a config of mmdet whose metafile lists weights."
        ) from error


def install_into_mmengine(cache: Path) -> None:
    """Send every checkpoint that mmengine would download through `download.fetch`, in this process.

    So `init_cfg=dict(type="Pretrained", checkpoint="torchvision://resnet50")` inside any mmdet model is hash-checked,
    kept under `cache`, and read without running code.

    Args:
        cache: See `download.fetch`.
    """
    from mmengine.runner.checkpoint import CheckpointLoader

    from pkdcli.engine.checkpoint import read_checkpoint

    def load_from_pkd_cache(filename: str, map_location: Any = None) -> Any:
        return read_checkpoint(resolve_weights(filename, cache), map_location or "cpu")

    def load_local(filename: str, map_location: Any = None) -> Any:
        return read_checkpoint(filename, map_location or "cpu")

    def load_from_pkd_cache_mmcls(filename: str, map_location: Any = None) -> Any:
        # These are classifiers: the detector wants their backbone alone.
        content = load_from_pkd_cache(filename, map_location)
        state = content.get("state_dict", content)
        prefix = "backbone."
        return {"state_dict": {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}}

    schemes = ("torchvision://", "modelzoo://", "open-mmlab://", "openmmlab://", "http://", "https://")
    CheckpointLoader.register_scheme(schemes, load_from_pkd_cache, force=True)
    CheckpointLoader.register_scheme("", load_local, force=True)
    CheckpointLoader.register_scheme("mmcls://", load_from_pkd_cache_mmcls, force=True)
