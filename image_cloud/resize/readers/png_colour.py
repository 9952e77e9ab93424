"""What a PNG says of its colours: profile, palette, transparent colour."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

from PIL import Image

KINDS = frozenset({b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"cICP"})
MOST_PROFILE_BYTES = 64 << 20
LONGEST_NAME = 79
PALETTE_ENTRIES = 256
GREY16_DEPTH = 16


def profile(sides: Mapping[bytes, bytes]) -> bytes:
    """Return the ICC profile of a PNG's side chunks; empty where its colours are sRGB."""
    return _embedded(sides.get(b"iCCP", b""))


def _embedded(body: bytes) -> bytes:
    """Return the profile that stands in an iCCP chunk; empty where it does not unpack."""
    name, _, packed = body.partition(b"\0")
    if len(name) > LONGEST_NAME or packed[:1] != b"\0":
        return b""
    unpacking = zlib.decompressobj()
    try:
        icc = unpacking.decompress(packed[1:], MOST_PROFILE_BYTES)
    except zlib.error:
        return b""
    return icc if unpacking.eof else b""


def with_palette(image: Image.Image, palette: bytes, alpha: bytes) -> Image.Image:
    """Return a picture of palette entries as RGB, or RGBA where some are not opaque.

    Entries that are not there are as the last one.
    """
    if len(palette) < 3:
        raise ValueError("no palette")
    colours = [palette[at : at + 3] for at in range(0, min(len(palette) // 3, 256) * 3, 3)]
    colours += colours[-1:] * (PALETTE_ENTRIES - len(colours))
    alphas = alpha[:PALETTE_ENTRIES].ljust(PALETTE_ENTRIES, b"\xff")
    entries = (colour + alphas[at : at + 1] for at, colour in enumerate(colours))
    image.putpalette(b"".join(entries), "RGBA")
    return image.convert("RGBA" if alphas.strip(b"\xff") else "RGB")


def with_key(image: Image.Image, key: tuple[int, ...], depth: int) -> Image.Image:
    """Note the transparent colour, told in the file's own depth, as PIL has it for this picture."""
    if len(key) == 3:
        image.info["transparency"] = key
        return image.convert("RGBA")
    most = (1 << depth) - 1
    image.info["transparency"] = key[0] if depth == GREY16_DEPTH else key[0] * 255 // most
    return image
