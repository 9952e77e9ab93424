"""Counts the scans of a JPEG and drops those that a smaller picture does not need.

A progressive JPEG sends low frequencies first.  Decoded at 1/8 only the DC coefficient of a block
counts, at 2/8 mostly the first 2 x 2, at 4/8 mostly the first 4 x 4: scans that begin behind these
(in zigzag order) change little or nothing, and decoding them is most of the work.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable

from image_cloud.picture.structure import jpeg
from image_cloud.picture.structure.data import Data, Size
from image_cloud.picture.structure.jpeg import Segment
from image_cloud.resize import jpeg_zeros

END = b"\xff\xd9"
PROGRESSIVE = 0xC2
IN_MANY_SCANS = frozenset({PROGRESSIVE, 0xC6, 0xCA, 0xCE})
QUANTISATION = 0xDB
APPLICATIONS = range(0xE0, 0xF0)
TABLE_BYTES = 65
LAST_COEFFICIENT = {1: 0, 2: 4, 4: 24, 8: 63}
"""Last coefficient in zigzag order that a block of so many pixels a side is made of."""
COARSEST_LUMA, COARSEST_CHROMA = {2: 4.0, 4: 24.0}, {2: 6.0, 4: 14.0}
"""What the steps between a component's AC coefficients may become by leaving bits out, by scale.

At 1/4 that is two bits of luma from quality 76 up, one from 51 up, one of chroma from 80 up: 0.1 dB.
"""
COARSEST_DC = {4: 10.0}
"""The same for all components' DC coefficients, an eighth of which is a level of brightness.

That is one bit from quality 85 up, and at most five eighths of a level.
"""


@dataclasses.dataclass
class Scan:
    """One scan: its bytes' place in the file, its components, what it tells of them."""

    start: int
    end: int
    components: bytes
    first_coefficient: int
    last_coefficient: int
    lowest_bit: int
    """Down to which bit (0: the lowest) coefficients are known after it."""
    adds_a_bit: bool
    """Whether they were known down to the one above it before."""

    def overlaps(self, other: Scan) -> bool:
        """Tell whether both scans tell of the same coefficients of a component."""
        return (
            not set(self.components).isdisjoint(other.components)
            and self.first_coefficient <= other.last_coefficient
            and other.first_coefficient <= self.last_coefficient
        )


@dataclasses.dataclass
class Outline:
    """What a walk over a JPEG's markers finds."""

    progressive: bool = False
    in_many_scans: bool = False
    """Progressive, in whatever way it is coded."""
    size: Size = (0, 0)
    sampling: dict[int, tuple[int, int]] = dataclasses.field(default_factory=dict)
    tables: dict[int, int] = dataclasses.field(default_factory=dict)
    """Which table each component is quantised by; the first component is luma."""
    steps: dict[int, float] = dataclasses.field(default_factory=dict)
    """Mean step of the lowest AC coefficients in each table."""
    dc_steps: dict[int, float] = dataclasses.field(default_factory=dict)
    """Step of the DC coefficients in each table."""
    scans: list[Scan] = dataclasses.field(default_factory=list)
    needed: list[Segment | Scan] = dataclasses.field(default_factory=list)
    """What a decoder needs, in the file's order: tables, frame headers and scans."""
    applications: list[Segment] = dataclasses.field(default_factory=list)
    has_end: bool = False

    @property
    def one_pass(self) -> bool:
        """Tell whether the first scan is the whole picture."""
        return not self.in_many_scans and len(self.scans[0].components) == len(self.sampling)

    @property
    def coefficient_bytes(self) -> int:
        """Return how much of it libjpeg keeps until the last scan: 16 bits a coefficient, or nothing."""
        if not self.scans or self.one_pass:
            return 0
        blocks = (jpeg_zeros.blocks(self.size, self.sampling, one) for one in self.sampling)
        return 128 * sum(blocks)


def outline(data: Data, most_scans: int) -> Outline:
    """Walk over the segments of a JPEG; stop behind `most_scans` + 1 scans.

    The data of a picture that is all in its first scan are not walked over: there is nothing to leave out.
    """
    found = Outline()
    for segment in jpeg.segments(data):
        if found.scans and found.scans[-1].end == len(data):
            found.scans[-1].end = segment.start
        found.has_end = segment.marker == jpeg.EOI
        if found.has_end or len(found.scans) > most_scans:
            break
        _take(found, data, segment)
        if found.scans and found.one_pass:
            _end_pass(found, data)
            break
    return found


def _end_pass(found: Outline, data: Data) -> None:
    """End the only scan; mostly nothing stands behind its end marker."""
    scan = found.scans[0]
    at_end = len(data) - len(END)
    end = at_end if data[at_end:] == END else data.find(END, scan.start)
    found.has_end = end >= 0
    if found.has_end:
        scan.end = end


def cut_at_marker(found: Outline, data: Data) -> bool:
    """End a picture's only scan at the first marker within; return whether there is one."""
    scan = found.scans[0]
    hit = jpeg.MARKER.search(data, scan.start + len(END))
    is_within = found.one_pass and hit is not None and hit.start() < scan.end
    if is_within and hit:
        scan.end = hit.start()
    return is_within


def _take(found: Outline, data: Data, segment: Segment) -> None:
    body = data[segment.body : segment.end]
    if segment.marker in jpeg.FRAMES:
        _frame(found, segment.marker, body)
    elif segment.marker == QUANTISATION:
        _tables(found, body)
    elif segment.marker in APPLICATIONS:
        found.applications.append(segment)
    if segment.marker == jpeg.SOS:
        found.scans.append(_scan(data, segment, body))
        found.needed.append(found.scans[-1])
    elif segment.marker in jpeg.NEEDED or segment.marker == jpeg.SOI:
        found.needed.append(segment)


def _frame(found: Outline, marker: int, body: bytes) -> None:
    """Note the picture's size and its components' sampling factors."""
    found.progressive, found.in_many_scans = marker == PROGRESSIVE, marker in IN_MANY_SCANS
    found.size = (int.from_bytes(body[3:5], "big"), int.from_bytes(body[1:3], "big"))
    places = range(6, len(body) - 2, 3)
    found.sampling = {
        body[at]: (body[at + 1] >> 4, body[at + 1] & 15)
        for at in places
        if body[at + 1] >> 4 and body[at + 1] & 15
    }
    found.tables = {body[at]: body[at + 2] for at in places}


def _tables(found: Outline, body: bytes) -> None:
    """Note the steps of quantisation tables; those of 16 bits, which nobody uses, are left out."""
    while len(body) >= TABLE_BYTES and body[0] < 16:
        found.dc_steps[body[0]], found.steps[body[0]] = body[1], sum(body[2:6]) / 4
        body = body[TABLE_BYTES:]


def _scan(data: Data, segment: Segment, body: bytes) -> Scan:
    """Return a scan that reaches to the file's end; what follows it may say otherwise."""
    count = body[0] if body else 0
    first, last, bits = body[1 + 2 * count : 4 + 2 * count].ljust(3, b"\0")
    before, low = bits >> 4, bits & 15
    components = body[1 : 1 + 2 * count : 2]
    return Scan(segment.start, len(data), components, first, last, low, before == low + 1)


def pruned(found: Outline, scale: int) -> list[Scan]:
    """Return the scans that do not count when a JPEG is decoded at 1/`scale`, and can be left out.

    At 1/8 the decoded picture is the same to the last bit.  At 1/4 and 1/2 the lowest bits of the
    AC coefficients are left out as well where the steps are so fine that nobody sees it: they are
    the largest scans of all.  Anything odd goes unpruned.
    """
    if scale < 2 or not found.progressive or not found.has_end or not found.sampling:
        return []
    if not all(map(found.sampling.get, _components(found.scans))):
        return []
    return _left_out(found, _last_coefficients(found, 8 // scale), scale)


def zeros(found: Outline, left_out: Iterable[Scan]) -> bytes:
    """Return scans that say that the AC coefficients of the scans `left_out` are zero."""
    without_ac = _components(scan for scan in left_out if scan.last_coefficient)
    return jpeg_zeros.scans(found.size, found.sampling, without_ac)


def _components(scans: Iterable[Scan]) -> set[int]:
    return {component for scan in scans for component in scan.components}


def _left_out(found: Outline, limits: dict[int, int], scale: int) -> list[Scan]:
    """Return the scans that do not count, and that none which does builds upon.

    A scan that adds a bit is written for coefficients that stand where the earlier scans left
    them; without these it would be read as something else.
    """
    kept: list[Scan] = []
    left_out: list[Scan] = []
    for scan in reversed(found.scans):
        counts = _reaches(scan, limits) and not _is_too_fine(scan, found, scale)
        counts = counts or any(scan.overlaps(later) for later in kept)
        (kept if counts else left_out).append(scan)
    return left_out[::-1]


def _reaches(scan: Scan, limits: dict[int, int]) -> bool:
    """Tell whether a scan has coefficients that count."""
    return scan.first_coefficient <= max(
        (limits.get(component, 63) for component in scan.components), default=63
    )


def _is_too_fine(scan: Scan, found: Outline, scale: int) -> bool:
    """Tell whether a scan only adds a bit that nobody sees at this scale."""
    if not scan.adds_a_bit:
        return False
    luma = next(iter(found.sampling))
    for component in scan.components:
        steps, coarsest = found.dc_steps, COARSEST_DC
        if scan.last_coefficient:
            steps = found.steps
            coarsest = COARSEST_LUMA if component == luma else COARSEST_CHROMA
        step = steps.get(found.tables.get(component, -1), math.inf)
        if step * (2 << scan.lowest_bit) > coarsest.get(scale, 0.0):
            return False
    return True


def _last_coefficients(found: Outline, block_px: int) -> dict[int, int]:
    """Return for each component the last coefficient that counts, luma drawn at `block_px`.

    libjpeg draws a subsampled component in larger blocks rather than enlarging it afterwards
    (jdmaster.c); this is its rule.
    """
    most_wide = max(wide for wide, _ in found.sampling.values())
    most_high = max(high for _, high in found.sampling.values())
    limits = {}
    for component, (wide, high) in found.sampling.items():
        side = block_px
        while (
            side < 8
            and most_wide * block_px % (wide * side * 2) == 0
            and most_high * block_px % (high * side * 2) == 0
        ):
            side *= 2
        limits[component] = LAST_COEFFICIENT[side]
    return limits
