"""How a picture is to be resized: parameters of /get_image, and the recipe that they make."""

from __future__ import annotations

from image_cloud.config.sections import Resize
from image_cloud.errors import BadParameter
from image_cloud.picture.variant import (
    ALIASES,
    GRAVITIES,
    MODES,
    MOST_TOLERANCE,
    NEED_BOTH_SIDES,
    WHITE,
    Focus,
    Recipe,
)
from image_cloud.request.accept import AUTO, format_for
from image_cloud.request.parameter import Flag, Parameters, Pattern, Side, Whole, Word
from image_cloud.request.query import Query

SHARE = r"(0(\.[0-9]{1,3})?|1(\.0{1,3})?)"


class RecipeParameters(Parameters):
    """The parameters that say how a picture is resized; `formats` are those that can be written."""

    def __init__(self, settings: Resize, formats: tuple[str, ...]) -> None:
        before = self.names()
        self._auto_formats = settings.auto_formats
        self.resize_width = Side(
            name="resize_width",
            most=settings.max_side,
            meaning="width of the target box in pixels; without both sides, the original",
        )
        self.resize_height = Side(
            name="resize_height",
            most=settings.max_side,
            meaning="height of the target box in pixels",
        )
        self.keep_aspect_ratio = Flag(
            name="keep_aspect_ratio",
            default=True,
            meaning="false: stretched to exactly the box; a side not given keeps the original's",
        )
        self.force_to_size = Flag(
            name="force_to_size",
            meaning="fitted, then centred on the background, exactly the box; needs both sides",
        )
        self.resize_mode = Word(
            name="resize_mode",
            choices=MODES,
            meaning="the same in one word, and `crop`: fill the box, then cut what is over; `pad` and"
            " `crop` need both sides ([all four](pictures.md#modes))",
        )
        self.gravity = Word(
            name="gravity",
            choices=tuple(GRAVITIES),
            default="center",
            meaning="what `crop` keeps",
        )
        self.focus = Pattern(
            name="focus",
            pattern=rf"{SHARE},{SHARE}",
            form="two shares from 0 to 1 with at most three decimals, as 0.5,0.25",
            takes_empty=False,
            meaning="`x,y` in place of `gravity`: the point that `crop` keeps in the middle as far as the"
            " picture goes, in shares of its width and height from the upper left",
        )
        self.trim = Flag(
            name="trim",
            meaning="cut a uniform border first; without sides, nothing else is done"
            " ([what a border is](pictures.md#trim))",
        )
        self.trim_tolerance = Whole(
            name="trim_tolerance",
            low=0,
            high=MOST_TOLERANCE,
            default=10,
            meaning="how much a border may differ from the corner's colour, in levels of each channel",
        )
        self.background = Pattern(
            name="background",
            pattern="[0-9A-Fa-f]{6}",
            form="a colour as RRGGBB in hex digits",
            default=WHITE,
            takes_empty=False,
            meaning="RRGGBB: colour of the canvas, and under transparency where the format has none",
        )
        self.enlarge = Flag(name="enlarge", meaning="allow fitting to scale up")
        self.format_when_resize = Word(
            name="format_when_resize",
            choices=(*formats, AUTO),
            default=settings.format_when_resize,
            aliases=ALIASES,
            meaning="format of a resized picture; `auto`: by the request's `Accept` ([how](#auto))",
        )
        self.quality = Whole(
            name="quality",
            low=1,
            high=100,
            default=settings.quality,
            meaning="for JPEG, WebP and AVIF ([what AVIF makes of it](pictures.md#avif-and-heic))",
        )
        self._own_names = frozenset(self.names() - before)

    def recipe(self, query: Query) -> Recipe | None:
        """Return what is asked for, None for the original.  Raises BadParameter."""
        if not query.has_any(self._own_names):  # as in most requests
            return None
        width, height = self.resize_width.of(query), self.resize_height.of(query)
        format = self.format_when_resize.of(query)
        is_auto = format == AUTO
        recipe = Recipe(
            width,
            height,
            self._mode(query, has_both=bool(width and height)),
            self.enlarge.of(query),
            format_for(query.accept, self._auto_formats) if is_auto else format,
            self.quality.of(query),
            self._focus(query),
            self._trim(query),
            self.background.of(query).lower(),
            is_auto,
        )
        return recipe.canonical() if recipe.is_possible else None

    def is_auto(self, query: Query) -> bool:
        """Say whether Accept decides on the answer, as far as the query can be read."""
        if not query.has_any(self._own_names):
            return False
        try:
            is_auto = self.format_when_resize.of(query) == AUTO
        except BadParameter:
            return False
        try:
            return is_auto and self.recipe(query) is not None
        except BadParameter:  # of another parameter
            return True

    def _mode(self, query: Query, *, has_both: bool) -> str:
        """Return the mode, as one word or by the two older parameters, which must not contradict it."""
        keep_ratio, force = self.keep_aspect_ratio.of(query), self.force_to_size.of(query)
        mode = self.resize_mode.of(query)
        if force and not has_both:
            raise BadParameter("force_to_size: needs both resize_width and resize_height")
        if not mode:
            return "stretch" if not keep_ratio else "pad" if force else "fit"
        if mode in NEED_BOTH_SIDES and not has_both:
            raise BadParameter(f"resize_mode: {mode} needs both resize_width and resize_height")
        if self.keep_aspect_ratio.is_given(query) and keep_ratio == (mode == "stretch"):
            raise BadParameter(
                f"keep_aspect_ratio: {str(keep_ratio).lower()} contradicts resize_mode={mode}"
            )
        if force and mode != "pad":
            raise BadParameter(f"force_to_size: true contradicts resize_mode={mode}")
        return mode

    def _focus(self, query: Query) -> Focus:
        gravity, shares = self.gravity.of(query), self.focus.of(query)
        if not self.focus.is_given(query):
            return GRAVITIES[gravity]
        if self.gravity.is_given(query):
            raise BadParameter("focus: given together with gravity; allowed is one of them")
        return Focus(*(_thousandths(share) for share in shares.split(",")))

    def _trim(self, query: Query) -> int | None:
        tolerance = self.trim_tolerance.of(query)
        return tolerance if self.trim.of(query) else None


def _thousandths(share: str) -> int:
    whole, _, decimals = share.partition(".")
    return int(whole + decimals.ljust(3, "0"))
