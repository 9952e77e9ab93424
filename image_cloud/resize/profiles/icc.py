"""Write ICC profiles (ICC.1:2001-04): of three primaries, a white and one curve, or of a table of colours."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence

Point = tuple[float, float]
"""A colour's x and y, without its brightness."""
Vector = list[float]
Matrix = list[Vector]
Curve = Callable[[float], float]

D50: Vector = [0.9642, 1.0, 0.8249]
BRADFORD: Matrix = [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
STEPS = 1024
PARTS = 65536


def profile(primaries: Sequence[Point], white: Point, curve: Curve) -> bytes:
    """Return a profile whose red, green and blue are `primaries`; `curve` makes light of a value, 0 to 1."""
    columns = _transposed(to_d50(primaries, white))
    tags = dict(zip((b"rXYZ", b"gXYZ", b"bXYZ"), map(_xyz, columns), strict=True))
    response = _response(curve)
    tags |= {b"wtpt": _xyz(D50), b"rTRC": response, b"gTRC": response, b"bTRC": response}
    return _file(tags, b"XYZ ")


def table_profile(side: int, colours: Iterable[Vector]) -> bytes:
    """Return a profile with a table of `side`**3 colours in CIELAB, blue the fastest."""
    matrix = _fixed([1, 0, 0, 0, 1, 0, 0, 0, 1])
    straight = struct.pack(">6H", *(0, 0xFFFF) * 3)
    numbers = [number for colour in colours for number in _lab_numbers(colour)]
    table = struct.pack(f">{len(numbers)}H", *numbers)
    head = struct.pack(">4s4x3Bx", b"mft2", 3, 3, side)
    lut = head + matrix + struct.pack(">2H", 2, 2) + straight + table + straight
    return _file({b"wtpt": _xyz(D50), b"A2B0": lut}, b"Lab ")


def lab_of(colour: Vector, to_xyz: Matrix) -> Vector:
    """Return L, a and b of a colour in linear RGB; the matrix leads to XYZ with the profile's white."""
    x, y, z = (_root(part / white) for part, white in zip(times(to_xyz, colour), D50, strict=True))
    return [116 * y - 16, 500 * (x - y), 200 * (y - z)]


def luminance(primaries: Sequence[Point], white: Point) -> Vector:
    """Return how much red, green and blue each add to white's brightness."""
    return _to_xyz(primaries, white)[1]


def is_whole(profile: bytes) -> bool:
    """Tell whether a profile is as long as it says; browsers do not apply what is left of one."""
    return 0 < int.from_bytes(profile[:4], "big") <= len(profile)


# --- primaries -----------------------------------------------------------------------------------


def to_d50(primaries: Sequence[Point], white: Point) -> Matrix:
    """Return the matrix from linear RGB to XYZ, white adapted to the profile's (Bradford)."""
    matrix = _to_xyz(primaries, white)
    seen, wanted = times(BRADFORD, _at_unit_brightness(white)), times(BRADFORD, D50)
    ratios = [new / old for new, old in zip(wanted, seen, strict=True)]
    return product(product(inverse(BRADFORD), _scaled(ratios, BRADFORD)), matrix)


def _to_xyz(primaries: Sequence[Point], white: Point) -> Matrix:
    columns = [_at_unit_brightness(point) for point in primaries]
    scales = times(inverse(_transposed(columns)), _at_unit_brightness(white))
    return _transposed(_scaled(scales, columns))


def _at_unit_brightness(point: Point) -> Vector:
    x, y = point
    return [x / y, 1.0, (1 - x - y) / y]


def _scaled(factors: Vector, rows: Matrix) -> Matrix:
    return [[factor * value for value in row] for factor, row in zip(factors, rows, strict=True)]


def _transposed(matrix: Matrix) -> Matrix:
    return [list(row) for row in zip(*matrix, strict=True)]


def times(matrix: Matrix, vector: Vector) -> Vector:
    """Multiply."""
    x, y, z = vector
    return [a * x + b * y + c * z for a, b, c in matrix]


def product(one: Matrix, other: Matrix) -> Matrix:
    """Multiply; `other` applies first."""
    return _transposed([times(one, column) for column in _transposed(other)])


def inverse(matrix: Matrix) -> Matrix:
    """Invert by the cross products of the rows."""
    a, b, c = matrix
    crossed = [_cross(b, c), _cross(c, a), _cross(a, b)]
    determinant = sum(x * y for x, y in zip(a, crossed[0], strict=True))
    return _transposed([[value / determinant for value in row] for row in crossed])


def _cross(one: Vector, other: Vector) -> Vector:
    (a, b, c), (d, e, f) = one, other
    return [b * f - c * e, c * d - a * f, a * e - b * d]


# --- the file ------------------------------------------------------------------------------------


def _xyz(values: Vector) -> bytes:
    return b"XYZ \0\0\0\0" + _fixed(values)


def _fixed(values: Vector) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(value * PARTS) for value in values))


def _response(curve: Curve) -> bytes:
    steps = [round((PARTS - 1) * curve(step / (STEPS - 1))) for step in range(STEPS)]
    return struct.pack(f">4s4xI{STEPS}H", b"curv", STEPS, *steps)


def _root(value: float) -> float:
    """Return what CIELAB takes for the cube root."""
    return value ** (1 / 3) if value > 216 / 24389 else (value * 24389 / 27 + 16) / 116


def _lab_numbers(colour: Vector) -> list[int]:
    lightness, a, b = colour
    return [round(lightness / 100 * 0xFF00), round((a + 128) * 256), round((b + 128) * 256)]


def _file(tags: dict[bytes, bytes], space: bytes) -> bytes:
    """Return a display profile of these tags, which lead to `space`; equal ones stand in it once."""
    places: dict[bytes, int] = {}
    at = 128 + 4 + 12 * len(tags)
    for tag in tags.values():
        if tag not in places:
            places[tag] = at
            at += len(tag)
    table = [struct.pack(">4sII", name, places[tag], len(tag)) for name, tag in tags.items()]
    head = struct.pack(">I4xI4s4s4s12x4s28x", at, 0x02100000, b"mntr", b"RGB ", space, b"acsp")
    head = (head + _fixed(D50)).ljust(128, b"\0")
    return b"".join([head, struct.pack(">I", len(tags)), *table, *places])
