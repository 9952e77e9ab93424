"""Tell a picture's format from its first bytes; the origin's word for it is never asked."""

from __future__ import annotations

import dataclasses
import re

from image_cloud.picture.variant import EXTENSIONS

HEAD_BYTES = 512
"""As many bytes of a file's beginning as `sniff` and `describe` look at."""

MIMES = {
    "jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp", "gif": "image/gif",
    "bmp": "image/bmp", "tiff": "image/tiff", "avif": "image/avif", "heic": "image/heic",
    "jpeg2000": "image/jp2", "ico": "image/x-icon",
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Format:
    """A format of pictures: its name in the ini, its file extension, its Content-Type."""

    name: str
    extension: str
    mime: str

    @property
    def is_heif(self) -> bool:
        """Tell whether it is one of the formats that come in HEIF's container."""
        return self.name in ("avif", "heic")


FORMATS = {name: Format(name, EXTENSIONS[name], MIMES[name]) for name in EXTENSIONS}

SIGNATURES = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),  # BigTIFF
    (b"MM\0+", "tiff"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "jpeg2000"),
    (b"\xff\x4f\xff\x51", "jpeg2000"),  # a bare codestream
)
BRANDS = {
    b"avif": "avif", b"avis": "avif", b"avio": "avif", b"MA1A": "avif", b"MA1B": "avif",
    b"heic": "heic", b"heix": "heic", b"heim": "heic", b"heis": "heic", b"hevc": "heic",
    b"hevx": "heic", b"hevm": "heic", b"hevs": "heic", b"MiHE": "heic", b"MiHB": "heic",
}  # fmt: skip
"""What the brands of HEIF files say of how they are coded."""
HEIF_BRANDS = frozenset({b"mif1", b"mif2", b"msf1", b"miaf", b"1pic"})
BMP_HEADER_BYTES = frozenset({12, 16, 40, 52, 56, 64, 108, 124})

NO_PICTURES = (
    (
        rb"\s*(?><\?xml.*?\?>\s*)?(?>(?><!--.*?-->|<!doctype[^>]*>)\s*)*+<(\w+:)?svg",
        "an SVG drawing",
    ),
    (rb"\s*(?><\?xml.*?\?>\s*)?(?><!--.*?-->\s*)*+<!doctype\s+svg", "an SVG drawing"),
    (rb"\s*<(!doctype\s+)?(html|head|body|script|meta|title|!--)", "an HTML page"),
    (rb"\s*<\?xml", "an XML document"),
    (rb"\s*<", "an HTML page"),
    (rb"\s*[{\[]", "JSON"),
    (rb"%PDF-", "a PDF document"),
    (rb"%!PS|\xc5\xd0\xd3\xc6", "a PostScript file"),
    (rb"8BPS", "a Photoshop file"),
    (rb"gimp xcf", "a GIMP file"),
    (rb"\xff\x0a|\0\0\0\x0cJXL ", "a JPEG XL picture"),
    (rb"II\xbc\x01", "a JPEG XR picture"),
    (rb"P[1-7]\s", "a Netpbm picture"),
    (rb"qoif", "a QOI picture"),
    (rb"DDS ", "a DDS texture"),
    (rb"\x76\x2f\x31\x01", "an OpenEXR picture"),
    (rb"#\?RADIANCE|#\?RGBE", "a Radiance HDR picture"),
    (rb"BPG\xfb", "a BPG picture"),
    (rb"\x8aMNG|\x8bJNG", "an MNG animation"),
    (rb"\0\0\x02\0|RIFF....ACON", "a cursor"),
    (rb"icns", "a macOS icon"),
    (rb"\xd7\xcd\xc6\x9a|\x01\0\0\0.{36} EMF", "a Windows metafile"),
    (rb"....ftyp|\x1aE\xdf\xa3|RIFF....AVI |FLV\x01|\0\0\x01[\xb3\xba]", "a video"),
    (rb"RIFF....WAVE|ID3|OggS|fLaC", "sound"),
    (rb"wOF[F2]|OTTO|\0\x01\0\0\0", "a font"),
    (rb"PK\x03\x04", "a ZIP archive"),
    (rb"Rar!", "a RAR archive"),
    (rb"\x1f\x8b", "gzip-compressed data"),
    (rb"BZh|7z\xbc\xaf|\xfd7zXZ|\x28\xb5\x2f\xfd", "compressed data"),
    (rb"\xd0\xcf\x11\xe0", "an Office document"),
    (rb"\x7fELF|MZ", "a program"),
)
"""What files begin with, and what they are; upper and lower case count alike."""
BYTE_ORDER_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
BLANKS = b"\0\t\n\r "


def sniff(head: bytes) -> Format | None:
    """Return the format of the file that begins with `head`, None if it is no known picture."""
    name = _by_signature(head) or _by_structure(head)
    return FORMATS[name] if name else None


def describe(head: bytes) -> str:
    """Describe what a file is, picture or not, in a few words for an error's text."""
    if not head:
        return "an empty file"
    if found := sniff(head):
        return f"a {found.name} picture"
    start = head[:HEAD_BYTES]
    mark = next((mark for mark in BYTE_ORDER_MARKS if start.startswith(mark)), b"")
    start = start.removeprefix(mark)
    if found := sniff(start.lstrip(BLANKS)):
        return f"a {found.name} picture that begins with other bytes"
    for pattern, words in NO_PICTURES:
        if re.match(pattern, start, re.IGNORECASE | re.DOTALL):
            return words
    return "text" if mark or _is_text(start) else "data of an unknown kind"


def _by_signature(head: bytes) -> str:
    return next((name for start, name in SIGNATURES if head.startswith(start)), "")


def _by_structure(head: bytes) -> str:
    """Name formats whose first bytes alone would say too little."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in BMP_HEADER_BYTES:
        return "bmp"
    if head[4:8] == b"ftyp":
        return _by_brands(head)
    if (
        head[:4] == b"\0\0\1\0"
        and 0 < int.from_bytes(head[4:6], "little") < 256
        and len(head) >= 22
    ):
        return "ico"
    return ""


def _by_brands(head: bytes) -> str:
    """Name a HEIF file by its brands; the first that says how it is coded decides.

    Those that only say that it is HEIF make it `heic`; the decoder looks at what is in it.
    """
    end = min(int.from_bytes(head[:4], "big"), HEAD_BYTES)
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, end - 3, 4))]
    named = next((BRANDS[brand] for brand in brands if brand in BRANDS), "")
    return named or ("heic" if HEIF_BRANDS.intersection(brands) else "")


def _is_text(head: bytes) -> bool:
    return all(byte >= 0x20 or byte in b"\t\r\n\f" for byte in head)
