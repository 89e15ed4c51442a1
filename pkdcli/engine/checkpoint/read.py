"""What a checkpoint holds, read without running its code and with its checksums verified."""

from __future__ import annotations

import pickletools
import re
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from pkdcli.compat import activate
from pkdcli.engine.checkpoint.formats import WANTED, foreign, is_safetensors, torch_wrote
from pkdcli.engine.checkpoint.names import without_wrappers
from pkdcli.errors import PkdError

# Where the weights are: mmengine and Lightning, Swin's authors, PyTorch's own tutorials; an average of the weights only
# where there is nothing else, since mmengine writes what it measured into `state_dict`.
_PLACES = ("state_dict", "model", "model_state_dict")
_AVERAGES = ("ema_state_dict", "state_dict_ema", "model_ema", "ema_state", "ema")


def load_state(path: str | Path) -> OrderedDict[str, torch.Tensor]:
    """The tensors of a checkpoint, on the CPU, by their names in the detector.

    Understands the files of mmengine, mmdet 3 and 2, mmrazor (only the student is taken), torchvision, Swin's authors
    and safetensors, and the names that DistributedDataParallel and torch.compile give.

    Raises:
        PkdError: The file is absent, damaged, not a checkpoint, or holds something that could run code.
    """
    return without_wrappers(load_whole(path))


def load_whole(path: str | Path) -> OrderedDict[str, torch.Tensor]:
    """The same by the names that the file has for them, with all that it may hold beside the detector.

    Raises:
        PkdError: As `load_state`.
    """
    path = Path(path)
    content, average = read_checkpoint(path), False
    for place in (*_PLACES, *_AVERAGES):
        if isinstance(content, Mapping) and isinstance(content.get(place), Mapping):
            content, average = content[place], place in _AVERAGES
            break
    if average and isinstance(content.get("module"), Mapping):  # beside how often it was taken
        content = content["module"]
    state = OrderedDict()
    if isinstance(content, Mapping):
        state.update((key, value) for key, value in content.items() if isinstance(value, torch.Tensor))
        state._metadata = getattr(content, "_metadata", None)  # versions of the layers, by which they rename old keys
    if average:
        for count in ("steps", "n_averaged", "num_updates"):  # how often it was taken
            state.pop(count, None)
    if not state:
        raise PkdError(f"{path} holds no tensors by name: it is not a checkpoint.", WANTED)
    return state


def read_checkpoint(path: str | Path, map_location: Any = "cpu") -> Any:
    """All that a checkpoint holds.

    Args:
        path: The checkpoint.
        map_location: Where its tensors go, as in `torch.load`.

    Raises:
        PkdError: The file is absent, damaged, not a checkpoint, or holds something that could run code.
    """
    path = Path(path)
    activate()  # extends torch's allow-list by the few types that mmengine's checkpoints hold
    try:
        with open(path, "rb") as file:
            start = file.read(16)
        if is_safetensors(path):
            return _safetensors(path, map_location)
    except FileNotFoundError as error:
        raise PkdError(f"there is no checkpoint {path}.", "Check the path.") from error
    except OSError as error:
        raise PkdError(f"can't read the checkpoint {path}: {error.strerror or error}.", "Check the path.") from error
    try:
        # torch.load does not look at the checksums inside the file, so a flipped bit would become a wrong weight.
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as file:
                if file.testzip() is not None:
                    raise _damaged(path)
        # Opened here: by its path, torch goes by the ending of its name.
        with warnings.catch_warnings(), open(path, "rb") as file:
            warnings.simplefilter("ignore")  # about pickle protocols that other programs write
            return torch.load(file, map_location=map_location, weights_only=True)
    except PkdError:
        raise
    except MemoryError:
        raise
    except Exception as error:  # a broken file can make the unpickler fail in any way
        raise _why(path, start, error) from error


def _why(path: Path, start: bytes, error: Exception) -> PkdError:
    """What is wrong with a file that torch can't read."""
    # Of other files torch names what merely looks like a name.
    refused = _refused_global(str(error)) if torch_wrote(start) else next(iter(_globals_of_a_bare_pickle(path)), None)
    if refused is not None:
        call = "torch.load(..., weights_only=False)" if torch_wrote(start) else "pickle.load"
        return PkdError(
            f"{path} was not loaded: it asks for {refused}, which a checkpoint of weights has no need of.",
            f"Loading it could run code of whoever made the file. If you trust its source, load it with {call}, "
            "save its tensors by name alone with torch.save, and give that file.",
        )
    if (known := foreign(path)) is not None:
        return PkdError(f"{path} is not a checkpoint: it is {known[0]}.", known[1])
    # As torch's files start (zip, or pickle of protocol 2), or nothing at all.
    if start == b"" or start.startswith((b"PK\x03\x04", b"\x80\x02")):
        return _damaged(path)
    return PkdError(f"{path} is not a checkpoint.", WANTED)


def _safetensors(path: Path, map_location: Any) -> dict[str, Any]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    device = map_location if isinstance(map_location, (str, torch.device)) else "cpu"
    try:
        return {"meta": {}, "state_dict": OrderedDict(load_file(path, str(device)))}
    except SafetensorError as error:
        raise _damaged(path) from error


def _damaged(path: Path) -> PkdError:
    return PkdError(
        f"the checkpoint {path} is damaged: part of it is missing or was changed after it was written.",
        "Delete it and download or copy it again.",
    )


def _refused_global(message: str) -> str | None:
    found = re.search(r"GLOBAL ([\w.]+)", message)
    return found and found.group(1)


def _globals_of_a_bare_pickle(path: Path) -> list[str]:
    """What a pickle would import, read without running it; torch names it only for files of its own format.

    Nothing of what is no whole pickle: letters of a text happen to be opcodes.
    """
    strings: list[str] = []
    found: list[str] = []
    with suppress(Exception), open(path, "rb") as file:  # any bytes may turn up here
        if file.read(2) == b"PK":  # a zip
            return []
        file.seek(0)
        for code, argument, _ in pickletools.genops(file):
            if code.name == "GLOBAL":
                found.append(str(argument).replace(" ", "."))
            elif code.name == "STACK_GLOBAL":
                found.append(".".join(strings[-2:]))
            elif isinstance(argument, str):
                strings.append(argument)
        return found
    return []
