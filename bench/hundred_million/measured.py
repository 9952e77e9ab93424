"""One figure, measured with some rows or files, and what it is with another number of them."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Measured:
    """`value` of `unit` (B for bytes, s for seconds, or none) with `count` rows or files.

    It grows with their number, unless it `is_constant`.
    """

    what: str
    value: float
    unit: str
    count: int
    is_constant: bool = False

    def at(self, count: int) -> float:
        """Return it with `count` rows or files."""
        return self.value if self.is_constant else self.value * count / self.count

    def row(self, pictures: int) -> str:
        """Return a row of the table (Markdown)."""
        formula = "as it is" if self.is_constant else f"× {pictures / self.count:,.0f}"
        here, there = human(self.value, self.unit), human(self.at(pictures), self.unit)
        return f"| {self.what} | {self.count:,} | {here} | {formula} | {there} |"


def human(value: float, unit: str) -> str:
    """Return a figure with the unit that reads best."""
    if unit == "B":
        return _largest(value, (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3), ("B", 1)))
    if unit == "s":
        return _largest(value, (("d", 86400), ("h", 3600), ("min", 60), ("s", 1), ("ms", 1e-3)))
    return f"{value:,.0f}{' ' + unit if unit else ''}"


def _largest(value: float, units: tuple[tuple[str, float], ...]) -> str:
    name, size = next((one for one in units if value >= 2 * one[1]), units[-1])
    return f"{value / size:,.1f} {name}"
