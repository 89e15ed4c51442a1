"""What a file is by its first bytes, whatever its name says; a PNG called .jpg is loaded as the PNG it is."""

from __future__ import annotations

# At which byte something stands, what, and the name of the format. The more special before the more general.
_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"\x89PNG", "PNG"),
    (0, b"GIF8", "GIF"),
    (0, b"II*\x00", "TIFF"),
    (0, b"MM\x00*", "TIFF"),
    (0, b"II+\x00", "TIFF"),
    (0, b"MM\x00+", "TIFF"),
    (8, b"WEBP", "WebP"),
    (0, b"\x00\x00\x00\x0cjP  ", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    (4, b"ftypavi", "AVIF"),
    (4, b"ftyphe", "HEIC"),
    (4, b"ftypmif1", "HEIC"),
    (4, b"ftypmsf1", "HEIC"),
    (4, b"ftypcrx", "camera raw"),
    (4, b"ftyp", "video"),
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"\x00\x00\x00\x0cJXL ", "JPEG XL"),
    (0, b"\x76\x2f\x31\x01", "OpenEXR"),
    (0, b"#?RADIANCE", "Radiance HDR"),
    (0, b"#?RGBE", "Radiance HDR"),
    (0, b"\x59\xa6\x6a\x95", "Sun raster"),
    (0, b"8BPS", "Photoshop"),
    (0, b"\x00\x00\x01\x00", "icon"),
    (0, b"FUJIFILMCCD-RAW", "camera raw"),
    (0, b"%PDF", "PDF"),
    (128, b"DICM", "DICOM"),
    (0, b"\x93NUMPY", "NumPy"),
    (0, b"\x89HDF", "HDF5"),
    (0, b"PK\x03\x04", "ZIP"),
    (0, b"\x1f\x8b", "gzip"),
    (0, b"\x00\x05\x16\x07", "AppleDouble"),
    (0, b"version https://git-lfs", "Git LFS"),
    *((0, b"P%d%c" % (kind, space), "Netpbm") for kind in range(1, 8) for space in b"\n \r\t"),
    (0, b"Pf\n", "PFM"),
    (0, b"PF\n", "PFM"),
    (0, b"BM", "BMP"),
)
HEAD = 132
"""So many bytes tell the format."""

DECODED = frozenset(
    ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WebP", "JPEG 2000", "AVIF", "Netpbm", "PFM", "Radiance HDR", "Sun raster")
)
"""Formats that opencv decodes: of several pictures in a file the first."""

AGAIN = "then type the same command again: the run goes on where it stopped."
REPLACE = f"Put a whole copy of it there, or take it out of the annotation file; {AGAIN}"
CONVERT = f"Convert it to JPEG or PNG, and name that file in the annotations; {AGAIN}"
_DOWNLOAD = f"A download may have left that in its place. {REPLACE}"

# What is wrong with a file that holds no picture, and the remedy.
_NO_IMAGES = {
    "empty": ("is empty", REPLACE),
    "zeros": ("is no image: it begins with nothing but zero bytes, as after a copy that was interrupted", REPLACE),
    "web page": ("is no image but a web page (HTML)", _DOWNLOAD),
    "XML": ("is no image but XML", _DOWNLOAD),
    "JSON": ("is no image but JSON", _DOWNLOAD),
    "text": ("is no image but text", _DOWNLOAD),
    "SVG": ("is an SVG drawing, which has no pixels", CONVERT),
    "Git LFS": (
        "is a pointer of Git LFS, not the picture itself",
        f"Type `git lfs pull` in its folder; {AGAIN}",
    ),
    "AppleDouble": (
        "is no image but what macOS keeps beside one (AppleDouble)",
        f"The picture has the same name without the `._`: name that in the annotations; {AGAIN}",
    ),
}
_ARTICLES = {"HEIC": "a HEIC photo", "OpenEXR": "an OpenEXR image", "icon": "an icon", "HDF5": "an HDF5 file"}


def format_of(head: bytes) -> str | None:
    """The name of a file's format by its first `HEAD` bytes; None for one that is not known."""
    if not head:
        return "empty"
    for place, begin, name in _SIGNATURES:
        if head.startswith(begin, place):
            return "AVIF" if name == "HEIC" and b"avif" in head[8:64] else name
    return _text(head) if head.strip(b"\0") else "zeros"


def _text(head: bytes) -> str | None:
    words = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if words.startswith((b"<!doctype html", b"<html")):
        return "web page"
    if words.startswith(b"<svg") or (words.startswith(b"<?xml") and b"<svg" in words):
        return "SVG"
    if words.startswith(b"<"):
        return "XML"
    if words.startswith((b"{", b"[")):
        return "JSON"
    return "text" if all(byte in b"\n\r\t" or 32 <= byte < 127 for byte in words) else None


def why_unusable(name: str | None) -> tuple[str, str] | None:
    """What is wrong with a file of this format, and the remedy; None for a format that is decoded.

    Args:
        name: As `format_of` tells it.
    """
    if name in DECODED:
        return None
    if name is None:
        return "is no image of a known format", REPLACE
    if name in _NO_IMAGES:
        return _NO_IMAGES[name]
    return f"is {_ARTICLES.get(name, f'a {name} file')}, which opencv can't decode", CONVERT
