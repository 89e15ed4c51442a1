"""What a file is, by its content: names and endings of files lie."""

from __future__ import annotations

import re
import shlex
import struct
import tarfile
import zipfile
from contextlib import suppress
from pathlib import Path

WANTED = "Give a checkpoint of mmengine, mmdet, mmrazor or torchvision: a .pth file with a state_dict, or safetensors."

_LEGACY = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"  # how torch.save began before 1.6
_ZIP = b"PK\x03\x04"
_UNPACK = "Unpack it, and give the checkpoint inside."
_GRAPH = "It holds a graph for inference: give the .pth file that it was exported from."

# How files of other kinds begin, what they are, and what to do.
_BEGINNINGS = (
    (b"\x93NUMPY", "a NumPy array (.npy)", "Give all tensors by name, as torch.save writes a state_dict."),
    (b"\x1f\x8b", "compressed by gzip", _UNPACK),
    (b"BZh", "compressed by bzip2", _UNPACK),
    (b"\xfd7zXZ\x00", "compressed by xz", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (b"Rar!", "a RAR archive", _UNPACK),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras writes them", "Give weights of PyTorch."),
    (b"GGUF", "a GGUF file of a language model", WANTED),
    (b"\xff\xd8\xff", "a JPEG image", WANTED),
    (b"\x89PNG", "a PNG image", WANTED),
    (b"%PDF", "a PDF document", WANTED),
)


def torch_wrote(start: bytes) -> bool:
    """Whether a file begins as one of torch.save's: a zip, or the pickles of its first form."""
    return start.startswith((_ZIP, _LEGACY))


def is_safetensors(path: Path) -> bool:
    """Whether a file begins as safetensors do: the length of a header in JSON, then the header."""
    with open(path, "rb") as file:
        start = file.read(9)
    return len(start) == 9 and start[8:] == b"{" and 2 <= struct.unpack("<Q", start[:8])[0] < 1 << 27


def foreign(path: Path) -> tuple[str, str] | None:
    """What a file is that holds no weights as torch saves them, and the remedy; None where that is not known.

    Args:
        path: A file that exists.
    """
    with open(path, "rb") as file:
        start = file.read(512)
    for beginning, what, remedy in _BEGINNINGS:
        if start.startswith(beginning):
            return what, remedy
    if start.startswith(_ZIP):
        return _zip(path)
    if start[4:8] == b"TFL3":
        return "a TensorFlow Lite model", _GRAPH
    # An ONNX model is a protobuf whose first field is its version, the second (or seventh) the producer or the graph.
    if re.match(rb"\x08[\x01-\x1f](\x12.(pytorch|onnx|tf2onnx|[\x20-\x7e]{3})|\x3a)", start, re.DOTALL):
        return "an ONNX model", _GRAPH
    if not start.startswith(b"\x80"):
        with suppress(tarfile.TarError, OSError, EOFError):
            return _tar(path)
    return _text(path, start)


def _zip(path: Path) -> tuple[str, str] | None:
    try:
        with zipfile.ZipFile(path) as file:
            names = file.namelist()
    except (zipfile.BadZipFile, OSError):
        return None  # damaged
    inner = {name.partition("/")[2] or name for name in names}
    file = shlex.quote(str(path))
    if "constants.pkl" in inner or any(name.startswith("code/") for name in inner):
        return "a TorchScript archive (torch.jit.save), code along with weights", (
            "If you trust its source, save its weights alone and give that file:\n"
            f"  python -c \"import torch, sys; m = torch.jit.load(sys.argv[1], map_location='cpu'); "
            f"torch.save({{'state_dict': m.state_dict()}}, 'weights.pth')\" {file}"
        )
    if inner & {"archive_format", "serialized_exported_program.json"} or "archive_format" in names:
        return "a program of torch.export", _GRAPH
    if names and all(name.endswith(".npy") for name in names):
        return "an archive of NumPy arrays (.npz)", (
            "Save them by name with torch.save, and give that file:\n"
            '  python -c "import numpy, torch, sys; a = numpy.load(sys.argv[1]); '
            f"torch.save({{'state_dict': {{k: torch.from_numpy(a[k]) for k in a}}}}, 'weights.pth')\" {file}"
        )
    if "data.pkl" in inner:
        return None  # torch's own
    weights = [name for name in names if name.endswith((".pth", ".pt", ".ckpt", ".safetensors", ".bin"))]
    first = ", ".join((weights or names)[:3]) or "nothing"
    return f"a zip archive with {first}", _UNPACK if names else WANTED


def _tar(path: Path) -> tuple[str, str]:
    with tarfile.open(path, "r:") as file:
        names = [member.name for member in file]
    if {"storages", "tensors", "pickle"} <= set(names):
        return "a checkpoint of a PyTorch before 0.1.10 (a tar archive), which has no safe way to be read", (
            "If you trust its source, save its weights anew and give that file:\n"
            "  python -c \"import torch, sys; torch.save(torch.load(sys.argv[1], map_location='cpu', "
            f"weights_only=False), 'weights.pth')\" {shlex.quote(str(path))}"
        )
    return f"a tar archive with {', '.join(names[:3]) or 'nothing'}", _UNPACK if names else WANTED


def _text(path: Path, start: bytes) -> tuple[str, str] | None:
    try:
        text = start.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if error.start < len(start) - 4:  # not merely a letter that was cut
            return None
        text = start[: error.start].decode("utf-8-sig")
    text = text.lstrip()
    if not text or any(not (letter.isprintable() or letter.isspace()) for letter in text):
        return None
    if text.startswith("version https://git-lfs"):
        return "a pointer of Git LFS that stands for the file", (
            f"Have Git bring the file itself: git -C {shlex.quote(str(path.parent))} lfs pull"
        )
    if re.match(r"<(!doctype html|html|\?xml|head|body)", text, re.IGNORECASE):
        return "a web page (HTML or XML), perhaps that of a login or an error", (
            "Download the file itself: the address gave a page in its place."
        )
    return f"a text file that begins with {text.splitlines()[0][:40]!r}", WANTED
