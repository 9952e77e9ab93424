"""A second resizer, written from the contract alone: slow, without shortcuts, to compare with.

It shares no code with `image_cloud.resize`: everything is decoded at full size, turned, brought to
sRGB, and only then resampled, in floating point where there is alpha.
"""

from __future__ import annotations

import io
import warnings
from fractions import Fraction
from math import floor, log10
from pathlib import Path

from PIL import Image, ImageChops, ImageCms, ImageMath, ImageOps, ImageStat

from image_cloud.picture.variant import Recipe

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "JPEG2000", "ICO", "AVIF", "HEIF")
NOT_EXIF = ("xmp", "XML:com.adobe.xmp", "Raw profile type exif")
"""What PIL would turn a picture by as well."""
BEST_DB = 99.0


def reference(source: Path, recipe: Recipe) -> Image.Image:
    """Return the variant as RGBA pixels."""
    image = original(source)
    if recipe.trim is not None:
        image = without_border(image, recipe.trim)
    if recipe.mode == "crop":
        return on(recipe, filled(image, recipe))
    size = fitted(image.size, recipe)
    picture = resampled(image, size)
    if recipe.mode != "pad":
        return on(recipe, picture)
    box = (recipe.width, recipe.height)
    canvas = Image.new("RGBA", box, f"#{recipe.background}")
    corner = ((box[0] - size[0]) // 2, (box[1] - size[1]) // 2)
    canvas.alpha_composite(picture, corner)
    return canvas


def on(recipe: Recipe, picture: Image.Image) -> Image.Image:
    """Return the picture on the background where the format has no alpha."""
    if recipe.format not in ("jpeg", "bmp"):
        return picture
    canvas = Image.new("RGBA", picture.size, f"#{recipe.background}")
    canvas.alpha_composite(picture)
    return canvas


def without_border(image: Image.Image, tolerance: int) -> Image.Image:
    """Cut off what is like the upper left pixel; a picture of nothing else stays."""
    weighted = image.convert("RGBa") if image.mode == "RGBA" else image.convert("RGB")
    corner = weighted.getpixel((0, 0))
    differs = Image.new("L", image.size)
    for band, value in zip(weighted.split(), corner, strict=True):
        difference = ImageChops.difference(band, Image.new("L", image.size, value))
        differs = ImageChops.lighter(differs, difference)
    box = differs.point([0] * (tolerance + 1) + [255] * (255 - tolerance)).getbbox()
    return image.crop(box) if box else image


def filled(image: Image.Image, recipe: Recipe) -> Image.Image:
    """Scale the picture until it fills the box, and cut what is over."""
    size = recipe.width, recipe.height
    scale = max(Fraction(size[0], image.width), Fraction(size[1], image.height))
    kept = [Fraction(side) / scale for side in size]
    begin: list[Fraction] = []
    for side, length, share in zip(image.size, size, recipe.focus, strict=True):
        wanted = Fraction(floor(Fraction(share, 1000) * side * scale - Fraction(length, 2)))
        begin.append(min(max(wanted, Fraction(0)), side * scale - length) / scale)
    ends = [min(at + part, side) for at, part, side in zip(begin, kept, image.size, strict=True)]
    return resampled(image, size, tuple(float(edge) for edge in (*begin, *ends)))


def original(source: Path) -> Image.Image:
    """Return the upright original in sRGB, as RGB or, with alpha, RGBA."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = Image.open(
            source,
            formats=[name for name in FORMATS if name in Image.registered_extensions().values()],
        )
        rawmode = str(image.tile[0][3]) if getattr(image, "tile", None) else ""
        if getattr(image, "default_image", False):  # shown only where animations are unknown
            image.seek(1)
        image.load()
        if (
            image.format == "BMP"
            and image.mode == "RGBA"
            and not any(image.getchannel("A").getdata())
        ):
            return image.convert("RGB")
        icc = image.info.get("icc_profile")
        return in_srgb(eight_bit(upright(image), rawmode), icc)


def upright(image: Image.Image) -> Image.Image:
    # AVIF's boxes turn it, which PIL puts into EXIF.
    for name in NOT_EXIF:
        image.info.pop(name, None)
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # a broken EXIF block turns nothing
        return image


def eight_bit(image: Image.Image, rawmode: str) -> Image.Image:
    """Return the picture with 8 bits a sample, palettes and keys expanded."""
    key = image.info.get("transparency")
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        values = list(image.convert("F").getdata())
        grey = Image.new("L", image.size)
        white = deep_white(image, values, rawmode)
        black = min(values) if min(values) < 0 else 0
        tags = getattr(image, "tag_v2", None) or {}
        turned = tags.get(262) == 0
        scaled = [
            min(255, floor((value - black) * 255 / (white - black) + 0.5)) for value in values
        ]
        grey.putdata([255 - value if turned else value for value in scaled])
        if key is None:
            return grey
        alpha = Image.new("L", image.size)
        alpha.putdata([0 if value == key else 255 for value in values])
        return Image.merge("LA", (grey, alpha))
    if image.mode == "RGB" and isinstance(key, tuple) and "16" in rawmode:
        image.info["transparency"] = tuple(value >> 8 for value in key)
    if image.mode == "LAB":
        return ImageCms.profileToProfile(  # type: ignore[return-value]
            image, ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    if image.mode in ("L", "RGB", "CMYK", "LA", "RGBA") and key is None:
        return image
    if image.mode in ("La", "RGBa"):
        return image.convert({"La": "LA", "RGBa": "RGBA"}[image.mode])
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def deep_white(image: Image.Image, values: list[float], rawmode: str) -> float:
    if image.mode.startswith("I;16"):
        return 4095 if "I;12" in rawmode else 65535
    top = max(values)
    if min(values) < 0:
        return top
    return next(
        (white for white in ([1] if image.mode == "F" else []) + [255, 65535] if top <= white), top
    )


def in_srgb(image: Image.Image, icc: bytes | None) -> Image.Image:
    """Apply the profile at full size; a broken one counts as none."""
    alpha = image.getchannel("A") if image.mode in ("LA", "RGBA") else None
    opaque = image.convert({"LA": "L", "RGBA": "RGB"}[image.mode]) if alpha else image
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc or b""))
        opaque = ImageCms.profileToProfile(  # type: ignore[assignment]
            opaque, profile, ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    except (ImageCms.PyCMSError, OSError):
        opaque = opaque.convert("RGB")
    if alpha:
        opaque.putalpha(alpha)
    return opaque


def fitted(size: tuple[int, int], recipe: Recipe) -> tuple[int, int]:
    if recipe.mode == "stretch":
        return recipe.width or size[0], recipe.height or size[1]
    scale = min(
        Fraction(recipe.width, size[0]) if recipe.width else Fraction(10**9),
        Fraction(recipe.height, size[1]) if recipe.height else Fraction(10**9),
    )
    if scale > 1 and not recipe.enlarge:
        scale = Fraction(1)
    return tuple(max(1, floor(side * scale + Fraction(1, 2))) for side in size)  # type: ignore[return-value]


def resampled(
    image: Image.Image, size: tuple[int, int], box: tuple[float, ...] | None = None
) -> Image.Image:
    if image.mode == "RGB":
        return image.resize(size, Image.Resampling.LANCZOS, box).convert("RGBA")
    alpha = image.getchannel("A").convert("F")
    small_alpha = alpha.resize(size, Image.Resampling.LANCZOS, box)
    bands = []
    for name in "RGB":
        band = image.getchannel(name).convert("F")
        weighted = ImageMath.lambda_eval(lambda part: part["c"] * part["a"] / 255, c=band, a=alpha)
        small = weighted.resize(size, Image.Resampling.LANCZOS, box)
        bands.append(
            ImageMath.lambda_eval(
                lambda part: part["c"] * 255 / part["max"](part["a"], 0.001) + 0.5,
                c=small,
                a=small_alpha,
            ).convert("L")
        )
    whole = ImageMath.lambda_eval(lambda part: part["a"] + 0.5, a=small_alpha).convert("L")
    return Image.merge("RGBA", (*bands, whole))


def psnr_db(one: Image.Image, other: Image.Image) -> float:
    """Compare two RGBA pictures as they look on white and on black; the worse counts."""
    return min(_psnr_on(ground, one, other) for ground in ("white", "black"))


def _psnr_on(ground: str, one: Image.Image, other: Image.Image) -> float:
    seen = []
    for image in (one, other):
        canvas = Image.new("RGBA", image.size, ground)
        canvas.alpha_composite(image)
        seen.append(canvas.convert("RGB"))
    squares = sum(ImageStat.Stat(ImageChops.difference(*seen)).sum2)
    mean = squares / (3 * one.width * one.height)
    return BEST_DB if not mean else min(BEST_DB, 10 * log10(255**2 / mean))
