"""Unpack the runs (RLE) of a BMP."""

from __future__ import annotations

import re

from image_cloud.picture.structure.data import Size

_PAIRS = re.compile(rb"(?:[\x01-\xff].){1,4096}", re.DOTALL)
"""Runs that follow each other, each a count and a pixel, or two of 4 bits."""
_FOURS = re.compile(rb"(?:[\x01-\xff]...){1,4096}", re.DOTALL)
"""The same with pixels of 24 bits."""
_PIXEL = [bytes([value]) for value in range(256)]
_PIXELS = [bytes([value >> 4, value & 15]) for value in range(256)]
END_OF_ROW, END, MOVE = 0, 1, 2


class Runs:
    """Unpacks runs into rows; what they skip is `blank`, with 24 bits black.

    `bits` is 4, 8 or 24 of a pixel in the file.  Afterwards `pixels` has one byte a pixel, three with
    24 bits, row by row as the file has them, and `drawn` is the number of pixels up to which it came.
    """

    def __init__(self, data: bytes, size: Size, bits: int, *, blank: int) -> None:
        self._data = data
        self._at = self._x = self._y = 0
        self._width, self._height = size
        self._bits = bits
        self._pixel_bytes = 3 if bits == 24 else 1
        skipped = bytes([0 if bits == 24 else blank])
        self.pixels = bytearray(skipped * (self._width * self._height * self._pixel_bytes))
        self.drawn = 0

    def unpack(self) -> None:
        """Unpack up to the end that the data have, or the last row."""
        try:
            while self._y < self._height and self._step():
                pass
        except IndexError:  # the file ends
            self.drawn = min(self._y * self._width + self._x, self._width * self._height)
        else:
            self.drawn = self._width * self._height

    def _step(self) -> bool:
        """Take some runs or one command; return False at the end."""
        runs = (_FOURS if self._bits == 24 else _PAIRS).match(self._data, self._at)
        if runs:
            self._at = runs.end()
            self._put(self._repeated(runs[0]))
            return True
        escape, command = self._taken(2)
        if escape:
            raise IndexError
        return self._obey(command)

    def _obey(self, command: int) -> bool:
        if command == END_OF_ROW:
            self._x, self._y = 0, self._y + 1
        elif command == MOVE:
            right, up = self._taken(2)
            self._x, self._y = min(self._x + right, self._width), self._y + up
        elif command != END:
            self._put(self._literal(command))
        return command != END

    def _repeated(self, runs: bytes) -> bytes:
        if self._bits == 24:
            parts = [runs[at + 1 : at + 4] * runs[at] for at in range(0, len(runs), 4)]
        elif self._bits == 8:
            pairs = zip(runs[::2], runs[1::2], strict=True)
            parts = [_PIXEL[value] * count for count, value in pairs]
        else:
            pairs = zip(runs[::2], runs[1::2], strict=True)
            parts = [(_PIXELS[value] * (count // 2 + 1))[:count] for count, value in pairs]
        return b"".join(parts)

    def _literal(self, count: int) -> bytes:
        """Return pixels as they stand there, padded to a whole number of 16 bits."""
        packed = self._taken((count * self._bits + 7) // 8)
        self._at += len(packed) % 2
        if self._bits != 4:
            return packed
        return b"".join([_PIXELS[byte] for byte in packed])[:count]

    def _taken(self, count: int) -> bytes:
        taken = self._data[self._at : self._at + count]
        if len(taken) < count:
            raise IndexError
        self._at += count
        return taken

    def _put(self, run: bytes) -> None:
        """Draw a run; what does not fit into the row is dropped."""
        part = run[: (self._width - self._x) * self._pixel_bytes]
        start = (self._y * self._width + self._x) * self._pixel_bytes
        self.pixels[start : start + len(part)] = part
        self._x += len(part) // self._pixel_bytes
