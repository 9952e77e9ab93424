"""Converts colours to modes that resample correctly, and to sRGB."""

from __future__ import annotations

import functools
import io

from PIL import Image, ImageChops, ImageCms, ImageMath

from image_cloud.resize.edge import DECODER_ERRORS
from image_cloud.resize.profiles import icc as profiles

PREMULTIPLIED = {"LA": "La", "RGBA": "RGBa"}
STRAIGHT = {"La": "LA", "RGBa": "RGBA"}
READY = frozenset({"L", "RGB", "La", "RGBa"})
"""Modes that can be resampled as they are."""
MOST_CACHED_BYTES = 1 << 20
"""Larger profiles are rare, and 32 of them would take too much memory."""
SAME_WITHIN = 2
"""Levels by which sRGB profiles of different makers differ."""
WHITE_IS_ZERO_TAG, BITS_TAG = 262, 258


def depth_of(image: Image.Image) -> int:
    """Return the bits of a sample of an opened, not yet loaded picture."""
    tags = getattr(image, "tag_v2", None)
    if tags is not None:
        bits = tags.get(BITS_TAG, 8)
        return int(bits[0] if isinstance(bits, tuple) else bits)
    tile = getattr(image, "tile", None)
    args = tile[0][3] if tile else ""
    rawmode = args if isinstance(args, str) else args[0] if args else ""
    return 16 if "16" in str(rawmode) else 8


def expanded(image: Image.Image, depth: int, icc: bytes) -> Image.Image:
    """Return a loaded picture in one of the modes `READY`; alpha premultiplied, if there is any.

    `depth` is the bits of a sample in the file.  CMYK is brought to sRGB here: ink multiplies, so
    that resampling before would change the colours; other profiles can wait for fewer pixels.
    """
    if image.mode in READY and not image.has_transparency_data:
        return image
    return without_idle_alpha(premultiplied(image, depth, icc))


def premultiplied(image: Image.Image, depth: int, icc: bytes) -> Image.Image:
    """Return what `expanded` does, but with an alpha that hides nothing as well: a part cannot tell."""
    if image.mode in READY and not image.has_transparency_data:
        return image
    if image.mode == "CMYK":
        return to_srgb(image, icc)
    image = plain(image, depth)
    return image.convert(PREMULTIPLIED[image.mode]) if image.mode in PREMULTIPLIED else image


def without_idle_alpha(image: Image.Image) -> Image.Image:
    """Return a premultiplied picture without its alpha where that hides nothing."""
    if image.mode not in STRAIGHT or image.getchannel("a").getextrema() != (255, 255):
        return image
    return straight(image).convert(_opaque_mode(STRAIGHT[image.mode]))


def still_to_apply(mode: str, icc: bytes) -> bytes:
    """Return the profile that `to_srgb` needs later, after a picture of `mode` was expanded."""
    return b"" if mode in ("CMYK", "LAB") else icc


def straight(image: Image.Image) -> Image.Image:
    """Undo the premultiplication of `expanded`."""
    return image.convert(STRAIGHT[image.mode]) if image.mode in STRAIGHT else image


def to_srgb(image: Image.Image, icc: bytes) -> Image.Image:
    """Return `image` (L, LA, RGB, RGBA, CMYK) in sRGB, by its ICC profile if that can be used."""
    mode = _opaque_mode(image.mode)
    transform = _transform(icc, mode) if icc else None
    if icc and mode == "L" and transform is None:  # grey with a profile of colours
        mode, transform = "RGB", _transform(icc, "RGB")
    if transform is None:
        return image.convert("RGB") if image.mode == "CMYK" else image
    result = _applied(transform, image.convert(mode))
    if image.mode in ("L", "LA"):
        result = result.convert("L")  # grey stays grey
    if image.mode in PREMULTIPLIED:
        result.putalpha(image.getchannel("A"))
    return result


def _applied(transform: ImageCms.ImageCmsTransform, image: Image.Image) -> Image.Image:
    result = Image.new("RGB", image.size)
    transform.apply(image, result)
    return result


def extremes(image: Image.Image) -> list[tuple[float, float]]:
    """Return the lowest and highest value of each band."""
    return [band.getextrema() for band in image.split()]  # type: ignore[misc]


def _opaque_mode(mode: str) -> str:
    return {"LA": "L", "RGBA": "RGB"}.get(mode, mode)


# --- modes ---------------------------------------------------------------------------------------


def plain(image: Image.Image, depth: int) -> Image.Image:
    """Return `image` as L, LA, RGB or RGBA."""
    if image.mode == "1":
        return _keyed(image.convert("L"), image.info.get("transparency"))
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _from_deep_grey(image, depth)
    if image.mode in ("P", "PA"):
        return image.convert("RGBA" if image.has_transparency_data else "RGB")
    if image.mode == "RGB" and isinstance(image.info.get("transparency"), tuple):
        return image.convert("RGBA")
    if image.mode == "L":
        return _keyed(image, image.info.get("transparency"))
    if image.mode == "LAB":
        return _from_lab(image)
    if image.mode in ("LA", "RGBA", "La", "RGBa"):
        return straight(image)
    return image if image.mode == "RGB" else image.convert("RGB")


def _keyed(grey: Image.Image, key: object) -> Image.Image:
    """Make the one grey that `key` names transparent."""
    if not isinstance(key, int):
        return grey
    alpha = grey.point([0 if value == key else 255 for value in range(256)])
    return Image.merge("LA", (grey, alpha))


def _from_deep_grey(image: Image.Image, depth: int) -> Image.Image:
    """Scale grey of more than 8 bits to 8; white stays white."""
    key = image.info.get("transparency")
    inverted = _is_inverted(image)
    if image.mode.startswith("I;16"):
        image = image.convert("I")
        low, high = 0.0, float((1 << depth) - 1 if 8 < depth < 16 else 65535)
    else:
        low, high = _range(image)
    factor = 255 / (high - low)
    grey = image.point(lambda value: value * factor + (0.5 - low * factor)).convert("L")
    if inverted:
        grey = grey.point([255 - value for value in range(256)])
    if not isinstance(key, int):
        return grey
    alpha = ImageMath.lambda_eval(lambda part: (part["value"] != key) * 255, value=image)
    return Image.merge("LA", (grey, alpha.convert("L")))


def _is_inverted(image: Image.Image) -> bool:
    """Tell whether 0 is white although PIL leaves it so: it does for TIFF of more than 8 bits."""
    tags = getattr(image, "tag_v2", None)
    return tags is not None and tags.get(WHITE_IS_ZERO_TAG) == 0


def _range(image: Image.Image) -> tuple[float, float]:
    """Return what is black and what white in a picture of whole or real numbers of any size."""
    low, high = extremes(image)[0]
    if low >= 0:
        whites = (1.0, 255.0, 65535.0) if image.mode == "F" else (255.0, 65535.0)
        if white := next((white for white in whites if high <= white), None):
            return 0.0, white
    if not high - low > 0 or high - low == float("inf"):
        raise ValueError("no range of values")
    return low, high


def _from_lab(image: Image.Image) -> Image.Image:
    lab = ImageCms.createProfile("LAB")
    return _applied(ImageCms.buildTransform(lab, _srgb(), "LAB", "RGB"), image)


# --- ICC profiles --------------------------------------------------------------------------------


@functools.lru_cache(maxsize=1)
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def _transform(icc: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Return the way from the profile `icc` to sRGB; None where it is broken or changes nothing."""
    return (_cached if len(icc) <= MOST_CACHED_BYTES else _built)(icc, mode)


def _built(icc: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    if not profiles.is_whole(icc):
        return None
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        transform = ImageCms.buildTransform(profile, _srgb(), mode, "RGB")
        return None if _changes_nothing(transform, mode) else transform
    except (ImageCms.PyCMSError, *DECODER_ERRORS):
        return None


@functools.lru_cache(maxsize=32)
def _cached(icc: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Look at the few profiles that most pictures carry once per process."""
    return _built(icc, mode)


def _changes_nothing(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Return whether a transform is the identity of sRGB, give or take rounding."""
    if mode == "CMYK":
        return False
    probe = _probe().convert(mode)
    difference = ImageChops.difference(probe.convert("RGB"), _applied(transform, probe))
    return all(high <= SAME_WITHIN for _, high in extremes(difference))


@functools.lru_cache(maxsize=1)
def _probe() -> Image.Image:
    """Return a picture of colours from all over the cube, greys among them."""
    steps = (*range(0, 255, 32), 255)
    colours = [(red, green, blue) for red in steps for green in steps for blue in steps]
    probe = Image.new("RGB", (len(colours), 1))
    probe.putdata(colours)
    return probe
