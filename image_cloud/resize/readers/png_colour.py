"""What a PNG says of its colours: profile, palette, transparent colour."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

from PIL import Image

from image_cloud.resize.profiles import cicp, gamma, icc

KINDS = frozenset({b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"cICP"})
CICP_BYTES, RGB_IN_FULL_RANGE = 4, b"\0\1"
INTENTS = range(4)
MOST_PROFILE_BYTES = 64 << 20
LONGEST_NAME = 79
PALETTE_ENTRIES = 256
GREY16_DEPTH = 16


def profile(sides: Mapping[bytes, bytes]) -> bytes:
    """Return the ICC profile of a PNG's side chunks; empty where its colours are sRGB.

    Of what tells of colours the first counts that makes sense: cICP, iCCP, sRGB, gAMA with cHRM.
    """
    numbers = sides.get(b"cICP", b"")
    if len(numbers) == CICP_BYTES and numbers[2:] == RGB_IN_FULL_RANGE:
        return cicp.profile(numbers[0], numbers[1], is_png=True)
    embedded = _embedded(sides.get(b"iCCP", b""))
    intent = sides.get(b"sRGB", b"")
    if embedded or (len(intent) == 1 and intent[0] in INTENTS):
        return embedded
    return gamma.profile(sides.get(b"gAMA", b""), sides.get(b"cHRM", b""))


def _embedded(body: bytes) -> bytes:
    """Return the profile that stands in an iCCP chunk; empty where it does not unpack."""
    name, _, packed = body.partition(b"\0")
    if len(name) > LONGEST_NAME or packed[:1] != b"\0":
        return b""
    unpacking = zlib.decompressobj()
    try:
        unpacked = unpacking.decompress(packed[1:], MOST_PROFILE_BYTES)
    except zlib.error:
        return b""
    return unpacked if unpacking.eof and icc.is_whole(unpacked) else b""


def with_palette(image: Image.Image, palette: bytes, alpha: bytes) -> Image.Image:
    """Return a picture of palette entries as RGB, or RGBA where some are not opaque.

    Entries that are not there are as the last one; more alphas than there can be say nothing.
    """
    if len(palette) < 3:
        raise ValueError("no palette")
    colours = [palette[at : at + 3] for at in range(0, min(len(palette) // 3, 256) * 3, 3)]
    colours += colours[-1:] * (PALETTE_ENTRIES - len(colours))
    alphas = (alpha if has_alpha(alpha) else b"").ljust(PALETTE_ENTRIES, b"\xff")
    entries = (colour + alphas[at : at + 1] for at, colour in enumerate(colours))
    image.putpalette(b"".join(entries), "RGBA")
    return image.convert("RGBA" if has_alpha(alpha) else "RGB")


def has_alpha(alpha: bytes) -> bool:
    """Say whether the alphas of palette entries hide anything; more than there can be say nothing."""
    return len(alpha) <= PALETTE_ENTRIES and bool(alpha.strip(b"\xff"))


def with_key(image: Image.Image, key: tuple[int, ...], depth: int) -> Image.Image:
    """Note the transparent colour, told in the file's own depth, as PIL has it for this picture."""
    if len(key) == 3:
        image.info["transparency"] = key
        return image.convert("RGBA")
    most = (1 << depth) - 1
    image.info["transparency"] = key[0] if depth == GREY16_DEPTH else key[0] * 255 // most
    return image
