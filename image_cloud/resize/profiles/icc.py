"""Write an ICC profile of three primaries, a white and one curve (ICC.1:2001-04, a matrix profile)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

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
    columns = _transposed(_to_d50(primaries, white))
    tags = dict(zip((b"rXYZ", b"gXYZ", b"bXYZ"), map(_xyz, columns), strict=True))
    response = _response(curve)
    tags |= {b"wtpt": _xyz(D50), b"rTRC": response, b"gTRC": response, b"bTRC": response}
    return _file(tags)


def is_whole(profile: bytes) -> bool:
    """Tell whether a profile is as long as it says; browsers do not apply what is left of one."""
    return 0 < int.from_bytes(profile[:4], "big") <= len(profile)


# --- primaries -----------------------------------------------------------------------------------


def _to_d50(primaries: Sequence[Point], white: Point) -> Matrix:
    """Return the matrix from linear RGB to XYZ, white adapted to the profile's (Bradford)."""
    columns, white_xyz = (
        [_at_unit_brightness(point) for point in primaries],
        _at_unit_brightness(white),
    )
    scales = _times(_inverse(_transposed(columns)), white_xyz)
    matrix = _transposed(_scaled(scales, columns))
    seen, wanted = _times(BRADFORD, white_xyz), _times(BRADFORD, D50)
    ratios = [new / old for new, old in zip(wanted, seen, strict=True)]
    return _product(_product(_inverse(BRADFORD), _scaled(ratios, BRADFORD)), matrix)


def _at_unit_brightness(point: Point) -> Vector:
    x, y = point
    return [x / y, 1.0, (1 - x - y) / y]


def _scaled(factors: Vector, rows: Matrix) -> Matrix:
    return [[factor * value for value in row] for factor, row in zip(factors, rows, strict=True)]


def _transposed(matrix: Matrix) -> Matrix:
    return [list(row) for row in zip(*matrix, strict=True)]


def _times(matrix: Matrix, vector: Vector) -> Vector:
    return [sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix]


def _product(one: Matrix, other: Matrix) -> Matrix:
    return _transposed([_times(one, column) for column in _transposed(other)])


def _inverse(matrix: Matrix) -> Matrix:
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


def _file(tags: dict[bytes, bytes]) -> bytes:
    """Return a display profile of these tags; equal ones stand in it once."""
    places: dict[bytes, int] = {}
    at = 128 + 4 + 12 * len(tags)
    for tag in tags.values():
        if tag not in places:
            places[tag] = at
            at += len(tag)
    table = [struct.pack(">4sII", name, places[tag], len(tag)) for name, tag in tags.items()]
    head = struct.pack(">I4xI4s4s4s12x4s28x", at, 0x02100000, b"mntr", b"RGB ", b"XYZ ", b"acsp")
    head = (head + _fixed(D50)).ljust(128, b"\0")
    return b"".join([head, struct.pack(">I", len(tags)), *table, *places])
